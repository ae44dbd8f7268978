"""Pairs as pix2pix's data sets have them: two square pictures side by side in one file (edges2shoes, edges2handbags).

Which half is the sketch differs from copy to copy of these sets, and nothing in a file says so. Therefore the order has
to be given, and is checked against the pictures.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from skimage.morphology import thin

from segin_core.data.cache import prepare_pairs
from segin_core.data.images import named_files, read_image, to_pil, to_tensor
from segin_core.data.parts import Limit
from segin_core.data.photos import product, split_as_given, with_photo
from segin_core.errors import InputError

GREY, PALE = 10, 200  # 0..255: mean spread of the channels up to which a half is grey; lightness of white, after JPEG
THIN = 0.05  # share of pixels that are not nearly white: the photo of a bag's empty frame has as few as a sketch


def read_pair(path: str | Path, order: str) -> tuple[Image.Image, Image.Image]:
    """The two halves of a pair file: x ("L", dark edges on white) and y ("RGB", the photo), both square.

    order: "AB" if the edges are on the left, "BA" if they are on the right.
    Raises InputError for an unknown order, a file that cannot be read or is not twice as wide as high, and for halves
    that contradict the order; where both have hardly anything on white, nothing does.
    """
    if order not in ("AB", "BA"):
        raise InputError(f"order={order!r} is unknown: give 'AB' (edges on the left) or 'BA' (edges on the right).")
    both = read_image(path)
    side = both.height
    if both.width != 2 * side:
        raise InputError(f"{path} is {both.width} x {side} pixels: a pair file holds two squares side by side.")
    left, right = both.crop((0, 0, side, side)), both.crop((side, 0, 2 * side, side))
    x, y = (left, right) if order == "AB" else (right, left)
    (colour, dark), other = unlike_a_sketch(x), unlike_a_sketch(y)
    either = colour == other[0] and max(dark, other[1]) <= THIN
    if (colour, dark) > other and not either:
        raise InputError(f"{path} has its photo where order={order!r} has the sketch: give order={order[::-1]!r}.")
    if colour > GREY or dark > 0.5:
        raise InputError(f"{path} holds no sketch, dark lines on white, in either half: take it out of the folder.")
    return x.convert("L"), y


def unlike_a_sketch(half: Image.Image) -> tuple[int, float]:
    """How colourful (mean spread of the channels, 0..255), and the share of pixels that are not nearly white."""
    pixels = np.asarray(half)
    return round(float(np.ptp(pixels, axis=2).mean())), float((pixels.min(axis=2) < PALE).mean())


def scale_lines(edges: Image.Image, size: int) -> Image.Image:
    """Dark lines on white at another size, one pixel wide again; at their own size only made black and white."""
    dark = (1 - to_tensor(edges)) / 2
    if size <= edges.height:
        dark = F.adaptive_max_pool2d(dark, size)
    else:
        dark = F.interpolate(dark[None], size=(size, size), mode="bilinear", align_corners=False)[0]
    lines = dark[0].numpy() >= 0.5
    return to_pil(1 - 2 * torch.from_numpy(lines if size == edges.height else thin(lines))[None].float())


def pair(path: str | Path, size: int, order: str) -> dict[str, Image.Image]:
    """x, y and mask of one pair file, `size` x `size` pixels each."""
    x, y = read_pair(path, order)
    return with_photo(scale_lines(x, size), y)


def prepare(
    folder: str | Path, size: int, *, order: str, cache: str | Path, limit: Limit = None, progress: bool = True
) -> Path:
    """Make pairs from folder/train and folder/test, or folder/val where there is no test, as `photos.prepare` does.

    x is the file's own sketch, the mask what is not background in its photo; validation and final come out of train.
    Other arguments are those of `read_pair` and `photos.prepare`.
    Raises InputError for a folder without these parts and whatever `read_pair` cannot use.
    """
    root = Path(folder)
    train, test = root / "train", next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    if test is None or not train.is_dir():
        raise InputError(f"{root} needs the folders train and test (or val), as pix2pix's data sets have them.")
    chosen = split_as_given(train, test).items()
    return prepare_pairs(
        Path(cache) / "pix2pix",
        f"{root.name}-{order}",
        {part: named_files(files, test if part == "test" else train) for part, files in chosen},
        partial(pair, size=size, order=order),
        root=root, size=size, settings={"task": "pix2pix", "order": order},
        packages=("pillow", "scikit-image"), limit=limit, group_of=product, progress=progress,
    )  # fmt: skip
