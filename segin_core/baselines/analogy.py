"""Deep Image Analogy (Liao et al. 2017), compared in Section IV: A : A' = B : B', matched from deep layers to shallow.

A = x and B' = r are given. A' has x's structure and r's look, B has r's structure and x's look; neither is known, so
their features are guessed at each layer from what the deeper one found. A' is the auxiliary image.

Paper: VGG-19. / Here: whichever VGG is passed in; the layers have the same names in VGG-16.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from segin_core.baselines.nearest_field import search, upsample, vote
from segin_core.baselines.shared import as_rgb, check_pair
from segin_core.errors import InputError
from segin_core.matching import pad_to_multiple
from segin_core.vgg import CAFFE_SCALE, VGGFeatures, layer_stride

THRESHOLD = 0.05  # of the energy of a cell, from 0 (the map's least) to 1 (its most)
VOTE = 3  # side of the patches of pixels that are averaged in the end


class Level(NamedTuple):
    """What happens at one layer. The first level has no guess and is searched whole: weight and radius are not used."""

    layer: str
    patch: int  #: side of the patches that are compared, odd
    weight: float = 1.0  #: alpha: how much of A's own features stays in A' where A has something to show
    radius: int = 0  #: how far from the deeper level's match a better one may lie, in cells


LEVELS = (
    Level("relu5_1", patch=3),
    Level("relu4_1", patch=3, weight=0.8, radius=6),
    Level("relu3_1", patch=3, weight=0.7, radius=6),
    Level("relu2_1", patch=5, weight=0.6, radius=4),
    Level("relu1_1", patch=5, weight=0.1, radius=4),
)


class Analogy(NamedTuple):
    """Both unknown pictures, with the matches they were voted from."""

    image: Tensor  #: A', b 3 h w in [-1, 1]: x's structure, r's look; the auxiliary image
    counterpart: Tensor  #: B, b 3 h' w' in [-1, 1]: r's structure, x's look
    score: Tensor  #: mean of the two cosines of each match on the last level's grid, b n, at most 1


def deep_image_analogy(
    x: Tensor, r: Tensor, features: VGGFeatures, *, levels: tuple[Level, ...] = LEVELS, max_iter: int = 100
) -> Analogy:
    """A' and B of Deep Image Analogy, one pair after the other.

    x: b 1|3 h w, r: b 3 h' w', both in [-1, 1], any size (padded with their own edge to whole cells of the deepest
    level; A' is cut back to x's size, B to r's). `features` must give the layers of all levels; `max_iter` bounds the
    iterations of each deconvolution, two at every level but the last. Nothing is random, but beyond a few iterations
    L-BFGS makes the rounding of another machine visible.

    Paper: PatchMatch, propagation and random search. / Here: the best patch within `Level.radius`, exactly; the first
    level whole. Raises InputError for levels that do not go together, and images too small for them.
    """
    _check(x, r, features, levels)
    multiple = max(layer_stride(level.layer) for level in levels)
    a, b = pad_to_multiple(as_rgb(x), multiple), pad_to_multiple(r, multiple)
    pairs = []
    for one_a, one_b in zip(a.split(1), b.split(1), strict=True):  # L-BFGS would couple the pairs of a batch
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            pairs.append(_one_pair(one_a.float(), one_b.float(), features, levels, max_iter))
    images, counterparts, scores = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return Analogy(images[:, :, : x.shape[2], : x.shape[3]], counterparts[:, :, : r.shape[2], : r.shape[3]], scores)


def _check(x: Tensor, r: Tensor, features: VGGFeatures, levels: tuple[Level, ...]) -> None:
    check_pair(x, r)
    names = [level.layer for level in levels]
    if missing := [name for name in names if name not in features.layers]:
        raise InputError(f"features do not give {missing[0]}; make them with VGGFeatures(layers={tuple(names)})")
    if not names or sorted(set(names), reverse=True) != names:
        raise InputError(f"levels {names} must be at least one layer, from deep to shallow, each once")
    for level in levels:
        if level.patch < 1 or level.patch % 2 == 0 or level.radius < 0:
            raise InputError(f"{level} cannot be searched; its patch must be odd and positive, its radius not negative")
        cells = min(*x.shape[2:], *r.shape[2:]) / layer_stride(level.layer)
        if cells <= level.patch - 1:  # padding makes whole cells of a part
            raise InputError(
                f"{level.layer} of these images has maps smaller than its patch of {level.patch} x {level.patch}; "
                "use larger images, or start at a shallower level, such as levels=LEVELS[1:]"
            )


def _one_pair(
    a: Tensor, b: Tensor, features: VGGFeatures, levels: tuple[Level, ...], max_iter: int
) -> tuple[Tensor, Tensor, Tensor]:
    """A', B and the scores of phi_a->b for one pair a, b: 1 3 h w."""
    maps_a, maps_b = features(a), features(b)
    guess_a, guess_b = maps_a[levels[0].layer], maps_b[levels[0].layer]  # nothing better is known yet
    to_b = to_a = None
    for depth, level in enumerate(levels):
        own_a, own_b = maps_a[level.layer], maps_b[level.layer]
        both_a, both_b = _stack(own_a, guess_a), _stack(guess_b, own_b)
        to_b, score = search(both_a, both_b, to_b, level.patch, level.radius)
        to_a, _ = search(both_b, both_a, to_a, level.patch, level.radius)
        if coming := levels[depth + 1 : depth + 3]:
            looks = vote(own_b, to_b, level.patch), vote(own_a, to_a, level.patch)
            guess_a, guess_b = (
                _finer_guess(look, maps, features, level.layer, coming, max_iter)
                for look, maps in zip(looks, (maps_a, maps_b), strict=True)
            )
            factor = layer_stride(level.layer) // layer_stride(coming[0].layer)
            to_b, to_a = upsample(to_b, factor), upsample(to_a, factor)
    to_b, to_a = (upsample(field, layer_stride(levels[-1].layer)) for field in (to_b, to_a))
    return vote(b, to_b, VOTE), vote(a, to_a, VOTE), score.flatten()[None] / 2


def _stack(first: Tensor, second: Tensor) -> Tensor:
    """Two maps 1 c h w with unit vectors in every cell, as one: 2c h w. A scalar product of cells adds both cosines."""
    return torch.cat([F.normalize(first[0], dim=0), F.normalize(second[0], dim=0)])


def _finer_guess(
    look: Tensor, maps: dict[str, Tensor], features: VGGFeatures, layer: str, coming: tuple[Level, ...], max_iter: int
) -> Tensor:
    """Features of A' (or B) at the next level: A's own where it has any, else those that give the look at `layer`.

    Paper: solved at the next level. / Here: at the one after it, as released, from A's own features, then run forward
    to the next, so that they are features the network can have; relu1_1, after which there is none, itself.
    """
    finer, solved = coming[0], coming[-1].layer
    found = deconvolve(look, maps[solved], features, layer, solved, max_iter=max_iter)
    weight = blend_weight(maps[finer.layer], finer.weight)
    return weight * maps[finer.layer] + (1 - weight) * between(found, features, solved, finer.layer)


def blend_weight(own: Tensor, alpha: float) -> Tensor:
    """W: `alpha` where the energy |F|^2 of a cell, scaled to [0, 1] over the map, is at least 0.05, else 0.

    own: b c h w; returns b 1 h w. Paper: a steep sigmoid about that threshold. / Here: the threshold, as released.
    """
    energy = own.square().sum(1, keepdim=True)
    least, most = energy.amin((2, 3), keepdim=True), energy.amax((2, 3), keepdim=True)
    return alpha * ((energy - least) / (most - least).clamp_min(torch.finfo(energy.dtype).tiny) >= THRESHOLD).float()


def deconvolve(
    target: Tensor, start: Tensor, features: VGGFeatures, deep: str, shallow: str, *, max_iter: int = 100
) -> Tensor:
    """R: features at `shallow` that the network turns into `target` at `deep`, by L-BFGS on the squared distance.

    target: 1 c h w; start, and what is returned: 1 c' h' w'. At most `max_iter` iterations, with a memory of 4.
    """
    found = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([found], max_iter=max_iter, history_size=4, line_search_fn="strong_wolfe")

    def distance() -> Tensor:
        optimiser.zero_grad()
        loss = F.mse_loss(between(found, features, shallow, deep), target, reduction="sum")
        loss.backward()
        return loss

    with torch.enable_grad():
        optimiser.step(distance)
    return found.detach()


def between(h: Tensor, features: VGGFeatures, shallow: str, deep: str) -> Tensor:
    """CNN from one layer of `features` to a deeper one: b c h w of `shallow` -> b c' h' w' of `deep`."""
    scale = CAFFE_SCALE if features.source == "vgg16-hed" else 1.0  # the convolutions' biases want the unscaled maps
    names = list(features.convolutions)
    first, last = (names.index(layer.replace("relu", "conv")) for layer in (shallow, deep))
    h = h * scale
    for name in names[first + 1 : last + 1]:
        if name.endswith("_1"):
            h = F.max_pool2d(h, 2)
        h = F.relu(features.convolutions[name](h))
    return h / scale
