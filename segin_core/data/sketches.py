"""Sketches at the size that a network works on: fitted onto a white square, without losing their lines."""

import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from segin_core.data.images import to_pil, to_tensor

SOLID = 0.02  # of the ink, in 2 x 2 blocks: edge maps have at most 0.001, drawings at 96 px or more at least 0.05


def fitted(sketch: Image.Image, size: int) -> Image.Image:
    """The whole sketch ("L", dark lines on white), as large as it fits, centred on a white square of `size` pixels.

    Lines one pixel wide, as edge detectors draw them, would fade to a pale grey when they are scaled down, and N knows
    them black: they keep their darkness. Other sketches are scaled as any picture is.
    """
    side = max(sketch.size)
    if side <= size or not one_pixel_wide(to_tensor(sketch)):
        return ImageOps.pad(sketch, (size, size), method=Image.Resampling.LANCZOS, color="white")
    dark = 1 - to_tensor(ImageOps.pad(sketch, (side, side), color="white"))
    return to_pil(1 - F.adaptive_max_pool2d(dark, size))


def one_pixel_wide(sketch: Tensor) -> bool:
    """Has a sketch, 1 h w in [-1, 1], lines of one pixel alone? Then hardly any 2 x 2 pixels are all dark."""
    ink = (sketch[None] < 0).float()
    solid = F.avg_pool2d(ink, 2, stride=1) == 1 if min(sketch.shape[1:]) > 1 else ink
    return bool(0 < ink.sum() and solid.sum() < SOLID * ink.sum())
