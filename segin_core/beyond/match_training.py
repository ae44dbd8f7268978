"""How the learned match and the silhouettes learn: from pictures alone, y bent, turned and recoloured as its own r."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.beyond.learned_match import LearnedMatch
from segin_core.beyond.silhouettes import Silhouettes
from segin_core.data.pairs import PairFolder
from segin_core.evaluation.correspondence import apply_warp, at_cells, best_index, smooth_warp
from segin_core.running.randomness import epoch_indices, seeded
from segin_core.self_supervision import rotate_hue


def contrastive_loss(fx: Tensor, fr: Tensor, index: Tensor, counts: Tensor, *, temperature: float = 0.07) -> Tensor:
    """InfoNCE (van den Oord et al., 2018) over cells, both ways: each cell of x among all of r's, and the reverse.

    fx, fr: unit vectors b d h w; index: b n, the cell of r that each of x's n cells truly went to; counts: b n, True
    where that is known. The positive is that cell, the negatives are all other cells of the picture and of the batch.
    0 where nothing counts.
    """
    x, r = (rearrange(f.float(), "b d h w -> (b h w) d") for f in (fx, fr))
    places = index + index.shape[1] * torch.arange(len(index), device=index.device)[:, None]
    true, anchors = places[counts], counts.flatten().nonzero()[:, 0]
    if not len(true):
        return 0 * fx.sum()
    with torch.autocast(fx.device.type, enabled=False):  # in bf16 the cosines of neighbours would be the same
        there = F.cross_entropy(x[anchors] @ r.T / temperature, true)
        back = F.cross_entropy(r[true] @ x.T / temperature, anchors)
    return (there + back) / 2


class MatchBatch(NamedTuple):
    """What a step of training the match sees; all but the pictures over cells, b 1 h w."""

    x: Tensor  #: b 1 h w in [-1, 1]
    r: Tensor  #: y bent, turned, mirrored and recoloured, b 3 h w in [-1, 1]
    index: Tensor  #: the cell of r, row-major, that each of x's went to
    counts: Tensor  #: did the cell stay in the picture? Ground counts as well: it has a place, too
    inside_x: Tensor  #: how much of a cell of x lies in the object, in [0, 1]
    inside_r: Tensor  #: how much of a cell of r does


class WarpedPairs:
    """Batches for training the match: `batches(step)` gives those of that step, always the same ones.

    `warps` smooth warps are made once and drawn from, since a warp takes longer than a step. y's hue is turned and its
    ink made fainter or stronger (`ink`, the range of the factor on 1 - y), so that colour is no way to tell places.
    """

    def __init__(
        self, pairs: PairFolder, *, batch_size: int, seed: int, stride: int = 4, warps: int = 512,
        ink: tuple[float, float] = (0.5, 1.3),
    ) -> None:  # fmt: skip
        self.pairs, self.batch_size, self.seed, self.ink = pairs, batch_size, seed, ink
        size = pairs[0]["y"].shape[-1]
        self.grid = (size // stride,) * 2
        self.bank = smooth_warp(warps, size, generator=seeded(seed, 0, 2))

    def __call__(self, step: int) -> MatchBatch:
        chosen = epoch_indices(len(self.pairs), step, batch_size=self.batch_size, seed=self.seed)
        batch, generator = self.pairs.batch(chosen), seeded(self.seed, step, 3)
        angles, stronger = torch.rand(2, len(chosen), generator=generator)
        y = rotate_hue(batch["y"], (2 * angles - 1) * math.pi)
        factor = self.ink[0] + (self.ink[1] - self.ink[0]) * stronger
        y = (1 - factor[:, None, None, None] * (1 - y)).clamp(-1, 1)
        drawn = torch.randint(len(self.bank.grid), (len(chosen),), generator=generator)
        grid, truth = self.bank.grid[drawn], self.bank.truth[drawn]
        stayed = (at_cells(truth, self.grid).abs() <= 1).all(dim=-1)
        index, counts = (each.unflatten(1, (1, *self.grid)) for each in (best_index(truth, self.grid), stayed))
        ground = 1 - 2 * batch["mask"]  # white as paper, which is what comes in from outside
        inside = ((1 - F.adaptive_avg_pool2d(each, self.grid)) / 2 for each in (ground, apply_warp(ground, grid)))
        return MatchBatch(batch["x"], apply_warp(y, grid), index, counts, *inside)


class MatchTraining:
    """Match and silhouettes as they are trained: `update(batch)` is one step of both, for `loop.train`."""

    def __init__(
        self, network: LearnedMatch, silhouettes: Silhouettes, *, lr: float = 2e-3, temperature: float = 0.07
    ) -> None:
        self.network, self.silhouettes, self.temperature = network, silhouettes, temperature
        self.networks: dict[str, nn.Module] = {"match": network, "silhouettes": silhouettes}
        self.optimisers = {name: torch.optim.AdamW(each.parameters(), lr=lr) for name, each in self.networks.items()}

    def update(self, batch: MatchBatch) -> dict[str, Tensor]:
        """One step; returns both losses. The networks share nothing, so neither sees the other's."""
        fx, fr = self.network(batch.x, batch.r)
        index, counts = batch.index.flatten(1), batch.counts.flatten(1)
        contrast = contrastive_loss(fx, fr, index, counts, temperature=self.temperature)
        logits = self.silhouettes(batch.x, batch.r)
        wanted = (batch.inside_x, batch.inside_r)
        silhouette = sum(map(F.binary_cross_entropy_with_logits, logits, wanted))
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        (contrast + silhouette).backward()
        for optimiser in self.optimisers.values():
            optimiser.step()
        return {"contrast": contrast.detach(), "silhouette": silhouette.detach()}
