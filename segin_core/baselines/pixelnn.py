"""PixelNN (Bansal et al. 2018): regress a smooth picture, then copy what it lacks from exemplars, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.baselines.shared import check_pair, check_settings, descend
from segin_core.data.pairs import PairBatch
from segin_core.errors import InputError, check_pictures
from segin_core.evaluation.protocol import map_likeness
from segin_core.matching import BLOCK, pad_to_multiple
from segin_core.vgg import VGG_DEPTHS, VGGFeatures, layer_stride

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")  # of the hypercolumns, one of each VGG block
WINDOWS = (1, 3, 5, 10, 96)  # the paper's T; its pictures have 96 x 96 pixels, so the last is the whole picture


class Regressor(nn.Module):
    """f of the first stage: from the hypercolumns of x to the picture that L2 asks for, the mean of all likely ones.

    `regressor(features(x))` takes the maps {layer: b c h/s w/s} of `VGGFeatures(layers=LAYERS)` and returns b 3 h w in
    [-1, 1]. Every pixel goes through the same perceptron, so all context comes from the hypercolumn, as in PixelNet.

    Paper: PixelNet, a VGG-16 tuned for the task, fully connected layers of 4,096, pixels sampled. / Here: the VGG stays
    frozen, two hidden layers of `width`, all pixels. Raises InputError for a width below 1 and maps without a layer.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.config = check_settings("PixelNN's regressor", width=width)
        columns = {
            layer: nn.Sequential(nn.Conv2d(depth, width, 1, bias=False), nn.BatchNorm2d(width))
            for layer, depth in zip(LAYERS, VGG_DEPTHS, strict=True)
        }
        self.columns = nn.ModuleDict(columns)
        self.hidden = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.out = nn.Conv2d(width, 3, 1)

    def forward(self, maps: dict[str, Tensor]) -> Tensor:
        check_layers(maps)
        size = maps[LAYERS[0]].shape[2:]
        # The layer over 1,472 upsampled channels, written as the sum that it is: a 1 x 1 convolution may as well come
        # before the interpolation, on the small map.
        h = sum(enlarged(column(maps[layer]), size) for layer, column in self.columns.items())
        return torch.tanh(self.out(self.hidden(F.relu(h))).float())


class Regression:
    """The first stage's objective, the mean squared error to y. `update` is one step of Adam.

    `networks` and `optimisers` are what `loop.train` saves and resumes; the VGG learns nothing.
    """

    def __init__(self, regressor: Regressor, features: VGGFeatures, *, lr: float = 2e-3) -> None:
        self.regressor, self.features = regressor, features
        self.networks: dict[str, nn.Module] = {"regressor": regressor}
        self.optimisers = {"regressor": torch.optim.Adam(regressor.parameters(), lr=lr)}

    def update(self, batch: PairBatch) -> dict[str, Tensor]:
        """One step on images on the network's device, sides in multiples of 16; returns the loss."""
        with torch.no_grad():
            maps = self.features(batch.x)
        loss = F.mse_loss(self.regressor(maps), batch.y)
        descend(loss, self.optimisers["regressor"])
        return {"regression": loss.detach()}


class PixelMatch(NamedTuple):
    """What the second stage finds for each pixel of x."""

    exemplar: Tensor  #: which exemplar, h w in 0 ... k - 1
    position: Tensor  #: which of its pixels, row-major, h w
    score: Tensor  #: the cosine, h w


@torch.no_grad()
def regress(x: Tensor, regressor: Regressor, features: VGGFeatures, *, batch_size: int = 20) -> Tensor:
    """f(x): b 1|3 h w of any size -> b 3 h w, both in [-1, 1]. The regressor should be in evaluation mode."""
    parts = [regressor(features(pad_to_multiple(part, layer_stride(LAYERS[-1])))) for part in x.split(batch_size)]
    return torch.cat(parts)[:, :, : x.shape[2], : x.shape[3]]


