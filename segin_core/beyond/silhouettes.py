"""Matches that know the object: what lies in x's object is looked for in r's object alone, and ground in the ground.

The paper's match may paste r's background into a shoe, since a white inside looks like white paper. Two small networks
say where x and r show their object, and Eq. 1 then chooses among the cells of the same kind. Not in the paper.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.beyond.learned_match import Encoder
from segin_core.errors import InputError, check_pictures
from segin_core.matching import Auxiliary, pad_to_multiple, warp

Cells = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # (x, r) -> features of both, such as a `LearnedMatch`


class Silhouettes(nn.Module):
    """Where x and r show their object: `model(x, r)` -> logits of x's cells and of r's, each b 1 h/s w/s.

    x: b 1 h w and r: b 3 h' w' in [-1, 1], of any sizes that s = `model.stride` divides; each is judged by itself.
    Raises InputError for pictures of another kind.
    """

    def __init__(self, width: int = 32, *, blocks: int = 6, halvings: int = 2) -> None:
        super().__init__()
        self.config = {"width": width, "blocks": blocks, "halvings": halvings}
        self.stride = 2**halvings
        self.of_x, self.of_r = (Encoder(channels, dim=1, **self.config) for channels in (1, 3))

    def forward(self, x: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        check_pictures(x, channels=(1,))
        check_pictures(r, channels=(3,))
        return self.of_x(x).float(), self.of_r(r).float()


def match_among(fx: Tensor, fr: Tensor, allowed: Tensor, patch: int = 3) -> tuple[Tensor, Tensor]:
    """As `matching.match`, where each cell of x may be sent to some cells of r only.

    allowed: b n m, True where x's cell may be sent to r's; a cell that may go nowhere may go anywhere. All cosines are
    held at once, which suits grids of 16 x 16 cells.
    """
    x, r = (F.normalize(F.unfold(f.float(), patch, padding=patch // 2), dim=1) for f in (fx, fr))
    with torch.autocast(fx.device.type, enabled=False):  # similarities in bf16 would tie
        cosines = x.transpose(1, 2) @ r
    score, index = cosines.masked_fill(~(allowed | ~allowed.any(2, keepdim=True)), -torch.inf).max(dim=2)
    return index, score


@torch.no_grad()
def object_auxiliary_image(
    x: Tensor, r: Tensor, cells: Cells, silhouettes: Silhouettes, *, patch: int = 1
) -> Auxiliary:
    """W(x, r) of Eq. 2, x's object from r's object and x's ground from r's ground.

    x: b 1 h w, r: b 3 h' w', both in [-1, 1], padded with their own edge to whole cells; W is cut back to x's size.
    cells: what is compared in Eq. 1, on the silhouettes' grid. Raises InputError for features on another grid.
    """
    padded_x, padded_r = (pad_to_multiple(p.float(), silhouettes.stride) for p in (x, r))
    fx, fr = cells(padded_x, padded_r)
    logits_x, logits_r = silhouettes(padded_x, padded_r)
    grid, grid_r = (fx.shape[2], fx.shape[3]), (fr.shape[2], fr.shape[3])
    if grid != logits_x.shape[2:] or grid_r != logits_r.shape[2:]:
        raise InputError(
            f"features on a grid of {grid} cells, silhouettes on {tuple(logits_x.shape[2:])}: use one grid"
        )
    inside_x, inside_r = (logits.flatten(1) > 0 for logits in (logits_x, logits_r))
    index, score = match_among(fx, fr, inside_x[:, :, None] == inside_r[:, None], patch)
    w = warp(padded_r, index, grid, 1, reference_grid=grid_r)
    return Auxiliary(w[:, :, : x.shape[2], : x.shape[3]], index, score, grid)
