"""PixelNN: the stages against literal versions, its own picture given back, the set of outputs, training and resume."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_run import RUN
from torch.nn import functional as F

from segin_core.baselines.pixelnn import (
    LAYERS,
    WINDOWS,
    PixelMatch,
    Regression,
    Regressor,
    auxiliary_image,
    compose,
    hypercolumns,
    nearest_exemplars,
    outputs,
    pixel_search,
    regress,
)
from segin_core.data.pairs import PairBatch, PairFolder
from segin_core.errors import InputError
from segin_core.running.checkpoints import load_networks, save_networks
from segin_core.running.loop import checkpoint_path, resume, train
from segin_core.vgg import VGGFeatures


@pytest.fixture(scope="module")
def features() -> VGGFeatures:
    return VGGFeatures(layers=LAYERS)


@pytest.fixture(scope="module")
def six(pair_folder) -> PairBatch:
    batch = PairFolder(pair_folder).batch(range(6))
    return PairBatch(batch["x"], batch["y"])


@pytest.fixture(scope="module")
def two(six) -> PairBatch:
    return PairBatch(six.x[:2], six.y[:2])


@pytest.fixture(scope="module")
def course(six, features, tmp_path_factory) -> tuple[Regressor, list[dict[str, float]]]:
    """A regressor after 30 steps on the six pairs, in evaluation mode, and the history of its loss."""
    method = tiny(features)
    options = {"precision": "fp32", "checkpoint_every": 30, "log_every": 5, "progress": False, **RUN}
    history = train(method, lambda step: six, steps=30, folder=tmp_path_factory.mktemp("pixelnn"), **options).history
    return method.regressor, history


@pytest.fixture(scope="module")
def trained(course) -> Regressor:
    return course[0]


def tiny(features) -> Regression:
    torch.manual_seed(0)
    return Regression(Regressor(8), features, lr=1e-2)


def literal_search(query, exemplars, window):
    """Pixel by pixel over every pixel of every exemplar: the best cosine, and all cosines (-inf outside the window)."""
    (_, height, width), k = query.shape, len(exemplars)
    cosines = torch.full((height, width, k, height, width), -torch.inf)
    before, after = (99, 99) if window is None or window >= max(height, width) else (window // 2, (window - 1) // 2)
    places = itertools.product(range(height), range(width), range(k), range(height), range(width))
    for i, j, e, y, x in places:
        if i - before <= y <= i + after and j - before <= x <= j + after:
            cosines[i, j, e, y, x] = query[:, i, j] @ exemplars[e, :, y, x]
    return cosines.flatten(2)


@settings(max_examples=25)
@given(
    st.integers(2, 6), st.integers(2, 6), st.integers(1, 3),
    st.sampled_from([None, 1, 2, 3, 4, 5, 10, 96]), st.integers(0, 10**6),
)  # fmt: skip
def test_pixel_search_is_brute_force(height, width, k, window, seed):
    generator = torch.Generator().manual_seed(seed)
    query = F.normalize(torch.randn(5, height, width, generator=generator), dim=0)
    exemplars = F.normalize(torch.randn(k, 5, height, width, generator=generator), dim=1)
    for searched, found in enumerate(pixel_search(query, exemplars, window=window), start=1):
        cosines = literal_search(query, exemplars[:searched], window)
        torch.testing.assert_close(found.score, cosines.max(2).values)
        assert torch.equal(found.exemplar * height * width + found.position, cosines.max(2).indices)
    assert searched == k


def test_a_picture_of_many_chunks_is_searched_alike(monkeypatch):
    query, exemplars = F.normalize(torch.randn(4, 9, 7), dim=0), F.normalize(torch.randn(2, 4, 9, 7), dim=1)
    at_once = [pixel_search(query, exemplars, window=window)[-1] for window in (None, 3, 4, 8)]
    monkeypatch.setattr("segin_core.baselines.pixelnn.BLOCK", 1)
    for window, wanted in zip((None, 3, 4, 8), at_once, strict=True):
        found = pixel_search(query, exemplars, window=window)[-1]
        assert torch.equal(found.position, wanted.position) and torch.equal(found.exemplar, wanted.exemplar)


def test_the_search_finds_a_shift_only_if_the_window_reaches_it():
    exemplar = F.normalize(torch.randn(8, 12, 12), dim=0)
    query = exemplar.roll((-2, 3), (1, 2))  # the pixel (i, j) was at (i + 2, j - 3)
    inner, place = (slice(0, 9), slice(3, 12)), torch.arange(144).view(12, 12)
    for window, reached in ((None, True), (7, True), (5, False)):
        found = pixel_search(query, exemplar[None], window=window)[-1]
        assert torch.equal(found.position[inner], place[2:11, 0:9]) == reached


def test_the_search_is_exact_under_autocast_too():
    query, exemplars = F.normalize(torch.rand(64, 8, 8), dim=0), F.normalize(torch.rand(2, 64, 8, 8), dim=1)
    with torch.autocast("cpu", torch.bfloat16):
        found = pixel_search(query, exemplars)[-1]
    assert all(torch.equal(a, b) for a, b in zip(found, pixel_search(query, exemplars)[-1], strict=True))


def test_hypercolumns_have_length_one_and_weigh_the_layers_alike(features):
    images = torch.rand(1, 3, 37, 50) * 2 - 1  # sides that no VGG grid divides
    found = hypercolumns(images, features)
    assert found.shape == (1, 1472, 37, 50)
    parts = found.split([64, 128, 256, 512, 512], dim=1)
    for part in parts:
        torch.testing.assert_close(part.norm(dim=1), torch.full((1, 37, 50), 5**-0.5))
    padded = F.pad(images, (0, 14, 0, 11), mode="replicate")
    large = F.interpolate(features(padded)["relu3_3"], (48, 64), mode="bilinear")[:, :, :37, :50]
    torch.testing.assert_close(parts[2], F.normalize(large, dim=1) / 5**0.5)


def test_an_image_of_the_set_is_its_own_nearest_exemplar(six, features):
    found = nearest_exemplars(six.y[[3, 1]], six.y, features, k=3)
    assert found.shape == (2, 3) and found[:, 0].tolist() == [3, 1]
    cosines = F.cosine_similarity(features(six.y[[3]])["relu5_3"].flatten(1), features(six.y)["relu5_3"].flatten(1))
    assert found[0].tolist() == cosines.argsort(descending=True)[:3].tolist()


@torch.no_grad()
def test_the_regressor_is_a_perceptron_over_upsampled_hypercolumns(two, features):
    regressor = Regressor(8).eval()
    for layer in regressor.columns:  # so that the normalisation matters
        torch.nn.init.normal_(regressor.columns[layer][1].running_mean, std=0.3)
    maps = features(two.x)
    total = 0
    for layer, (kernel, norm) in regressor.columns.items():
        upsampled = F.interpolate(maps[layer], (32, 32), mode="bilinear")
        total = total + norm(torch.einsum("oc,bchw->bohw", kernel.weight[:, :, 0, 0], upsampled))
    wanted = torch.tanh(regressor.out(regressor.hidden(total.relu())))
    torch.testing.assert_close(regressor(maps), wanted, rtol=1e-4, atol=1e-5)


def test_compose_adds_what_regression_lost_at_the_matched_pixel():
    fx, smooth, pictures = torch.rand(3, 4, 5) - 0.5, torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    exemplar, position = torch.randint(2, (4, 5)), torch.randint(20, (4, 5))
    image = compose(fx, smooth, pictures, PixelMatch(exemplar, position, torch.rand(4, 5)))
    for i, j in itertools.product(range(4), range(5)):
        y, x = divmod(int(position[i, j]), 5)
        e = int(exemplar[i, j])
        wanted = fx[:, i, j] + pictures[e, :, y, x] - smooth[e, :, y, x]
        torch.testing.assert_close(image[:, i, j], wanted.clamp(-1, 1))


@pytest.mark.parametrize("window", [None, 1, 3])
def test_a_reference_with_the_sketch_x_is_given_back(six, trained, features, window):
    made = auxiliary_image(six.x, six.x, six.y, trained, features, window=window)
    torch.testing.assert_close(made, six.y, rtol=0, atol=1e-5)


def test_the_auxiliary_image_follows_the_sketch_and_the_reference(six, trained, features):
    x, x_r = six.x[:1], six.x[1:2]
    first, second = (auxiliary_image(x, x_r, r, trained, features) for r in (six.y[1:2], six.y[3:4]))
    assert first.shape == (1, 3, 32, 32) and not torch.equal(first, second)
    both = auxiliary_image(six.x[:2], six.x[[1, 1]], six.y[[1, 3]], trained, features)
    torch.testing.assert_close(both[:1], first, rtol=1e-3, atol=1e-3)  # a pair alone, or in a batch
    assert not torch.equal(auxiliary_image(six.x[2:3], x_r, six.y[1:2], trained, features), first)


def test_several_outputs_differ(six, trained, features):
    fx = regress(six.x, trained, features)
    index = nearest_exemplars(fx[:1], fx[1:], features, k=3)[0]
    smooth, pictures = fx[1:][index], six.y[1:][index]
    made = outputs(fx[0], smooth, pictures, features, neighbours=(1, 3), windows=WINDOWS)
    assert made.keys() == set(itertools.product((1, 3), WINDOWS))
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(list(made.values())[:-2], 2))
    query, exemplars = hypercolumns(fx[:1], features)[0], hypercolumns(smooth, features)
    wanted = compose(fx[0], smooth, pictures, pixel_search(query, exemplars, window=3)[-1])
    assert torch.equal(made[3, 3], wanted)


def test_training_lowers_the_error_and_leaves_the_vgg_alone(course, six, features):
    trained, history = course
    assert history[-1]["regression"] < 0.3 * history[0]["regression"]
    assert F.mse_loss(regress(six.x, trained, features), six.y) < 0.5 * (six.y - six.y.mean(0)).square().mean()
    untouched = VGGFeatures(layers=LAYERS).state_dict()
    assert all(torch.equal(value, untouched[key]) for key, value in features.state_dict().items())


def test_the_loss_is_the_mean_squared_error_and_finite_under_bf16(two, features):
    method = tiny(features)
    wanted = (method.regressor(features(two.x)) - two.y).square().mean()
    torch.testing.assert_close(method.update(two)["regression"], wanted.detach())
    with torch.autocast("cpu", torch.bfloat16):
        found = method.update(two)["regression"]
    assert found.dtype == torch.float32 and found.isfinite()


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(two, features, tmp_path):
    def stopping(step):
        if step == 4:
            raise KeyboardInterrupt
        return two

    options = {"steps": 6, **RUN, "checkpoint_every": 2, "log_every": 2, "lr_decay": 0.5, "progress": False}
    whole = tiny(features)
    train(whole, lambda step: two, folder=tmp_path / "whole", **options)
    part = tiny(features)
    with pytest.raises(KeyboardInterrupt):
        train(part, stopping, folder=tmp_path / "part", **options)
    part = tiny(features)
    assert resume(part, checkpoint_path(tmp_path / "part", RUN["identity"])).step == 4
    train(part, lambda step: two, folder=tmp_path / "part", **options)
    other = part.regressor.state_dict()
    assert all(torch.equal(value, other[key]) for key, value in whole.regressor.state_dict().items())


def test_a_saved_regressor_comes_back(two, trained, features, tmp_path):
    path = save_networks(tmp_path / "model.safetensors", {"regressor": trained}, {"method": "pixelnn"})
    regressor = load_networks(path, {"regressor": Regressor})[0]["regressor"]
    assert all(torch.equal(value, regressor.state_dict()[key]) for key, value in trained.state_dict().items())
    assert not regressor.training and regressor.config == trained.config


def test_any_size_is_regressed_and_batches_change_nothing(trained, features):
    x = torch.rand(3, 1, 37, 50) * 2 - 1
    found = regress(x, trained, features, batch_size=2)
    assert found.shape == (3, 3, 37, 50) and found.abs().max() <= 1 and not found.requires_grad
    torch.testing.assert_close(found, regress(x, trained, features), rtol=1e-3, atol=1e-4)


def test_what_does_not_fit_is_named(two, trained, features):
    unit = F.normalize(torch.rand(4, 6, 6), dim=0)
    for window in (0, -3):
        with pytest.raises(InputError, match=rf"window={window}: .* at least 1"):
            pixel_search(unit, unit[None], window=window)
    for exemplars in (unit[None, ..., :5], unit[None, :3], unit):
        with pytest.raises(InputError, match="cannot be searched"):
            pixel_search(unit, exemplars)
    for k in (0, 3):
        with pytest.raises(InputError, match=rf"k={k}: choose from 1 to 2"):
            nearest_exemplars(two.y, two.y, features, k=k)
    for neighbours in ((), (0,), (1, 3)):
        with pytest.raises(InputError, match="each K must be from 1 to 2"):
            outputs(two.y[0], two.y, two.y, features, neighbours=neighbours)
    for x_r, r in ((two.x[..., :16], two.y), (two.x, two.y[..., :16]), (two.x[:1], two.y), (two.x, two.y[:1])):
        with pytest.raises(InputError, match="do not go together"):
            auxiliary_image(two.x, x_r, r, trained, features)
    with pytest.raises(InputError, match="lack relu1_2"):
        hypercolumns(two.y, VGGFeatures(layers=LAYERS[1:]))
    with pytest.raises(InputError, match="width=0"):
        Regressor(0)
