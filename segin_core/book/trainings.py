"""What the trainings of the book are known by, and more of SEGIN's trainings by the notebook of the chapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import papermill

from segin_core.book.editions import edition_pairs
from segin_core.book.parameters import check_overrides, declared_parameters, load_overrides
from segin_core.book.paths import project_root, runs
from segin_core.book.provenance import PACKAGES
from segin_core.corruption import corrupt
from segin_core.data.pairs import PairFolder
from segin_core.running.checkpoints import load_translator
from segin_core.running.identity import Identity, source_digest
from segin_core.running.loop import train
from segin_core.segin import SEGIN
from segin_core.translator import Translator

# parameters of the training chapters that leave the networks as they are
SHOWN = {"edition", "run", "data", "workers", "checkpoint_every", "sample_every", "samples", "snapshots", "timed_steps"}
SHOWN |= {"codes", "styles", "scored"}


def training_identity(parameters: dict[str, Any], pairs: PairFolder, *code: Any) -> Identity:
    """What a training with these parameters of its notebook, on these pairs, by this `code` is kept under."""
    settings = {name: value for name, value in parameters.items() if name not in SHOWN}
    return Identity(settings, pairs.digest, source_digest(*code, train, packages=PACKAGES))


def trained_network(edition: str, run: str, **values: Any) -> tuple[Translator, dict[str, Any]]:
    """N and its description from the edition's training, with these `values` in the place of the edition's own.

    Taken from the training chapter or from runs/<edition>/<run>/ where a network of this identity lies there; else the
    training notebook is executed with `run` as its folder. One that was stopped goes on. Raises what that run raises.
    """
    notebook = project_root() / "book" / "training.ipynb"
    values = check_overrides(notebook, load_overrides(edition, "training") | values)
    parameters = {name: each.default for name, each in declared_parameters(notebook).items()} | values
    wanted = training_identity(parameters, edition_pairs(edition, "train", parameters["data"]), SEGIN, corrupt).key
    for folder in (runs(edition) / "training", runs(edition) / run):
        about = folder / "model.json"
        if about.is_file() and json.loads(about.read_text(encoding="utf-8")).get("identity", {}).get("key") == wanted:
            return load_translator(folder / "model.safetensors")
    return load_translator(trained_weights(edition, "training", run, values))


def trained_weights(edition: str, notebook: str, run: str, values: dict[str, Any]) -> Path:
    """The model.safetensors of a training notebook, executed with these `values` and `run` as its folder.

    The other values are the edition's. A training of the same identity is not begun anew: one that was stopped goes on,
    one that is done is only described again. Raises what that run raises.
    """
    file = project_root() / "book" / f"{notebook}.ipynb"
    values = check_overrides(file, load_overrides(edition, notebook) | values)
    (runs(edition) / run).mkdir(parents=True, exist_ok=True)
    how = {"kernel_name": "python3", "cwd": file.parent, "progress_bar": False}
    papermill.execute_notebook(file, runs(edition) / run / file.name, values | {"run": run}, **how)
    return runs(edition) / run / "model.safetensors"
