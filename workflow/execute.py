"""Run one notebook of an edition with papermill: parameters checked first, a failed run kept for reading."""

import argparse
import logging
import os
import re
import sys
import time
import warnings
from pathlib import Path

import nbformat
import papermill
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from papermill.exceptions import PapermillExecutionError

from segin_core.book.parameters import check_overrides, load_overrides, overrides_file
from segin_core.errors import InputError
from segin_core.running.files import written_whole
from sources import digest


def prefer_own_kernel() -> None:
    """Let `python3` mean this interpreter's kernel, whatever kernels the user has installed elsewhere."""
    own = str(Path(sys.prefix) / "share" / "jupyter")
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [own, os.environ.get("JUPYTER_PATH", "")]))


def last_line(error: PapermillExecutionError) -> str:
    """The error of the failed cell in one line, without terminal colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error.evalue)).strip() or "no message"
    return f"{error.ename}: {text.splitlines()[0]}"


def execute(notebook: Path, edition: str, step: str, output: Path, log: Path) -> None:
    """Run the notebook under a step's values into `log`, then copy it to `output`. Raises InputError when it fails."""
    parameters = check_overrides(notebook, load_overrides(edition, step), source=overrides_file(edition, step))
    for file in (output, log):
        file.parent.mkdir(parents=True, exist_ok=True)
    prefer_own_kernel()
    used = digest(notebook)
    try:
        papermill.execute_notebook(
            notebook,
            log,
            parameters=parameters,
            kernel_name="python3",
            language="python",
            cwd=notebook.parent,  # as in JupyterLab
            progress_bar=sys.stderr.isatty(),
        )
    except PapermillExecutionError as error:
        failed = f"cell {error.exec_count} of book/{notebook.name} failed with {last_line(error)}"
        raise InputError(f"{failed} (the notebook up to there: {log})") from None
    except Exception as error:  # the kernel died, or never started: there is no error cell to quote
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        failed = f"book/{notebook.name} did not finish: {reason}"
        raise InputError(f"{failed} (the notebook up to there: {log})") from None
    # of each progress bar the copy keeps what a terminal would still show at the end
    executed, _ = CoalesceStreamsPreprocessor().preprocess(nbformat.read(log, as_version=4), {})
    executed.metadata["sources"] = used
    with written_whole(output) as partial:
        partial.write_text(nbformat.writes(executed) + "\n", encoding="utf-8")


def main() -> int:
    """Command line: one line when the notebook starts, one when it ends, with its seconds or its fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--edition", required=True)
    parser.add_argument("--step", help="whose values it runs under, params/<edition>/<step>.yaml; its own name if none")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="papermill|nbclient|jupyter_client|zmq")
    logging.getLogger("papermill").setLevel(logging.ERROR)

    name, start = arguments.step or arguments.notebook.stem, time.monotonic()
    print(f"{arguments.edition}/{name}: started", file=sys.stderr, flush=True)
    try:
        execute(arguments.notebook, arguments.edition, name, arguments.output, arguments.log)
    except (InputError, OSError) as error:
        print(f"{arguments.edition}/{name}: {error}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - start
    print(f"{arguments.edition}/{name}: done in {seconds:.0f} s", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
