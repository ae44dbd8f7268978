"""What an edition has prepared."""

from __future__ import annotations

import json

from segin_core.book.paths import data_cache, runs
from segin_core.data.pairs import PairFolder
from segin_core.errors import InputError


def edition_pairs(edition: str, part: str, notebook: str = "data") -> PairFolder:
    """The pairs of a part of the data that an edition's data notebook prepared, or another one that prepares some.

    part: one of `parts.PARTS`, of photos "colourways" too. Raises InputError if the notebook has not run, and for a
    part that it does not have.
    """
    file = runs(edition) / notebook / "dataset.json"
    if not file.is_file():
        where = f"runs/{edition}/{notebook}/dataset.json"
        made_by, _, kind = notebook.partition("/")
        pictures = f", with pictures of {kind} at hand" if kind else ""
        raise InputError(f"{where} is missing: run the notebook {made_by} of this edition first{pictures}.")
    described = json.loads(file.read_text(encoding="utf-8"))
    if part not in described["counts"]:
        raise InputError(f"part={part!r} is not in this data: choose one of {', '.join(described['counts'])}.")
    return PairFolder(data_cache() / described["folder"] / part)
