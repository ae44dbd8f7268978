"""Randomness that depends on a seed and a place alone, so that a run which was stopped goes on exactly."""

from __future__ import annotations

import torch
from torch import Generator


def epoch_indices(n: int, step: int, *, batch_size: int, seed: int) -> list[int]:
    """Which of n pairs step `step` (from 0) uses: epochs are shuffled one after the other and cut into batches."""
    first = step * batch_size
    orders = {}
    for position in range(first, first + batch_size):
        epoch = position // n
        if epoch not in orders:
            orders[epoch] = torch.randperm(n, generator=seeded(seed, epoch))
    return [int(orders[p // n][p % n]) for p in range(first, first + batch_size)]


def seeded(*numbers: int) -> Generator:
    """A generator whose seed mixes all the numbers, so that (1, 2) and (2, 1) differ."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number + 1) % 2**63
    return Generator().manual_seed(mixed)
