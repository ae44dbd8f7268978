"""SIFT Flow (Liu, Yuen and Torralba, 2011), the first of the matchers that SEGIN puts in place of its own (Fig. 10).

Every pixel p of x gets a displacement w(p) = (u, v) into r: SIFT descriptors shall agree, neighbours move together.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn import functional as F

from segin_core.baselines.shared import check_pair
from segin_core.errors import InputError

ORIENTATIONS, BINS = 8, 4  # 8 x 4 x 4 = 128 numbers a pixel
CONTRAST = 0.01  # added to the norm, as in the authors' code: a flat region's descriptor is near 0, not blown-up noise
CHUNK = 2**12  # pixels whose descriptors are compared at once: 2 MB, which the processor's cache holds
ALPHA, D, GAMMA = 2 * 255.0, 40 * 255.0, 0.005 * 255  # the authors' demo; descriptors there are bytes, hence the 255


def dense_sift(images: Tensor, *, cell: int = 3) -> Tensor:
    """A SIFT descriptor at every pixel: b c h w in [-1, 1] -> b 128 h w.

    Around each pixel lie 4 x 4 bins, `cell` pixels apart, each a histogram of 8 gradient directions; the gradient is
    that of the channel where it is strongest. The 128 numbers (directions slowest, then rows, then columns of bins) are
    not negative and have length 255, less where the picture is flat. Raises InputError for images of another shape.
    Paper: SIFT; the authors' code has its own spread of votes, and bins half a cell off the pixel. / Here: as Lowe
    (2004), linearly over the two nearest directions, rows and columns of bins; the bins surround the pixel.
    """
    if images.ndim != 4 or min(images.shape[2:], default=0) < 2 or cell < 1:
        raise InputError(
            f"images of shape {tuple(images.shape)} with cell={cell} have no dense SIFT; "
            "give b c h w of at least 2 x 2 pixels, and a cell from 1"
        )
    votes = _direction_maps((images + 1) / 2)
    weights = _bin_weights(cell).to(votes)
    rows = F.conv2d(votes, weights.repeat(ORIENTATIONS, 1)[:, None, :, None], padding="same", groups=ORIENTATIONS)
    weights = weights.repeat(ORIENTATIONS * BINS, 1)
    bins = F.conv2d(rows, weights[:, None, None], padding="same", groups=ORIENTATIONS * BINS)
    return 255 * bins / (bins.norm(dim=1, keepdim=True) + CONTRAST)


def _direction_maps(images: Tensor) -> Tensor:
    """Each pixel's strongest gradient, split between its two nearest directions: b c h w -> b 8 h w."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    dx = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    dy = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    magnitude, strongest = torch.hypot(dx, dy).max(dim=1, keepdim=True)
    angle = torch.atan2(dy.gather(1, strongest), dx.gather(1, strongest)) * ORIENTATIONS / (2 * math.pi)
    turn = (angle - torch.arange(ORIENTATIONS, device=images.device).view(1, -1, 1, 1)) % ORIENTATIONS
    return magnitude * (1 - torch.minimum(turn, ORIENTATIONS - turn)).clamp_min(0)


def _bin_weights(cell: int) -> Tensor:
    """Along one axis, how much a pixel t steps away counts in each bin: 4 x (2 radius + 1), tents 2 cells wide."""
    radius = math.ceil((BINS + 1) / 2 * cell) - 1
    steps = torch.arange(-radius, radius + 1.0)
    centres = (torch.arange(BINS) - (BINS - 1) / 2) * cell
    return (1 - (steps - centres[:, None]).abs() / cell).clamp_min(0)


def energy(
    s1: Tensor, s2: Tensor, flow: Tensor, *, alpha: float = ALPHA, d: float = D, gamma: float = GAMMA
) -> Tensor:  # fmt: skip
    """E(w), the matching objective: how bad a flow is, one number for each pair, b.

    sum_p ||s1(p) - s2(p + w(p))||_1 + gamma (|u| + |v|), plus min(alpha |du|, d) + min(alpha |dv|, d) over all pairs of
    horizontal and vertical neighbours. s1, s2: b c h w of `dense_sift`; flow: b 2 h w, whole numbers (u, v) in pixels.
    Raises InputError for shapes that do not go together.
    Paper: ||.||_1 is cut off at a t; where p + w(p) is outside, the authors' code puts the median of all the costs it
    met. / Here: no cut; outside, the nearest pixel inside counts, so that E depends on nothing but the flow.
    """
    _check(s1, s2)
    difference = reduce((s1 - warp(s2, flow)).abs(), "b c h w -> b", "sum")
    return difference + gamma * reduce(flow.abs(), "b c h w -> b", "sum") + _smoothness(flow, alpha, d)


def _smoothness(flow: Tensor, alpha: float, d: float) -> Tensor:
    """The truncated L1 sum over neighbours of E, across and down, b 2 h w -> b."""
    return sum(reduce((alpha * flow.diff(dim=dim).abs()).clamp_max(d), "b c h w -> b", "sum") for dim in (3, 2))


