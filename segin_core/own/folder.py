"""What a folder of pictures holds, said before anything is made of it: layout, parts, faults, and what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from segin_core.data.images import find_pictures, named_files, read_image
from segin_core.data.parts import PARTS, split_by_group
from segin_core.data.photos import WHITE
from segin_core.data.pix2pix_format import read_pair, unlike_a_sketch
from segin_core.errors import InputError

SIZES = (32, 64, 128, 256)  # px, what both networks can be built for
LEAST, FEW = 3, 100  # pictures: fewer cannot be divided, and fewer are soon known by heart
SHARE, MOST = 10, 200  # one in ten is held out for each part that the folder does not have, at most so many
SEEN = 20  # pictures that decide what a folder holds
NAMES = {"train": "train", "validation": "validation", "val": "validation", "valid": "validation", "test": "test"}
ORIENTATION = 0x0112  # in EXIF data; 1 is upright
PHOTOS, PAIR_FILES, FOLDERS = "photos alone", "pair files", "two folders"


class Source(NamedTuple):
    """The files that one pair is made of."""

    y: Path  #: the picture, or the file with both halves
    x: Path | None = None  #: its sketch; None where that is made, or the other half of the file
    mask: Path | None = None  #: its foreground; None where that is estimated, or the picture's own transparency


class Row(NamedTuple):
    """One line of the table."""

    state: str  #: "found", "note" or "wrong"
    what: str  #: what was seen, and in how many files
    advice: str  #: what it means, or what to do


class Folder(NamedTuple):
    """What `look` returns."""

    root: Path
    layout: str  #: PHOTOS, PAIR_FILES or FOLDERS
    order: str  #: of pair files: "AB" or "BA", as in `pix2pix_format.read_pair`
    parts: dict[str, dict[str, Source]]  #: part to name to files, of those that can be used; empty if they are too few
    rows: list[Row]  #: the table

    @property
    def fault(self) -> str:
        """Why nothing can be made of this folder, in one sentence; empty if something can."""
        return "" if self.parts else f"{self.root}: {self.rows[-1].what}: {self.rows[-1].advice}."


class Looks(NamedTuple):
    """What a file is like, beyond what every reader of pictures takes care of."""

    size: tuple[int, int]
    transparent: bool
    turned: bool  #: upright only by its EXIF data
    white: bool  #: is most of its border background white?
    dark: bool  #: is most of its sketch dark?


def check_size(size: int) -> None:
    """Raises InputError for a size that the networks cannot be built for."""
    if size not in SIZES:
        raise InputError(f"size={size}: the networks can be built for {', '.join(map(str, SIZES))} pixels, choose one.")


def look(folder: str | Path, *, size: int = 64, progress: Iterable | None = None) -> Folder:
    """See what a folder holds and read each of its pictures once, so that nothing is wrong later that is not said here.

    Taken are x/ y/ mask/; x/ y/ without masks; trainA/ trainB/ and testA/ testB/; pair files A|B; photos alone. Each of
    them as it is, or in train/, test/ and validation/ (val/). What cannot be used is left out, and named in the table.
    Raises InputError for a folder that is missing or holds no picture, and for a size that the networks cannot take.
    """
    check_size(size)
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root} is no folder: give the path of one with pictures (from {Path.cwd()}).")
    layout, order, given, rows = _layout(root)
    seen = [(part, name, source) for part, named in given.items() for name, source in named.items()]
    good: dict[str, dict[str, Source]] = {part: {} for part in given}
    looks: dict[Path, Looks] = {}
    for part, name, source in seen if progress is None else progress(seen):
        try:
            looks[source.y] = _read(source, order)
            good[part][name] = source
        except InputError as error:
            what, _, advice = str(error).replace(f"{root}{os.sep}", "").rstrip(".").rpartition(": ")
            rows.append(Row("wrong", what, f"left out; {advice}"))
    rows += _notes(root, looks, good, layout, size)
    parts, sentence = _divided({part: named for part, named in good.items() if named})
    return Folder(root, layout, order, parts, [*rows, sentence])


def _layout(root: Path) -> tuple[str, str, dict[str, dict[str, Source]], list[Row]]:
    """How the pictures lie: layout, order, the sources of each part ("" where the folder is not divided), the rows."""
    inside = {part: root / name for name, part in _folders(root).items()}
    for names in (("x", "y"), ("A", "B")):
        sides = {part: _sides(place, names) for part, place in ({"": root} | inside).items()}
        sides |= {NAMES[word]: _sides(root, names, word) for word in NAMES if all(_sides(root, names, word))}
        if found := {part: pair for part, pair in sides.items() if all(pair)}:
            return _two_folders(root, found, {part: ({"": root} | inside).get(part) for part in found}, names)
    files = {part: find_pictures(place) for part, place in (inside or {"": root}).items()}
    order = _order([file for group in files.values() for file in group])
    named = {part: named_files(group, inside.get(part, root)) for part, group in files.items()}
    sources = {part: {name: Source(file) for name, file in group.items()} for part, group in named.items()}
    if not order:
        return PHOTOS, "", sources, [Row("found", PHOTOS, "the edges of each photo become its sketch")]
    photo = "right" if order == "AB" else "left"
    rows = [Row("found", f"{PAIR_FILES}, two pictures side by side", f"the photo is on the {photo} (order {order})")]
    return PAIR_FILES, order, sources, rows


def _folders(root: Path) -> dict[str, str]:
    """The folders of a divided set: name to part. A part that is named twice is taken from the first."""
    parts: dict[str, str] = {}
    for place in sorted(root.iterdir()):
        part = NAMES.get(place.name.lower())
        if part and place.is_dir() and part not in parts.values():
            parts[place.name] = part
    return parts if "train" in parts.values() else {}


def _sides(place: Path, names: tuple[str, str], word: str = "") -> tuple[Path | None, Path | None]:
    """The two folders of this name in a place, such as trainA and trainB, in any case."""
    inside = {each.name.lower(): each for each in place.iterdir() if each.is_dir()}
    return tuple(inside.get(f"{word}{name}".lower()) for name in names)


def _two_folders(
    root: Path, sides: Mapping[str, tuple[Path, Path]], places: Mapping[str, Path | None], names: tuple[str, str]
) -> tuple[str, str, dict[str, dict[str, Source]], list[Row]]:
    """Sketches and pictures in folders of their own, with or without masks; of A and B the greyer one has the sketches.

    Where no name is in both, the pictures are no pairs: edges are made from the photos.
    """
    turned = names == ("A", "B") and _is_sketched(next(iter(sides.values())))
    sources: dict[str, dict[str, Source]] = {}
    odd: list[Path] = []
    masks = 0
    for part, pair in sides.items():
        x, y = (named_files(find_pictures(side), side) for side in (pair[::-1] if turned else pair))
        place = _sides(places[part], ("mask", "mask"))[0] if places[part] else None
        mask = named_files(find_pictures(place), place) if place else {}
        masks += len(mask)
        together = [name for name in y if name in x]
        sources[part] = {name: Source(y[name], x[name], mask.get(name)) for name in together}
        odd += [
            file for named, other in ((x, y), (y, x), (mask, y)) for name, file in named.items() if name not in other
        ]
        if not together:
            sources[part] = {name: Source(file) for name, file in y.items()}
    what = " and ".join(side.name + "/" for side in next(iter(sides.values())))
    if not any(source.x for named in sources.values() for source in named.values()):
        advice = "no name is in both, so these are no pairs: the edges of each photo become its sketch"
        return PHOTOS, "", sources, [Row("note", what, advice)]
    rows = [Row("found", f"{what}, {FOLDERS} of pairs", "masks are there" if masks else "masks are estimated")]
    if odd:
        rows.append(Row("wrong", _counted(root, odd, "without a partner of the same name"), "left out; rename or add"))
    return FOLDERS, "", sources, rows


def _is_sketched(pair: tuple[Path, Path]) -> bool:
    """Is it the second folder of the two that has the sketches?"""
    a, b = ([unlike_a_sketch(read_image(file)) for file in _readable(find_pictures(side)[:SEEN])] for side in pair)
    return bool(a and b) and np.mean(a, axis=0).tolist() > np.mean(b, axis=0).tolist()


def _readable(files: Iterable[Path]) -> Iterator[Path]:
    for file in files:
        try:
            read_image(file)
        except InputError:
            continue
        yield file


def _order(files: list[Path]) -> str:
    """The order that most pair files have, "" where the pictures are no such files."""
    chosen = list(_readable(files[:: -(-len(files) // SEEN)]))
    fits = {order: {file for file in chosen if _can_be(file, order)} for order in ("AB", "BA")}
    if not chosen or 2 * len(fits["AB"] | fits["BA"]) < len(chosen):
        return ""
    return max(fits, key=lambda order: len(fits[order]))


def _can_be(file: Path, order: str) -> bool:
    try:
        read_pair(file, order)
    except InputError:
        return False
    return True


def transparency(file: Path) -> Image.Image | None:
    """The upright alpha channel ("L") of a picture file that `read_image` can read; None where all of it is opaque."""
    with Image.open(file) as picture:
        if not picture.has_transparency_data:
            return None
        alpha = ImageOps.exif_transpose(picture).convert("RGBA").getchannel("A")
    return alpha if alpha.getextrema()[0] < 255 else None


def _read(source: Source, order: str) -> Looks:
    """Read all files of a source. Raises InputError for one that cannot be used, and for shapes that do not agree."""
    picture = _read_half(source.y, order) if order else read_image(source.y)
    width, height = picture.size
    for file in filter(None, (source.x, source.mask)):
        other = read_image(file)
        if abs(other.width * height - other.height * width) > 0.02 * other.width * height:
            raise InputError(
                f"{file} is {other.width} x {other.height} pixels but its picture {width} x {height}: cut them alike."
            )
    pixels = np.asarray(picture)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    dark = source.x is not None and float(np.asarray(read_image(source.x)).mean()) < 128
    with Image.open(source.y) as file:
        turned = file.getexif().get(ORIENTATION, 1) != 1
    return Looks(picture.size, transparency(source.y) is not None, turned, (edge.min(1) >= WHITE).mean() > 0.5, dark)


def _read_half(file: Path, order: str) -> Image.Image:
    """The photo in a pair file. Raises InputError as `read_pair`, and for a file that is turned round."""
    try:
        return read_pair(file, order)[1]
    except InputError as error:
        if _can_be(file, order[::-1]):
            sentence = f"{file} has its halves the other way round than most of the others: turn it round."
            raise InputError(sentence) from error
        raise


def _counted(root: Path, files: list[Path], what: str) -> str:
    """ "3 pictures, the first of them a.png, ..." """
    number = "1 picture" if len(files) == 1 else f"{len(files):,} pictures"
    return f"{number} {what} ({files[0].relative_to(root).as_posix()}{', ...' if len(files) > 1 else ''})"


def _notes(
    root: Path, looks: Mapping[Path, Looks], parts: Mapping[str, Mapping[str, Source]], layout: str, size: int
) -> list[Row]:
    """What is worth knowing of the pictures that can be used."""
    masked = {source.y for named in parts.values() for source in named.values() if source.mask}
    kinds = {
        "whose sketch is mostly dark": (
            [f for f, seen in looks.items() if seen.dark],
            "a sketch has dark lines on white: turn light lines on black round",
        ),
        "with transparency": ([f for f, seen in looks.items() if seen.transparent], "laid on white; it gives the mask"),
        "turned by EXIF data": ([f for f, seen in looks.items() if seen.turned], "turned upright"),
        "twice as wide as high": (
            [f for f, seen in looks.items() if layout == PHOTOS and seen.size[0] == 2 * seen.size[1]],
            "taken for single photos, since neither half is a sketch; if they are pairs, cut them into x/ and y/",
        ),
        "that are not square": (
            [f for f, seen in looks.items() if seen.size[0] != seen.size[1]],
            "laid on a white square",
        ),
        f"smaller than {size} px": (
            [f for f, seen in looks.items() if max(seen.size) < size],
            "enlarged, and no sharper for it: a smaller size is enough",
        ),
        "not on white": (
            [f for f, seen in looks.items() if not (seen.white or seen.transparent or f in masked)],
            "the mask is then the whole picture: give masks, or PNGs with a transparent background",
        ),
    }
    return [Row("note", _counted(root, files, what), advice) for what, (files, advice) in kinds.items() if files]


def _divided(given: dict[str, dict[str, Source]]) -> tuple[dict[str, dict[str, Source]], Row]:
    """The parts, each of one picture at least: the folder's own, those that it lacks taken out of its train."""
    train = given.get("", given.get("train", {}))
    own = {part: named for part, named in given.items() if part in PARTS and part != "train"}
    count = max(1, min(MOST, len(train) // SHARE))
    lacking = {part: count for part in ("test", "validation") if part not in own}
    if len(train) <= len(lacking) or not train:
        few = f"too few pictures to learn from, {len(train)}"
        return {}, Row("wrong", few, f"give at least {LEAST}, better some hundreds")
    groups = {name: _group(name) for name in train}
    try:
        split = split_by_group(train, groups.__getitem__, lacking) if lacking else {"train": sorted(train)}
    except InputError:  # all of them one product
        split = split_by_group(train, str, lacking)
    parts = own | {part: {name: train[name] for name in names} for part, names in split.items()}
    parts = {part: parts[part] for part in PARTS if part in parts}
    counts = ", ".join(f"{part} {len(named):,}" for part, named in parts.items())
    taken = f"{' and '.join(lacking)} taken out of it" if lacking else "as the folder has them"
    if len(parts["train"]) < FEW:
        return parts, Row("note", counts, f"{taken}; so few are soon known by heart, some hundreds are better")
    return parts, Row("found", counts, taken)


def _group(name: str) -> str:
    """Colourways of one product stay in one part: UT-Zap50K's names are <number>.<colour>."""
    return match[1] if (match := re.fullmatch(r"(.*\d{4,})\.\d+", name)) else name
