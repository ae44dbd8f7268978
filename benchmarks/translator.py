"""Milliseconds of the translation network N for an image, in each way of computing it, and what each gets wrong.

    python benchmarks/translator.py --size 256 --width 64 --batches 1 5 -o network.json

The weights are random, with the batch normalisations' statistics taken from a few batches, so that the activations have
the size they would have in a trained N. Errors are those of the image against plain fp32, in units of the range [0, 1].
"""

from __future__ import annotations

import argparse
import copy
import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from timing import LEAST_ROUNDS, clocked, interleaved, milliseconds, ratio, whole_number
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from segin_core.book.provenance import provenance
from segin_core.running.files import write_json
from segin_core.running.randomness import seeded
from segin_core.translator import BLOCKS, Translator

Inputs = tuple[Tensor, Tensor]
LEAST_CELLS = 4  # a side of the bottleneck


def downsamplings(size: int) -> int:
    """Of N's blocks for this size: as many as leave LEAST_CELLS a side."""
    return min(BLOCKS, int(math.log2(size // LEAST_CELLS)))


def calibrated(width: int, size: int, *, seed: int, batches: int = 3) -> Translator:
    """A random N for `size` px whose batch normalisations know the statistics of `batches` batches of noise."""
    torch.manual_seed(seed)
    network = Translator(width, downsamplings=downsamplings(size))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the plain mean over all batches
    with torch.no_grad():
        for number in range(batches):
            network(*inputs(2, size, seed=seed + 1 + number))
    return network.eval().requires_grad_(False)


def inputs(batch: int, size: int, *, seed: int) -> Inputs:
    """x: b 1 h w and W: b 3 h w of noise."""
    generator = seeded(seed, batch, size)
    return tuple(2 * torch.rand(batch, channels, size, size, generator=generator) - 1 for channels in (1, 3))


def folded(network: Translator) -> Translator:
    """A copy with every batch normalisation folded into the convolution before it: the same function, fewer passes."""
    network = copy.deepcopy(network)
    owners = dict(network.named_modules())
    layers = [(n, m) for n, m in owners.items() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d)]
    for (name, convolution), (other, normalisation) in itertools.pairwise(layers):
        if isinstance(normalisation, nn.BatchNorm2d):
            one = fuse_conv_bn_eval(convolution, normalisation, transpose=isinstance(convolution, nn.ConvTranspose2d))
            for place, new in ((name, one), (other, nn.Identity())):
                owner, _, last = place.rpartition(".")
                setattr(owners[owner], last, new)
    return network


def modes(network: Translator, *, compiled: bool) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """N in each way of computing it: `mode(x, w)` -> image."""
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    fused = folded(network).to(memory_format=torch.channels_last)
    ways = {
        "fp32": (network, False), "fp32_channels_last": (last, False), "fp32_channels_last_folded": (fused, False),
        "bf16": (network, True), "bf16_channels_last": (last, True), "bf16_channels_last_folded": (fused, True),
    }  # fmt: skip
    if compiled:
        ways["bf16_channels_last_compiled"] = (torch.compile(last), True)
    return {name: mode(*way) for name, way in ways.items()}


def mode(network: nn.Module, bf16: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """The network's image, computed in bf16 or not."""

    def run(x: Tensor, w: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return network(x, w).image

    return run


def measure(network: Translator, batch: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Every mode at one batch size: ms an image, ratio to fp32, errors against it."""
    x, w = inputs(batch, asked.size, seed=asked.seed)
    runs = modes(network, compiled=asked.compile)
    exact = runs["fp32"](x, w)
    timed = {name: clocked(lambda run=run: run(x, w)) for name, run in runs.items()}
    times = interleaved(timed, rounds=asked.rounds, seed=asked.seed, budget=asked.seconds)
    found = {}
    for name, run in runs.items():
        error = (run(x, w) - exact).abs() / 2
        found[name] = {
            "ms": milliseconds([each / batch for each in times[name]]),
            "ratio": ratio(times[name], times["fp32"]),
            "error": {"mean": error.mean().item(), "largest": error.max().item()},
        }
    return {"batch": batch, "modes": found}


def options(description: str | None, *, size: int) -> argparse.ArgumentParser:
    """What every benchmark of N can be asked: the size, with this default, and the rounds, seed and output."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=whole_number(16, 16), default=size, help="side of the images, px")
    parser.add_argument("--rounds", type=whole_number(LEAST_ROUNDS), default=10, help="of each table, at most")
    parser.add_argument("--seconds", type=float, default=20.0, help="that the rounds of a table may take")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of weights, images and order")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the JSON file to write")
    return parser


def checked(parser: argparse.ArgumentParser, words: list[str] | None) -> argparse.Namespace:
    """The command line, whose size N can halve."""
    asked = parser.parse_args(words)
    if asked.size & (asked.size - 1):
        parser.error(f"--size {asked.size}: N halves the image several times, give a power of two, such as 256")
    return asked


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line, checked; a table is one batch size."""
    parser = options(__doc__, size=256)
    parser.add_argument("--width", type=whole_number(2, 2), default=64, help="of N's first block; 64 is Fig. 2's")
    parser.add_argument("--batches", type=whole_number(1), nargs="+", default=[1, 5], help="images at a time")
    parser.add_argument("--compile", action="store_true", help="also by torch.compile, which needs a C++ compiler")
    return checked(parser, words)


def main(words: list[str] | None = None) -> None:
    """Measure what was asked for, print it and write it."""
    asked, started = arguments(words), time.perf_counter()
    network = calibrated(asked.width, asked.size, seed=asked.seed)
    count = sum(parameter.numel() for parameter in network.parameters())
    print(f"N of {count / 1e6:.2f} M parameters, {asked.size} px", flush=True)
    cases = []
    for batch in asked.batches:
        cases.append(measure(network, batch, asked))
        for name, found in cases[-1]["modes"].items():
            error = found["error"]
            print(f"  batch {batch}  {name:27} {found['ms']['value']:8.1f} ms an image, error {error['mean']:.1e} on "
                  f"average, {error['largest']:.1e} at most", flush=True)  # fmt: skip
    result = {"parameters": count, "size": asked.size, "threads": torch.get_num_threads(), "cases": cases}
    settings = vars(asked) | {"output": asked.output.name}
    result["provenance"] = provenance(parameters=settings, seconds=time.perf_counter() - started)
    write_json(asked.output, result)


if __name__ == "__main__":
    main()
