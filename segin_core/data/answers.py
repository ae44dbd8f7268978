"""Inputs and references whose right answer is known: x's drawing in the colours that r gives to each part.

The paper has no such triples ("no ground truth exists", Section IV), and its columns do not need any: who hands back r
unchanged wins most of them. `part_palettes`, `colourways` and `avatars` make triples; here is what they share.
"""

from typing import NamedTuple

import torch
from skimage.color import rgb2lab
from torch import Generator, Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine

from segin_core.errors import InputError

CANDIDATES = 8  # colours drawn for each one of a palette
TURN = (15.0, 35.0)  # degrees, either way
SCALE = (0.65, 0.85)


class Answers(NamedTuple):
    """n triples (x, r, truth) of which the truth is known, grouped by input."""

    inputs: list[str]  #: n names: whose x it is; the same name several times: several references of one input
    references: list[str]  #: n names: whose r it is
    x: Tensor  #: n 1 h w, bytes
    r: Tensor  #: n 3 h w, bytes: never in x's own place
    truth: Tensor  #: n 3 h w, bytes: the right answer
    mask: Tensor  #: n 1 h w, bytes: x's foreground
    labels: Tensor | None  #: n h w: 0 background, 1 ... k parts, -1 what has no right colour; None: parts not known
    colours: Tensor | None  #: n k 3 in [-1, 1]: the right colour of label j + 1, NaN for a part x does not show


class Move(NamedTuple):
    """How r is moved out of x's place."""

    flip: bool  #: left for right
    turn: float  #: degrees, about the middle
    scale: float


def random_move(generator: Generator) -> Move:
    """A flip or none, a turn of `TURN` degrees either way and a scale of `SCALE`: nothing of r is cut off much."""
    flip, back, turn, scale = torch.rand(4, generator=generator).tolist()
    degrees = TURN[0] + (TURN[1] - TURN[0]) * turn
    return Move(flip < 0.5, -degrees if back < 0.5 else degrees, SCALE[0] + (SCALE[1] - SCALE[0]) * scale)


def moved(picture: Tensor, move: Move) -> Tensor:
    """A picture on white, c h w in bytes, flipped, turned and scaled; what comes in from outside is white."""
    ink = 255 - (picture.flip(-1) if move.flip else picture)  # torchvision's own fill leaves a grey frame
    return 255 - affine(
        ink, angle=move.turn, translate=[0, 0], scale=move.scale, shear=[0.0, 0.0],
        interpolation=InterpolationMode.BILINEAR,
    )  # fmt: skip


def random_palette(count: int, generator: Generator) -> Tensor:
    """Well separated colours, `count 3` in bytes: far from each other, from white paper and from black ink.

    Each is, of `CANDIDATES` random ones, the farthest in CIELAB from white, black and those before it (Mitchell's best
    candidate, 1991). Raises InputError for a count below 1.
    """
    if count < 1:
        raise InputError(f"count={count}: a palette has 1 colour or more")
    chosen = torch.tensor([[255, 255, 255], [0, 0, 0]], dtype=torch.uint8)
    for _ in range(count):
        candidates = torch.randint(0, 256, (CANDIDATES, 3), generator=generator, dtype=torch.uint8)
        nearest = torch.cdist(_lab(candidates), _lab(chosen)).amin(1)
        chosen = torch.cat([chosen, candidates[nearest.argmax()][None]])
    return chosen[2:]


def _lab(colours: Tensor) -> Tensor:
    return torch.from_numpy(rgb2lab(colours.numpy()))
