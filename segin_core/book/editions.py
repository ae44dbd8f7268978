"""What an edition has prepared."""

from __future__ import annotations

import json

from segin_core.book.paths import data_cache, runs
from segin_core.data.pairs import PairFolder
from segin_core.data.parts import PARTS
from segin_core.errors import InputError


def edition_pairs(edition: str, part: str, notebook: str = "data") -> PairFolder:
    """The pairs of one of `PARTS` that an edition's data notebook prepared, or another one that prepares some.

    Raises InputError if it has not run.
    """
    file = runs(edition) / notebook / "dataset.json"
    if part not in PARTS:
        raise InputError(f"part={part!r} is unknown: choose one of {', '.join(PARTS)}.")
    if not file.is_file():
        where = f"runs/{edition}/{notebook}/dataset.json"
        raise InputError(f"{where} is missing: run the notebook {notebook.split('/')[0]} of this edition first.")
    return PairFolder(data_cache() / json.loads(file.read_text(encoding="utf-8"))["folder"] / part)
