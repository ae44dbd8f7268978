"""Translations kept for evaluation: many pictures of one size in one lossless file, and who is paired with whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from segin_core.checkpoints import load_tensors, save_tensors
from segin_core.errors import InputError
from segin_core.pairs import seeded


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


def save_pictures(path: Path, pictures: dict[str, Tensor], description: dict[str, Any]) -> Path:
    """Write stacks `... c h w` in [-1, 1] as 8-bit values, as a PNG would hold them: all of it or nothing."""
    save_tensors(path, {name: _to_bytes(stack) for name, stack in pictures.items()}, description)
    return path


def load_pictures(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The stacks that `save_pictures` wrote, back in [-1, 1], and their description; InputError as `load_tensors`."""
    stored, description = load_tensors(path)
    return {name: stack.float() / 127.5 - 1 for name, stack in stored.items()}, description


def _to_bytes(stack: Tensor) -> Tensor:
    return ((stack.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
