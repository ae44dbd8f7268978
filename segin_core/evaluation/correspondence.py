"""How good is the match (Section III-A)? Known warps, labels carried along an index, and the scores of both.

Not in the paper, which never measures its match. Two questions have known answers. Where did this place of x go, when
r is a warped copy (`smooth_warp`, `pck`)? And to which part does this pixel belong, when x and r are drawn in parts
(`part_labels.py`; `transfer_labels`, `mean_iou`, `accuracy`)? Three indices stand beside those of a match:
`same_place`, `random_index` and, where the truth is known, `best_index`.

Positions are (x, y) in [-1, 1] as in grid_sample: the outer borders of the image, so its side is 2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from scipy.interpolate import RBFInterpolator
from torch import Generator, Tensor
from torch.nn import functional as F

from segin_core.errors import InputError
from segin_core.matching import Grid, warp

WHITE = 1.0
CONTROLS = 4  # control points a side of the thin-plate spline
CLOSE = 1e-4  # of the image's half side: an inverse this exact is a hundredth of a pixel at 256 px


class Warp(NamedTuple):
    """A geometric change of an image in both directions."""

    grid: Tensor  #: b h w 2: the position in the original from which each pixel of the warped image is taken
    truth: Tensor  #: b h w 2: the position in the warped image to which each pixel of the original went


def smooth_warp(
    count: int, size: int, *, generator: Generator, bend: float = 0.03, rotation: float = 30.0,
    scale: tuple[float, float] = (0.7, 1.1), shift: float = 0.1, flip: float = 0.5,
) -> Warp:  # fmt: skip
    """`count` random smooth warps of images of size x size pixels, with the truth to the hundredth of a pixel.

    The warped image shows the original mirrored (with chance `flip`), turned by at most `rotation` degrees, `scale`
    times as large, shifted by at most `shift` of the side in each direction, and bent: a thin-plate spline moves its
    4 x 4 control points by about `bend` of the side (standard deviation). Raises InputError for a scale that is not
    positive, and for a spline that folds, so that no inverse exists.
    """
    if scale[0] <= 0 or size < 1:
        raise InputError(f"scale={scale}, size={size}: a warped image must have a positive size")
    made = [_one_warp(size, bend, rotation, scale, shift, flip, generator) for _ in range(count)]
    return Warp(torch.stack([grid for grid, _ in made]), torch.stack([truth for _, truth in made]))


def _one_warp(
    size: int, bend: float, rotation: float, scale: tuple[float, float], shift: float, flip: float, generator: Generator
) -> tuple[Tensor, Tensor]:
    """p = A q + offset + spline(q), in the original, at all pixels q of the warped image, and its inverse at all p.

    The 2 x 2 matrix A turns, scales and mirrors. The inverse is found by fixed-point iteration.
    """
    turn, larger, right, down, chance = torch.rand(5, generator=generator).tolist()
    angle = math.radians((2 * turn - 1) * rotation)
    times = scale[0] + larger * (scale[1] - scale[0])
    matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / times
    if chance < flip:
        matrix[0] *= -1
    offset = 2 * shift * (2 * np.array([right, down]) - 1)
    pixels = cell_centres((size, size)).double().numpy()
    ticks = np.linspace(-1, 1, CONTROLS)
    controls = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    moved = 2 * bend * torch.randn(len(controls), 2, generator=generator).double().numpy()
    spline = RBFInterpolator(controls, moved, kernel="thin_plate_spline")
    inverse = np.linalg.inv(matrix)
    found = (pixels - offset) @ inverse.T
    for _ in range(60):  # the spline is kept to the neighbourhood of the picture: far outside it grows without end
        before, found = found, (pixels - offset - spline(found.clip(-1.5, 1.5))) @ inverse.T
        if np.abs(found - before).max() < CLOSE:
            break
    else:
        raise InputError(f"bend={bend}: a spline that is bent so far folds over itself; bend less, or enlarge less")
    grid = pixels @ matrix.T + offset + spline(pixels)
    return tuple(torch.from_numpy(each).float().view(size, size, 2) for each in (grid, found))


def apply_warp(images: Tensor, grid: Tensor) -> Tensor:
    """Images b c h w in [-1, 1] warped by `Warp.grid`, bilinear, white outside; b c h w."""
    return F.grid_sample(images - WHITE, grid, align_corners=False).clamp(-2, 0) + WHITE


def apply_warp_to_labels(labels: Tensor, grid: Tensor, outside: int = 0) -> Tensor:
    """Labels b h w (whole numbers) warped by `Warp.grid`, the nearest pixel's, `outside` where there is none."""
    found = F.grid_sample((labels - outside)[:, None].double(), grid.double(), mode="nearest", align_corners=False)
    return found[:, 0].long() + outside


def cell_centres(grid: Grid) -> Tensor:
    """Positions (x, y) in [-1, 1] of the centres of a grid's cells, row by row; n 2."""
    rows, columns = ((2 * torch.arange(side) + 1) / side - 1 for side in grid)
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).view(-1, 2)


def at_cells(values: Tensor, grid: Grid) -> Tensor:
    """The mean of values b h w c over the pixels of each cell; b n c. h and w must be multiples of the grid's."""
    if values.shape[1] % grid[0] or values.shape[2] % grid[1]:
        raise InputError(f"{values.shape[1]} x {values.shape[2]} pixels do not divide into {grid[0]} x {grid[1]} cells")
    return F.adaptive_avg_pool2d(rearrange(values, "b h w c -> b c h w"), grid).flatten(2).transpose(1, 2)


