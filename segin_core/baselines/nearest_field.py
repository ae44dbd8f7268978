"""Nearest-neighbour fields as in Deep Image Analogy: search near a first guess, refine to finer grids, vote.

A field is h w 2: for each cell of one map the row and the column of the cell of the other map that it matches.

Paper: PatchMatch, propagation and random search. / Here: the best patch within a radius, exactly; nothing is random.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from segin_core.matching import warp

BLOCK = 2**22  # numbers held at once by `search`: 16 MB in fp32
TIE = 1e-6  # less than a difference that means anything, more than rounding


def search(fa: Tensor, fb: Tensor, start: Tensor | None, patch: int, radius: int) -> tuple[Tensor, Tensor]:
    """The nearest-neighbour field: for each patch of fa (c h w) the best of fb (c h' w') near `start`.

    The best has the largest mean over the patch of <fa[p + d], fb[q + d]>, counting the d that lie inside both maps.
    Unlike Eq. 1 there is no norm of the patch: cells count alike. `start` and the returned field: h w 2, rows and
    columns of fb; q is at most `radius` rows and columns from it, and the nearest of equals is taken. Without `start`
    every q is compared, the same place being the nearest. Also returns the mean, h w.
    """
    height, width = fa.shape[1:]
    centres = _positions(height, width, fa.device)
    if start is None:
        start, radius = centres, max(height, width, *fb.shape[1:])
        start = start.minimum(torch.tensor(fb.shape[1:], device=fa.device) - 1)
    offsets = _positions(2 * radius + 1, 2 * radius + 1, fa.device).flatten(0, 1) - radius
    farther = TIE * offsets.float().norm(dim=1)
    ones_a, ones_b = torch.ones_like(fa[:1]), torch.ones_like(fb[:1])
    field, score = [], []
    step = max(1, BLOCK // (len(fa) * (2 * radius + patch) ** 2))
    for p, q in zip(centres.flatten(0, 1).split(step), start.flatten(0, 1).split(step), strict=True):
        counted = _window_sums(ones_a, ones_b, p, q, patch, radius)
        mean = _window_sums(fa, fb, p, q, patch, radius) / counted.clamp_min(1)
        inside = _around(ones_b, q, radius)[..., 0] > 0
        best = (mean - farther).where(inside, -torch.inf).argmax(1, keepdim=True)
        score.append(mean.gather(1, best)[:, 0])
        field.append(q + offsets[best[:, 0]])
    return torch.cat(field).view(height, width, 2), torch.cat(score).view(height, width)


def _window_sums(fa: Tensor, fb: Tensor, p: Tensor, start: Tensor, patch: int, radius: int) -> Tensor:
    """sum_d <fa[p + d], fb[q + d]> for some cells p (n 2) and all q in the window about start (n 2): n side**2.

    As in `matching.match`, single cells are multiplied once, each of p's patch by each near q, and summed diagonally.
    """
    side = 2 * radius + 1
    products = _around(fa, p, patch // 2) @ _around(fb, start, radius + patch // 2).mT
    products = rearrange(products, "n (i j) (k m) -> n i j k m", i=patch, k=side + patch - 1)
    total = torch.zeros(len(p), side, side, device=fa.device)
    for i in range(patch):
        for j in range(patch):
            total += products[:, i, j, i : i + side, j : j + side]
    return total.flatten(1)


def _around(features: Tensor, centres: Tensor, reach: int) -> Tensor:
    """The (2 reach + 1)^2 cells about each centre (n 2) of a zero-padded map c h w: n cells c."""
    padded = F.pad(features, (reach,) * 4)
    near = torch.arange(2 * reach + 1, device=features.device)
    rows, columns = (centres[:, 0, None] + near)[:, :, None], (centres[:, 1, None] + near)[:, None]
    return rearrange(padded, "c h w -> (h w) c")[(rows * padded.shape[2] + columns).flatten(1)]


def _positions(height: int, width: int, device: torch.device) -> Tensor:
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=2)


def upsample(field: Tensor, factor: int) -> Tensor:
    """A field h w 2 on grids `factor` times as fine: the cells of a block keep their places in the matched block."""
    fine = field.repeat_interleave(factor, 0).repeat_interleave(factor, 1) * factor
    return fine + _positions(*fine.shape[:2], field.device) % factor


def vote(reference: Tensor, field: Tensor, patch: int) -> Tensor:
    """Whole patches of `reference` (1 c h' w') pasted where the field says, averaged where they overlap: 1 c h w."""
    grid, grid_r = tuple(field.shape[:2]), tuple(reference.shape[2:])
    index = (field[..., 0] * grid_r[1] + field[..., 1]).view(1, -1)
    return warp(reference, index, grid, patch, "average", reference_grid=grid_r)
