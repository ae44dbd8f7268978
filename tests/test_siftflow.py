"""SIFT Flow: descriptors, energy and messages against slow literal versions, and flows that are known."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from segin_core.baselines import siftflow
from segin_core.baselines.siftflow import auxiliary_image, dense_sift, energy, sift_flow, warp
from segin_core.errors import InputError
from segin_core.running.randomness import seeded


def texture(size, seed, *, images=1):
    """Smooth coloured noise, b 3 size size in [-1, 1]: every place looks different."""
    coarse = torch.rand(images, 3, size // 4, size // 4, generator=seeded(seed)) * 2 - 1
    return F.interpolate(coarse, (size, size), mode="bicubic").clamp(-1, 1)


def shift(u, v, like):
    return torch.tensor([u, v], dtype=torch.float32).view(1, 2, 1, 1).expand(len(like), 2, *like.shape[2:])


def smooth_warp(size):
    """Waves of 3 pixels sideways and 2 up and down, 1 2 size size."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.stack([3 * torch.sin(2 * math.pi * rows / size), 2 * torch.cos(2 * math.pi * columns / size)])[None]


def warped(images, w):
    """images(p + w(p)) with w in fractions of pixels, bilinearly."""
    size = images.shape[3]
    place = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="xy")) + w
    grid = ((place + 0.5) * 2 / size - 1).movedim(1, 3).expand(len(images), -1, -1, -1)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def literal_sift(image, cell):
    """One image, c h w in [-1, 1], by loops: every pixel votes for two directions and up to 2 x 2 bins."""
    _, height, width = image.shape

    def at(c, i, j):
        return (float(image[c, min(max(i, 0), height - 1), min(max(j, 0), width - 1)]) + 1) / 2

    rows, columns = range(height), range(width)
    found = torch.zeros(8, 4, 4, len(rows), len(columns), dtype=torch.float64)
    for i, j in itertools.product(range(height), range(width)):
        gradients = [
            ((at(c, i, j + 1) - at(c, i, j - 1)) / 2, (at(c, i + 1, j) - at(c, i - 1, j)) / 2)
            for c in range(len(image))
        ]
        dx, dy = max(gradients, key=lambda g: math.hypot(*g))
        angle = (math.atan2(dy, dx) / (2 * math.pi) * 8) % 8
        for low, share in ((int(angle), 1 - angle % 1), (int(angle) + 1, angle % 1)):
            for (a, y), (b, x) in itertools.product(enumerate(rows), enumerate(columns)):
                for m, n in itertools.product(range(4), range(4)):
                    off_y, off_x = abs(i - y - (m - 1.5) * cell) / cell, abs(j - x - (n - 1.5) * cell) / cell
                    vote = share * math.hypot(dx, dy) * max(0, 1 - off_y) * max(0, 1 - off_x)
                    found[low % 8, m, n, a, b] += vote
    found = found.flatten(0, 2)
    return (255 * found / (found.norm(dim=0) + 0.01)).float()


@pytest.mark.parametrize("cell", [3, 2])
def test_dense_sift_is_the_literal_histogram(cell):
    images = torch.rand(2, 3, 5, 6, generator=seeded(cell)) * 2 - 1
    found = dense_sift(images, cell=cell)
    for one, image in zip(found, images, strict=True):
        torch.testing.assert_close(one, literal_sift(image, cell), rtol=1e-4, atol=1e-2)


def test_dense_sift_of_a_flat_picture_is_zero_and_of_a_textured_one_has_length_255():
    assert dense_sift(torch.full((1, 3, 8, 8), 0.4)).abs().max() == 0
    lengths = dense_sift(texture(16, 0)).norm(dim=1)
    assert lengths.max() <= 255 and lengths.mean() > 250