def pck(index: Tensor, truth: Tensor, foreground: Tensor, grid: Grid, alpha: float) -> Tensor:
    """Percentage of correct patches, as a share: how many cells of x were sent within `alpha` sides of the truth?

    index: b n from `match`, both grids alike; truth: b h w 2 from `smooth_warp`; foreground: b 1 h w in [0, 1], and a
    cell counts by its share of it; cells that left the warped image do not count. Returns b values in [0, 1]. Raises
    InputError for sizes that do not fit, an alpha that is not positive, and a pair with nothing left to count.
    """
    if alpha <= 0 or index.shape != (len(truth), math.prod(grid)):
        raise InputError(
            f"alpha={alpha} and an index of shape {tuple(index.shape)} do not fit {len(truth)} pairs of "
            f"{grid[0]} x {grid[1]} cells: give a positive alpha and one number a cell"
        )
    wanted = at_cells(truth, grid)
    inside = (wanted.abs() <= 1).all(dim=-1)
    weight = at_cells(rearrange(foreground, "b 1 h w -> b h w 1"), grid)[..., 0] * inside
    if (weight.sum(dim=1) == 0).any():
        raise InputError("a pair has no foreground that its warp left in the picture: warp less, or leave it out")
    near = (cell_centres(grid)[index] - wanted).norm(dim=-1) <= 2 * alpha
    return (near * weight).sum(dim=1) / weight.sum(dim=1)


def holes(index: Tensor, foreground: Tensor, foreground_r: Tensor, grid: Grid) -> Tensor:
    """How much of x's object gets r's background from a match: the share of x's foreground sent to no foreground.

    Needs no truth, only that r shows something that x's object could be pasted from. index: b n from `match`, both
    grids alike; foreground (x's) and foreground_r: b 1 h w in [0, 1], and a cell counts by its share of it. Returns b
    values in [0, 1]; lower is better. Raises InputError for sizes that do not fit and an x without foreground.
    """
    inside, inside_r = (at_cells(rearrange(m, "b 1 h w -> b h w 1"), grid)[..., 0] for m in (foreground, foreground_r))
    if not index.shape == inside.shape == inside_r.shape:
        raise InputError(
            f"an index of shape {tuple(index.shape)} does not fit {len(foreground)} and {len(foreground_r)} masks of "
            f"{grid[0]} x {grid[1]} cells: give as many of each, and one number a cell"
        )
    if (inside.sum(dim=1) == 0).any():
        raise InputError("an x has no foreground that could have holes: leave it out")
    return 1 - (inside * inside_r.gather(1, index)).sum(dim=1) / inside.sum(dim=1)


def best_index(truth: Tensor, grid: Grid) -> Tensor:
    """The index of a perfect match: the cell of r nearest to where each cell of x truly went; b n."""
    return torch.cdist(at_cells(truth, grid), cell_centres(grid)[None]).argmin(dim=-1)


def same_place(count: int, grid: Grid) -> Tensor:
    """The index of a method that only knows positions: each cell is matched with the one at its own place; b n."""
    return torch.arange(math.prod(grid)).expand(count, -1)


def random_index(count: int, grid: Grid, *, generator: Generator) -> Tensor:
    """The index of chance: all cells of r in a random order, another for each of `count` pairs; b n."""
    return torch.stack([torch.randperm(math.prod(grid), generator=generator) for _ in range(count)])


def transfer_labels(labels: Tensor, index: Tensor, grid: Grid, patch: int = 3, blend: str = "paste") -> Tensor:
    """r's labels b h w (-1, 0, 1, ...) carried to x along an index as Eq. 2 carries its pixels; b h w.

    Each label is a layer of its own for `matching.warp`; the largest wins. Raises InputError for labels below -1.
    """
    if labels.min() < -1:
        raise InputError(f"a label of {int(labels.min())}: give -1 (no shared part), 0 (background) and parts from 1")
    layers = rearrange(F.one_hot(labels + 1), "b h w l -> b l h w").float()
    return warp(layers, index, grid, patch, blend).argmax(dim=1) - 1


def mean_iou(found: Tensor, truth: Tensor) -> Tensor:
    """Mean over the parts of `truth` of intersection over union; both b h w, parts from 1; returns b values in [0, 1].

    Background (0) is no part, but a part that leaks into it has the larger union. Where truth is -1, nothing counts.
    Raises InputError for different shapes and a truth without parts.
    """
    _check_labels(found, truth)
    means = []
    for one, true in zip(found.where(truth >= 0, -1), truth, strict=True):
        both = [(one == part, true == part) for part in true[true > 0].unique()]
        means.append(torch.stack([(a & b).sum() / (a | b).sum() for a, b in both]).mean())
    return torch.stack(means)


def accuracy(found: Tensor, truth: Tensor) -> Tensor:
    """The share of the parts' pixels (truth from 1) that got their own label; b h w each, returns b in [0, 1]."""
    _check_labels(found, truth)
    right = ((found == truth) & (truth > 0)).flatten(1).sum(dim=1)
    return right / (truth > 0).flatten(1).sum(dim=1)


def _check_labels(found: Tensor, truth: Tensor) -> None:
    if found.shape != truth.shape or truth.ndim != 3:
        raise InputError(f"labels of shape {tuple(found.shape)} and {tuple(truth.shape)}: both must be b h w, alike")
    if not (truth > 0).flatten(1).any(dim=1).all():
        raise InputError("a label map holds no part (a number from 1): leave its pair out")
