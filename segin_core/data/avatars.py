"""Drawn faces whose parts are known, so that for any two of them the right answer is: x's drawing in r's colours.

DiceBear puts a face together from a style's variants (hair, eyes, mouth ...) and paints each part in one colour. With
every part white and the ink black a face is a line drawing, with any palette it is a picture, and how much of each
pixel a part covers is known. Two styles: adventurer by Lisa Wischofsky, micah by Micah Lanier (both CC BY 4.0).

Left out are variants that bring colours of their own (flowers, freckles), and those that no line surrounds, since a
line drawing would not show them (beards, lips, eye shadow, the shine of a bald head). Glasses, earrings, eyebrows and
pupils are ink, teeth stay white, and what is white in an eye is a part like any other.

Hair, mouth and clothes make a combination. Whole combinations are held out, by hash: a test face has parts that were
seen in training, but never together.
"""

import io
import json
from functools import cache, partial
from importlib.resources import files
from itertools import combinations, count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import resvg_py
import torch
from dicebear import Avatar, Style
from einops import rearrange
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor

from segin_core.data.answers import Answers, moved, random_move, random_palette
from segin_core.data.cache import prepare_pairs
from segin_core.data.images import from_bytes
from segin_core.data.pairs import PairFolder
from segin_core.data.parts import Limit, digest, limited, split_by_group
from segin_core.errors import InputError
from segin_core.running.files import write_json
from segin_core.running.randomness import seeded

VERSION = "10.6.0"  # of dicebear-styles
ARTWORK = "Adventurer by Lisa Wischofsky, Avatar Illustration System by Micah Lanier, CC BY 4.0, changed"
FACES = {"adventurer": 4200, "micah": 1400}  # adventurer has forty heads of hair to choose from, micah five
HELD_OUT = {"test": 300, "validation": 150, "final": 150}  # faces; the first named is filled first
SHOWN = ("skin", "hair", "eyes", "mouth", "clothes", "collar")  # labels 1 to 6; clothes in micah, eyes in adventurer
APART = 20.0  # of the colours of a palette
LEAST = 0.002  # a part that fills less of a picture counts as not shown
BACKGROUND, OTHER = 0, -1

WHITE = "white"  # a paint of its own: of what is white whatever the palette
CODES = {paint: f"#0000{i:02x}" for i, paint in enumerate((*SHOWN, WHITE), start=1)}  # what to exchange in an SVG
PAINTS = {  # which paint a style's colour option is given; the others are ink
    "adventurer": {"skin": "skin", "hair": "hair", "throat": "mouth", "tongue": "mouth", "uvula": "mouth"}
    | {"lips": "mouth", "sclera": "eyes", "teeth": WHITE},
    "micah": {"base": "skin", "hair": "hair", "shirt": "clothes"},
}
FIXED = {("clothes", "white"): "collar", ("mouth", "#FC909F"): "mouth"}  # and everything else in white: WHITE
COMPONENTS = {
    "adventurer": ("hair", "mouth", "eyes", "eyebrows"),
    "micah": ("hair", "mouth", "clothes", "eyes", "eyebrows", "ears", "nose"),
}
WORN = ("glasses", "earrings")  # by one face in three
LEFT_OUT = {
    ("adventurer", "hair"): {"long03", "long08", "long18", "short13", "short19"},  # flowers, strands, a bald head
    ("adventurer", "mouth"): {"variant05", "variant06", "variant07", "variant08", "variant13"},  # lips, green slime
    ("micah", "hair"): {"dougFunny", "mrClean", "mrT"},
    ("micah", "eyes"): {"eyesShadow", "smilingShadow"},
}


class Layers(NamedTuple):
    """How much of each pixel is what, h w, bytes; 255 is all of it. What is left of the mask is ink."""

    parts: Tensor  #: k h w, in the order of `SHOWN`
    white: Tensor  #: teeth, and small lights
    mask: Tensor  #: everything that is not background


@cache
def choices(style: str) -> dict[str, tuple[str, ...]]:
    """Component to the variants that a face of this style may have, "" for none; and the way it looks."""
    known = {name: sorted(each["variants"]) for name, each in _definition(style)["components"].items()}
    kept = {each: sorted(set(known[each]) - LEFT_OUT.get((style, each), set())) for each in COMPONENTS[style]}
    worn = {each: known[each] + [""] * 2 * len(known[each]) for each in WORN}
    return {name: tuple(values) for name, values in (kept | worn | {"flip": ["none", "horizontal"]}).items()}


def names() -> list[str]:
    """Every face there is: a style and a number, micah-0007."""
    return [f"{style}-{i:04d}" for style, number in FACES.items() for i in range(number)]


