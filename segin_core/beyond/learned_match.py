"""A learned match: two small encoders put x and r into one space, in which Eq. 1 is a plain cosine of cells.

A VGG has never seen that the empty inside of a sketched shoe is leather. Two encoders can learn it from pictures alone:
r is y itself, bent, turned and recoloured, so where each place of x went is known. Not in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.errors import InputError, check_pictures
from segin_core.matching import Auxiliary, match, pad_to_multiple, warp

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
