"""Triples whose right answer is known: colours at known places, r never in x's place, one seed the same triples."""

import pytest
import torch

from segin_core.data.answers import SCALE, TURN, moved, random_move, random_palette
from segin_core.errors import InputError
from segin_core.running.randomness import seeded


def test_palettes_are_well_separated_and_depend_on_the_generator_alone() -> None:
    palette = random_palette(6, seeded(1))
    apart = torch.cdist(palette.float(), torch.cat([palette, torch.tensor([[255] * 3, [0] * 3])]).float())
    assert palette.dtype == torch.uint8 and palette.shape == (6, 3)
    assert apart.fill_diagonal_(999).min() > 60  # of 255 a channel
    assert torch.equal(palette, random_palette(6, seeded(1))) and not torch.equal(palette, random_palette(6, seeded(2)))
    with pytest.raises(InputError, match="count=0"):
        random_palette(0, seeded(1))


def test_a_moved_picture_is_turned_and_smaller_on_white() -> None:
    square = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    square[:, 16:48, 16:48] = 0
    for seed in range(8):
        move = random_move(seeded(seed))
        assert TURN[0] <= abs(move.turn) <= TURN[1] and SCALE[0] <= move.scale <= SCALE[1]
        found = moved(square, move)
        dark = (255 - found.float()).sum() / (255 * 3 * 32**2)
        assert abs(dark - move.scale**2) < 0.02  # its area
        assert found[:, 0, 0].tolist() == [255] * 3 and found[:, 32, 32].tolist() == [0] * 3
    left = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    left[:, 28:36, 8:16] = 0
    assert (moved(left, random_move(seeded(0))._replace(flip=True, turn=0.0)) == 0).nonzero()[:, 2].min() > 32
