import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segin_core.corruption import corrupt, draft_corruption, random_matches, repeat_pattern, shift_patches


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def coloured(size=32, count=2):
    """Every pixel has its own value, so where each came from can be told."""
    values = torch.linspace(-1, 1, count * 3 * size * size)
    return values[torch.randperm(len(values), generator=generator())].view(count, 3, size, size)


KINDS = {
    "shift": lambda w, g: shift_patches(w, generator=g),
    "repeat": lambda w, g: repeat_pattern(w, generator=g),
    "random": lambda w, g: random_matches(w, w, generator=g, cell=4),
    "all": lambda w, g: corrupt(w, w, generator=g, cell=4),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([16, 32, 40]))
def test_damage_only_moves_pixels_of_the_same_image(kind, seed, size):
    w = coloured(size)
    before = w.clone()
    damaged = KINDS[kind](w, generator(seed))
    assert torch.equal(w, before), "the input must stay as it was"
    assert damaged.shape == w.shape
    for image, source in zip(damaged, w, strict=True):
        assert set(image.flatten().tolist()) <= set(source.flatten().tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_decides_everything(kind):
    w = coloured()
    state = torch.get_rng_state()
    first, again, other = (KINDS[kind](w, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state), "the global generator must not be touched"


def test_shift_moves_a_patch_by_the_given_distance():
    w = coloured(40, 1)
    damaged = shift_patches(w, generator=generator(3), count=(1, 1), size=(0.2, 0.2), shift=(0.1, 0.1))
    changed = (damaged != w)[0].any(0).nonzero()
    assert len(changed) == 64  # one patch of 8 x 8
    y, x = changed[0].tolist()
    value = damaged[0, 0, y, x]
    origin = (w[0, 0] == value).nonzero()[0]
    assert (origin - changed[0]).abs().tolist() == [4, 4] or min(y, x) == 0 or max(changed.max(0).values) == 39


def test_repeat_tiles_one_patch():
    w = coloured(40, 1)
    damaged = repeat_pattern(w, generator=generator(5), count=(1, 1), size=(0.1, 0.1), repeats=(3, 3))
    values, counts = damaged[0, 0].unique(return_counts=True)
    assert counts.max() >= 9 or len(values) < 1600


def test_probabilities_zero_and_one():
    w = coloured()
    still = corrupt(w, w, generator=generator(), shift_probability=0, repeat_probability=0, random_probability=0)
    assert torch.equal(still, w)
    for kind in ("shift", "repeat", "random"):
        only = {f"{k}_probability": float(k == kind) for k in ("shift", "repeat", "random")}
        damaged = corrupt(w, w, generator=generator(), cell=4, **only)
        assert all(not torch.equal(a, b) for a, b in zip(damaged, w, strict=True)), kind


def test_random_matches_replace_the_given_share():
    w = coloured(32, 1)
    damaged = random_matches(w, coloured(32, 1).flip(2), generator=generator(), cell=4, share=(0.5, 0.5))
    changed = (damaged != w)[0].any(0).view(8, 4, 8, 4).any(3).any(1).sum()
    assert 28 <= changed <= 32


def test_draft_has_white_squares():
    y = coloured(64, 1) * 0.9
    damaged = draft_corruption(y, y, generator=generator())
    white = (damaged == 1).all(1).float().mean()
    assert 0.01 < white < 0.9 and not torch.equal(damaged, y)
