"""Colours as the eye tells them apart: CIELAB, for the measures of colour."""

import torch
from einops import rearrange
from skimage.color import rgb2lab
from torch import Tensor

from segin_core.errors import check_pictures

WHITE = (100.0, 0.0, 0.0)
JUST_NOTICED = 2.3  # the difference that an eye just sees (Mahy et al., 1994)


def lab(pictures: Tensor) -> Tensor:
    """sRGB b 3 h w in [-1, 1] to CIELAB (D65), b h w 3 on the CPU: L in [0, 100], a and b within about +-110."""
    check_pictures(pictures, channels=(3,))
    rgb = rearrange(pictures.detach().float().cpu().clamp(-1, 1), "b c h w -> b h w c") / 2 + 0.5
    return torch.from_numpy(rgb2lab(rgb.numpy()))
