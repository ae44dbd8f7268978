"""Where things lie. Every notebook and script asks here, so that no path is written twice."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from segin_core.errors import InputError


def project_root() -> Path:
    """The nearest folder at or above the working one that holds the book. Raises InputError where there is none."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "_config.yml").is_file() and (folder / "segin_core").is_dir():
            return folder
    raise InputError(f"{here}: the working folder is not in the project; start there, or papermill with --cwd PROJECT.")


def runs(edition: str) -> Path:
    """Folder of everything an edition (smoke, quick, cpu, paper) writes. It need not exist yet."""
    return project_root() / "runs" / edition


def result_file(edition: str, notebook: str, name: str) -> Path | None:
    """Where an edition's result lies: in runs/, else in published/, else None."""
    places = (project_root() / kept / edition / notebook / name for kept in ("runs", "published"))
    return next(filter(Path.is_file, places), None)


def results_of(editions: Iterable[str], notebook: str, name: str) -> list[dict[str, Any]]:
    """The same JSON result of several editions, each once, shoes before drawings; those without it are left out."""
    files = (result_file(edition, notebook, name) for edition in dict.fromkeys(editions))
    found = (json.loads(file.read_text(encoding="utf-8")) for file in files if file)
    return sorted(found, key=lambda result: result["dataset"] != "shoes")


def data_cache() -> Path:
    """Folder of the rendered data sets, shared by all editions: `$SEGIN_DATA`, else `runs/data`.

    A relative one starts from the project's root, wherever the working folder is.
    """
    chosen = Path(os.environ.get("SEGIN_DATA") or "runs/data").expanduser()
    return chosen if chosen.is_absolute() else project_root() / chosen
