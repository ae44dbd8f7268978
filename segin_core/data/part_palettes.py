"""OpenMoji with known answers: r is x's drawing with each part in a random colour, moved.

The colours of a drawing's fill tell its parts apart, shadows among them. They are exchanged in the SVG, so lines and
edges come out as the artist has them. Only the place of r is against a copy: unmoved, r itself is the right answer.
"""

from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segin_core.data.answers import Answers, moved, random_move, random_palette
from segin_core.data.images import to_bytes, to_tensor
from segin_core.data.openmoji import FILL, LINES, drawings, render
from segin_core.data.part_labels import colour_of, labels, part_maps, repainted
from segin_core.data.parts import digest
from segin_core.errors import InputError
from segin_core.running.randomness import seeded

LEAST = 0.01  # of the picture, off the lines: what is smaller is no part


def answers(size: int, *, codes: Iterable[str], per_input: int, seed: int) -> Answers:
    """`per_input` triples of each drawing, in the order of `codes`, `size` x `size` pixels.

    Drawings with fewer than two parts of `LEAST` of the picture are left out; smaller parts get colours, too, but their
    label is -1. A drawing's triples depend on `seed` and its code alone.
    Raises InputError for a code that is none of the drawings', per_input below 1, a size below 8, and if none is left.
    """
    codes = list(codes)
    if per_input < 1:
        raise InputError(f"per_input={per_input}: give the references of each input, 1 or more")
    if odd := [code for code in codes if code not in drawings()]:
        raise InputError(f"{odd[0]} is none of OpenMoji's drawings used here: give codes such as 1F600.")
    rows = [row for code in codes for row in _triples(code, size, per_input, seed)]
    if not rows:
        raise InputError(f"None of {len(codes)} drawings has two parts of {LEAST:.0%} of the picture: give more codes.")
    inputs, references, *stacks, colours = zip(*rows, strict=True)
    padded = torch.nn.utils.rnn.pad_sequence(colours, batch_first=True, padding_value=torch.nan)
    return Answers(list(inputs), list(references), *map(torch.stack, stacks), padded)


def _triples(code: str, size: int, per_input: int, seed: int) -> list[tuple[str, str, *tuple[Tensor, ...]]]:
    """The rows of one drawing: `Answers`' fields of one triple each; none if it has fewer than two parts."""
    svg = drawings()[code]
    x, mask = render(svg, ["line"], size).convert("L"), render(svg, FILL, size, background=None).getchannel("A")
    maps = part_maps(svg, colour_of, size)
    seen = {name: (pixels & (np.asarray(x) == 255)).mean() for name, pixels in maps.items()}
    names = sorted(maps, key=lambda name: (-seen[name], name))  # the largest part first
    parts = [name for name in names if seen[name] >= LEAST]
    if len(parts) < 2:
        return []
    found = labels(maps, parts, size)
    rows = []
    for place in range(per_input):
        generator = seeded(seed, int(digest(code)[:8], 16), place)
        palette = random_palette(len(names), generator)
        truth = _bytes(render(_in_colours(svg, dict(zip(names, palette.tolist(), strict=True))), LINES + FILL, size))
        r = moved(truth, random_move(generator))
        colours = palette[: len(parts)].float() / 127.5 - 1
        rows.append((code, f"{code} {place + 1}", _bytes(x), r, truth, _bytes(mask), found, colours))
    return rows


def _in_colours(svg: str, palette: dict[str, list[int]]) -> str:
    """The drawing in other colours; one that is nowhere to be seen stays."""

    def paint(group: str, colour: str) -> str:
        name = colour_of(group, colour)
        return "#" + bytes(palette[name]).hex() if name in palette else name

    return repainted(svg, paint)


def _bytes(picture: Image.Image) -> Tensor:
    return to_bytes(to_tensor(picture))
