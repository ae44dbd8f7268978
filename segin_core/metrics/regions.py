"""Means over the regions of a picture, each of which weighs alike whatever its size."""

import torch
from torch import Tensor

from segin_core.errors import InputError

LEAST = 0.002  # of the picture: a region with fewer pixels (8 at 64 px) is left out


def at_regions(values: Tensor, regions: Tensor) -> Tensor:
    """Values of the regions 1 ... k, b k or b k c, at their pixels: b h w or b h w c; at region 0, any of them."""
    return values[torch.arange(len(regions))[:, None, None], (regions - 1).clamp_min(0)]


def large_enough(regions: Tensor) -> Tensor:
    """The regions b h w (whole numbers, 0 for none), with 0 for those that fill less than `LEAST` of the picture.

    Raises InputError for a picture of which nothing remains.
    """
    count = _sums(torch.ones(regions.shape), regions)
    kept = regions.where(at_regions(count, regions) >= LEAST * regions[0].numel(), 0)
    if not (some := kept.flatten(1).any(dim=1)).all():
        raise InputError(
            f"picture {some.tolist().index(False)} has no part or region that is large enough: leave it out"
        )
    return kept


def mean_over_regions(values: Tensor, regions: Tensor) -> Tensor:
    """The mean of values b h w over each region's pixels, then over the regions that there are; b numbers."""
    return region_means(values, regions).nanmean(dim=1).float()


def region_means(values: Tensor, regions: Tensor) -> Tensor:
    """The mean of values b h w over the pixels of region 1 ... k, b k; NaN for a region that a picture has not."""
    return _sums(values.double(), regions) / _sums(torch.ones(regions.shape), regions)


def _sums(values: Tensor, regions: Tensor) -> Tensor:
    """Sums of values over the pixels of region 1 ... k, b k."""
    sums = values.new_zeros(len(regions), 1 + max(1, int(regions.max())))
    return sums.scatter_add(1, regions.flatten(1), values.flatten(1))[:, 1:]
