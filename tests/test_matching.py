"""Eq. 1 and 2 against slow literal versions, and properties."""

import subprocess
import sys
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from segin_core import matching
from segin_core.errors import InputError, check_pictures
from segin_core.matching import auxiliary_image, match, pad_to_multiple, prepare_reference, warp
from segin_core.vgg import VGGFeatures


def literal_match(fx, fr, patch):
    """Eq. 1 as it is written: unfold all patches, all cosines, argmax."""
    px, pr = (F.normalize(F.unfold(f, patch, padding=patch // 2), dim=1) for f in (fx, fr))
    similarity = torch.einsum("bci,bcj->bij", px, pr)
    score, index = similarity.max(dim=2)
    return index, score, similarity


def literal_average(reference, index, grid, grid_r, patch):
    """Eq. 2 with whole patches: paste every pixel of every patch one by one, then divide by how many fell there."""
    delta, radius = reference.shape[2] // grid_r[0], patch // 2
    total = torch.zeros(reference.shape[1], grid[0] * delta, grid[1] * delta)
    count = torch.zeros(1, grid[0] * delta, grid[1] * delta)
    for cell, source in enumerate(index[0].tolist()):
        (i, j), (k, m) = divmod(cell, grid[1]), divmod(source, grid_r[1])
        for y in range(-radius * delta, (radius + 1) * delta):
            for x in range(-radius * delta, (radius + 1) * delta):
                to_y, to_x, from_y, from_x = i * delta + y, j * delta + x, k * delta + y, m * delta + x
                if 0 <= to_y < total.shape[1] and 0 <= to_x < total.shape[2]:
                    if 0 <= from_y < reference.shape[2] and 0 <= from_x < reference.shape[3]:
                        total[:, to_y, to_x] += reference[0, :, from_y, from_x]
                        count[:, to_y, to_x] += 1
    return (total / count)[None]


def rows_at_once(rows, similarities_in_a_row):
    """Eq. 1 in blocks of so many rows of x; None: all at once."""
    return mock.patch.object(matching, "BLOCK", rows * similarities_in_a_row if rows else matching.BLOCK)


sides = st.integers(5, 11)


@settings(max_examples=40)
@given(sides, sides, sides, sides, st.sampled_from([1, 3, 5]), st.sampled_from([None, 1, 2, 3]), st.integers(0, 10**6))
def test_match_is_the_literal_equation(h, w, h_r, w_r, patch, chunk_rows, seed):
    generator = torch.Generator().manual_seed(seed)
    fx, fr = torch.rand(2, 6, h, w, generator=generator), torch.rand(2, 6, h_r, w_r, generator=generator)
    with rows_at_once(chunk_rows, w * h_r * w_r):
        index, score = match(fx, fr, patch)
    wanted_index, wanted_score, similarity = literal_match(fx, fr, patch)
    torch.testing.assert_close(score, wanted_score, rtol=1e-5, atol=1e-6)
    # Where two patches tie to rounding, either index is right: compare the similarities they stand for.
    chosen = similarity.gather(2, index[..., None])[..., 0]
    torch.testing.assert_close(chosen, wanted_score, rtol=1e-5, atol=1e-6)
    assert (index == wanted_index).float().mean() > 0.98


def test_an_image_matches_itself_and_pastes_itself():
    fx = torch.rand(1, 16, 8, 9)
    index, score = match(fx, fx, 3)
    assert index.tolist() == [list(range(72))]
    torch.testing.assert_close(score, torch.ones(1, 72))
    picture = torch.rand(1, 3, 32, 36)
    for blend in ("paste", "average"):
        torch.testing.assert_close(warp(picture, index, (8, 9), 3, blend), picture)


def test_match_finds_a_shift():
    fr = torch.rand(1, 8, 12, 12)
    fx = torch.zeros_like(fr)
    fx[:, :, :-2, 3:] = fr[:, :, 2:, :-3]
    index = match(fx, fr, 3)[0].view(12, 12)
    inner = torch.arange(144).view(12, 12)
    assert torch.equal(index[1:-3, 4:-1], inner[3:-1, 1:-4])


def test_scaling_the_features_changes_nothing():
    fx, fr = torch.rand(1, 8, 6, 6), torch.rand(1, 8, 6, 6)
    (index, score), (again, same) = match(fx, fr), match(7 * fx, 0.1 * fr)
    assert torch.equal(index, again)
    torch.testing.assert_close(score, same)


@pytest.mark.parametrize("grids", [((4, 5), (4, 5)), ((4, 5), (6, 3))])
@pytest.mark.parametrize("patch", [1, 3, 5])
def test_average_is_the_literal_pasting(grids, patch):
    grid, grid_r = grids
    reference = torch.rand(1, 3, 2 * grid_r[0], 2 * grid_r[1])
    index = torch.randint(grid_r[0] * grid_r[1], (1, grid[0] * grid[1]))
    found = warp(reference, index, grid, patch, "average", reference_grid=grid_r)
    torch.testing.assert_close(found, literal_average(reference, index, grid, grid_r, patch))


def test_paste_puts_each_cell_where_eq_2_says():
    reference, index = torch.rand(1, 3, 6, 8), torch.tensor([[5, 0, 11, 3, 7, 7]])
    w = warp(reference, index, (2, 3), reference_grid=(3, 4))
    for cell, source in enumerate(index[0].tolist()):
        (i, j), (k, m) = divmod(cell, 3), divmod(source, 4)
        wanted = reference[:, :, 2 * k : 2 * k + 2, 2 * m : 2 * m + 2]
        assert torch.equal(w[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2], wanted)


def test_auxiliary_image_of_odd_and_different_sizes():
    features = VGGFeatures(layers=("relu3_1",))
    x, r = torch.rand(2, 1, 37, 50) * 2 - 1, torch.rand(2, 3, 61, 33) * 2 - 1
    found = auxiliary_image(x, r, features, layer="relu3_1")
    assert found.image.shape == (2, 3, 37, 50)
    assert found.grid == (10, 13) and found.index.shape == found.score.shape == (2, 130)
    assert found.index.max() < 16 * 9 and found.score.min() >= 0 and found.score.max() <= 1 + 1e-5


@pytest.mark.parametrize("bf16", [False, True])
def test_a_prepared_reference_changes_nothing(bf16):
    features = VGGFeatures(layers=("relu3_1",)).to(memory_format=torch.channels_last)
    x, r = torch.rand(1, 1, 37, 50) * 2 - 1, torch.rand(1, 3, 61, 33) * 2 - 1
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        found = auxiliary_image(x, r, features, layer="relu3_1", blend="average")
        reference = prepare_reference(r, features, layer="relu3_1")
        again = auxiliary_image(x, reference, features, layer="relu3_1", blend="average")
    assert torch.equal(found.image, again.image) and torch.equal(found.index, again.index)
    assert torch.equal(found.score, again.score) and found.grid == again.grid
    assert reference.features.dtype == torch.float32


def test_one_reference_serves_many_inputs():
    def features(images):  # image by image the same in any batch, which a VGG is only to rounding
        return {"relu3_1": F.avg_pool2d(images.expand(-1, 3, -1, -1) + 1, 4)}

    x, r = torch.rand(3, 1, 32, 32) * 2 - 1, torch.rand(1, 3, 24, 40) * 2 - 1
    together = auxiliary_image(x, prepare_reference(r, features, layer="relu3_1"), features, layer="relu3_1")
    for i in range(len(x)):
        alone = auxiliary_image(x[i : i + 1], r, features, layer="relu3_1")
        assert torch.equal(together.image[i], alone.image[0]) and torch.equal(together.index[i], alone.index[0])


def test_a_reference_of_another_layer_is_refused():
    features = VGGFeatures(layers=("relu2_1", "relu3_1"))
    reference = prepare_reference(torch.rand(1, 3, 32, 32), features, layer="relu2_1")
    with pytest.raises(InputError, match="prepared at relu2_1, not at relu3_1"):
        auxiliary_image(torch.rand(1, 1, 32, 32), reference, features, layer="relu3_1")


def test_the_first_of_equal_patches_wins():
    fx, fr = torch.ones(1, 4, 6, 6), torch.ones(1, 4, 9, 8)
    index = match(fx, fr, 1)[0]
    assert index.unique().tolist() == [0]
    twice = torch.rand(1, 4, 5, 4)
    index = match(twice, torch.cat([twice, twice], dim=3), 1)[0]
    assert (index % 8 < 4).all()


def test_channels_last_features_match_alike():
    fx, fr = torch.rand(2, 8, 9, 7), torch.rand(2, 8, 6, 11)
    last = [f.contiguous(memory_format=torch.channels_last) for f in (fx, fr)]
    with rows_at_once(2, 7 * 6 * 11):
        (index, score), (again, same) = match(fx, fr, 3), match(*last, 3)
    assert torch.equal(index, again)
    torch.testing.assert_close(score, same)


def test_padding_repeats_the_edge():
    padded = pad_to_multiple(torch.arange(6.0).view(1, 1, 2, 3), 4)
    assert padded[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]


def test_the_match_is_exact_under_autocast_too():
    torch.manual_seed(0)
    fx, fr = torch.rand(1, 64, 8, 8), torch.rand(1, 64, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        index, score = match(fx, fr, 3)
    exact_index, exact_score = match(fx, fr, 3)
    assert torch.equal(index, exact_index) and torch.equal(score, exact_score)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda f: match(f, f, 2), "odd"),
        (lambda f: match(f, f[:, :4], 3), "same b and c"),
        (lambda f: match(f[:, :, :2], f, 3), "smaller than a patch"),
        (lambda f: warp(f[:, :3], torch.zeros(1, 5, dtype=torch.long), (2, 2)), "does not fit"),
        (lambda f: warp(f[:, :3], torch.zeros(1, 4, dtype=torch.long), (2, 2), blend="mean"), "'paste' or 'average'"),
    ],
)
def test_bad_input_gets_one_sentence(call, word):
    with pytest.raises(InputError, match=word) as caught:
        call(torch.rand(1, 8, 6, 6))
    assert "\n" not in str(caught.value)


def picture(channels=3, size=64, batch=1):
    return torch.rand(batch, channels, size, size, generator=torch.Generator().manual_seed(channels)) * 2 - 1


NO_PICTURES = {
    "bytes": ((picture() * 127).byte(), "give floats in"),
    "values of bytes as floats": ((picture() + 1) * 127.5, "not in \\[-1, 1\\]"),
    "NaN": (picture() * float("nan"), "NaN"),
    "infinite": (picture() / 0, "inf"),
    "one picture without b": (picture()[0], "b 1 or 3 h w"),
    "four channels": (picture(4), "b 1 or 3 h w"),
    "none": (picture()[:0], "holds no pictures"),
    "an array": (picture().numpy(), "ndarray|float32: give floats in"),
}


@pytest.mark.parametrize("kind", NO_PICTURES)
def test_what_is_no_picture_gets_one_sentence(kind):
    given, word = NO_PICTURES[kind]
    features = VGGFeatures(layers=("relu2_1",))
    for call in (
        lambda: check_pictures(given),
        lambda: check_pictures(picture(), given),
        lambda: auxiliary_image(given, picture(), features, layer="relu2_1"),
    ):
        with pytest.raises(InputError, match=word) as caught:
            call()
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        prepare_reference(given, features, layer="relu2_1")


def test_pictures_that_go_together():
    check_pictures(picture(), picture().double(), 1.4 * picture().bfloat16())
    for other in (picture(1), picture(size=32), picture(batch=2)):
        with pytest.raises(InputError, match="do not go together"):
            check_pictures(picture(), other)
    with pytest.raises(InputError, match="give b 3 h w"):
        prepare_reference(picture(1), VGGFeatures(layers=("relu2_1",)), layer="relu2_1")


def test_double_precision_matches_alike():
    features = VGGFeatures(layers=("relu2_1",))
    single = auxiliary_image(picture(1), picture(), features, layer="relu2_1")
    double = auxiliary_image(picture(1).double(), picture().double(), features, layer="relu2_1")
    assert all(torch.equal(a, b) for a, b in zip(single[:3], double[:3], strict=True))


@pytest.mark.parametrize(
    ("layer", "word"), [("relu4_1", r"not among the features' own \(relu3_1\)"), ("conv3", "no layer")]
)
def test_a_layer_that_the_features_lack_is_named(layer, word):
    features = VGGFeatures(layers=("relu3_1",))
    with pytest.raises(InputError, match=word):
        auxiliary_image(picture(1), picture(), features, layer=layer)
    with pytest.raises(InputError, match=word):
        prepare_reference(picture(), features, layer=layer)


LARGE = """
import pathlib, re, resource, sys, torch
from segin_core.vgg import VGGFeatures
from segin_core.matching import auxiliary_image
x, r = torch.rand(1, 1, 1024, 1024) * 2 - 1, torch.rand(1, 3, 1024, 1024) * 2 - 1
found = auxiliary_image(x, r, VGGFeatures(layers=("relu4_1",)))
assert found.grid == (128, 128) and found.image.shape == r.shape
status = pathlib.Path("/proc/self/status")
if status.exists():  # on Linux ru_maxrss would count the process that this one was forked from
    print(1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


def test_a_1024_px_pair_stays_within_3_gb():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 3 * 1024**3