def test_energy_is_the_literal_sum():
    s1, s2 = 50 * torch.rand(2, 2, 4, 5, 6, generator=seeded(1))
    flow = torch.randint(-4, 5, (2, 2, 5, 6), generator=seeded(2)).float()
    alpha, d, gamma = 7.0, 20.0, 3.0
    found = energy(s1, s2, flow, alpha=alpha, d=d, gamma=gamma)
    for pair in range(2):
        total, (u, v) = 0.0, flow[pair]
        for i, j in itertools.product(range(5), range(6)):
            k, m = min(max(i + int(v[i, j]), 0), 4), min(max(j + int(u[i, j]), 0), 5)
            total += (s1[pair, :, i, j] - s2[pair, :, k, m]).abs().sum() + gamma * (u[i, j].abs() + v[i, j].abs())
            for ni, nj in ((i + 1, j), (i, j + 1)):
                if ni < 5 and nj < 6:
                    total += sum(min(alpha * float((w[i, j] - w[ni, nj]).abs()), d) for w in (u, v))
        torch.testing.assert_close(found[pair], torch.as_tensor(total), rtol=1e-5, atol=1e-2)


def test_messages_along_a_chain_give_the_exact_minimum_for_each_label():
    """Belief propagation is exact on a chain: against all 3^4 labellings, with windows around different centres."""
    unary, alpha, d = 40 * torch.rand(3, 2, 1, 2, 4, generator=seeded(4)), 6.0, 25.0
    centre = torch.randint(-3, 4, (2, 1, 2, 4), generator=seeded(5)).float()
    pairs = siftflow._pair_costs(centre, 1, alpha, d)
    belief = unary + siftflow._chain_messages(unary, pairs)
    for layer, row in itertools.product(range(2), range(2)):
        wanted = torch.full((3, 4), torch.inf)
        for labels in itertools.product(range(3), repeat=4):
            values = [float(centre[layer, 0, row, j]) + label for j, label in enumerate(labels)]
            total = sum(float(unary[label, layer, 0, row, j]) for j, label in enumerate(labels))
            total += sum(min(alpha * abs(a - b), d) for a, b in itertools.pairwise(values))
            for j, label in enumerate(labels):
                wanted[label, j] = min(wanted[label, j], total)
        found = belief[:, layer, 0, row]
        torch.testing.assert_close(found - found.amin(0), wanted - wanted.amin(0), rtol=1e-4, atol=1e-3)


def test_the_energy_followed_inside_is_the_energy():
    s1, s2 = dense_sift(texture(12, 6)), dense_sift(texture(12, 7))
    centre = torch.randint(-2, 3, (1, 2, 12, 12), generator=seeded(8)).float()
    label = torch.randint(0, 5, (2, 1, 12, 12), generator=seeded(9))
    cost = siftflow._data_cost(s1, s2, centre, 2, siftflow.GAMMA)
    flow, value = siftflow._evaluate(cost, centre.transpose(0, 1), label, siftflow.ALPHA, siftflow.D)
    assert torch.equal(flow, centre + label.transpose(0, 1) - 2)
    torch.testing.assert_close(value, energy(s1, s2, flow))


@pytest.mark.parametrize(("u", "v"), [(-3, 5), (14, -2)])
def test_a_shift_is_recovered_exactly(u, v):
    """14 pixels are more than the coarsest window holds at 64 px: they need the second level."""
    image = texture(96, 10)
    x, r = image[..., 16:80, 16:80], image[..., 16 - v : 80 - v, 16 - u : 80 - u]
    flow = sift_flow(dense_sift(x), dense_sift(r))
    inside = flow[..., 20:-20, 20:-20]
    assert torch.equal(inside, shift(u, v, inside))


def best_shift_energy(s1, s2, reach):
    shifts = itertools.product(range(-reach, reach + 1), repeat=2)
    return torch.stack([energy(s1, s2, shift(u, v, s1)) for u, v in shifts]).amin(0)


@pytest.mark.parametrize("levels", [1, 2])
def test_the_energy_is_never_above_the_best_single_shift(levels):
    """Pictures that have nothing to do with each other, where coarse-to-fine belief propagation alone may fail."""
    s1, s2 = dense_sift(texture(24, 11, images=6)), dense_sift(texture(24, 12, images=6))
    flow = sift_flow(s1, s2, levels=levels, topwsize=4, top_iterations=10, iterations=5)
    assert (energy(s1, s2, flow) <= best_shift_energy(s1, s2, 4) * (1 + 1e-6)).all()


