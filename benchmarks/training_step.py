"""Images a second of SEGIN's training step, where its time goes, and what larger batches and other widths gain.

    python benchmarks/training_step.py --size 64 --widths 24 16 32 --batches 8 16 32 -o step.json

Pictures are noise and weights are random: a step takes as long on those. Every part is run by itself, so parts need not
add up to the step. All variants take turns in one process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from timing import clocked, interleaved, milliseconds, ratio, whole_number
from translator import checked, downsamplings, options

from segin_core.book.provenance import provenance
from segin_core.corruption import corrupt
from segin_core.discriminator import Discriminator
from segin_core.losses import Weights
from segin_core.matching import warp
from segin_core.running.files import write_json
from segin_core.running.randomness import seeded
from segin_core.segin import SEGIN
from segin_core.self_supervision import Batch
from segin_core.translator import Translator
from segin_core.vgg import VGGFeatures

CELL = 4  # px of the cells that a W is pasted from
WEIGHTS = Weights()


def noise(batch: int, size: int, *, seed: int) -> Batch:
    """What a step sees, of noise, channels last."""
    generator = seeded(seed, batch, size)
    parts = (torch.rand(batch, c, size, size, generator=generator) for c in (1, 3, 3, 1))
    x, y, w, mask = (part.contiguous(memory_format=torch.channels_last) for part in parts)
    return Batch(2 * x - 1, 2 * y - 1, 2 * w - 1, mask)


def method(width: int, size: int, *, seed: int) -> SEGIN:
    """SEGIN with networks of this width, as the chapter on training builds them."""
    torch.manual_seed(seed)
    translator = Translator(width, downsamplings=downsamplings(size))
    discriminator = Discriminator(width, image_size=size, leak=0.2, free_logit=True)
    networks = (translator, discriminator, VGGFeatures(layers=("relu3_2",)))
    return SEGIN(*(network.to(memory_format=torch.channels_last) for network in networks), weights=WEIGHTS)


def parts_of(segin: SEGIN, batch: Batch) -> dict[str, Callable[[], object]]:
    """The step, and each of its parts alone."""
    pictures = batch.y.clone().requires_grad_()

    def translate() -> None:
        image, mask = segin.translator(batch.x, batch.w)
        (image.mean() + mask.mean()).backward()

    def feature() -> None:
        with torch.no_grad():
            wanted = segin.features(batch.y)["relu3_2"]
        (segin.features(pictures)["relu3_2"] - wanted).abs().sum().backward()

    def judge() -> None:
        segin._update_discriminator(batch, batch.y)

    def convince() -> None:
        segin.discriminator.requires_grad_(False)
        segin.discriminator(pictures, batch.x).mean().backward()

    def make() -> None:
        cells = batch.y.shape[-1] // CELL
        index = torch.arange(cells**2).expand(len(batch.y), -1)
        corrupt(warp(batch.y, index, (cells, cells), 3, "paste"), batch.y, generator=seeded(0), cell=CELL)

    return {
        "step": partial(segin.update, batch),
        "N, forward and backward": translate, "VGG, of y and of the output": feature,
        "D's own step": judge, "D for N, forward and backward": convince,
        "Adam of N": segin.optimisers["translator"].step, "W and its damage": make,
    }  # fmt: skip


def in_bf16(run: Callable[[], object]) -> Callable[[], float]:
    """The seconds of a call under bf16 autocast."""

    def mixed() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            run()

    return clocked(mixed)


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Where a step's time goes at the first width and batch, and images a second at all of them."""
    steps, sizes = {}, {}
    for width in asked.widths:
        segin = method(width, asked.size, seed=asked.seed)
        for count in asked.batches:
            batch = noise(count, asked.size, seed=asked.seed)
            sizes[f"width {width}, batch {count}"] = count
            steps[f"width {width}, batch {count}"] = in_bf16(partial(segin.update, batch))
    first = noise(asked.batches[0], asked.size, seed=asked.seed)
    parts = parts_of(method(asked.widths[0], asked.size, seed=asked.seed), first)
    parts["step"]()  # so that there are gradients and moments
    how = {"rounds": asked.rounds, "seed": asked.seed, "budget": asked.seconds}
    times = interleaved({name: in_bf16(run) for name, run in parts.items()}, **how)
    found = {name: {"ms": milliseconds(each), "share": ratio(each, times["step"])} for name, each in times.items()}
    times = interleaved(steps, **how)
    an_image = {name: [seconds / sizes[name] for seconds in each] for name, each in times.items()}
    base = next(iter(an_image))
    rates = {
        name: {"images_a_second": 1000 / milliseconds(each)["value"], "times_faster": ratio(an_image[base], each)}
        for name, each in an_image.items()
    }
    return {"parts": found, "steps": rates}


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = options(__doc__, size=64)
    parser.add_argument(
        "--widths", type=whole_number(2, 2), nargs="+", default=[24, 16, 32], help="the first is taken apart"
    )
    parser.add_argument(
        "--batches", type=whole_number(1), nargs="+", default=[8, 16, 32], help="the first is taken apart"
    )
    return checked(parser, words)


def main(words: list[str] | None = None) -> None:
    """Measure what was asked for, print it and write it."""
    asked, started = arguments(words), time.perf_counter()
    result = {"size": asked.size, "threads": torch.get_num_threads(), **measure(asked)}
    for name, found in result["parts"].items():
        print(f"  {name:30} {found['ms']['value']:8.1f} ms, {found['share']['value']:.2f} of a step", flush=True)
    for name, found in result["steps"].items():
        print(f"  {name:30} {found['images_a_second']:8.1f} images a second", flush=True)
    settings = vars(asked) | {"output": asked.output.name}
    result["provenance"] = provenance(parameters=settings, seconds=time.perf_counter() - started)
    write_json(asked.output, result)


if __name__ == "__main__":
    main()
