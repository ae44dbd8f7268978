"""Who is translated with which reference in Section IV's measurements."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from segin_core.errors import InputError
from segin_core.evaluation.translate_batches import in_batches
from segin_core.running.randomness import seeded
from segin_core.vgg import VGGFeatures


class Protocol(NamedTuple):
    """Which of m pictures serve as the references of n inputs. Inputs and references are of different sets."""

    diverse_inputs: Tensor  #: d: the inputs whose translations are compared with one another
    references: Tensor  #: n k: k different references of each input
    few: Tensor  #: the pictures that serve as references in "LPIPS to reference"
    few_of: Tensor  #: n: the place in `few` of the reference of each input
    similar: Tensor  #: k pictures that are nearest to one another, the references of the collapse test


def choose_references(inputs: int, likeness: Tensor, *, diverse: int, per_input: int, few: int, seed: int) -> Protocol:
    """The references of Section IV's protocols for so many inputs, out of m pictures that are compared with nothing.

    likeness: m m, how alike two of the pictures are (`map_likeness`). `diverse` inputs (paper: 100) get `per_input`
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
