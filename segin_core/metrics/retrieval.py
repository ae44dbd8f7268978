"""Can an output be traced to both of the pictures that it was made from: to r by its colours and to x by its edges?"""

from itertools import product

import torch
from torch import Tensor

from segin_core.errors import InputError, check_pictures
from segin_core.metrics.lab import lab
from segin_core.metrics.pixel import BLANK
from segin_core.metrics.structure import structure
from segin_core.running.randomness import seeded

BIN = 20.0  # of CIELAB: narrow enough that the mean of a palette is none of its colours
BINS = 13  # on each axis, from L = 0 and from -110 for a and b


def double_retrieval(images: Tensor, x: Tensor, r: Tensor, *, among: int = 10, seed: int = 0) -> Tensor:
    """Whether among ten references r is the nearest by colours *and* among their ten inputs x by edges; b of 0 and 1.

    images, r: b 3 h w, x: b 1 h w, in [-1, 1]; the triples of a whole set, since the `among` - 1 others of each output
    are drawn from it (`seed`), of those with another x and another r. By colours: intersection of histograms of what
    is not white (Swain and Ballard, 1991), in cells of CIELAB of 20 units between which a colour is shared, so that
    neither place nor a small shift of a colour matters. By edges: `structure`. Who is only as near as another is not
    found. Raises InputError for pictures that do not go together and for too few others.

    Not in the paper. By chance an output is found with 1 / among by either; what keeps to x alone gets that by colours,
    so about 0.1. What cannot win it: r itself, which is moved and so seldom found by its edges (0.26 on drawings, where
    r is the same drawing, 0.20 on shoes), and a method without guidance. A tint keeps x's edges, but its colour is
    seldom one of r's where these are many: 0.19 on drawings, 0.31 on avatars. Shoes often have hardly more than one
    colour: 0.43 there. The truth gets 1.00, 0.94 and 0.88. It does not see which part has which colour: read it beside
    `part_colours`.
    """
    check_pictures(images, r, channels=(3,))
    check_pictures(x, images[:, :1], channels=(1,))
    places = _candidates(x, r, among, seed)
    ours, theirs = _histogram(images), _histogram(r)
    colours = torch.stack([torch.minimum(ours, theirs[place]).sum(dim=1) for place in places.T], dim=1)
    edges = torch.stack([structure(images, x[place]) for place in places.T], dim=1).cpu()
    first = [near[:, 0] > near[:, 1:].amax(dim=1) for near in (colours, edges)]
    return (first[0] & first[1]).float()


def _candidates(x: Tensor, r: Tensor, among: int, seed: int) -> Tensor:
    """Each row's own place and those of the others it stands among, b among."""
    same = torch.eye(len(x)).bool()
    for pictures in (x, r):
        number = torch.unique(pictures.flatten(1).cpu(), dim=0, return_inverse=True)[1]
        same |= number[:, None] == number
    others = int((~same).sum(dim=1).min())
    if not 2 <= among <= others + 1:
        raise InputError(
            f"among={among}: give 2 or more, and no more than there are triples of other x and r ({others}) and one"
        )
    order = torch.stack([torch.rand(len(x), generator=seeded(seed, i)) for i in range(len(x))])
    drawn = order.where(~same, 2).argsort(dim=1)[:, : among - 1]
    return torch.cat([torch.arange(len(x))[:, None], drawn], dim=1)


def _histogram(images: Tensor) -> Tensor:
    """The shares of the cells of CIELAB in what is not white, b cells; the eight around a colour share it."""
    seen = (images.amin(dim=1) < BLANK).flatten(1).cpu().double()
    colours = (lab(images).flatten(1, 2).double() + torch.tensor([0.0, 110, 110])) / BIN
    cell, beyond = colours.floor().long(), colours.frac()
    shares = torch.zeros(len(images), BINS**3).double()
    for corner in product((0, 1), repeat=3):
        place = (cell + torch.tensor(corner)).clamp(0, BINS - 1) @ torch.tensor([BINS**2, BINS, 1])
        weight = torch.where(torch.tensor(corner).bool(), beyond, 1 - beyond).prod(dim=2)
        shares.scatter_add_(1, place, weight * seen)
    return shares / seen.sum(dim=1, keepdim=True).clamp_min(1)