def warp(images: Tensor, flow: Tensor) -> Tensor:
    """Each pixel p takes the image's pixel at p + w(p), or the nearest one inside: b c h w, flow b 2 h w (u, v).

    Raises InputError where the two differ in size.
    """
    if flow.ndim != 4 or images.shape[:1] + images.shape[2:] != flow.shape[:1] + flow.shape[2:] or flow.shape[1] != 2:
        raise InputError(f"a flow {tuple(flow.shape)} does not fit images {tuple(images.shape)}; it must be b 2 h w")
    return torch.gather(images.flatten(2), 2, _targets(flow).expand(-1, images.shape[1], -1)).view(images.shape)


def _targets(flow: Tensor) -> Tensor:
    """The row-major position of p + w(p), moved inside: b 2 h w -> b 1 (h w)."""
    height, width = flow.shape[2:]
    rows, columns = torch.arange(height, device=flow.device)[:, None], torch.arange(width, device=flow.device)
    u, v = flow.round().long().unbind(1)
    return rearrange((rows + v).clamp(0, height - 1) * width + (columns + u).clamp(0, width - 1), "b h w -> b 1 (h w)")


@torch.no_grad()
def sift_flow(
    s1: Tensor, s2: Tensor, *, alpha: float = ALPHA, d: float = D, gamma: float = GAMMA, levels: int = 4,
    wsize: int = 2, topwsize: int = 10, iterations: int = 30, top_iterations: int = 60,
) -> Tensor:  # fmt: skip
    """The flow from s1 to s2 of low energy, by coarse-to-fine belief propagation: b 2 h w.

    s1, s2: b c h w of `dense_sift`. Channel 0 is u (to the right), 1 is v (down): whole pixels, as floats. At the
    coarsest of `levels` sizes, each half of the one before, all displacements up to `topwsize` are tried, at the others
    up to `wsize` around twice the flow found before. gamma doubles with each halving, alpha and d stay, as in the
    authors' code. No level is smaller than the top's window, 2 * topwsize + 1: 64 px have two, 256 px all four.
    Raises InputError for maps that do not go together.
    Paper: an iteration of the authors' code passes messages in one layer, one way. / Here: in both layers, both ways;
    and where the whole search ends above the best single shift of up to `topwsize` pixels, that shift is returned.
    """
    _check(s1, s2)
    pyramid = [(s1, s2)]
    while len(pyramid) < levels and min(s1.shape[2:]) // 2 > 2 * topwsize:
        s1, s2 = (F.interpolate(s, scale_factor=0.5, mode="bicubic", antialias=True) for s in (s1, s2))
        pyramid.append((s1, s2))
    flow = torch.zeros_like(s1[:, :2])  # all centres of the coarsest level
    for level, (s1, s2) in reversed(list(enumerate(pyramid))):
        top = level == len(pyramid) - 1
        centre = (2 * F.interpolate(flow, s1.shape[2:], mode="bilinear")).round()
        cost = _data_cost(s1, s2, centre, topwsize if top else wsize, gamma * 2**level)
        flow = _belief_propagation(cost, centre, alpha, d, top_iterations if top else iterations)
    still = torch.zeros_like(flow)
    shift, lowest = _best_shift(_data_cost(s1, s2, still, topwsize, gamma), still.transpose(0, 1), alpha, d)
    above = energy(s1, s2, flow, alpha=alpha, d=d, gamma=gamma) > lowest
    return torch.where(above[:, None, None, None], shift, flow)


def _data_cost(s1: Tensor, s2: Tensor, centre: Tensor, window: int, gamma: float) -> Tensor:
    """The terms of E of single pixels, for 2 window + 1 labels v and as many u around `centre` (b 2 h w): v u b h w."""
    labels = range(-window, window + 1)
    cost = s1.new_empty(len(labels), len(labels), len(s1), *s1.shape[2:])
    # descriptors as rows, so that fetching one reads 128 neighbouring numbers
    at1, at2 = (rearrange(s, "b c h w -> (b h w) c").contiguous() for s in (s1, s2))
    first = torch.arange(len(s1), device=s1.device)[:, None, None] * s1[0, 0].numel()
    for i, v in enumerate(labels):
        for j, u in enumerate(labels):
            flow = centre + centre.new_tensor([u, v]).view(1, 2, 1, 1)
            parts = zip(at1.split(CHUNK), (_targets(flow) + first).flatten().split(CHUNK), strict=True)
            difference = torch.cat([(one - at2[index]).abs_().sum(1) for one, index in parts])
            cost[i, j] = difference.view(cost.shape[2:]) + gamma * flow.abs().sum(1)
    return cost


