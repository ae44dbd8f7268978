"""The notebooks in their order: what each waits for and which result files it writes."""

from pathlib import Path
from typing import NamedTuple


class Step(NamedTuple):
    """After whose results a notebook runs, and which files it leaves in runs/<edition>/<notebook>/."""

    after: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


STEPS = {
    "setup_check": Step(),
    "data": Step(writes=("dataset.json",)),
    "semantic_match": Step(after=("data",), writes=("timing.json",)),
    "self_supervision": Step(after=("data",)),
    "network": Step(after=("data",)),
    "losses": Step(after=("data",)),
    "training": Step(after=("data",), writes=("model.safetensors", "model.json", "history.json")),
    "results": Step(after=("training",), writes=("metrics.json",)),
    "translate_your_own": Step(after=("training",)),
    "introduction": Step(after=("results",)),
}


def results(edition: str, notebook: str) -> list[str]:
    """The result files of a notebook, relative to the project's root."""
    return [f"runs/{edition}/{notebook}/{name}" for name in STEPS[notebook].writes]


def executed(edition: str, notebook: str) -> str:
    """Where a notebook's executed copy lies, relative to the project's root."""
    return f"runs/{edition}/notebooks/{notebook}.ipynb"


def missing(edition: str) -> list[str]:
    """The notebooks of which this edition has no executed copy."""
    return [name for name in STEPS if not Path(executed(edition, name)).is_file()]
