"""What is read off the pixels: distances of colours, how steep a picture is, and where two have their edges."""

import torch
from einops import reduce
from torch import Tensor
from torch.nn import functional as F

from segin_core.errors import check_pictures

BLANK = 0.9  # where x is above this there is no ink


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of each pair: a and b are b c h w in [-1, 1]; returns b values for images in [0, 1].

    Raises InputError for pictures that are none or do not go together, as all distances here do.
    """
    return reduce(_off(a, b), "b c h w -> b", "mean")


def l1_off_the_lines(images: Tensor, truth: Tensor, *, x: Tensor, mask: Tensor) -> Tensor:
    """`l1` where the sketch x has no ink and the mask says "object": of the colours alone; b values for [0, 1].

    images, truth: b c h w in [-1, 1]; x: b 1 h w in [-1, 1]; mask: b 1 h w in [0, 1]. An input without such a place
    gets 0. Not in the paper: over the whole picture a network that only draws the lines anew does not look bad.
    """
    off = reduce(_off(images, truth), "b c h w -> b 1 h w", "mean")
    check_pictures(off, x, mask, channels=(1,))
    places = mask * (x > BLANK)
    return (off * places).sum((1, 2, 3)) / places.sum((1, 2, 3)).clamp_min(1)


def _off(a: Tensor, b: Tensor) -> Tensor:
    check_pictures(a, b)
    return (a.float() - b.float()).abs() / 2


def steps(images: Tensor) -> Tensor:
    """Largest difference to the pixel at the right or below in any channel: b c h w in [-1, 1] -> b 1 h w in [0, 1]."""
    check_pictures(images)
    padded = F.pad(images.float() / 2, (0, 1, 0, 1), mode="replicate")
    here, right, below = padded[..., :-1, :-1], padded[..., :-1, 1:], padded[..., 1:, :-1]
    return torch.maximum((right - here).abs(), (below - here).abs()).amax(dim=1, keepdim=True)


def mean_gradient(images: Tensor, places: Tensor | None = None) -> Tensor:
    """Mean length of the gradient of each picture: b c h w in [-1, 1] -> b numbers, for colours in [0, 1] and a pixel.

    The gradient is the difference to the pixel at the right and to the one below, over all channels. Divided by that
    of true pictures (`intervals.ratio`) it says how sharp translations are: below 1 blurred, above 1 torn. places: b 1
    h w in [0, 1], the only pixels that count, such as `places.interior` for surfaces; a picture without any gets 0. Not
    in the paper, which judges by eye. Raises InputError for pictures that are none or do not go with the places.
    """
    counted = torch.ones_like(images[:, :1], dtype=torch.float) if places is None else places.to(images.device)
    check_pictures(images)
    check_pictures(images[:, :1], counted, channels=(1,))
    halved, inside = images.float() / 2, counted[:, 0, :-1, :-1]
    across, down = halved.diff(dim=3)[:, :, :-1], halved.diff(dim=2)[..., :-1]
    steep = (across**2 + down**2).sum(1).sqrt() * inside
    return steep.sum((1, 2)) / inside.sum((1, 2)).clamp_min(1)


def edges(images: Tensor, step: float = 0.2) -> Tensor:
    """Where a picture changes by more than `step` from one pixel to the next: b c h w in [-1, 1] -> b 1 h w, 0 or 1."""
    return (steps(images) > step).float()


def thickened(lines: Tensor, pixels: int = 1) -> Tensor:
    """Lines b 1 h w made wider by so many pixels on all sides."""
    return F.max_pool2d(lines, 2 * pixels + 1, 1, pixels)


def broken_edges(images: Tensor, truth: Tensor, *, tolerance: int = 1, step: float = 0.2) -> Tensor:
    """1 - F of the edges of images against those of the true ones: b c h w in [-1, 1] twice -> b numbers in [0, 1].

    F is the harmonic mean of precision (edges of ours with one of theirs within `tolerance` pixels each way) and recall
    (the other way round); of no edges at all, none is out of place. Not in the paper, which judges by eye whether a
    result keeps the shape of the input. Raises InputError for pictures that are none or do not go together.
    """
    check_pictures(images, truth)
    ours, theirs = edges(images, step), edges(truth, step)
    precision = _share(ours, thickened(theirs, tolerance))
    recall = _share(theirs, thickened(ours, tolerance))
    return 1 - 2 * precision * recall / (precision + recall).clamp_min(1e-6)


def _share(lines: Tensor, allowed: Tensor) -> Tensor:
    """The share of the lines, b 1 h w of 0 and 1, that lies where it is allowed; b numbers, 1 for no lines at all."""
    count = lines.sum((1, 2, 3))
    return torch.where(count > 0, (lines * allowed).sum((1, 2, 3)) / count, 1.0)