def face(name: str) -> dict[str, str]:
    """Component to variant of a face, chosen by the SHA-256 of its name. Raises InputError for any other name."""
    style, _, number = name.partition("-")
    if style not in FACES or not number.isdigit():
        raise InputError(f"{name!r} is no avatar: give names such as micah-0007, of pairs made by avatars.prepare.")
    return {each: some[int(digest(f"{each} of {name}"), 16) % len(some)] for each, some in choices(style).items()}


def combination(name: str) -> str:
    """The style, hair, mouth and clothes of a face: what is held out as a whole."""
    chosen = face(name)
    return " ".join([name.partition("-")[0], *(chosen.get(each, "") for each in ("hair", "mouth", "clothes"))])


@cache
def split() -> dict[str, list[str]]:
    """Part of the data to the names of its faces, whole combinations by hash; see `split_by_group`."""
    return split_by_group(names(), combination, HELD_OUT)


def palette(name: str) -> Tensor:
    """The colours of a face in its own picture, k 3, bytes, for `SHOWN`; drawn by the SHA-256 of its name.

    Any two of them, and each of them and black or white, differ by a Delta E (CIEDE2000) of `APART` or more.
    """
    for attempt in count():
        generator = seeded(int(digest(f"palette of {name}")[:12], 16), attempt)
        colours = random_palette(len(SHOWN), generator)
        lab = rgb2lab(torch.cat([colours, torch.tensor([[0] * 3, [255] * 3], dtype=torch.uint8)]).numpy())
        if min(deltaE_ciede2000(one, other) for one, other in combinations(lab, 2)) >= APART:
            break
    return colours[torch.randperm(len(SHOWN), generator=generator)]  # the first is violet mostly: far from white, black


def layers(name: str, size: int) -> Layers:
    """What covers each pixel of a face, `size` x `size` pixels.

    A rendering is linear in its colours: three, each with one paint for red, green and blue, tell the seven apart, and
    any palette can be mixed from them.
    Raises InputError for a name that is no avatar's and for a size below 8.
    """
    if size < 8:
        raise InputError(f"size={size}: a face of so few pixels has no parts; give at least 8")
    svg, paints = _svg(name), list(CODES)
    renderings = [_render(svg, paints[i : i + 3], size) for i in range(0, len(paints), 3)]
    shares = np.concatenate([rendering[..., :3] for rendering in renderings], axis=2)[..., : len(paints)]
    *parts, white = rearrange(torch.from_numpy(shares), "h w c -> c h w")
    return Layers(torch.stack(parts), white, torch.from_numpy(renderings[0][..., 3].copy()))


def recoloured(drawing: Layers, colours: Tensor) -> Tensor:
    """A face in these colours (k 3, bytes) with black ink, on white: 3 h w, bytes."""
    shares = drawing.parts.float() / 255
    paper = 255 - drawing.mask.float() + drawing.white
    mixed = paper + torch.einsum("khw, kc -> chw", shares, colours.float())
    return mixed.round().clamp(0, 255).to(torch.uint8)


def line_drawing(drawing: Layers) -> Tensor:
    """A face with every part white: 1 h w, bytes."""
    return recoloured(drawing, torch.full((len(SHOWN), 1), 255))


def labels(drawing: Layers) -> Tensor:
    """Which part each pixel shows, h w: BACKGROUND, 1 ... k for `SHOWN`, or OTHER.

    A label is given to pixels that lie in one part alone, so that a picture has exactly the part's colour there. OTHER
    are ink, white and pixels of an edge; and parts of less than `LEAST` of the picture.
    """
    whole = drawing.parts == 255
    whole &= whole.float().mean((1, 2), keepdim=True) >= LEAST
    found = torch.where(drawing.mask == 0, BACKGROUND, OTHER)
    return torch.where(whole.any(0), whole.int().argmax(0) + 1, found)


def prepare(size: int, *, cache: str | Path, limit: Limit = None, progress: bool = True) -> Path:
    """Draw the pairs once, in a folder of `cache`; it holds <part>/{x,y,mask}/<name>.png and manifest.json.

    x is the line drawing, y the face in its own palette, the mask whatever is drawn. `limit` keeps that many (train,
    each other part), chosen by hash. A finished folder is returned at once. Beside it, faces/ says what each face is
    put together from. Raises InputError for a size below 32, a limit below 1 or a folder that cannot be written.
    """
    place = Path(cache) / f"avatars-{VERSION}"
    kept = {
        part: {name: place / "faces" / f"{name}.json" for name in some}
        for part, some in limited(split(), limit).items()
    }
    for file in (file for part in kept.values() for file in part.values()):
        write_json(file, face(file.stem))
    return prepare_pairs(
        place, "drawing", kept, partial(pair, size=size),
        root=place, size=size, settings={"task": "avatars", "artwork": ARTWORK},
        packages=("dicebear-core", "dicebear-styles", "resvg_py", "pillow"), limit=None,
        group_of=lambda file: combination(file.stem), progress=progress,
    )  # fmt: skip


