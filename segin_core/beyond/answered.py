"""Training on wrong matches with right answers: N sees W(x, r) of another r than y, as it will when it is used.

In the paper N only ever sees r = y, and Fig. 4's damage stands for all that a match may do wrong. Here the damage is
the match's own: r is the right answer, bent, turned and mirrored, and W is whatever the match makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from segin_core.data.pairs import PairFolder
from segin_core.data.parts import grouped
from segin_core.evaluation.correspondence import Warp, apply_warp
from segin_core.matching import Matcher, warp
from segin_core.running.randomness import seeded
from segin_core.self_supervision import Batch, SelfSupervision, rotate_hue

ALIKE = 0.85  # intersection over union of two masks; below it a colourway stands elsewhere, or is another model


def right_answers(pairs: PairFolder, group: Callable[[str], str]) -> Tensor:
    """For each pair the one whose picture is its right answer: a colourway that stands where it does, or itself.

    group: a name to what is alike under that name, a product, say. Returns whole numbers, one a pair.
    """
    answers, places = torch.arange(len(pairs)), {name: place for place, name in enumerate(pairs.names)}
    for names in grouped(pairs.names, group).values():
        chosen = torch.tensor([places[name] for name in names])
        if len(chosen) > 1:
            inside = pairs.batch(chosen)["mask"].flatten(1) > 0.5
            both = inside.float() @ inside.float().T
            sizes = both.diagonal()
            alike = (both / (sizes[:, None] + sizes - both)).fill_diagonal_(0)
            best = alike.max(dim=1)
            answers[chosen] = torch.where(best.values >= ALIKE, chosen[best.indices], chosen)
    return answers


def wrong_matches(
    pairs: PairFolder, matcher: Matcher, *, answers: Tensor, bank: Warp, seed: int, device: str | torch.device = "cpu",
    batch_size: int = 16, progress: Callable[[Iterable], Iterable] = iter,
) -> dict[str, Tensor]:  # fmt: skip
    """Match each x with its right answer warped: "index", pairs rows columns; "answer"; "warp", of the bank's "grid".

    Computed once, on the device: the answer's hue is turned later. `progress` wraps the loop, tqdm for instance.
    """
    drawn = torch.randint(len(bank.grid), (len(pairs),), generator=seeded(seed, 4))
    found = []
    for start in progress(range(0, len(pairs), batch_size)):
        chosen = torch.arange(start, min(start + batch_size, len(pairs)))
        r = apply_warp(pairs.batch(answers[chosen])["y"], bank.grid[drawn[chosen]])
        matched = matcher(pairs.batch(chosen)["x"].to(device), r.to(device))
        found.append(matched.index.unflatten(1, matched.grid).cpu())
    return {"index": torch.cat(found), "answer": answers, "warp": drawn, "grid": bank.grid}


class Answered:
    """Batches for training N of which a `share` comes from `wrong_matches`, the rest from `batches` as it is.

    As `SelfSupervision`, the same batch for the same step. The examples with a right answer are the first of a batch.
    """

    def __init__(self, batches: SelfSupervision, matches: dict[str, Tensor], *, share: float) -> None:
        self.batches, self.matches, self.share = batches, matches, share

    def __call__(self, step: int) -> Batch:
        plain = self.batches(step)
        count = round(self.share * len(plain.x))
        if not count:
            return plain
        chosen, generator = self.batches.indices(step)[:count], seeded(self.batches.seed, step, 5)
        answer = self.batches.pairs.batch(self.matches["answer"][chosen])
        angles = (2 * torch.rand(count, generator=generator) - 1) * self.batches.hue_rotation
        y, index = rotate_hue(answer["y"], angles), self.matches["index"][chosen]
        r = apply_warp(y, self.matches["grid"][self.matches["warp"][chosen]])
        made = plain.x[:count], y, warp(r, index.flatten(1), tuple(index.shape[1:]), 1), answer["mask"]
        return Batch(*(torch.cat([new, old[count:]]) for new, old in zip(made, plain, strict=True)))
