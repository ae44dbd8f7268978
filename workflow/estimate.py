"""What an edition's trainings will take on the device at hand, from a few timed steps of each (make estimate).

    python workflow/estimate.py --edition paper --only training -p vgg vgg16-hed

Each training chapter is executed as it stands, with its own parameters, on a handful of made-up pictures of its size:
no data have to be there. Trainings that differ in their data, seed or length alone are timed once. Hours are those of
the steps, without the match and the pictures taken on the way; memory is the processor's, not a card's own.
"""

import argparse
import json
import os
import resource
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
import yaml
from papermill.exceptions import PapermillExecutionError
from PIL import Image

from execute import last_line
from notebooks import MODEL, STEPS, all_steps, source
from segin_core.book.parameters import declared_parameters, load_overrides
from segin_core.book.paths import runs
from segin_core.book.provenance import environment
from segin_core.book.trainings import SHOWN, trained_weights
from segin_core.data.images import save_image, to_pil
from segin_core.data.parts import KINDS
from segin_core.errors import InputError
from segin_core.running.files import write_json
from segin_core.running.randomness import seeded

PAIRS = {"train": 12, "validation": 8, "test": 8}
FASTER = {"workers": 0, "checkpoint_every": 10, "sample_every": 10_000, "samples": 2, "snapshots": False}
FASTER |= {"timed_steps": 1, "codes": 2, "styles": 2, "scored": 4}  # of what a chapter does beside its training
FREE = SHOWN | {"steps", "seed", "lr_decay"}  # parameters that leave the cost of a step as it is
GB = 1e9


def values_of(edition: str, step: str, given: dict[str, Any]) -> dict[str, Any]:
    """All parameters of a step: the notebook's own, the edition's over them, and over all those that were given."""
    declared = declared_parameters(source(step))
    own = {name: each.default for name, each in declared.items()} | load_overrides(edition, step)
    return own | {name: value for name, value in given.items() if name in declared}


def trainings(edition: str) -> list[str]:
    """The steps that train the networks which other chapters use."""
    return [name for name in all_steps(edition) if STEPS[source(name).stem].writes == MODEL]


def picture_size(edition: str, values: dict[str, Any]) -> int:
    """Sides in px of the pictures that a training reads, as the chapter that prepares them has it."""
    return values_of(edition, values["data"].partition("/")[0], {})["size"]


def make_pairs(edition: str, size: int) -> str:
    """Blurred noise in the layout of prepared pairs; returns the name that a training's `data` takes."""
    name = f"estimate/{size}px"
    folder = runs(edition) / name
    for number, (part, count) in enumerate(PAIRS.items()):
        for i in range(count):
            blots = 2 * torch.rand(3, 8, 8, generator=seeded(number, i)) - 1
            picture = to_pil(blots).resize((size, size), Image.Resampling.BICUBIC)
            for kind in KINDS:
                save_image(picture if kind == "y" else picture.convert("L"), folder / part / kind / f"{i}.png")
    told = {"folder": str(folder), "counts": PAIRS, "size": size, "task": "estimate"}
    write_json(folder / "dataset.json", told)
    return name


def timed(edition: str, step: str, given: dict[str, Any], steps: int) -> dict[str, float]:
    """Seconds a step after ten that warm up, parameters, peak memory and bytes on disk, of one training."""
    notebook, values = source(step).stem, values_of(edition, step, given)
    data = make_pairs(edition, picture_size(edition, values))
    run, declared = f"estimate/{step}", declared_parameters(source(step))
    chosen = values | {name: value for name, value in FASTER.items() if name in declared}
    try:
        model = trained_weights(edition, notebook, run, chosen | {"steps": 10 + steps, "data": data})
    except PapermillExecutionError as error:
        raise InputError(f"{step}: {last_line(error)}") from None
    history = json.loads((model.parent / "history.json").read_text(encoding="utf-8"))
    counts = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))["parameters"]
    states = (model.parent / "checkpoints").glob("*.safetensors")
    return {
        "seconds_a_step": (history[-1]["seconds"] - history[0]["seconds"]) / steps,
        "parameters": sum(counts.values()) if isinstance(counts, dict) else counts,
        "memory": 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,  # of the notebook's own process
        "disk": sum(file.stat().st_size for file in (*states, model)),
    }


def felt(edition: str, step: str, given: dict[str, Any]) -> str:
    """All that a training's step feels; two trainings with the same have the same cost."""
    values = values_of(edition, step, given)
    shaping = {name: value for name, value in values.items() if name not in FREE}
    return json.dumps([source(step).stem, picture_size(edition, values), shaping], sort_keys=True)


def estimate(edition: str, chosen: list[str], given: dict[str, Any], steps: int) -> dict[str, dict[str, float]]:
    """Each training's cost; of those that differ in nothing that a step feels, the first is timed for all."""
    known: dict[str, dict[str, float]] = {}
    found = {}
    for step in chosen:
        key, length = felt(edition, step, given), values_of(edition, step, given)["steps"]
        if key not in known:
            # a process for each, so that each has a peak of its own
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                known[key] = pool.submit(timed, edition, step, given, steps).result()
        found[step] = known[key] | {"steps": length, "hours": length * known[key]["seconds_a_step"] / 3600}
        print(row(step, found[step]), flush=True)
    return found


def row(step: str, cost: dict[str, float]) -> str:
    """One training as a line of the table."""
    numbers = f"{cost['parameters'] / 1e6:8.1f} M {cost['seconds_a_step']:9.3f} s {cost['steps']:11,}"
    return f"{step:34}{numbers} {cost['hours']:9.1f} h {cost['memory'] / GB:7.1f} GB {cost['disk'] / GB:7.2f} GB"


def main() -> int:
    """Command line: a line for each training, the sum, and runs/<edition>/estimate.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edition", default="paper")
    parser.add_argument("--only", nargs="+", help="these trainings; all of the edition if none is named")
    parser.add_argument("--steps", type=int, default=20, help="that are timed, a multiple of ten")
    parser.add_argument("-p", dest="given", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    asked = parser.parse_args()
    known, place = trainings(asked.edition), runs(asked.edition) / "estimate"
    if unknown := [name for name in asked.only or () if name not in known]:
        print(f"{unknown[0]} is no training of this edition: choose of {', '.join(known)}", file=sys.stderr)
        return 2
    shutil.rmtree(place, ignore_errors=True)
    print(f"{environment()}, load {os.getloadavg()[0]:.1f}")
    print(f"{'training':34}{'parameters':>10} {'a step':>11} {'steps':>11} {'in all':>11} {'memory':>10} {'disk':>10}")
    try:
        given = {name: yaml.safe_load(value) for name, value in asked.given}
        found = estimate(asked.edition, asked.only or known, given, asked.steps)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(place, ignore_errors=True)
    hours, disk = (sum(cost[what] for cost in found.values()) for what in ("hours", "disk"))
    print(f"one after the other: {hours:.1f} h, {disk / GB:.1f} GB; the data and the other chapters come on top")
    write_json(runs(asked.edition) / "estimate.json", {"environment": environment(), "trainings": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
