"""Distances in pixel values."""

from einops import reduce
from torch import Tensor

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
