"""Fig. 4: W(x, y) is damaged on purpose, so that N learns to mend what a match with another image gets wrong.

Paper: "patch shifting, repeating patterns, and random matches with a certain possibility", no numbers. / Here: the
numbers below, lengths as shares of the image's side. `draft_corruption` is the released draft's variant.
All randomness comes from the generator passed in; images are b c h w in [-1, 1].
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Generator, Tensor

Range = tuple[float, float]


def shift_patches(
    w: Tensor, *, generator: Generator, count: tuple[int, int] = (2, 10), size: Range = (0.06, 0.25),
    shift: Range = (0.02, 0.1),
) -> Tensor:  # fmt: skip
    """Patch shifting: `count` square patches of side `size`, each copied to a place `shift` away (both shares of h)."""
    damaged = w.clone()
    for image in damaged:
        for _ in range(_integer(count, generator)):
            side = _pixels(size, image, generator)
            dy, dx = ((2 * _integer((0, 1), generator) - 1) * _pixels(shift, image, generator) for _ in range(2))
            top, left = _corner(image, (side, side), generator)
            to_top = min(max(top + dy, 0), image.shape[1] - side)
            to_left = min(max(left + dx, 0), image.shape[2] - side)
            patch = image[:, top : top + side, left : left + side].clone()
            image[:, to_top : to_top + side, to_left : to_left + side] = patch
    return damaged


def repeat_pattern(
    w: Tensor, *, generator: Generator, count: tuple[int, int] = (1, 3), size: Range = (0.06, 0.15),
    repeats: tuple[int, int] = (2, 3),
) -> Tensor:  # fmt: skip
    """Repeated patterns: one patch tiled `repeats` times down and across, as when many cells match the same one."""
    damaged = w.clone()
    for image in damaged:
        for _ in range(_integer(count, generator)):
            side = _pixels(size, image, generator)
            top, left = _corner(image, (side, side), generator)
            rows, columns = _integer(repeats, generator), _integer(repeats, generator)
            tiles = image[:, top : top + side, left : left + side].repeat(1, rows, columns)
            tiles = tiles[:, : image.shape[1], : image.shape[2]]
            to_top, to_left = _corner(image, tiles.shape[1:], generator)
            image[:, to_top : to_top + tiles.shape[1], to_left : to_left + tiles.shape[2]] = tiles
    return damaged


def random_matches(
    w: Tensor, source: Tensor, *, generator: Generator, cell: int = 8, share: Range = (0.02, 0.25)
) -> Tensor:
    """Random matches: a `share` of W's cells (side `cell` pixels) replaced by cells from anywhere in `source`.

    The sides of both are multiples of `cell`, as those of a W from `matching.warp` are.
    """
    in_cells = "b c (i y) (j x) -> b (i j) c y x"
    damaged, origins = (rearrange(each, in_cells, y=cell, x=cell) for each in (w.clone(), source))
    for image, other in zip(damaged, origins, strict=True):
        wrong = int(_uniform(share, generator) * len(image))
        places = torch.randperm(len(image), generator=generator)[:wrong]
        image[places] = other[torch.randint(len(other), (wrong,), generator=generator)]
    return rearrange(damaged, "b (i j) c y x -> b c (i y) (j x)", i=w.shape[2] // cell)


def corrupt(
    w: Tensor, source: Tensor, *, generator: Generator, shift_probability: float = 0.5, repeat_probability: float = 0.3,
    random_probability: float = 0.5, shift: Range = (0.02, 0.1), repeats: tuple[int, int] = (2, 3),
    random_share: Range = (0.02, 0.25), cell: int = 8,
) -> Tensor:  # fmt: skip
    """Fig. 4's post-processing of W(x, y): each image gets each kind of damage with its own probability.

    w: b 3 h w, source: the image that W was pasted from (y in training). Returns a new tensor.
    """
    damaged = []
    for image, other in zip(w.split(1), source.split(1), strict=True):
        shifted, repeated, random = torch.rand(3, generator=generator).tolist()
        if random < random_probability:
            image = random_matches(image, other, generator=generator, cell=cell, share=random_share)
        if shifted < shift_probability:
            image = shift_patches(image, generator=generator, shift=shift)
        if repeated < repeat_probability:
            image = repeat_pattern(image, generator=generator, repeats=repeats)
        damaged.append(image)
    return torch.cat(damaged)


def draft_corruption(
    w: Tensor, source: Tensor, *, generator: Generator, blocks: tuple[int, int] = (5, 30),
    block: Range = (60 / 256, 70 / 256), shift: Range = (6 / 256, 10 / 256), squares: tuple[int, int] = (1, 18),
    square: Range = (30 / 256, 40 / 256),
) -> Tensor:  # fmt: skip
    """The released draft's damage: of `source`, which is y, and not of W; blocks copied aside, then white squares."""
    damaged = shift_patches(source, generator=generator, count=blocks, size=block, shift=shift)
    for image in damaged:
        for _ in range(_integer(squares, generator)):
            side = _pixels(square, image, generator)
            top, left = _corner(image, (side, side), generator)
            image[:, top : top + side, left : left + side] = 1  # white
    return damaged


def _uniform(bounds: Range, generator: Generator) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * torch.rand((), generator=generator).item()


def _integer(bounds: tuple[int, int], generator: Generator) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(bounds[0], bounds[1] + 1, (), generator=generator))


def _pixels(share: Range, image: Tensor, generator: Generator) -> int:
    """A length in pixels, at least 1, from a share of the image's height."""
    return max(1, round(_uniform(share, generator) * image.shape[1]))


def _corner(image: Tensor, size: tuple[int, int], generator: Generator) -> tuple[int, int]:
    """A random top-left corner at which a patch of this height and width fits into c h w."""
    return _integer((0, image.shape[1] - size[0]), generator), _integer((0, image.shape[2] - size[1]), generator)
