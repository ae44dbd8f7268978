"""Behind `make book` and `make html`: check every parameter, run Snakemake, say where the book lies."""

import argparse
import fcntl
import json
import subprocess
import sys
from pathlib import Path

from notebooks import STEPS
from segin_core.book.parameters import check_overrides, load_overrides, overrides_file
from segin_core.errors import InputError


def check_edition(edition: str) -> None:
    """Every notebook's YAML is there and fits its notebook: a typing error shows before the training."""
    for notebook in STEPS:
        source = overrides_file(edition, notebook)
        check_overrides(Path("book") / f"{notebook}.ipynb", load_overrides(edition, notebook), source=source)


def snakemake(edition: str, run: str) -> int:
    """Run the notebooks that `run` chooses (see notebooks.steps), build the HTML; Snakemake's exit code."""
    Path("runs").mkdir(exist_ok=True)
    with open("runs/.lock", "w") as lock:  # unlike Snakemake's own, it goes when the process is killed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError("runs/.lock: another run is under way here; wait for it to end.") from None
        command = [sys.executable, "-m", "snakemake", "--nolock", "--config", f"edition={edition}", f"run={run}"]
        return subprocess.run(command, pass_fds=[lock.fileno()]).returncode


def headline(edition: str) -> str | None:
    """The metrics in one line, as the results notebook wrote them."""
    file = Path("runs") / edition / "results" / "metrics.json"
    return json.loads(file.read_text(encoding="utf-8")).get("headline") if file.is_file() else None


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=["book", "html"], help="html: only what is executed or published")
    parser.add_argument("--edition", default="quick")
    parser.add_argument("--all", action="store_true", help="book: the chapters too that the edition leaves out")
    arguments = parser.parse_args()
    edition, run = arguments.edition, "all" if arguments.all else "edition"
    try:
        check_edition(edition)
        if code := snakemake(edition, "none" if arguments.target == "html" else run):
            print(f"The {edition} edition was not built; the same command goes on.", file=sys.stderr)
            return code
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(Path(f"runs/{edition}/html/_build/html/index.html").resolve())
    if line := headline(edition):
        print(line)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