def pair(file: Path, size: int) -> dict[str, Image.Image]:
    """x, y and mask of the face that a file is named for, `size` x `size` pixels each."""
    drawing = layers(file.stem, size)
    y = recoloured(drawing, palette(file.stem))
    return {
        "x": Image.fromarray(line_drawing(drawing)[0].numpy()),
        "y": Image.fromarray(rearrange(y, "c h w -> h w c").numpy()),
        "mask": Image.fromarray(drawing.mask.numpy()),
    }


def answers(pairs: PairFolder, *, per_input: int, seed: int) -> Answers:
    """`per_input` references for each face: x's drawing in the palette of another face with other hair, and moved.

    The references of an input are those that show most of its parts, in an order drawn from `seed`; of either style.
    A part that r does not show has no right colour: its label is OTHER, and the truth has r's palette there all the
    same. Raises InputError for pairs that are no avatars, a `per_input` below 1 and too few faces with other hair.
    """
    if per_input < 1:
        raise InputError(f"per_input={per_input}: give the number of references of a face, 1 or more")
    size = pairs[0]["x"].shape[-1]
    drawn = {name: layers(name, size) for name in pairs.names}
    known = {name: labels(drawing) for name, drawing in drawn.items()}
    shown = {name: set(found.unique().tolist()) - {BACKGROUND, OTHER} for name, found in known.items()}
    hair, rows = {name: face(name)["hair"] for name in pairs.names}, []
    for name, drawing in drawn.items():
        generator = seeded(seed, int(digest(name)[:8], 16))
        others = [other for other in pairs.names if hair[other] != hair[name]]
        if len(others) < per_input:
            raise InputError(f"{len(others)} faces have other hair than {name}: give more, or a smaller per_input.")
        order = [others[i] for i in torch.randperm(len(others), generator=generator)]
        for other in sorted(order, key=lambda other: -len(shown[name] & shown[other]))[:per_input]:
            colours, right = palette(other), sorted(shown[name] & shown[other])
            r = moved(recoloured(drawn[other], colours), random_move(generator))
            found = torch.where(torch.isin(known[name], torch.tensor([BACKGROUND, *right])), known[name], OTHER)
            seen = torch.tensor([number in right for number in range(1, len(SHOWN) + 1)])
            rights = torch.where(seen[:, None], from_bytes(colours), torch.nan)
            truth = recoloured(drawing, colours)
            rows.append((name, other, line_drawing(drawing), r, truth, drawing.mask[None], found, rights))
    inputs, references, *stacks = zip(*rows, strict=True)
    return Answers(list(inputs), list(references), *map(torch.stack, stacks))


def _definition(style: str) -> dict[str, Any]:
    return json.loads(files("dicebear_styles").joinpath(f"{style}.json").read_text(encoding="utf-8"))


@cache
def _style(style: str) -> Style:
    """A style whose fixed colours are `CODES`, and whose paint is solid."""
    definition = _definition(style)
    for component, each in definition["components"].items():
        _mark(each["variants"], component)
    return Style(definition)


def _mark(node: Any, component: str) -> None:
    """Exchange the fixed colours in a component's elements, whatever they are nested in."""
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _mark(child, component)
    if isinstance(node, dict) and (fill := node.get("fill")) in ("white", "#FC909F"):
        node["fill"] = CODES[FIXED.get((component, fill), WHITE)]
        node.pop("opacity", None)
        node.pop("fill-opacity", None)


def _render(svg: str, paints: list[str], size: int) -> np.ndarray:
    """At most three paints as red, green and blue, all else black: h w 4, bytes; colours times alpha, and alpha."""
    for paint, code in CODES.items():
        place = paints.index(paint) if paint in paints else None
        svg = svg.replace(code, "#" + "".join("ff" if i == place else "00" for i in range(3)))
    png = resvg_py.svg_to_bytes(svg, width=size, height=size, skip_system_fonts=True)
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(np.uint16)
    pixels[..., :3] = (pixels[..., :3] * pixels[..., 3:] + 127) // 255
    return pixels.astype(np.uint8)


def _svg(name: str) -> str:
    """A face with the paints' `CODES` for colours."""
    style, chosen = name.partition("-")[0], face(name)
    options: dict[str, Any] = {"seed": name, "flip": chosen["flip"]}
    options |= {f"{each}Color": [CODES.get(PAINTS[style].get(each), "#000000")] for each in _style(style).colors()}
    for component in _style(style).components():
        variant = chosen.get(component, "")
        options[f"{component}Probability"] = 100 if variant or component == "head" else 0
        options |= {f"{component}Variant": [variant]} if variant else {}
    return Avatar(_style(style), options).to_string()
