"""Pairs of sketch, photo and mask from product photos on white, UT-Zap50K's shoes above all (Section IV, Dataset).

x is what HED finds, thinned to lines; the mask is whatever is not background. The split is by product: UT-Zap50K names
its files <number>.<colour>.jpg, and colourways of one shoe must not fall on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from skimage.morphology import remove_small_objects
from torch import Tensor

from segin_core.book.paths import data_cache
from segin_core.data.cache import PARTS, check_size, digest, first_by_hash, named_files, write_pairs
from segin_core.data.hed import HED, thin_edges
from segin_core.data.images import read_image, to_pil, to_tensor
from segin_core.errors import InputError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
WHITE = 245  # 0..255: a pixel whose darkest channel is below is no background; JPEG's ripples stay above
CATALOGUE_NUMBER = re.compile(r"_(\d{6,})$")  # UT-Zap50K's have six or seven digits
TERMS = "UT-Zap50K (Yu and Grauman, 2014), academic, non-commercial use"


def find_photos(folder: str | Path) -> list[Path]:
    """Every picture below a folder, nested or flat, sorted by path. Raises InputError if there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder: put UT-Zap50K's images (vision.cs.utexas.edu/projects/finegrained/utzap50k) or "
            "your own product photos on white there, or name another folder."
        )
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    if photos := sorted(found):
        return photos
    raise InputError(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))}): put some there.")


def product(photo: Path) -> str:
    """The product a photo shows: its file name up to the first dot, of which a catalogue number at the end is enough.

    UT-Zap50K nests <number>.<colour>.jpg in folders of categories; flat copies of it write the category in front
    (Sandals_Heel_7381306.3.jpg), and a shoe that is listed under two categories is still one product.
    """
    name = photo.name.split(".")[0]
    return number[1] if (number := CATALOGUE_NUMBER.search(name)) else name


def split_by_product(photos: Sequence[Path], n_test: int) -> dict[str, list[Path]]:
    """Whole products to "test" by the SHA-256 of their names until it holds `n_test` photos, the rest to "train".

    A product with more photos than there are places left is skipped. Raises InputError if nothing is left to train on.
    """
    members: dict[str, list[Path]] = {}
    for photo in photos:
        members.setdefault(product(photo), []).append(photo)
    test: set[Path] = set()
    for name in sorted(members, key=lambda name: sha256(name.encode()).hexdigest()):
        if len(test) + len(members[name]) <= n_test:
            test.update(members[name])
    if not test or len(test) == len(photos):
        raise InputError(
            f"{len(photos)} photos of {len(members)} products cannot be split with n_test={n_test}: "
            "give more products, or another n_test."
        )
    return {"train": [photo for photo in photos if photo not in test], "test": sorted(test)}


def split_as_given(folder: Path) -> dict[str, list[Path]]:
    """The photos of the folder's own train/ and test/. Raises InputError if one of them is missing or empty."""
    return {part: find_photos(folder / part) for part in PARTS}