def _belief_propagation(cost: Tensor, centre: Tensor, alpha: float, d: float, iterations: int) -> Tensor:
    """Min-sum belief propagation on two layers of variables, u and v, joined at each pixel by its cost: -> b 2 h w.

    Decoupled like this, a message has L numbers and not L squared. One iteration passes messages along all rows from
    end to end, then along all columns; rows, both ends, layers and pairs of pictures go side by side. The energy of
    what the beliefs say may rise again: returned is the best flow met, of which the best single shift is the first.
    """
    window, centre = len(cost) // 2, rearrange(centre, "b c h w -> c b h w")
    across, down = (_pair_costs(c, window, alpha, d) for c in (centre, centre.mT))
    rows, columns = (cost.new_zeros(len(cost), *centre.shape) for _ in range(2))
    best, lowest = _best_shift(cost, centre, alpha, d)
    for _ in range(iterations):
        between = _layer_messages(cost, rows + columns)
        rows = _chain_messages(between + columns, across)
        between = _layer_messages(cost, rows + columns)
        columns = _chain_messages((between + rows).mT, down).mT
        flow, value = _evaluate(cost, centre, _decode(cost, rows + columns), alpha, d)
        best = torch.where((value < lowest)[:, None, None, None], flow, best)
        lowest = torch.minimum(value, lowest)
    return best


def _layer_messages(cost: Tensor, incoming: Tensor) -> Tensor:
    """What v tells u and u tells v at each pixel, given the messages of their neighbours: L 2 b h w."""
    return torch.stack([(cost + incoming[:, None, 1]).amin(0), (cost + incoming[None, :, 0]).amin(1)], 1)


def _pair_costs(centre: Tensor, window: int, alpha: float, d: float) -> Tensor:
    """min(alpha |difference|, d) from each label of a pixel to each of the next one's, in the order of a walk.

    centre: 2 b h w -> (w - 1) L L (s 2 b h), where s = 0 walks to the right and s = 1 to the left; where all pixels
    have the same centre, (w - 1) L L 1, which the processor's cache can hold.
    """
    walks = torch.stack([centre, centre.flip(3)])
    centres = rearrange(walks[..., :-1] - walks[..., 1:], "s n b h w -> w 1 1 (s n b h)")
    if not centres.any():
        centres = centres[..., :1]
    label = torch.arange(2 * window + 1, device=centre.device)
    return (alpha * (centres + (label[:, None] - label)[..., None]).abs()).clamp_max(d)


def _chain_messages(unary: Tensor, pairs: Tensor) -> Tensor:
    """The sum of what each pixel hears from its left and its right, L 2 b h w, for unary costs of that shape."""
    walks = rearrange(torch.stack([unary, unary.flip(4)]), "s l n b h w -> w l (s n b h)").contiguous()
    messages = torch.zeros_like(walks)
    for step in range(1, len(walks)):
        # two passes over the labels give the same (Felzenszwalb and Huttenlocher, 2006), here more slowly for up to 21
        message = ((walks[step - 1] + messages[step - 1])[:, None] + pairs[step - 1]).amin(0)
        messages[step] = message - message.amin(0)  # a constant changes nothing, and numbers stay small
    right, left = rearrange(messages, "w l (s n b h) -> s l n b h w", s=2, n=2, b=unary.shape[2])
    return right + left.flip(4)


def _decode(cost: Tensor, incoming: Tensor) -> Tensor:
    """The labels of lowest belief, u first and then v given u: 2 b h w, counted from 0."""
    u = ((cost + incoming[:, None, 1]).amin(0) + incoming[:, 0]).argmin(0)
    v = (cost.gather(1, u.expand(len(cost), 1, *u.shape))[:, 0] + incoming[:, 1]).argmin(0)
    return torch.stack([u, v])


def _evaluate(cost: Tensor, centre: Tensor, label: Tensor, alpha: float, d: float) -> tuple[Tensor, Tensor]:
    """The flow that the labels stand for, b 2 h w, and its E, b."""
    flow = rearrange(centre + label - len(cost) // 2, "c b h w -> b c h w")
    here = cost.flatten(0, 1).gather(0, (label[1] * len(cost) + label[0])[None])[0]
    return flow, reduce(here, "b h w -> b", "sum") + _smoothness(flow, alpha, d)


def _best_shift(cost: Tensor, centre: Tensor, alpha: float, d: float) -> tuple[Tensor, Tensor]:
    """The flow and energy of `_evaluate` where all pixels have the same label, the cheapest such."""
    label = reduce(cost, "v u b h w -> b (v u)", "sum").argmin(1)
    labels = torch.stack([label % len(cost), label // len(cost)])[:, :, None, None]
    return _evaluate(cost, centre, labels.expand(centre.shape), alpha, d)


def _check(s1: Tensor, s2: Tensor) -> None:
    if s1.ndim != 4 or s1.shape != s2.shape:
        raise InputError(f"SIFT images {tuple(s1.shape)}, {tuple(s2.shape)} do not fit; both must be the same b c h w")


def auxiliary_image(x: Tensor, r: Tensor) -> Tensor:
    """W(x, r) of Fig. 10's "SIFT": r warped by the flow from x to r, with the demo's settings; b 3 h w in [-1, 1].

    x: b 1|3 h w, r: b 3 h w in [-1, 1]. Raises InputError for pictures that do not go together.
    """
    check_pair(x, r, one_size=True)
    return warp(r, sift_flow(dense_sift(x), dense_sift(r)))
