"""Pairs of sketch, photo and mask from product photos on white, UT-Zap50K's shoes above all (Section IV, Dataset).

x is what HED finds, thinned to lines; the mask is whatever is not background. The split is by product: UT-Zap50K names
its files <product>.<colour>.jpg, and colourways of one shoe must not fall on both sides.
"""

from __future__ import annotations

import json
import os
import time
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
from tqdm import tqdm

from segin_core.errors import InputError
from segin_core.hed import HED, thin_edges
from segin_core.images import read_image, save_png, to_pil, to_tensor
from segin_core.paths import data_cache

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
WHITE = 245  # 0..255: a pixel whose darkest channel is below is no background; JPEG's ripples stay above
PARTS = ("train", "test")


def find_photos(folder: str | Path) -> list[Path]:
    """Every picture below a folder, nested or flat, sorted by path. Raises InputError if there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder: put UT-Zap50K's images (vision.cs.utexas.edu/projects/finegrained/utzap50k) or "
            "your own product photos on white there, or name another folder."
        )
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not photos:
        raise InputError(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))}): put product photos there.")
    return photos


def product(photo: Path) -> str:
    """The product a photo shows: its file name up to the first dot (UT-Zap50K: <product>.<colour>.jpg)."""
    return photo.name.split(".")[0]


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
        raise InputError(f"{len(photos)} photos of {len(members)} products cannot be split with {n_test} for the test.")
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


def foreground(photo: Image.Image) -> Image.Image:
    """The mask ("L", 0 or 255): pixels that are not background white, holes filled, specks removed."""
    seen = ndimage.binary_fill_holes(np.asarray(photo).min(axis=2) < WHITE)
    return Image.fromarray(remove_small_objects(seen, max_size=seen.size // 2000).astype(np.uint8) * 255)


@torch.inference_mode()
def edges(photos: Tensor, hed: HED, size: int, *, threshold: float = 0.2) -> Tensor:
    """x: HED's edges of photos `b 3 h w` in [-1, 1], as dark lines one pixel wide on white, `b 1 size size`.

    Paper: "HED edges" with edges2photos' post-processing (Isola et al.), at 256 px. / Here: HED sees the photo as it
    is; the edge map is scaled to `size` before it is thinned, so that lines keep their width and stay connected.
    Pieces shorter than an eighth of the side of a 64 px picture, or as much of another size, are removed.
    """
    found = hed(photos)
    how = {"mode": "area"} if size < photos.shape[-1] else {"mode": "bilinear", "align_corners": False}
    return 1 - 2 * thin_edges(
        F.interpolate(found, size=(size, size), **how), threshold=threshold, min_length=size // 16
    )


def prepare(
    photos: str | Path, size: int, *, split: str = "product", n_test: int = 200, limit: tuple[int, int] | None = None,
    cache: str | Path | None = None, progress: bool = True,
) -> Path:  # fmt: skip
    """Make the pairs once; the folder holds {train,test}/{x,y,mask}/<name>.png and manifest.json.

    photos: folder of product photos on white. split: "product" (see `split_by_product`) or "given" (the folder's own
    train/ and test/). `limit` keeps that many (train, test), chosen by hash. `cache` defaults to `data_cache()`.
    A complete folder is returned at once; after an interruption the pairs that are there are kept.
    Raises InputError for an unknown split, a size below 32, photos that cannot be read or split.
    """
    if split not in ("product", "given"):
        raise InputError(f"split={split!r} is unknown; choose 'product' or 'given'")
    if not isinstance(size, int) or size < 32:
        raise InputError(f"size={size!r} is no whole number of pixels from 32 up; give 64, 128 or 256")
    root = Path(photos)
    chosen = split_as_given(root) if split == "given" else split_by_product(find_photos(root), n_test)
    if limit is not None:
        by_hash = {part: sorted(chosen[part], key=lambda photo: _digest(photo.name)) for part in PARTS}
        chosen = {part: sorted(by_hash[part][:n]) for part, n in zip(PARTS, limit, strict=True)}
    key = _digest("\n".join(f"{part}/{_name(photo, root)}" for part in PARTS for photo in chosen[part]))[:12]
    folder = Path(cache or data_cache()) / "photos" / f"{size}px" / f"{split}-{key}"
    if not (folder / "manifest.json").is_file():
        partial = folder.with_name(f"{folder.name}.partial")
        _write(partial, chosen, root, size, split, progress)
        os.replace(partial, folder)
    return folder


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _name(photo: Path, root: Path) -> str:
    """A flat name for a photo that may lie in nested folders: Boots/Ankle/1.2.jpg is Boots_Ankle_1.2."""
    return "_".join(photo.relative_to(root).with_suffix("").parts).replace(" ", "-")


def _write(
    folder: Path, chosen: dict[str, list[Path]], root: Path, size: int, split: str, progress: bool
) -> None:  # fmt: skip
    started, hed, digest = time.perf_counter(), HED(), sha256()
    for part in PARTS:
        for photo in tqdm(chosen[part], desc=f"photos {size} px, {part}", disable=not progress, mininterval=5):
            name = _name(photo, root)
            files = {kind: folder / part / kind / f"{name}.png" for kind in ("x", "y", "mask")}
            if not files["mask"].is_file():  # the last one written, so all three are there
                for kind, picture in pair(read_image(photo), size, hed).items():
                    save_png(picture, files[kind])
            for kind, file in files.items():
                digest.update(f"{part}/{kind}/{name}".encode() + file.read_bytes())
    manifest = {
        "task": "photos",
        "size": size,
        "split": split,
        "counts": {part: len(chosen[part]) for part in PARTS},
        "families": {part: len({product(photo) for photo in chosen[part]}) for part in PARTS},
        "sha256": digest.hexdigest(),
        "seconds": round(time.perf_counter() - started, 1),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def pair(photo: Image.Image, size: int, hed: HED) -> dict[str, Image.Image]:
    """x, y and mask of one photo, `size` x `size` pixels each."""
    square = on_square(photo)
    return {
        "x": to_pil(edges(to_tensor(square)[None], hed, size)),
        "y": square.resize((size, size), Image.Resampling.LANCZOS),
        "mask": foreground(square).resize((size, size), Image.Resampling.BOX),
    }
