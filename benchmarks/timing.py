"""Timing that a busy machine cannot bend much: all variants take turns in one process, and their ratios count."""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from segin_core.evaluation.intervals import Score, score

LEAST_ROUNDS = 3  # fewer say nothing about how far they scatter
RESET = Path("/proc/self/clear_refs")  # Linux keeps a high-water mark of memory that can be set back
CAN_RESET_PEAK = os.access(RESET, os.W_OK)
# For the environment of a process: what it frees goes back at once, or the next peak would begin with it.
RETURN_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}


def clocked(run: Callable[[], object]) -> Callable[[], float]:
    """The seconds that one call of `run` takes, measured when called."""

    def seconds() -> float:
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    return seconds


def interleaved(
    variants: Mapping[str, Callable[[], float]], *, rounds: int, seed: int, budget: float = float("inf")
) -> dict[str, list[float]]:
    """Seconds of every variant, once a round, in an order shuffled anew each round; a warm-up round is dropped.

    A variant returns its own seconds, see `clocked`. There are `rounds` rounds, or fewer (at least 3) if by the time
    of the warm-up they would take longer than `budget` seconds. What slows the machine for a while slows all of them.
    """
    order, shuffle = list(variants), random.Random(seed).shuffle
    once = sum(variants[name]() for name in order)
    times: dict[str, list[float]] = {name: [] for name in order}
    affordable = int(min(rounds, budget / max(once, 1e-9)))
    for _ in range(max(LEAST_ROUNDS, affordable)):
        shuffle(order)
        for name in order:
            times[name].append(variants[name]())
    return times


def milliseconds(seconds: Sequence[float]) -> Score:
    """The median in ms, and its 95 % interval over the rounds."""
    return score([1000 * each for each in seconds], np.median, resamples=1000)


def ratio(seconds: Sequence[float], floor: Sequence[float]) -> Score:
    """Median over median, and its 95 % interval; rounds are drawn together, since both ran in each of them."""
    return score([seconds, floor], lambda a, b: np.median(a) / np.median(b), resamples=1000)


def power_law(sizes: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    """factor and exponent of values = factor * sizes ** exponent, by least squares of the logarithms."""
    exponent, logarithm = np.polyfit(np.log(sizes), np.log(values), 1)
    return {"factor": float(np.exp(logarithm)), "exponent": float(exponent)}


def peak_while(run: Callable[[], object]) -> int:
    """The most memory (resident, bytes) this process holds while `run` runs, above what it held before."""
    if CAN_RESET_PEAK:
        RESET.write_text("5")
    before = _peak()
    run()
    return _peak() - before


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss would count the process that this one was forked from
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def whole_number(least: int, multiple_of: int = 1) -> Callable[[str], int]:
    """An argparse type: whole numbers from `least`, and multiples of something."""

    def parse(text: str) -> int:
        if not text.isdigit() or int(text) < least or int(text) % multiple_of:
            kind = f" that is a multiple of {multiple_of}" if multiple_of > 1 else ""
            raise argparse.ArgumentTypeError(f"{text} is no whole number from {least} on{kind}")
        return int(text)

    return parse
