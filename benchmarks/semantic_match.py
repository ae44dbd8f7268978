"""Time and memory of the semantic match S against its floor, two passes through the VGG, and against other ways.

    python benchmarks/semantic_match.py --sizes 128 256 512 --layers relu4_1 -o match.json

Every variant runs once a round, the order is shuffled, a warm-up round is dropped. What counts are ratios to the floor
of the same arithmetic (fp32, or bf16 under autocast; weights in channels_last for both), with 95 % intervals over the
rounds. `search...` variants begin with the features, all others with the images. What would not fit is skipped, and
the JSON says why.
"""

from __future__ import annotations

import argparse
import copy
import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from other_ways import FaissSearch, draft_way, literal_bytes, random_vgg19
from timing import (
    CAN_RESET_PEAK,
    LEAST_ROUNDS,
    RETURN_MEMORY,
    clocked,
    interleaved,
    milliseconds,
    power_law,
    ratio,
    whole_number,
)
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from variants import FLOORS, TIMED, WEIGHED, images, in_bf16, variants

from segin_core.book.provenance import provenance
from segin_core.matching import auxiliary_image, match
from segin_core.running.files import write_json
from segin_core.vgg import VGG_DEPTHS, VGGFeatures, layer_stride

MATMUL_SIDE = 2048  # rows of the products that show what the processor can do: large enough to keep it busy
LAYERS = tuple(f"relu{block}_1" for block in range(1, 6))
Before = tuple[int, dict[str, float]]  # a smaller size, and the fastest seconds of each variant there


def expected_seconds(name: str, size: int, before: Before) -> float:
    """From the fastest runs at a smaller size, which a busy machine spoils least.

    The VGG grows with the pixels, a search with their square.
    """
    smaller, times = before
    pixels = (size / smaller) ** 2
    if name.startswith("search"):
        return times.get(name, float("inf")) * pixels**2
    search = times.get("search", float("inf")) * (pixels**2 - pixels) if name in FLOORS else 0.0
    return times.get(name, float("inf")) * pixels + search


