import math
from functools import partial

import pytest
import torch
from einops import rearrange

from segin_core.corruption import corrupt
from segin_core.data.pairs import PairFolder
from segin_core.matching import auxiliary_image
from segin_core.self_supervision import SelfSupervision, rotate_hue, seeded, self_matches
from segin_core.vgg import VGGFeatures


@pytest.fixture(scope="module")
def parts(pair_folder):
    pairs = PairFolder(pair_folder)
    matcher = partial(auxiliary_image, features=VGGFeatures(layers=("relu3_1",)), layer="relu3_1", patch=3)
    return pairs, self_matches(pairs, matcher, batch_size=4)


def batches(parts, **arguments):
    pairs, matches = parts
    settings = {"batch_size": 4, "seed": 0, "corrupt": partial(corrupt, cell=4)} | arguments
    return SelfSupervision(pairs, matches, **settings)


def test_matches_have_a_cell_for_each_cell(parts):
    pairs, matches = parts
    assert matches.shape == (len(pairs), 8, 8)
    assert matches.min() >= 0 and matches.max() < 64


def test_a_step_always_gives_the_same_batch_whatever_came_before(parts):
    first, second = batches(parts), batches(parts)
    for step in (5, 0, 3):
        second(step)
    torch.rand(7)
    for a, b in zip(first(3), second(3), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first(3).w, batches(parts, seed=1)(3).w)


def test_every_pair_comes_once_an_epoch(parts):
    loader = batches(parts, batch_size=4)
    drawn = [index for step in range(9) for index in loader.indices(step)]
    for epoch in range(6):
        assert sorted(drawn[6 * epoch : 6 * epoch + 6]) == list(range(6))
    assert drawn[:6] != drawn[6:12] or drawn[6:12] != drawn[12:18]


def test_without_damage_w_is_pasted_from_the_turned_y(parts):
    batch = batches(parts, corrupt=lambda w, source, *, generator: w)(0)
    cells, pasted = (rearrange(t[0], "c (i y) (j x) -> (i j) (c y x)", y=4, x=4).tolist() for t in (batch.y, batch.w))
    assert all(cell in cells for cell in pasted)


def test_hue_rotation_keeps_luminance_and_greys():
    images = torch.rand(4, 3, 5, 5) * 0.3 - 0.15  # mild colours, so that nothing is clamped
    turned = rotate_hue(images, torch.tensor([0.0, 1.0, 2.0, 3.0]))
    luminance = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    torch.testing.assert_close((turned * luminance).sum(1), (images * luminance).sum(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(turned[0], images[0], atol=1e-5, rtol=0)
    assert (turned[1:] - images[1:]).abs().amax(dim=(1, 2, 3)).min() > 0.05
    grey = torch.full((1, 3, 2, 2), 0.4)
    torch.testing.assert_close(rotate_hue(grey, torch.tensor([math.pi / 2])), grey, atol=1e-3, rtol=0)


def test_hue_rotation_by_a_full_circle_is_the_identity():
    images = torch.rand(2, 3, 4, 4) * 0.4
    torch.testing.assert_close(rotate_hue(images, torch.full((2,), 2 * math.pi)), images, atol=1e-5, rtol=0)


def test_seeds_do_not_collide():
    draws = {
        tuple(torch.rand(2, generator=seeded(*s)).tolist()) for s in [(0, 1), (1, 0), (0, 0), (0, 0, 1), (1, 0, 0)]
    }
    assert len(draws) == 5
