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

from segin_core.book.paths import data_cache
from segin_core.data.cache import PARTS, check_size, digest, first_by_hash, named_files, write_pairs
from segin_core.data.images import read_image, to_pil, to_tensor
from segin_core.data.photos import find_photos, foreground
from segin_core.errors import InputError

ORDERS = {"AB": "BA", "BA": "AB"}  # A, the edges, on the left or on the right; and the other order
GREY, PALE = 10, 200  # 0..255: mean spread of the channels up to which a half is grey; lightness of white, after JPEG


def read_pair(path: str | Path, order: str) -> tuple[Image.Image, Image.Image]:
    """The two halves of a pair file: x ("L", dark edges on white) and y ("RGB", the photo), both square.

    order: "AB" if the edges are on the left, "BA" if they are on the right.
    Raises InputError for an unknown order, a file that cannot be read or is not twice as wide as high, and for halves
    that contradict the order.
    """
    if order not in ORDERS:
        raise InputError(f"order={order!r} is unknown: give 'AB' (edges on the left) or 'BA' (edges on the right).")
    both = read_image(path)
    side = both.height
    if both.width != 2 * side:
        raise InputError(f"{path} is {both.width} x {side} pixels: a pair file holds two squares side by side.")
    left, right = both.crop((0, 0, side, side)), both.crop((side, 0, 2 * side, side))
    x, y = (left, right) if order == "AB" else (right, left)
    (colour, dark), other = _unlike_a_sketch(x), _unlike_a_sketch(y)
    if (colour, dark) > other:
        raise InputError(
            f"{path} has its edges on the other side: order={order!r} takes its photo for a sketch, "
            f"so give order={ORDERS[order]!r}."
        )
    if colour > GREY or dark > 0.5:
        raise InputError(f"{path} holds no sketch, dark lines on white, in either half: take it out of the folder.")
    return x.convert("L"), y


def _unlike_a_sketch(half: Image.Image) -> tuple[int, float]:
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
    return {
        "x": scale_lines(x, size),
        "y": y.resize((size, size), Image.Resampling.LANCZOS),
        "mask": foreground(y).resize((size, size), Image.Resampling.BOX),
    }


def prepare(
    folder: str | Path, size: int, *, order: str, limit: tuple[int, int] | None = None,
    cache: str | Path | None = None, progress: bool = True,
) -> Path:  # fmt: skip
    """Make pairs from folder/train and folder/test, or folder/val where there is no test, as `shoes.prepare` does.

    The returned folder holds {train,test}/{x,y,mask}/<name>.png and manifest.json. x is the file's own sketch, the mask
    what is not background in its photo. Other arguments are those of `read_pair` and `shoes.prepare`.
    Raises InputError for a folder without these parts and whatever `read_pair` cannot use.
    """
    check_size(size)
    root = Path(folder)
    held_out = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    if held_out is None or not (root / "train").is_dir():
        raise InputError(f"{root} needs the folders train and test (or val), as pix2pix's data sets have them.")
    parts = dict(zip(PARTS, (root / "train", held_out), strict=True))
    chosen = first_by_hash({part: find_photos(place) for part, place in parts.items()}, limit)
    named = {part: named_files(chosen[part], parts[part]) for part in PARTS}
    # sets of this format number their files from 1: names alone would not tell shoes from bags
    listed = [f"{part}/{name} {file.stat().st_size}" for part in PARTS for name, file in named[part].items()]
    key = f"{root.name}-{order}-{digest(' '.join(listed))[:12]}"
    made = Path(cache or data_cache()) / "pix2pix" / f"{size}px" / key
    if (made / "manifest.json").is_file():
        return made
    about = {"task": "pix2pix", "size": size, "order": order}
    return write_pairs(made, named, partial(pair, size=size, order=order), about, progress=progress)
