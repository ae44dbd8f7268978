"""A learned match: two small encoders put x and r into one space, in which Eq. 1 is a plain cosine of cells.

A VGG has never seen that the empty inside of a sketched shoe is leather. Two encoders can learn it from pictures alone:
r is y itself, bent, turned and recoloured, so where each place of x went is known. Not in the paper.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.data.pairs import PairFolder
from segin_core.errors import InputError, check_pictures
from segin_core.evaluation.correspondence import apply_warp, at_cells, best_index, smooth_warp
from segin_core.matching import Auxiliary, match, pad_to_multiple, warp
from segin_core.running.randomness import epoch_indices, seeded
from segin_core.self_supervision import rotate_hue

DILATIONS = (1, 2, 4)  # in turn, so that a cell soon sees the whole picture
GROUPS = 8  # of the normalisation, which must not depend on the other pictures of a batch


class Block(nn.Module):
    """Two dilated 3 x 3 convolutions and the identity: b c h w -> the same."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        how = {"kernel_size": 3, "padding": dilation, "dilation": dilation, "bias": False}
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, **how), nn.GroupNorm(GROUPS, channels), nn.ReLU(),
            nn.Conv2d(channels, channels, **how), nn.GroupNorm(GROUPS, channels),
        )  # fmt: skip

    def forward(self, h: Tensor) -> Tensor:
        return F.relu(h + self.layers(h))


class Encoder(nn.Sequential):
    """Pictures b c h w in [-1, 1] to features b dim h/s w/s with s = 2**halvings."""

    def __init__(self, channels: int, *, width: int, dim: int, blocks: int, halvings: int) -> None:
        layers = []
        for _ in range(halvings):
            layers += [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.GroupNorm(GROUPS, width), nn.ReLU()]
            channels = width
        layers += [Block(width, DILATIONS[i % len(DILATIONS)]) for i in range(blocks)]
        super().__init__(*layers, nn.Conv2d(width, dim, 1))


class LearnedMatch(nn.Module):
    """Both encoders: `model(x, r)` -> unit vectors of x's cells and of r's, each b dim h/s w/s with s = `model.stride`.

    x: b 1 h w and r: b 3 h' w' in [-1, 1], of any sizes that s divides. Raises InputError for pictures of another kind,
    and for a width that the normalisation's groups do not divide.
    """

    def __init__(self, width: int = 96, *, dim: int = 64, blocks: int = 7, halvings: int = 2) -> None:
        super().__init__()
        if width % GROUPS or width < GROUPS:
            raise InputError(f"width={width}: the learned match needs a multiple of {GROUPS} channels")
        self.config = {"width": width, "dim": dim, "blocks": blocks, "halvings": halvings}
        self.stride = 2**halvings
        self.of_x, self.of_r = Encoder(1, **self.config), Encoder(3, **self.config)

    def forward(self, x: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        check_pictures(x, channels=(1,))
        check_pictures(r, channels=(3,))
        return tuple(F.normalize(encoder(p).float(), dim=1) for encoder, p in ((self.of_x, x), (self.of_r, r)))


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
    """What a step of training the match sees."""

    x: Tensor  #: b 1 h w in [-1, 1]
    r: Tensor  #: y bent, turned, mirrored and recoloured, b 3 h w in [-1, 1]
    index: Tensor  #: b 1 h w over cells: the cell of r, row-major, that each of x's went to
    counts: Tensor  #: b 1 h w over cells: is the cell in x's object, and did it stay in the picture?


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
        truth = self.bank.truth[drawn]
        stayed = (at_cells(truth, self.grid).abs() <= 1).all(dim=-1)
        inside = at_cells(rearrange(batch["mask"], "b 1 h w -> b h w 1"), self.grid)[..., 0] > 0.5
        maps = (each.unflatten(1, (1, *self.grid)) for each in (best_index(truth, self.grid), stayed & inside))
        return MatchBatch(batch["x"], apply_warp(y, self.bank.grid[drawn]), *maps)


class MatchTraining:
    """The match as it is trained: `update(batch)` is one step of both encoders, for `loop.train`."""

    def __init__(self, network: LearnedMatch, *, lr: float = 2e-3, temperature: float = 0.07) -> None:
        self.network, self.temperature = network, temperature
        self.networks: dict[str, nn.Module] = {"match": network}
        self.optimisers = {"match": torch.optim.AdamW(network.parameters(), lr=lr)}

    def update(self, batch: MatchBatch) -> dict[str, Tensor]:
        """One step; returns the loss."""
        fx, fr = self.network(batch.x, batch.r)
        index, counts = batch.index.flatten(1), batch.counts.flatten(1)
        loss = contrastive_loss(fx, fr, index, counts, temperature=self.temperature)
        self.optimisers["match"].zero_grad(set_to_none=True)
        loss.backward()
        self.optimisers["match"].step()
        return {"contrast": loss.detach()}


@torch.no_grad()
def learned_auxiliary_image(x: Tensor, r: Tensor, network: LearnedMatch) -> Auxiliary:
    """W(x, r) of Eq. 2 under the learned match, one cell at a time; as `matching.auxiliary_image`, without a VGG.

    x: b 1 h w, r: b 3 h' w', both in [-1, 1], padded with their own edge to whole cells; W is cut back to x's size.
    """
    padded_x, padded_r = (pad_to_multiple(p.float(), network.stride) for p in (x, r))
    fx, fr = network(padded_x, padded_r)
    index, score = match(fx, fr, 1)
    grid, grid_r = (fx.shape[2], fx.shape[3]), (fr.shape[2], fr.shape[3])
    w = warp(padded_r, index, grid, 1, reference_grid=grid_r)
    return Auxiliary(w[:, :, : x.shape[2], : x.shape[3]], index, score, grid)
