"""Distances in pixel values."""

from einops import reduce
from torch import Tensor

BLANK = 0.9  # where x is above this there is no ink


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of each pair: a and b are b c h w in [-1, 1]; returns b values for images in [0, 1]."""
    return reduce((a - b).abs() / 2, "b c h w -> b", "mean")


def l1_off_the_lines(images: Tensor, truth: Tensor, *, x: Tensor, mask: Tensor) -> Tensor:
    """`l1` where the sketch x has no ink and the mask says "object": of the colours alone; b values for [0, 1].

    images, truth: b c h w in [-1, 1]; x: b 1 h w in [-1, 1]; mask: b 1 h w in [0, 1]. An input without such a place
    gets 0. Not in the paper: over the whole picture a network that only draws the lines anew does not look bad.
    """
    places = mask * (x > BLANK)
    off = reduce((images - truth).abs() / 2, "b c h w -> b 1 h w", "mean")
    return (off * places).sum((1, 2, 3)) / places.sum((1, 2, 3)).clamp_min(1)
