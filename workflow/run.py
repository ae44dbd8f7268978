"""Behind `make book` and `make html`: check every parameter, run Snakemake, say where the book lies."""

import argparse
import json
import logging
import os
import sys
from logging.handlers import BufferingHandler
from pathlib import Path

from filelock import FileLock, Timeout
from snakemake import cli
from snakemake.logging import LogEvent

from notebooks import all_steps, source
from segin_core.book.parameters import check_overrides, load_overrides, overrides_file
from segin_core.errors import InputError


def check_edition(edition: str) -> None:
    """Every step's YAML is there and fits its notebook: a typing error shows before the training."""
    for step in all_steps(edition):
        check_overrides(source(step), load_overrides(edition, step), source=overrides_file(edition, step))


def keep_inside() -> None:
    """What the tools keep lies in runs/, not in HOME, which may be read-only, and Snakemake's record not beside it."""
    own = Path("runs/.tools").resolve()
    for name in ("IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR"):
        os.environ.setdefault(name, str(own / name.lower()))
    record = Path(".snakemake")  # the one place where Snakemake looks for it
    (own / "snakemake").mkdir(parents=True, exist_ok=True)
    if not record.is_dir():
        record.symlink_to("runs/.tools/snakemake")


def snakemake(edition: str, run: str) -> int:
    """Run the notebooks that `run` chooses (see notebooks.steps), build the HTML; Snakemake's exit code.

    A chapter that fails says so itself; a fault of Snakemake's own is printed.
    """
    keep_inside()
    errors = BufferingHandler(capacity=1000)
    errors.setLevel(logging.ERROR)
    logging.getLogger().addHandler(errors)
    try:
        with FileLock("runs/.lock", timeout=0):  # unlike Snakemake's own, it goes when the process is killed
            cli.main(["--nolock", "--config", f"edition={edition}", f"run={run}"])
    except Timeout:
        raise InputError("runs/.lock: another run is under way here; wait for it to end.") from None
    except SystemExit as done:
        told = any(getattr(record, "event", None) == LogEvent.JOB_ERROR for record in errors.buffer)
        for record in errors.buffer if done.code and not told else []:
            print(record.getMessage(), file=sys.stderr)
        return done.code


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
            print(
                f"The {edition} edition was not built; once that is mended, the same command goes on.", file=sys.stderr
            )
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
