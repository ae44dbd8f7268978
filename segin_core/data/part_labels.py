"""Which part of an OpenMoji drawing lies at each pixel: ground truth for carrying labels along a match (Section III-A).

People are drawn in named groups, so hair, skin and clothes (`color`) are known. Of everything else the colours of the
fills tell the parts apart; a colour that two drawings of one family share is taken for the same part of both. Labels
say what lies *beneath* the lines; the lines are a map of their own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice, permutations
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import torch
from PIL import ImageColor
from torch import Tensor

from segin_core.data.openmoji import FILL, drawings, families, render
from segin_core.data.parts import grouped
from segin_core.errors import InputError
from segin_core.running.randomness import seeded

BACKGROUND, OTHER = 0, -1
SOLID = ("opacity", "fill-opacity", "stroke-opacity")
DARK = 128  # 0..255: a pixel of the line group below it is line


class PartPair(NamedTuple):
    """Two drawings of one family, by their codes, and the parts that both have."""

    x: str  #: code point sequence of the input
    r: str  #: code point sequence of the reference
    names: tuple[str, ...]  #: label 1 is names[0] and so on: groups (hair, skin, color) or colours (#fcea2b)
    labels_x: Tensor  #: labels of x, h w: BACKGROUND, 1 ... n, or OTHER for what r has not
    labels_r: Tensor  #: labels of r, h w


def shared_parts(x: str, r: str, size: int, *, least: float = 0.01) -> tuple[tuple[str, ...], Tensor, Tensor] | None:
    """`names`, `labels_x` and `labels_r` of a `PartPair` of two drawings (SVG), or None for fewer than two parts.

    Groups if at least two of them are in both, else colours; a part counts if it fills a share of `least` of both
    pictures. Raises InputError for a size below 8.
    """
    for kind in (group_of, colour_of):
        found = [part_maps(svg, kind, size) for svg in (x, r)]
        names = tuple(sorted(n for n in found[0] if all(maps.get(n, np.zeros(1)).mean() >= least for maps in found)))
        if len(names) >= 2:
            return names, *(labels(maps, names, size) for maps in found)
    return None


def group_of(group: str, colour: str) -> str:
    """The part by the group's name: hair, skin or color (shadows and foreground go to what they belong to)."""
    return group.partition("-")[0]


def colour_of(group: str, colour: str) -> str:
    """The part by its colour: #FFF and #ffffff are one."""
    return "#{:02x}{:02x}{:02x}".format(*ImageColor.getrgb(colour))


def part_maps(svg: str, part_of: Callable[[str, str], str], size: int) -> dict[str, np.ndarray]:
    """Name to the pixels (h w, bool) of each visible part; `part_of(group, colour)` names the part of an element.

    Every element is painted with a number instead of its colour, without anti-aliasing, and drawn in the drawing's own
    order, so that what lies on top hides what lies below. Translucent paint counts as solid.
    """
    if size < 8:
        raise InputError(f"size={size}: a label map of so few pixels has no parts; give at least 8")
    numbers: dict[str, int] = {}  # of the parts, from 1: 0 is what none covers

    def number(group: str, colour: str) -> str:
        return f"#0000{numbers.setdefault(part_of(group, colour), len(numbers) + 1):02x}"

    numbered = repainted(svg, number, shape_rendering="crispEdges")
    pixels = np.asarray(render(numbered, FILL, size, background=None)).astype(int)
    painted = np.where(pixels[..., 3] > 127, pixels[..., 2], 0)
    return {name: painted == number for name, number in numbers.items() if number in painted}


def repainted(svg: str, paint: Callable[[str, str], str], *, shape_rendering: str = "auto") -> str:
    """The drawing with `paint(group, colour)` in the place of each colour of its fill, which all count as solid."""
    root = ElementTree.fromstring(svg)
    root.set("shape-rendering", shape_rendering)
    for group in [each for each in root if each.get("id") in FILL]:
        group.set("fill", group.get("fill", "#000"))  # SVG's default, which its elements inherit
        for element in group.iter():
            for attribute in SOLID:
                element.attrib.pop(attribute, None)
            for attribute in ("fill", "stroke"):
                if (colour := element.get(attribute, "none")) != "none":
                    element.set(attribute, paint(group.get("id"), colour))
    return ElementTree.tostring(root, encoding="unicode")


def labels(maps: dict[str, np.ndarray], names: Sequence[str], size: int) -> Tensor:
    """One label map, h w, of the maps of a drawing's parts: 1 for names[0] and so on, OTHER for parts not named."""
    found = torch.full((size, size), BACKGROUND)
    for name, pixels in maps.items():
        found[torch.from_numpy(pixels)] = names.index(name) + 1 if name in names else OTHER
    return found


def line_map(svg: str, size: int) -> Tensor:
    """1 where the line group is dark, else 0; h w."""
    return torch.from_numpy(np.asarray(render(svg, ["line"], size).convert("L")) < DARK).long()


def draw_pairs(count: int, size: int, *, codes: Iterable[str], seed: int, tries: int = 5) -> list[PartPair]:
    """At most `count` pairs of drawings of one family that share two parts or more, one pair a family.

    `codes`: the drawings to choose from, those of one part of the data, say. Families come in an order drawn from
    `seed`, and of each the first of `tries` drawn pairs that share enough (many families have none: clock faces,
    letters). One a family, since hundreds of pairs could be made of the letters alone.
    Raises InputError if count is below 1.
    """
    if count < 1:
        raise InputError(f"count={count}: give the number of pairs, 1 or more")
    members = grouped(sorted(codes), families().__getitem__)

    def pairs(name: str) -> Iterator[PartPair]:
        for x, r in shuffled(list(permutations(members[name], 2)), seed)[:tries]:
            if shared := shared_parts(drawings()[x], drawings()[r], size):
                yield PartPair(x, r, *shared)

    firsts = (islice(pairs(name), 1) for name in shuffled(sorted(members), seed))
    return list(islice(chain.from_iterable(firsts), count))


def shuffled(items: Sequence, seed: int) -> list:
    """The items in an order drawn from `seed`."""
    return [items[i] for i in torch.randperm(len(items), generator=seeded(seed, len(items)))]
