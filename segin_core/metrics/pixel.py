"""Distances in pixel values."""

from einops import reduce
from torch import Tensor


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of each pair: a and b are b c h w in [-1, 1]; returns b values for images in [0, 1]."""
    return reduce((a - b).abs() / 2, "b c h w -> b", "mean")
