"""Deep Image Analogy against slow literal versions of its steps, and properties of the whole."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from torch.nn import functional as F

from segin_core.baselines.analogy import (
    LEVELS,
    Level,
    between,
    blend_weight,
    deconvolve,
    deep_image_analogy,
)
from segin_core.baselines.nearest_field import search, upsample
from segin_core.data.images import to_tensor
from segin_core.errors import InputError
from segin_core.running.randomness import seeded
from segin_core.vgg import VGGFeatures

SHALLOW = LEVELS[2:]  # of 32 px pictures, relu3_1 has 8 x 8 cells


@pytest.fixture(scope="module")
def features():
    return VGGFeatures(layers=tuple(level.layer for level in LEVELS))


def drawing(size=32, shift=(0, 0), line="black", fills=("tomato", "gold", "teal")):
    """Three unlike shapes on white, b 3 h w."""
    image = Image.new("RGB", (size, size), "white")
    pen, (dx, dy), s = ImageDraw.Draw(image), shift, size / 32
    for shape, box, fill in zip(
        (pen.ellipse, pen.rectangle, pen.ellipse),
        ((5, 4, 15, 14), (17, 6, 26, 21), (8, 18, 14, 27)),
        fills,
        strict=True,
    ):
        shape([s * (value + (dx, dy)[i % 2]) for i, value in enumerate(box)], fill=fill, outline=line)
    return to_tensor(image)[None]


def literal_means(fa, fb, patch):
    """For all p and q: the mean of <fa[p + d], fb[q + d]> over those d for which both are inside; n m."""
    (_, h, w), (_, h_b, w_b) = fa.shape, fb.shape
    means = torch.empty(h * w, h_b * w_b)
    steps = range(-(patch // 2), patch // 2 + 1)
    for p in np.ndindex(h, w):
        for q in np.ndindex(h_b, w_b):
            products = []
            for d in [(i, j) for i in steps for j in steps]:
                (a_y, a_x), (b_y, b_x) = (p[0] + d[0], p[1] + d[1]), (q[0] + d[0], q[1] + d[1])
                if 0 <= a_y < h and 0 <= a_x < w and 0 <= b_y < h_b and 0 <= b_x < w_b:
                    products.append(fa[:, a_y, a_x] @ fb[:, b_y, b_x])
            means[p[0] * w + p[1], q[0] * w_b + q[1]] = sum(products) / len(products)
    return means


def fast_means(fa, fb, patch):
    """The same with one matrix product for each d: cells outside are zero, and counted as such."""
    one_a, one_b = torch.ones_like(fa[:1]), torch.ones_like(fb[:1])
    unfolded = [F.unfold(f[None], patch, padding=patch // 2)[0].view(len(f), patch**2, -1) for f in (fa, fb)]
    inside = [F.unfold(one[None], patch, padding=patch // 2)[0] for one in (one_a, one_b)]
    return torch.einsum("cdn,cdm->nm", *unfolded) / torch.einsum("dn,dm->nm", *inside)


def literal_means_near(fa, fb, start, patch, radius):
    """`fast_means`, -inf for q that are further than `radius` from start."""
    means, (_, h_b, w_b) = fast_means(fa, fb, patch), fb.shape
    rows, columns = torch.arange(h_b).repeat_interleave(w_b), torch.arange(w_b).repeat(h_b)
    if start is not None:
        where = start.flatten(0, 1)
        far = torch.maximum((rows - where[:, :1]).abs(), (columns - where[:, 1:]).abs()) > radius
        means = means.masked_fill(far, -torch.inf)
    return means


def test_the_two_literal_means_agree():
    generator = seeded(0)
    fa, fb = torch.randn(3, 4, 5, generator=generator), torch.randn(3, 6, 3, generator=generator)
    torch.testing.assert_close(fast_means(fa, fb, 3), literal_means(fa, fb, 3))


@settings(max_examples=30)
@given(
    st.tuples(*[st.integers(3, 8)] * 4), st.sampled_from([1, 3, 5]), st.sampled_from([None, 0, 1, 3]),
    st.integers(0, 10**6),
)  # fmt: skip
def test_search_is_exhaustive_within_its_radius(sides, patch, radius, seed):
    (h, w, h_b, w_b), generator = sides, seeded(seed)
    fa, fb = torch.randn(5, h, w, generator=generator), torch.randn(5, h_b, w_b, generator=generator)
    start = None
    if radius is not None:
        start = torch.stack([torch.randint(side, (h, w), generator=generator) for side in (h_b, w_b)], dim=2)
    field, score = search(fa, fb, start, patch, radius or 0)
    means = literal_means_near(fa, fb, start, patch, radius)
    torch.testing.assert_close(score.flatten(), means.amax(1), rtol=1e-4, atol=1e-4)
    index = (field[..., 0] * w_b + field[..., 1]).flatten()
    torch.testing.assert_close(means.gather(1, index[:, None])[:, 0], score.flatten(), rtol=1e-4, atol=1e-5)


def test_of_equal_matches_the_nearest_is_taken():
    fa, start = torch.ones(4, 7, 6), torch.randint(6, (7, 6, 2), generator=seeded(1))
    assert torch.equal(search(fa, torch.ones(4, 6, 6), start, 3, 4)[0], start)
    same_place = search(fa, fa, None, 3, 0)[0]
    assert torch.equal(same_place, torch.stack(torch.meshgrid(torch.arange(7), torch.arange(6), indexing="ij"), 2))


def test_search_in_chunks_is_search(monkeypatch):
    fa, fb = torch.randn(2, 5, 6, 7, generator=seeded(2))
    whole = search(fa, fb, None, 3, 0)
    monkeypatch.setattr(
        "segin_core.baselines.nearest_field.BLOCK", 5 * 17**2 * 4
    )  # four cells at once; 42 is no multiple
    chunked = search(fa, fb, None, 3, 0)
    assert torch.equal(whole[0], chunked[0])
    torch.testing.assert_close(whole[1], chunked[1])


def test_upsampling_moves_whole_blocks():
    field = torch.stack([torch.randint(4, (3, 5), generator=seeded(3)) for _ in range(2)], dim=2)
    fine = upsample(field, 2)
    for y, x in np.ndindex(6, 10):
        wanted = field[y // 2, x // 2] * 2 + torch.tensor([y % 2, x % 2])
        assert torch.equal(fine[y, x], wanted)


def test_own_features_stay_where_they_have_energy():
    own = torch.rand(1, 6, 5, 4, generator=seeded(4)) * torch.rand(1, 1, 5, 4, generator=seeded(5)) ** 3
    energy = (own[0] ** 2).sum(0)
    share = (energy - energy.min()) / (energy.max() - energy.min())
    weight = blend_weight(own, 0.7)
    assert weight.shape == (1, 1, 5, 4) and 0 < (weight == 0).sum() < 20
    for y, x in np.ndindex(5, 4):
        assert weight[0, 0, y, x] == pytest.approx(0.7 if share[y, x] >= 0.05 else 0.0)
    assert blend_weight(torch.ones(1, 6, 5, 4), 0.7).isfinite().all()  # a map without any contrast


@pytest.mark.parametrize(("deep", "shallow"), [(a.layer, b.layer) for a, b in pairwise(LEVELS)])
def test_between_two_layers_is_the_network(features, deep, shallow):
    maps = features(drawing())
    torch.testing.assert_close(between(maps[shallow], features, shallow, deep), maps[deep], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("deep", "shallow"), [("relu4_1", "relu3_1"), ("relu2_1", "relu1_1")])
def test_deconvolution_finds_features_with_the_wanted_ones_above(features, deep, shallow):
    picture, sketch = features(drawing()), features(drawing(shift=(2, 1), fills=(None, None, None)))

    def distance(found):
        return (between(found, features, shallow, deep) - picture[deep]).square().sum()

    found = deconvolve(picture[deep], sketch[shallow], features, deep, shallow, max_iter=60)
    assert found.shape == sketch[shallow].shape and not found.requires_grad
    assert distance(found) < 0.03 * distance(sketch[shallow])
    # near the answer, it goes on to the answer
    disturbed = picture[shallow] + 0.1 * torch.randn(picture[shallow].shape, generator=seeded(6))
    back = deconvolve(picture[deep], disturbed, features, deep, shallow, max_iter=60)
    assert distance(back) < 0.03 * distance(disturbed)
    assert (back - picture[shallow]).square().sum() < (disturbed - picture[shallow]).square().sum()


def literal_analogy(a, b, features, levels, max_iter):
    """A' and B for one pair of 32 px, the steps written out with row-major indices and full searches."""
    maps_a, maps_b = features(a), features(b)
    best_b = best_a = None
    for depth, level in enumerate(levels):
        f_a, f_bp = maps_a[level.layer], maps_b[level.layer]
        n = f_a.shape[2]
        if depth == 0:
            f_ap, f_b = f_a, f_bp
        else:
            above = levels[depth - 1]
            wanted = [literal_vote(maps_b[above.layer], best_b, above.patch)]
            wanted += [literal_vote(maps_a[above.layer], best_a, above.patch)]
            solved = levels[min(depth + 1, len(levels) - 1)].layer
            r_bp, r_a = (
                deconvolve(target, maps[solved], features, above.layer, solved, max_iter=max_iter)
                for target, maps in zip(wanted, (maps_a, maps_b), strict=True)
            )
            r_bp, r_a = (between(found, features, solved, level.layer) for found in (r_bp, r_a))
            w_a, w_bp = blend_weight(f_a, level.weight), blend_weight(f_bp, level.weight)
            f_ap, f_b = f_a * w_a + r_bp * (1 - w_a), f_bp * w_bp + r_a * (1 - w_bp)
        unit = [F.normalize(f[0], dim=0) for f in (f_a, f_ap, f_b, f_bp)]
        starts = [None if depth == 0 else literal_finer(best, n) for best in (best_b, best_a)]
        both = torch.cat([unit[0], unit[1]]), torch.cat([unit[2], unit[3]])  # A with B, A' with B'
        best_b = literal_means_near(*both, starts[0], level.patch, level.radius).argmax(1).view(n, n)
        best_a = literal_means_near(*both[::-1], starts[1], level.patch, level.radius).argmax(1).view(n, n)
    return literal_vote(b, best_b, 3), literal_vote(a, best_a, 3)


