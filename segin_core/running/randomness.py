"""Randomness that depends on a seed and a place alone, so that a run which was stopped goes on exactly."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def epoch_indices(n: int, step: int, *, batch_size: int, seed: int) -> list[int]:
    """Which of n pairs step `step` (from 0) uses: epochs are shuffled one after the other and cut into batches."""
    places = range(step * batch_size, (step + 1) * batch_size)
    epochs = range(places.start // n, (places.stop - 1) // n + 1)
    orders = {epoch: torch.randperm(n, generator=seeded(seed, epoch)) for epoch in epochs}
    return [int(orders[place // n][place % n]) for place in places]


def seeded(*numbers: int) -> Generator:
    """A generator whose seed mixes all the numbers, so that (1, 2) and (2, 1) differ."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number + 1) % 2**63
    return Generator().manual_seed(mixed)


def random_state() -> dict[str, Tensor]:
    """PyTorch's global random state, by device: of the processor and of every CUDA device."""
    states = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state()} | {f"cuda:{i}": state for i, state in enumerate(states)}


def set_random_state(states: dict[str, Tensor]) -> None:
    """Put back what `random_state` returned; the state of a device that this machine lacks is left out."""
    torch.set_rng_state(states["cpu"])
    for i in range(torch.cuda.device_count()):
        if f"cuda:{i}" in states:
            torch.cuda.set_rng_state(states[f"cuda:{i}"], i)