def test_it_is_well_below_for_pictures_that_go_together():
    r = texture(48, 18, images=2)
    x = warped(r, smooth_warp(48)) + 0.1 * torch.randn(r.shape, generator=seeded(19))
    s1, s2 = dense_sift(x.clamp(-1, 1)), dense_sift(r)
    flow = sift_flow(s1, s2, topwsize=6, iterations=10, top_iterations=10)
    assert (energy(s1, s2, flow) < 0.9 * best_shift_energy(s1, s2, 8)).all()


def test_more_than_a_shift_is_found_where_it_pays():
    """Two halves that move apart: no single shift would do."""
    image = texture(64, 13)[..., :40, :]
    left, right = torch.roll(image, -4, 3)[..., :32], torch.roll(image, 4, 3)[..., 32:]
    s1, s2 = dense_sift(torch.cat([left, right], 3)), dense_sift(image)
    flow = sift_flow(s1, s2, topwsize=6)
    assert (flow[:, 0, 8:-8, 8:24] == 4).float().mean() > 0.95
    assert (flow[:, 0, 8:-8, 40:56] == -4).float().mean() > 0.95


def test_a_smooth_warp_is_recovered_within_a_pixel():
    r, w = texture(64, 14), smooth_warp(64)
    s1, s2 = dense_sift(warped(r, w)), dense_sift(r)
    flow = sift_flow(s1, s2)
    assert (flow - w).norm(dim=1).median() < 1
    assert energy(s1, s2, flow) <= energy(s1, s2, w.round())


def test_a_batch_gives_what_its_pairs_give_alone():
    s1, s2 = dense_sift(texture(48, 15, images=3)), dense_sift(texture(48, 16, images=3))
    settings = {"topwsize": 5, "top_iterations": 6, "iterations": 4}
    together = sift_flow(s1, s2, **settings)
    alone = torch.cat([sift_flow(a[None], b[None], **settings) for a, b in zip(s1, s2, strict=True)])
    assert together.abs().max() > 0 and torch.equal(together, alone)


def test_warp_takes_the_pixel_the_flow_points_to_and_the_nearest_one_outside():
    image = torch.arange(12.0).view(1, 1, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[0, :, 0, 0] = torch.tensor([2.0, 1.0])  # two to the right, one down
    flow[0, :, 2, 3] = torch.tensor([5.0, -9.0])
    wanted = image.clone()
    wanted[0, 0, 0, 0], wanted[0, 0, 2, 3] = 6, 3
    assert torch.equal(warp(image, flow), wanted)


def test_auxiliary_image_brings_the_reference_to_the_sketch():
    r = texture(64, 17)
    x = torch.roll(r, (3, -2), (2, 3))
    w = auxiliary_image(x, r)
    assert torch.equal(w[..., 16:-16, 16:-16], x[..., 16:-16, 16:-16])
    sketch = auxiliary_image(x.mean(1, keepdim=True)[..., :33, :40], r[..., :33, :40])
    assert sketch.shape == (1, 3, 33, 40) and sketch.min() >= -1 and sketch.max() <= 1


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda s: dense_sift(s[0]), "b c h w"),
        (lambda s: dense_sift(s, cell=0), "from 1"),
        (lambda s: sift_flow(s, s[..., :4]), "same b c h w"),
        (lambda s: energy(s, s[:, :1], torch.zeros(1, 2, 6, 6)), "same b c h w"),
        (lambda s: energy(s, s, torch.zeros(1, 2, 6, 5)), "does not fit"),
        (lambda s: warp(s, torch.zeros(1, 3, 6, 6)), "does not fit"),
        (lambda s: auxiliary_image(s[:, :1], s[..., :5]), "scaled to its height"),
        (lambda s: auxiliary_image(s[:, :1], (255 * s).byte()), "uint8"),
    ],
)
def test_bad_input_gets_one_sentence(call, word):
    with pytest.raises(InputError, match=word) as caught:
        call(torch.rand(1, 3, 6, 6))
    assert "\n" not in str(caught.value)