def literal_finer(best, n):
    start = torch.empty(n, n, 2, dtype=torch.long)
    for y, x in np.ndindex(n, n):
        row, column = divmod(int(best[y // 2, x // 2]), n // 2)
        start[y, x] = torch.tensor([2 * row + y % 2, 2 * column + x % 2])
    return start


def literal_vote(reference, best, patch):
    """1 c n n: the mean of what the patches around each cell would paste there."""
    n, half = len(best), patch // 2
    voted = torch.zeros_like(reference)
    for y, x in np.ndindex(n, n):
        seen = []
        for i in range(max(0, y - half), min(n, y + half + 1)):
            for j in range(max(0, x - half), min(n, x + half + 1)):
                row, column = divmod(int(best[i, j]), n)
                row, column = row + y - i, column + x - j
                if 0 <= row < n and 0 <= column < n:
                    seen.append(reference[:, :, row, column])
        voted[:, :, y, x] = sum(seen) / len(seen)
    return voted


def test_the_whole_is_the_literal_method(features):
    a, b = drawing(fills=(None, None, None)), drawing(shift=(3, -2), line="navy")
    a, b = (image + 0.05 * torch.randn(image.shape, generator=seeded(7)) for image in (a, b))  # no ties
    found = deep_image_analogy(a, b, features, levels=SHALLOW, max_iter=4)  # L-BFGS lets rounding grow after that
    image, counterpart = literal_analogy(a, b, features, SHALLOW, 4)
    assert (found.image - image).abs().mean() < 1e-3 and (found.counterpart - counterpart).abs().mean() < 1e-3


def test_a_picture_by_itself_is_itself(features):
    y = drawing()
    found = deep_image_analogy(y, y, features, levels=SHALLOW, max_iter=10)
    assert found.score.shape == (1, 32 * 32) and found.score.min() > 0.9
    assert (found.image - y).abs().mean() < 0.02 and (found.counterpart - y).abs().mean() < 0.02


def test_a_shifted_picture_is_brought_back(features):
    y, moved = drawing(), drawing(shift=(2, 4))
    found = deep_image_analogy(y, moved, features, levels=SHALLOW, max_iter=10)
    assert (found.image - y).abs().mean() < 0.25 * (moved - y).abs().mean()
    assert (found.counterpart - moved).abs().mean() < 0.25 * (moved - y).abs().mean()


def test_a_sketch_is_painted_in_its_own_shape(features):
    """r's colours come to x's shapes at x's place, and x's lines stay lines."""
    x, r, y = drawing(fills=("white",) * 3)[:, :1], drawing(shift=(2, 2)), drawing()
    w = deep_image_analogy(x, r, features, levels=SHALLOW, max_iter=20).image
    assert w.shape == y.shape and w.abs().max() <= 1
    assert (w - y).abs().mean() < 0.7 * min((r - y).abs().mean(), (x - y).abs().mean())


def test_a_pair_does_not_depend_on_its_batch_nor_on_luck(features):
    x = torch.cat([drawing(fills=(None,) * 3), drawing(shift=(1, 2), fills=(None,) * 3)])[:, :1]
    r = torch.cat([drawing(shift=(2, 0)), drawing(line="navy")])
    both = deep_image_analogy(x, r, features, levels=SHALLOW, max_iter=2)
    again = deep_image_analogy(x, r, features, levels=SHALLOW, max_iter=2)
    alone = deep_image_analogy(x[1:], r[1:], features, levels=SHALLOW, max_iter=2)
    assert torch.equal(both.image, again.image) and torch.equal(both.score, again.score)
    assert torch.equal(both.image[1:], alone.image) and torch.equal(both.score[1:], alone.score)


def test_odd_and_different_sizes_and_all_five_levels(features):
    x, r = drawing(size=40)[:, :1, :37, :39], drawing(size=52)[:, :, :50, :33]
    found = deep_image_analogy(x, r, features, max_iter=2)
    assert found.image.shape == (1, 3, 37, 39) and found.counterpart.shape == (1, 3, 50, 33)
    assert found.score.shape == (1, 48 * 48) and found.score.max() <= 1 + 1e-5 and found.image.isfinite().all()


def test_the_last_level_may_be_a_deeper_one(features):
    y = drawing()
    found = deep_image_analogy(y, y, features, levels=(Level("relu3_1", patch=3),))
    assert found.score.shape == (1, 8 * 8) and found.image.shape == y.shape
    assert (found.image - y).abs().mean() < 0.05


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"r": torch.zeros(2, 3, 32, 32)}, "a reference for each x"),
        ({"x": torch.full((1, 1, 32, 32), 255.0)}, "not in"),
        ({"r": torch.zeros(1, 1, 32, 32)}, "holds no pictures"),
        ({"levels": ()}, "at least one layer"),
        ({"levels": SHALLOW[::-1]}, "deep to shallow"),
        ({"levels": (Level("relu3_3", patch=3),)}, "do not give relu3_3"),
        ({"levels": (Level("relu3_1", patch=4),)}, "odd"),
        ({"levels": LEVELS}, "smaller than its patch"),
    ],
)
def test_bad_input_gets_one_sentence(features, change, word):
    arguments = {"x": torch.zeros(1, 1, 32, 32), "r": torch.zeros(1, 3, 32, 32), "levels": SHALLOW} | change
    with pytest.raises(InputError, match=word) as caught:
        deep_image_analogy(arguments.pop("x"), arguments.pop("r"), features, **arguments)
    assert "\n" not in str(caught.value)
