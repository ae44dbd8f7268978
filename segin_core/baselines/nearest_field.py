"""Nearest-neighbour fields as in Deep Image Analogy: search near a first guess, refine to finer grids, vote.

A field is h w 2: for each cell of one map the row and the column of the cell of the other map that it matches.

Paper: PatchMatch, propagation and random search. / Here: the best patch within a radius, exactly; nothing is random.
"""

from __future__ import annotations

import torch
from torch import Tensor

from segin_core.matching import patch_products, warp

TIE = 1e-6  # less than a difference that means anything, more than rounding


def search(fa: Tensor, fb: Tensor, start: Tensor | None, patch: int, radius: int) -> tuple[Tensor, Tensor]:
    """The nearest-neighbour field: for each patch of fa (c h w) the best of fb (c h' w') near `start`.

    The best has the largest mean over the patch of <fa[p + d], fb[q + d]>, counting the d that lie inside both maps.
    Unlike Eq. 1 there is no norm of the patch: cells count alike. `start` and the returned field: h w 2, rows and
    columns of fb; q is at most `radius` rows and columns from it, and the nearest of equals is taken. Without `start`
    every q is compared, the same place being the nearest. Also returns the mean, h w.
    """
    (height, width), grid_b = fa.shape[1:], fb.shape[1:]
    if start is None:
        start, radius = _positions(height, width, fa.device), max(height, width, *grid_b)
        start = start.minimum(torch.tensor(grid_b, device=fa.device) - 1)
    rows_b, columns_b = (torch.arange(side, device=fa.device) for side in grid_b)
    sums = patch_products(fa, fb, patch), patch_products(torch.ones_like(fa[:1]), torch.ones_like(fb[:1]), patch)
    index, score = [], []
    for (rows, total), (_, counted) in zip(*sums, strict=True):
        mean = total.div_(counted)
        down, across = rows_b[:, None] - start[rows, :, :1, None], columns_b - start[rows, :, 1:, None]
        ranked = mean - TIE * torch.hypot(down.float(), across.float())
        ranked.masked_fill_(torch.maximum(down.abs(), across.abs()) > radius, -torch.inf)
        index.append(ranked.flatten(2).argmax(2))
        score.append(mean.flatten(2).gather(2, index[-1][..., None])[..., 0])
    index = torch.cat(index)
    return torch.stack([index // grid_b[1], index % grid_b[1]], 2), torch.cat(score)


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
