"""Translations kept for evaluation: many pictures of one size in one lossless file, and who is paired with whom."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from segin_core.errors import InputError
from segin_core.running.randomness import seeded
from segin_core.vgg import VGGFeatures


class Protocol(NamedTuple):
    """Which test pictures serve as references in Section IV's measurements; all are indices into the test set."""

    diverse_inputs: Tensor  #: d: the inputs whose translations are compared with one another
    references: Tensor  #: n k: k different references of each of the n inputs, never its own picture
    few: Tensor  #: the m pictures that serve as references in "LPIPS to reference"
    few_of: Tensor  #: n: the place in `few` of the reference of each input
    similar: Tensor  #: k pictures that are nearest to one another, the references of the collapse test


def choose_references(likeness: Tensor, *, diverse: int, per_input: int, few: int, seed: int) -> Protocol:
    """The references of Section IV's protocols for n test pictures.

    likeness: n n, how alike two test pictures are (`features.map_likeness`). `diverse` inputs (paper: 100) get
    `per_input` references (paper: 20, so 19 pairs); `few` pictures are the references of all inputs in turn (paper:
    200 pairs over 10 references). Paper: the 20 similar references are chosen by hand. / Here: the picture that is most
    like its nearest `per_input` - 1, and these. Raises InputError if the test set is too small for that.
    """
    n = len(likeness)
    if not (1 <= diverse <= n and 2 <= per_input < n and 2 <= few <= n):
        raise InputError(
            f"{n} test pictures are not enough for {diverse} inputs with {per_input} references each and {few} "
            "references in all; lower those numbers or prepare more pictures"
        )
    generator = seeded(seed, 0)
    order = torch.rand(n, n, generator=generator).fill_diagonal_(2).argsort(dim=1)
    few_chosen = torch.randperm(n, generator=generator)[:few]
    few_of = torch.arange(n) % few
    own = few_chosen[few_of] == torch.arange(n)
    few_of[own] = (few_of[own] + 1) % few
    nearest = likeness.topk(per_input, dim=1)
    anchor = nearest.values.mean(dim=1).argmax()
    diverse_inputs = torch.linspace(0, n - 1, diverse).long()
    return Protocol(diverse_inputs, order[:, :per_input], few_chosen, few_of, nearest.indices[anchor])


@torch.no_grad()
def map_likeness(
    x: Tensor, r: Tensor, features: VGGFeatures, *, layer: str = "relu4_1", batch_size: int = 20
) -> Tensor:
    """Cosine of the whole feature map of each x with that of each r: which r shows something like x, in its place?

    x: b c h w and r: m c h w of one size, in [-1, 1]; returns b m in [0, 1]. Not in the paper, which picks references
    by hand; here the nearest ones are picked by this number.
    """
    maps = [torch.cat([features(part)[layer] for part in images.split(batch_size)]) for images in (x, r)]
    unit_x, unit_r = (F.normalize(each.flatten(1), dim=1) for each in maps)
    return unit_x @ unit_r.T
