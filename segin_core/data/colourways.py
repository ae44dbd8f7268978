"""Shoes with known answers: x of one colourway, r another colourway of the same product, moved.

The right answer is that other colourway where it was photographed, which is x's place if both were photographed alike.
"""

from itertools import permutations
from pathlib import Path

import torch
from torch import Tensor

from segin_core.data.answers import Answers, moved, random_move
from segin_core.data.images import to_bytes
from segin_core.data.pairs import PairFolder
from segin_core.data.parts import digest, grouped
from segin_core.data.photos import product
from segin_core.errors import InputError
from segin_core.running.randomness import seeded

ALIKE = 0.85  # intersection over union of two masks; below it a colourway stands elsewhere, or is another model


def answers(pairs: PairFolder, *, count: int | None, per_input: int, seed: int) -> Answers:
    """`per_input` triples of at most `count` products, those with the smallest hashes; None for all.

    pairs: photos named for their product (`photos.product`), of the part "colourways". Of each product the first two
    colourways whose masks agree (`ALIKE`) give x and the right answer; several references are that answer moved in
    several ways. Products without two such are left out. There are no labels: nobody has marked the parts of a shoe.
    Raises InputError for numbers below 1, and if no product is left.
    """
    if (count is not None and count < 1) or per_input < 1:
        raise InputError(f"count={count}, per_input={per_input}: give 1 or more of each")
    places = {name: index for index, name in enumerate(pairs.names)}
    products = grouped(pairs.names, lambda name: product(Path(name)))
    rows = []
    for name in sorted(products, key=digest):
        if len(rows) == (count or -1):
            break
        if found := _alike(pairs.batch([places[each] for each in products[name]]) if len(products[name]) > 1 else None):
            rows.append(found)
    if not rows:
        raise InputError(f"{pairs.root} shows no product in two colourways alike: give the part of that name.")
    return _moved(rows, per_input, seed)


def _alike(batch: dict[str, list[str] | Tensor] | None) -> tuple[str, str, Tensor, Tensor, Tensor] | None:
    """x's name, the answer's, x, the answer and x's mask of the first two colourways that agree."""
    for i, j in permutations(range(len(batch["names"])), 2) if batch else ():
        one, other = batch["mask"][i] > 0.5, batch["mask"][j] > 0.5
        if (one & other).sum() >= ALIKE * (one | other).sum():
            mask = (255 * batch["mask"][i]).round().to(torch.uint8)
            return batch["names"][i], batch["names"][j], to_bytes(batch["x"][i]), to_bytes(batch["y"][j]), mask
    return None


def _moved(rows: list[tuple[str, str, Tensor, Tensor, Tensor]], per_input: int, seed: int) -> Answers:
    rows = [(*row, place) for row in rows for place in range(per_input)]
    inputs, names, x, truth, mask, places = zip(*rows, strict=True)
    generators = [seeded(seed, int(digest(name)[:8], 16), place) for name, place in zip(names, places, strict=True)]
    r = [moved(y, random_move(generator)) for y, generator in zip(truth, generators, strict=True)]
    references = [f"{name} {place + 1}" for name, place in zip(names, places, strict=True)]
    return Answers(list(inputs), references, *map(torch.stack, (x, r, truth, mask)), None, None)