@torch.no_grad()
def hypercolumns(images: Tensor, features: VGGFeatures) -> Tensor:
    """The descriptor of every pixel: five VGG layers, enlarged to the image and stacked, b 1|3 h w -> b 1472 h w.

    Paper: how the layers are weighed is not said. / Here: each layer's part has length 1/sqrt(5), so a descriptor
    has length 1 and the scalar product of two is the mean of five cosines: no layer counts more for its larger values.
    Raises InputError for features without one of LAYERS.
    """
    padded = pad_to_multiple(images, layer_stride(LAYERS[-1]))
    maps = features(padded)
    check_layers(maps)
    large = [F.normalize(enlarged(maps[layer].float(), padded.shape[2:]), dim=1) for layer in LAYERS]
    return torch.cat(large, 1)[:, :, : images.shape[2], : images.shape[3]] / len(LAYERS) ** 0.5


def nearest_exemplars(fx: Tensor, fr: Tensor, features: VGGFeatures, *, k: int) -> Tensor:
    """The global search: for each f(x) the k exemplars whose f looks most alike, nearest first; index b k into fr.

    fx: b 3 h w, fr: m 3 h w, what `regress` made of the inputs and of the training set. Whole maps are compared by
    cosine. Paper: conv-5 (the released code: AlexNet's). / Here: relu5_3 of the VGG at hand. InputError for a bad k.
    """
    if not 1 <= k <= len(fr):
        raise InputError(f"k={k}: choose from 1 to {len(fr)} nearest exemplars, there are no more")
    return map_likeness(fx, fr, features, layer=LAYERS[-1]).topk(k, dim=1).indices


def pixel_search(query: Tensor, exemplars: Tensor, *, window: int | None = None) -> list[PixelMatch]:
    """The local search, in one exemplar after the other: [i] is what was found in the first i + 1 of them.

    For each pixel of x the most similar pixel near the same place; the first exemplar where they tie. query: c h w and
    exemplars: k c h w, descriptors of length 1 (see `hypercolumns`). `window` is T: the pixel (i, j) is sought in rows
    i - T // 2 ... i - T // 2 + T - 1 and such columns (an even T looks one further up and left), cut off at the border.
    None, or a T not smaller than the larger side (the paper's 96 for its pictures of 96 x 96), is the whole picture.
    Memory is bounded by chunks of rows. Raises InputError for a window below 1 and descriptors that do not go together.
    """
    if query.ndim != 3 or exemplars.ndim != 4 or query.shape != exemplars.shape[1:]:
        raise InputError(
            f"descriptors of shape {tuple(query.shape)} and {tuple(exemplars.shape)} cannot be searched; they must be "
            "c h w and k c h w with the same c, h and w: scale x and the exemplars to one size"
        )
    if window is not None and window < 1:
        raise InputError(f"window={window}: the side T of the search window must be at least 1 pixel")
    found: list[PixelMatch] = []
    for i, exemplar in enumerate(exemplars):
        with torch.no_grad(), torch.autocast(query.device.type, enabled=False):  # similarities in bf16 would tie
            position, score = _search_one(query.float(), exemplar.float(), window)
        here = PixelMatch(torch.full_like(position, i), position, score)
        both = zip(here, found[-1], strict=True) if found else ()
        found.append(PixelMatch(*(torch.where(score > found[-1].score, *each) for each in both)) if found else here)
    return found


