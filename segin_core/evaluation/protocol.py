"""Who is translated with which reference in Section IV's measurements."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from segin_core.data.images import from_bytes
from segin_core.errors import InputError, check_pictures
from segin_core.evaluation.translate_batches import in_batches
from segin_core.metrics.lab import lab
from segin_core.running.randomness import seeded
from segin_core.vgg import VGGFeatures

LAB_RANGE = ((0, 100), (-100, 100), (-100, 100))  # of the colours that a screen shows, nearly all
LAB_BINS = (5, 8, 8)  # steps of 20 in lightness, of 25 in the two hues


class Protocol(NamedTuple):
    """Which of m pictures serve as the references of n inputs. Inputs and references are of different sets."""

    diverse_inputs: Tensor  #: d: the inputs whose translations are compared with one another
    references: Tensor  #: n k: k different references of each input
    few: Tensor  #: the pictures that serve as references in "LPIPS to reference"
    few_of: Tensor  #: n: the place in `few` of the reference of each input
    similar: Tensor  #: k pictures that are nearest to one another, the references of the collapse test


def choose_references(inputs: int, likeness: Tensor, *, diverse: int, per_input: int, few: int, seed: int) -> Protocol:
    """The references of Section IV's protocols for so many inputs, out of m pictures that are compared with nothing.

    likeness: m m, how alike two of the pictures are (`colour_likeness`). `diverse` inputs (paper: 100) get `per_input`
    references (paper: 20, so 19 pairs); `few` pictures are the references of all inputs in turn (paper: 200 pairs over
    10 references). Paper: the 20 similar references are chosen by hand, where all come from is not said. / Here: the
    picture that is most like its nearest `per_input` - 1, and these; all from another set than the inputs, since who
    hands back a picture of the set that a distribution distance compares with would win it. Raises InputError if there
    are too few inputs or pictures.
    """
    m = len(likeness)
    if not (1 <= diverse <= inputs and 2 <= per_input <= m and 2 <= few <= m):
        raise InputError(
            f"{inputs} inputs and {m} pictures are not enough for {diverse} inputs with {per_input} references each "
            f"and {few} references in all; lower those numbers or prepare more pictures"
        )
    generator = seeded(seed, 0)
    references = torch.rand(inputs, m, generator=generator).argsort(dim=1)[:, :per_input]
    few_chosen = torch.randperm(m, generator=generator)[:few]
    nearest = likeness.topk(per_input, dim=1)
    similar = nearest.indices[nearest.values.mean(dim=1).argmax()]
    diverse_inputs = torch.linspace(0, inputs - 1, diverse).long()
    return Protocol(diverse_inputs, references, few_chosen, torch.arange(inputs) % few, similar)


def unlike(nearest: Tensor, likeness: Tensor, count: int) -> Tensor:
    """Of the k references that suit each input, `count` that are as unlike one another as can be: n k -> n count.

    nearest: n k, which of m pictures suit an input, the best first; likeness: m m, how alike two pictures are
    (`colour_likeness`). The first stays; then comes, again and again, the one that is least like its nearest among
    those taken (farthest-first traversal: Gonzalez, 1985). Paper: how the references of Fig. 5 were found is not said.
    Raises InputError for a `count` above k.
    """
    if not 1 <= count <= nearest.shape[1]:
        raise InputError(f"{count} of {nearest.shape[1]} references: take from 1 to {nearest.shape[1]} of them")
    alike = likeness[nearest[:, :, None], nearest[:, None]]  # n k k
    chosen, closest = [torch.zeros(len(nearest), dtype=torch.long)], alike[:, 0].clone()
    rows = torch.arange(len(nearest))
    closest[:, 0] = torch.inf  # taken
    for _ in range(count - 1):
        chosen.append(closest.argmin(dim=1))
        closest = torch.maximum(closest, alike[rows, chosen[-1]])
        closest[rows, chosen[-1]] = torch.inf
    return nearest.gather(1, torch.stack(chosen, dim=1))


def map_likeness(
    x: Tensor, r: Tensor, features: VGGFeatures, *, layer: str = "relu4_1", batch_size: int = 20,
    device: str | torch.device = "cpu",
) -> Tensor:  # fmt: skip
    """Cosine of the whole feature map of each x with that of each r: which r shows something like x, in its place?

    x: b c h w and r: m c h w of one size, bytes or in [-1, 1]; returns b m in [0, 1]. Not in the paper, which picks
    references by hand; here the nearest ones are picked by this number.
    """
    in_slices = partial(in_batches, lambda part: F.normalize(features(part)[layer].flatten(1), dim=1),
                        batch_size=batch_size, device=device)  # fmt: skip
    return in_slices(x) @ in_slices(r).T


def colour_likeness(pictures: Tensor, masks: Tensor) -> Tensor:
    """How much of their foregrounds' colours two pictures share: intersection of Lab histograms, m m in [0, 1].

    pictures: m 3 h w, bytes or in [-1, 1]; masks: m 1 h w in [0, 1], the foreground above one half. 1 is the same share
    of each colour, wherever it lies and whatever is shown; a picture without foreground is like none. Paper: references
    of "similar styles", such as black shoes, picked by hand. / Here: styles are similar where colours are (Swain and
    Ballard, 1991). Raises InputError for pictures that are none or do not go together.
    """
    pictures = from_bytes(pictures) if pictures.dtype == torch.uint8 else pictures
    check_pictures(pictures[:, :1], masks, channels=(1,))
    shares = []
    for colours, inside in zip(lab(pictures).numpy(), masks[:, 0].numpy() > 0.5, strict=True):
        counts, _ = np.histogramdd(colours[inside], LAB_BINS, LAB_RANGE)
        shares.append(counts.ravel() / max(1, inside.sum()))
    shares = np.array(shares)
    return torch.tensor(np.array([np.minimum(one, shares).sum(axis=1) for one in shares])).float()
