"""Build the HTML of an edition: its executed notebooks and the book's pages, with every warning an error."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from notebooks import STEPS, executed

MEANING = {
    "smoke": "a few training steps that only test the code: its pictures and numbers mean nothing",
    "quick": "trained within minutes on two CPU cores",
    "cpu": "a longer training on a CPU",
    "paper": "the paper's settings, for a GPU",
}


def assemble(edition: str, site: Path) -> None:
    """Put into `site` what the builder reads: pages, executed notebooks, configuration naming the edition."""
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree("book", site, ignore=shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints"))
    for notebook in STEPS:
        shutil.copyfile(executed(edition, notebook), site / f"{notebook}.ipynb")
    config = yaml.safe_load(Path("_config.yml").read_text(encoding="utf-8"))
    meaning = f": {MEANING[edition]}" if edition in MEANING else ""
    theme = config["sphinx"]["config"]["html_theme_options"]
    theme["announcement"] = f"This copy shows the <b>{edition}</b> edition{meaning}."
    (site / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def prune(mathjax: Path) -> None:
    """Drop the MathJax that no page loads (20 of 24 MB): other formats, speech maps behind a menu entry."""
    for bundle in set(mathjax.glob("*.js")) - {mathjax / "tex-chtml.js"}:
        bundle.unlink()
    shutil.rmtree(mathjax / "sre" / "mathmaps", ignore_errors=True)


def build(site: Path, out: Path, log: Path) -> bool:
    """Run Jupyter Book on `site`; True if there was no warning. What it said is in `log`."""
    shutil.rmtree(out, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    options = ["--config", site / "_config.yml", "--path-output", out, "--all", "-W", "--keep-going"]
    # the local Sphinx extension lies beside this file
    extensions = Path(__file__).parent.resolve()
    path = os.pathsep.join([str(extensions), os.getcwd()])
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": path}
    with log.open("w") as stream:
        run = subprocess.run(
            [*jupyter_book, "build", site, *options], stdout=stream, stderr=subprocess.STDOUT, env=environment
        )
    prune(out / "_build" / "html" / "_static" / "mathjax")
    return run.returncode == 0


def main() -> int:
    """Command line: build, and print the warnings if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edition", required=True)
    edition = parser.parse_args().edition
    root = Path("runs") / edition
    log = root / "logs" / "html.txt"
    assemble(edition, root / "site")
    print(f"{edition}/html: started", file=sys.stderr, flush=True)
    if build(root / "site", root / "html", log):
        print(f"{edition}/html: done", file=sys.stderr, flush=True)
        return 0
    fault = re.compile(r"(WARNING|ERROR|CRITICAL|Error):")
    lines = [line for line in log.read_text().splitlines() if fault.search(line)]
    print("\n".join(lines[:20]), file=sys.stderr)
    print(f"{edition}/html: Jupyter Book warned or failed (all of it: {log})", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
