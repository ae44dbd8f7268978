"""What an edition has prepared."""

from __future__ import annotations

import json

from segin_core.book.paths import data_cache, runs
from segin_core.data.pairs import PairFolder
from segin_core.errors import InputError


def edition_pairs(edition: str, split: str) -> PairFolder:
    """The "train" or "test" pairs that an edition's data notebook prepared. Raises InputError if it has not run."""
    file = runs(edition) / "data" / "dataset.json"
    if not file.is_file():
        raise InputError(f"runs/{edition}/data/dataset.json is missing: run the data notebook of this edition first.")
    return PairFolder(data_cache() / json.loads(file.read_text())["folder"] / split)