def literal_gb(layer: str, size: int, patch: int) -> float:
    """What the literal unfolding holds at once, in GB."""
    return literal_bytes(VGG_DEPTHS[int(layer[4]) - 1], (size // layer_stride(layer)) ** 2, patch) / 1e9


def reasons_to_skip(layer: str, size: int, before: Before | None, asked: argparse.Namespace) -> dict[str, str]:
    """Which variants are left out at this size, and why."""
    if (side := size // layer_stride(layer)) < asked.patch:
        return dict.fromkeys(TIMED, f"{side} cells a side are less than a patch")
    why: dict[str, str] = {}
    for name in TIMED if before else ():
        if (seconds := expected_seconds(name, size, before)) == float("inf"):
            why[name] = "was left out at a smaller size already"
        elif seconds > asked.limit:
            why[name] = f"one run would take about {seconds:.0f} s, the limit is {asked.limit:g} s"
    if (needed := literal_gb(layer, size, asked.patch)) > asked.memory_limit:
        why["search_literal"] = f"would hold {needed:.1f} GB, the limit is {asked.memory_limit:g} GB"
    if not FaissSearch.installed():
        why["search_faiss"] = "the package faiss-cpu is not installed"
    return why


def measure(
    layer: str, size: int, before: Before | None, faiss: FaissSearch | None, asked: argparse.Namespace
) -> dict[str, Any]:
    """All variants at one layer and size: ms, ratio to the floor, share of the indices that fp32 found, too."""
    why = reasons_to_skip(layer, size, before, asked)
    case = {"layer": layer, "size": size, "grid": [size // layer_stride(layer)] * 2, "variants": {}, "skipped": why}
    if why.keys() == set(TIMED):
        return case
    features = VGGFeatures(layers=(layer,)).to(memory_format=torch.channels_last)
    x, r = images(size, asked.seed)
    runs = variants(x, r, features, layer=layer, patch=asked.patch)
    timed = {name: clocked(run) for name, run in runs.items()}
    maps = features(x)[layer], features(r)[layer]
    if faiss:
        runs["search_faiss"] = lambda: faiss.search(*maps, asked.patch)[1]
        timed["search_faiss"] = lambda: faiss.search(*maps, asked.patch)[0]
    timed = {name: timed[name] for name in TIMED if name not in why}
    times = interleaved(timed, rounds=asked.rounds, seed=asked.seed, budget=asked.seconds)
    exact = match(*maps, asked.patch)[0] if "search" in times else None
    for name, seconds in times.items():
        found: dict[str, Any] = {"ms": milliseconds(seconds), "fastest_ms": 1000 * min(seconds), "rounds": len(seconds)}
        if FLOORS.get(name) in times:
            found |= {"floor": FLOORS[name], "ratio": ratio(seconds, times[FLOORS[name]])}
        if name in FLOORS and exact is not None:
            found["same_index"] = (runs[name]() == exact).float().mean().item()
        case["variants"][name] = found
    return case


def matrix_products(seed: int) -> dict[str, Callable[[], Tensor]]:
    """A bare product of two square matrices, in fp32 and in bf16: as fast as this processor multiplies and adds."""
    a, b = torch.randn(2, MATMUL_SIDE, MATMUL_SIDE, generator=torch.Generator().manual_seed(seed))
    rough = a.bfloat16(), b.bfloat16()
    return {"matmul_fp32": lambda: a @ b, "matmul_bf16": lambda: rough[0] @ rough[1]}


def gflop(run: Callable[[], object]) -> float:
    """Multiplications and additions of a call, in thousand millions."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9


def measure_draft(size: int, asked: argparse.Namespace) -> dict[str, Any]:
    """The draft's way (plain fp32 VGG-19, relu5_1, k = 1, loops) against ours, at the same layer, patch and size.

    "gflops": thousand million operations a second, beside those of a bare matrix product in the same rounds. "ceiling":
    how many times faster that product is in bf16 than in fp32, which no way of computing the same sums can exceed much.
    """
    with TemporaryDirectory() as folder:
        plain = random_vgg19(Path(folder), seed=asked.seed)
    fast = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    x, r = images(size, asked.seed)
    ours = functools.partial(auxiliary_image, x, r, fast, layer="relu5_1", patch=1)
    runs = {"draft": lambda: draft_way(x, r, plain), "ours_fp32": ours, "ours_bf16": in_bf16(ours)}
    runs |= matrix_products(asked.seed)
    timed = {name: clocked(run) for name, run in runs.items()}
    times = interleaved(timed, rounds=asked.rounds, seed=asked.seed, budget=asked.seconds)
    ms = {name: milliseconds(seconds) for name, seconds in times.items()}
    return {
        "size": size, "layer": "relu5_1", "patch": 1, "weights": "random VGG-19",
        "ms": ms,
        "gflops": {name: 1000 * gflop(run) / ms[name]["value"] for name, run in runs.items()},
        "ceiling": ratio(times["matmul_fp32"], times["matmul_bf16"]),
        "times_faster": {name: ratio(times["draft"], times[name]) for name in ("ours_fp32", "ours_bf16")},
        "same_index": (ours().index == draft_way(x, r, plain)[1]).float().mean().item(),
    }  # fmt: skip


def growth(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The power law of the ms in the image's side, for each layer and variant with three sizes or more."""
    found = []
    for layer in dict.fromkeys(case["layer"] for case in cases):
        for name in TIMED:
            measured = [c for c in cases if c["layer"] == layer and name in c["variants"]]
            if len(measured) >= 3:
                ms = [c["variants"][name]["ms"]["value"] for c in measured]
                found.append({"layer": layer, "variant": name} | power_law([c["size"] for c in measured], ms))
    return found


def measure_memory(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """The peak of the first layer's variants at each size, in another process, which starts with nothing held."""
    script, layer, rows = Path(__file__).with_name("peak_memory.py"), asked.layers[0], []
    for size in sorted(set(asked.sizes)):
        fits = literal_gb(layer, size, asked.patch) <= asked.memory_limit
        rows += [{"layer": layer, "size": size, "variant": name} for name in (WEIGHED if fits else WEIGHED[:-1])]
    # Where the high-water mark cannot be set back, each variant needs a process of its own.
    for group in [rows] if CAN_RESET_PEAK else [[row] for row in rows]:
        wanted = [f"{row['size']}:{row['variant']}" for row in group]
        command = [sys.executable, str(script), layer, str(asked.patch), *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | RETURN_MEMORY)
        for row, found in zip(group, done.stdout.split(), strict=True):
            row["bytes"] = int(found)
    return rows


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=whole_number(16, 16), nargs="+", default=[256], help="sides of the images, px")
    parser.add_argument("--layers", choices=LAYERS, nargs="+", default=["relu4_1"], help="VGG layers of Eq. 1")
    parser.add_argument("--patch", type=whole_number(1), default=3, help="k of Eq. 1, cells, odd")
    parser.add_argument("--rounds", type=whole_number(LEAST_ROUNDS), default=15, help="of a layer and size, at most")
    parser.add_argument("--seconds", type=float, default=20.0, help="that the rounds of a layer and size may take")
    parser.add_argument("--limit", type=float, default=10.0, help="seconds that one run may be expected to take")
    parser.add_argument("--memory-limit", type=float, default=4.0, help="GB that the literal unfolding may hold")
    parser.add_argument("--memory", action="store_true", help="also measure the peak memory, at the first layer")
    parser.add_argument("--draft-size", type=whole_number(16, 16), help="px; also time the released draft's way")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of the images and of the order")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the JSON file to write")
    asked = parser.parse_args(words)
    if asked.patch % 2 == 0:
        parser.error(f"--patch {asked.patch}: the patch size must be odd, such as 1, 3 or 5")
    return asked


def report(case: dict[str, Any]) -> None:
    """One line for each variant of a layer and size."""
    print(f"{case['layer']}, {case['size']} px, {case['grid'][0]} x {case['grid'][1]} cells", flush=True)
    for name, found in case["variants"].items():
        to_floor = f"{found['ratio']['value']:6.2f} x {found['floor']}" if "ratio" in found else ""
        print(f"  {name:15} {found['ms']['value']:9.1f} ms {to_floor}", flush=True)
    for name, why in case["skipped"].items():
        print(f"  {name:15} skipped: {why}", flush=True)


def main(words: list[str] | None = None) -> None:
    """Measure what was asked for, print it and write it."""
    asked, started = arguments(words), time.perf_counter()
    cases = []
    with TemporaryDirectory() as folder, ExitStack() as stack:
        faiss = stack.enter_context(FaissSearch(Path(folder))) if FaissSearch.installed() else None
        for layer in asked.layers:
            before = None
            for size in sorted(set(asked.sizes)):
                case = measure(layer, size, before, faiss, asked)
                cases.append(case)
                report(case)
                fastest = {name: found["fastest_ms"] / 1000 for name, found in case["variants"].items()}
                before = (size, fastest) if fastest else before
    result: dict[str, Any] = {"threads": torch.get_num_threads(), "cases": cases, "growth": growth(cases)}
    if asked.draft_size:
        result["draft"] = measure_draft(asked.draft_size, asked)
        faster = result["draft"]["times_faster"]["ours_bf16"]["value"]
        print(f"the draft's way, {asked.draft_size} px: ours is {faster:.2f} times faster", flush=True)
    if asked.memory:
        result["memory"] = measure_memory(asked)
    settings = vars(asked) | {"output": asked.output.name}
    result["provenance"] = provenance(parameters=settings, seconds=time.perf_counter() - started)
    write_json(asked.output, result)


if __name__ == "__main__":
    main()
