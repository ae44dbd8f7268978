from hashlib import sha256
from pathlib import Path

import pytest
import torch

from segin_core.errors import InputError
from segin_core.evaluation.protocol import map_likeness
from segin_core.running import weights
from segin_core.vgg import VGGFeatures, convolution_names, layer_stride, trunk_weights, vgg19_weights


def test_layers_have_the_depths_and_strides_of_vgg():
    layers = ("relu1_1", "relu2_1", "relu3_2", "relu4_1", "relu5_1")
    found = VGGFeatures(layers=layers)(torch.rand(2, 3, 64, 48) * 2 - 1)
    assert list(found) == list(layers)
    for layer, depth in zip(layers, (64, 128, 256, 512, 512), strict=True):
        assert found[layer].shape == (2, depth, 64 // layer_stride(layer), 48 // layer_stride(layer))
        assert found[layer].min() >= 0 and found[layer].max() > 0


def test_a_sketch_counts_as_three_equal_channels():
    features, x = VGGFeatures(layers=("relu2_1",)), torch.rand(1, 1, 16, 16)
    torch.testing.assert_close(features(x)["relu2_1"], features(x.expand(-1, 3, -1, -1))["relu2_1"])


def test_first_layer_is_the_convolution_written_out():
    weights, images = trunk_weights(), torch.rand(1, 3, 8, 8) * 2 - 1
    bgr = (images.flip(1) + 1) * 127.5 - torch.tensor([104.00699, 116.66877, 122.67892]).view(3, 1, 1)
    wanted = torch.relu(torch.nn.functional.conv2d(bgr, weights["conv1_1.weight"], weights["conv1_1.bias"], padding=1))
    torch.testing.assert_close(VGGFeatures(layers=("relu1_1",))(images)["relu1_1"], wanted / 57.6, rtol=1e-4, atol=1e-4)


def test_weights_are_frozen_and_gradients_reach_the_image():
    features, images = VGGFeatures(layers=("relu2_2",)), torch.rand(1, 3, 16, 16, requires_grad=True)
    features(images)["relu2_2"].sum().backward()
    assert images.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in features.parameters())


def test_vgg19_from_a_local_file_equals_torchvision(tmp_path):
    import torchvision

    reference = torchvision.models.vgg19(weights=None).eval()
    torch.save(reference.state_dict(), tmp_path / "vgg19.pth")
    features = VGGFeatures("vgg19-imagenet", ("relu1_2", "relu3_2"), weights=tmp_path / "vgg19.pth")
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    normalised = ((images + 1) / 2 - mean) / std
    torch.testing.assert_close(features(images)["relu1_2"], reference.features[:4](normalised))
    torch.testing.assert_close(features(images)["relu3_2"], reference.features[:14](normalised))
    assert len(convolution_names("vgg19-imagenet")) == 16


def test_imagenets_vgg16_equals_torchvision():
    import torchvision

    with torch.device("meta"):
        reference = torchvision.models.vgg16(weights=None).features
    features = VGGFeatures("vgg16-imagenet", ("relu1_2", "relu3_1", "relu5_3"))
    values = features.convolutions.state_dict().values()
    reference.load_state_dict(dict(zip(reference.state_dict(), values, strict=True)), assign=True)
    images = torch.rand(1, 3, 32, 48) * 2 - 1
    theirs = torchvision.models.VGG16_Weights.IMAGENET1K_V1.transforms()
    normalised = torchvision.transforms.functional.normalize((images + 1) / 2, theirs.mean, theirs.std)
    found = features(images)
    for layer, end in (("relu1_2", 4), ("relu3_1", 12), ("relu5_3", 30)):
        torch.testing.assert_close(found[layer], reference[:end](normalised), rtol=1e-4, atol=1e-4)


def test_a_vgg_leaves_the_random_state_alone_and_shares_its_weights():
    state = torch.get_rng_state()
    one, other = VGGFeatures(), VGGFeatures()
    assert torch.equal(torch.get_rng_state(), state)
    assert one.convolutions["conv1_1"].weight.data_ptr() == other.convolutions["conv1_1"].weight.data_ptr()
    one.double()
    assert other.convolutions["conv1_1"].weight.dtype == trunk_weights()["conv1_1.weight"].dtype == torch.float32


def test_missing_vgg19_names_both_ways_out(tmp_path, monkeypatch):
    def refuse(url, file, pooch):
        raise OSError("no network")

    monkeypatch.setattr(weights, "kept_file", lambda url: tmp_path / url.rsplit("/", 1)[1])
    monkeypatch.setattr("pooch.core.choose_downloader", lambda url, **_: refuse)
    with pytest.raises(InputError, match=r"no network.*vgg19-dcbb9e9d.pth.*weights=.*vgg16-hed"):
        vgg19_weights()
    with pytest.raises(InputError, match="no such file"):
        vgg19_weights(tmp_path / "nowhere.pth")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="not the weights of VGG-19"):
        vgg19_weights(tmp_path / "other.pth")


def test_a_download_is_kept_and_its_hash_looked_at(tmp_path, monkeypatch):
    sent, asked = [b"cut", b"whole"], []

    def download(url, file, pooch):
        asked.append(url)
        Path(file).write_bytes(sent[len(asked) - 1])

    monkeypatch.setattr(weights, "kept_file", lambda url: tmp_path / "cache" / url.rsplit("/", 1)[1])
    monkeypatch.setattr("pooch.core.choose_downloader", lambda url, **_: download)
    how = {"digest": sha256(b"whole").hexdigest(), "purpose": "a network", "instead": "use another"}
    with pytest.raises(InputError, match="hash"):
        weights.published_file("https://host/a.pth", **how)
    assert weights.published_file("https://host/a.pth", **how).read_bytes() == b"whole"
    assert weights.published_file("https://host/a.pth", **how) == tmp_path / "cache" / "a.pth" and len(asked) == 2
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["a.pth"]


@pytest.mark.parametrize("arguments", [("vgg11",), ("vgg16-hed", ("relu3_4",)), ("vgg16-hed", ("conv3_1",))])
def test_unknown_source_or_layer(arguments):
    with pytest.raises(InputError):
        VGGFeatures(*arguments)


@pytest.mark.parametrize("layer", ["conv3_1", "relu6_1", "relu0_1", "relu4", "", "relu4_1x"])
def test_a_stride_of_no_layer(layer):
    with pytest.raises(InputError, match="no layer of a VGG"):
        layer_stride(layer)


def test_likeness_is_the_cosine_of_whole_maps():
    features = VGGFeatures(layers=("relu2_1",))
    x, r = torch.rand(3, 1, 16, 16) * 2 - 1, torch.rand(2, 3, 16, 16) * 2 - 1
    found = map_likeness(x, r, features, layer="relu2_1", batch_size=2)
    assert found.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            a, b = (features(t[None])["relu2_1"].flatten() for t in (x[i], r[j]))
            torch.testing.assert_close(found[i, j], a @ b / (a.norm() * b.norm()))