def on_square(photo: Image.Image) -> Image.Image:
    """A photo in the middle of a white square with its longer side."""
    side = max(photo.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(photo, ((side - photo.width) // 2, (side - photo.height) // 2))
    return square


def foreground(photo: Image.Image, *, white: int = WHITE) -> Image.Image:
    """The mask ("L", 0 or 255): pixels that are not background white, holes filled, specks removed."""
    seen = ndimage.binary_fill_holes(np.asarray(photo).min(axis=2) < white)
    return Image.fromarray(remove_small_objects(seen, max_size=seen.size // 2000).astype(np.uint8) * 255)


def line_settings(size: int) -> dict[str, float | int]:
    """The arguments of `thin_edges` for pictures of `size` pixels.

    From 256 px up, HED sees photos that had to be enlarged and is then more generous with lines: of the settings that
    were tried, these agree best with ten pairs of edges2shoes at 256 px (`edge_agreement`; see the chapter on shoes).
    """
    return {"threshold": 0.4, "min_length": 8} if size >= 256 else {"threshold": 0.2, "min_length": size // 16}


@torch.inference_mode()
def edges(
    photos: Tensor, hed: HED, size: int, *, threshold: float | None = None, min_length: int | None = None
) -> Tensor:
    """x: HED's edges of photos `b 3 h w` in [-1, 1], as dark lines one pixel wide on white, `b 1 size size`.

    Paper: "HED edges" with edges2photos' post-processing (Isola et al.), at 256 px. / Here: HED sees the photo at its
    own size, or at `size` if that is larger, as theirs did; the edge map is scaled down to `size` before it is thinned,
    so that lines keep their width and stay connected. Lines fainter than `threshold` and pieces of less than
    `min_length` pixels are removed; both default to `line_settings(size)`.
    """
    if photos.shape[-1] < size:
        photos = F.interpolate(photos, size=(size, size), mode="bicubic", align_corners=False).clamp(-1, 1)
    given = {"threshold": threshold, "min_length": min_length}
    settings = line_settings(size) | {name: value for name, value in given.items() if value is not None}
    return 1 - 2 * thin_edges(F.interpolate(hed(photos), size=(size, size), mode="area"), **settings)


def edge_agreement(ours: Tensor, theirs: Tensor, *, tolerance: float = 2) -> tuple[float, float]:
    """(precision, recall) of the dark lines of one sketch against another's, both `1 h w` in [-1, 1].

    Precision is the share of our line pixels with one of theirs within `tolerance` pixels, recall the share of theirs
    with one of ours; many may meet one. Of no line pixels at all, the share is nan.
    Raises InputError if the sketches differ in shape.
    """
    if ours.shape != theirs.shape or ours.ndim != 3 or len(ours) != 1:
        raise InputError(f"Two sketches of shapes {tuple(ours.shape)} and {tuple(theirs.shape)}: give 1 x h x w twice.")
    a, b = (sketch[0].cpu().numpy() < 0 for sketch in (ours, theirs))
    return _share_near(a, b, tolerance), _share_near(b, a, tolerance)


def _share_near(lines: np.ndarray, others: np.ndarray, tolerance: float) -> float:
    if not (lines.any() and others.any()):
        return 0.0 if lines.any() else float("nan")
    return float((ndimage.distance_transform_edt(~others)[lines] <= tolerance).mean())


def prepare(
    photos: str | Path, size: int, *, split: str = "product", n_test: int = 200, limit: tuple[int, int] | None = None,
    cache: str | Path | None = None, progress: bool = True,
) -> Path:  # fmt: skip
    """Make the pairs once; the folder holds {train,test}/{x,y,mask}/<name>.png and manifest.json.

    photos: folder of product photos on white. split: "product" (see `split_by_product`) or "given" (the folder's own
    train/ and test/). `limit` keeps that many (train, test), chosen by hash. `cache` defaults to `data_cache()`.
    A complete folder is returned at once; after an interruption the pairs that are there are kept.
    Raises InputError for an unknown split, a size below 32, a limit below 1, photos that cannot be read or split or
    would have the same name, and a folder that cannot be written.
    """
    if split not in ("product", "given"):
        raise InputError(f"split={split!r} is unknown: choose 'product' or 'given'.")
    check_size(size)
    root = Path(photos)
    chosen = split_as_given(root) if split == "given" else split_by_product(find_photos(root), n_test)
    chosen = first_by_hash(chosen, limit)
    named = {part: named_files(chosen[part], root) for part in PARTS}
    key = digest("\n".join(f"{part}/{name}" for part in PARTS for name in named[part]))[:12]
    folder = Path(cache or data_cache()) / "photos" / f"{size}px" / f"{split}-{key}"
    if (folder / "manifest.json").is_file():
        return folder
    hed, families = HED(), {part: len({product(photo) for photo in chosen[part]}) for part in PARTS}
    about = {"task": "photos", "size": size, "split": split, "families": families}
    return write_pairs(folder, named, lambda photo: pair(read_image(photo), size, hed), about, progress=progress)


def pair(photo: Image.Image, size: int, hed: HED) -> dict[str, Image.Image]:
    """x, y and mask of one photo, `size` x `size` pixels each."""
    square = on_square(photo)
    return {
        "x": to_pil(edges(to_tensor(square)[None], hed, size)),
        "y": square.resize((size, size), Image.Resampling.LANCZOS),
        "mask": foreground(square).resize((size, size), Image.Resampling.BOX),
    }


