"""Data construction for the self-supervised model (Section III-B1): r = y, the colours turned, W damaged on purpose."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from segin_core.data.pairs import PairFolder
from segin_core.matching import Matcher, warp
from segin_core.running.randomness import epoch_indices, seeded

RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
Corruption = Callable[..., Tensor]  # corrupt(w, source, *, generator) -> damaged w, as in corruption.py


class Batch(NamedTuple):
    """What one training step sees; images b c h w in [-1, 1], masks in [0, 1]."""

    x: Tensor  #: input, one channel
    y: Tensor  #: ground truth, its hue turned
    w: Tensor  #: W(x, y) after Fig. 4's damage
    mask: Tensor  #: y_seg of Eq. 9, one channel


def rotate_hue(images: Tensor, angles: Tensor) -> Tensor:
    """Turn the chroma plane (I, Q of YIQ) of b 3 h w in [-1, 1] by an angle in radians for each image.

    Luminance and greys stay as they are, so a sketch or a luminance x still belongs to its turned y. What leaves the
    cube of displayable colours is clamped. Not in the paper: N can no longer guess an object's colour from its shape,
    and W is the only source left.
    """
    forward = torch.tensor(RGB_TO_YIQ, device=images.device)
    cos, sin = angles.cos(), angles.sin()
    turn = torch.zeros(len(angles), 3, 3, device=images.device)
    turn[:, 0, 0], turn[:, 1, 1], turn[:, 2, 2], turn[:, 1, 2], turn[:, 2, 1] = 1, cos, cos, -sin, sin
    matrix = torch.linalg.inv(forward) @ turn @ forward
    return torch.einsum("bij,bjhw->bihw", matrix, images).clamp(-1, 1)


def self_matches(
    pairs: PairFolder, matcher: Matcher, *, device: str | torch.device = "cpu", batch_size: int = 16,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Tensor:  # fmt: skip
    """Match each x with its own y, on the device: the index of Eq. 1 as pairs rows columns, on the CPU.

    Computed once: y's hue is turned later. `progress` wraps the loop, tqdm for instance.
    """
    found = []
    for start in progress(range(0, len(pairs), batch_size)):
        batch = pairs.batch(range(start, min(start + batch_size, len(pairs))))
        matched = matcher(batch["x"].to(device), batch["y"].to(device))
        found.append(matched.index.unflatten(1, matched.grid).cpu())
    return torch.cat(found)


class SelfSupervision:
    """Batches for training N: `batches(step)` gives the batch of that step, always the same one.

    matches: from `self_matches`. corrupt: `corruption.corrupt`, `draft_corruption`, a partial of one, or one's own.
    Every random choice comes from a generator seeded with (seed, step), so a resumed run sees what an uninterrupted one
    would, and no state of the loader has to be saved. Each pair comes once an epoch.
    """

    def __init__(
        self, pairs: PairFolder, matches: Tensor, *, batch_size: int, seed: int, corrupt: Corruption,
        patch: int = 3, blend: str = "paste", hue_rotation: float = math.pi,
    ) -> None:  # fmt: skip
        self.pairs, self.matches = pairs, matches
        self.batch_size, self.seed, self.corrupt = batch_size, seed, corrupt
        self.patch, self.blend, self.hue_rotation = patch, blend, hue_rotation

    def indices(self, step: int) -> list[int]:
        """Which pairs step `step` (from 0) uses."""
        return epoch_indices(len(self.pairs), step, batch_size=self.batch_size, seed=self.seed)

    def __call__(self, step: int) -> Batch:
        indices, generator = self.indices(step), seeded(self.seed, step, 1)
        batch = self.pairs.batch(indices)
        angles = (2 * torch.rand(len(indices), generator=generator) - 1) * self.hue_rotation
        y = rotate_hue(batch["y"], angles)
        index = self.matches[indices]
        w = warp(y, index.flatten(1), tuple(index.shape[1:]), self.patch, self.blend)
        return Batch(batch["x"], y, self.corrupt(w, y, generator=generator), batch["mask"])