def _search_one(query: Tensor, exemplar: Tensor, window: int | None) -> tuple[Tensor, Tensor]:
    """One exemplar: c h w, c h w -> position and score, both h w."""
    _, height, width = query.shape
    whole = window is None or window >= max(height, width)
    before, after = (height + width,) * 2 if whole else (window // 2, window - 1 - window // 2)
    rows = max(1, min(BLOCK // (width * height * width), window or height))
    ones = (torch.ones(side, side, dtype=torch.bool, device=query.device) for side in (height, width))
    near_y, near_x = (each.triu(-before).tril(after) for each in ones)  # along one axis: places of x, of the exemplar
    positions, scores = [], []
    for top in range(0, height, rows):
        bottom, first = min(top + rows, height), max(0, top - before)
        strip, area = query[:, top:bottom], exemplar[:, first : bottom + after]
        similarity = rearrange(strip, "c h w -> (h w) c") @ rearrange(area, "c h w -> c (h w)")
        if not whole:
            near = near_y[top:bottom, None, first : bottom + after, None] & near_x[:, None]
            similarity.masked_fill_(~near.view_as(similarity), -torch.inf)
        score, position = similarity.max(dim=1)
        positions.append(position + first * width)
        scores.append(score)
    return torch.cat(positions).view(height, width), torch.cat(scores).view(height, width)


def compose(fx: Tensor, smooth: Tensor, pictures: Tensor, found: PixelMatch) -> Tensor:
    """f(x) + (y - f(x_match)) at the matched pixels: the details that regression lost, copied; clamped to [-1, 1].

    fx: 3 h w; smooth and pictures: k 3 h w, f(x_k) and y_k of the exemplars; found: from `pixel_search`; 3 h w.
    """
    details = rearrange(pictures - smooth, "k c h w -> c k (h w)")
    return (fx + details[:, found.exemplar, found.position]).clamp(-1, 1)


def outputs(
    fx: Tensor, smooth: Tensor, pictures: Tensor, features: VGGFeatures, *,
    neighbours: Sequence[int] = tuple(range(1, 11)), windows: Sequence[int | None] = WINDOWS,
) -> dict[tuple[int, int | None], Tensor]:  # fmt: skip
    """Several pictures of one input: by each K of `neighbours` and T of `windows`, 3 h w in [-1, 1].

    fx: 3 h w, f(x); smooth and pictures: k 3 h w, f(x_k) and y_k of its exemplars from `nearest_exemplars`, nearest
    first. Each exemplar is searched once for each window. Raises InputError for a K that is not in 1 ... k.
    """
    if not neighbours or min(neighbours) < 1 or max(neighbours) > len(smooth):
        raise InputError(f"neighbours={tuple(neighbours)}: each K must be from 1 to {len(smooth)}, the exemplars given")
    query, exemplars = hypercolumns(fx[None], features)[0], hypercolumns(smooth[: max(neighbours)], features)
    found = {window: pixel_search(query, exemplars, window=window) for window in windows}
    return {(k, window): compose(fx, smooth, pictures, found[window][k - 1]) for window in windows for k in neighbours}


def auxiliary_image(
    x: Tensor, x_r: Tensor, r: Tensor, regressor: Regressor, features: VGGFeatures, *, window: int | None = None
) -> Tensor:
    """PixelNN in the place of S (Fig. 9 and 10): one exemplar, the reference r, searched as a whole by default.

    x and x_r: b 1|3 h w, r: b 3 h w, one size, in [-1, 1]; returns b 3 h w. PixelNN compares f(x) with f(x_r), so it
    needs the reference's own sketch x_r, which SEGIN does not: from the data's pair, or HED's of r.
    Raises InputError for pictures that do not go together and for a window below 1.
    """
    check_pair(x, r, one_size=True)
    check_pictures(x, x_r)
    fx, fr = regress(x, regressor, features), regress(x_r, regressor, features)
    triples = zip(fx.split(1), fr.split(1), r.split(1), strict=True)  # one at a time, for descriptors are large
    made = (outputs(a[0], b, c, features, neighbours=(1,), windows=(window,)) for a, b, c in triples)
    return torch.stack([pictures[1, window] for pictures in made])


def enlarged(maps: Tensor, size: Sequence[int]) -> Tensor:
    """b c h w -> b c of this size, bilinear."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def check_layers(maps: dict[str, Tensor]) -> None:
    """Raise InputError if a layer of the hypercolumns is missing."""
    if lacking := [layer for layer in LAYERS if layer not in maps]:
        raise InputError(f"the features lack {', '.join(lacking)}: make them with VGGFeatures(layers=pixelnn.LAYERS)")
