import pytest
import torch

from segin_core.errors import InputError
from segin_core.evaluation.protocol import map_likeness
from segin_core.vgg import VGG19_FILE, VGGFeatures, convolution_names, layer_stride, trunk_weights, vgg19_weights


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
    torch.save(reference.state_dict(), tmp_path / VGG19_FILE)
    features = VGGFeatures("vgg19-imagenet", ("relu1_2", "relu3_2"), weights=tmp_path / VGG19_FILE)
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    normalised = ((images + 1) / 2 - mean) / std
    torch.testing.assert_close(features(images)["relu1_2"], reference.features[:4](normalised))
    torch.testing.assert_close(features(images)["relu3_2"], reference.features[:14](normalised))
    assert len(convolution_names("vgg19-imagenet")) == 16


def test_missing_vgg19_names_both_ways_out(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(InputError, match=r"weights=.*vgg16-hed"):
        vgg19_weights()
    with pytest.raises(InputError, match="no such file"):
        vgg19_weights(tmp_path / "nowhere.pth")


@pytest.mark.parametrize("arguments", [("vgg11",), ("vgg16-hed", ("relu3_4",)), ("vgg16-hed", ("conv3_1",))])
def test_unknown_source_or_layer(arguments):
    with pytest.raises(InputError):
        VGGFeatures(*arguments)


def test_likeness_is_the_cosine_of_whole_maps():
    features = VGGFeatures(layers=("relu2_1",))
    x, r = torch.rand(3, 1, 16, 16) * 2 - 1, torch.rand(2, 3, 16, 16) * 2 - 1
    found = map_likeness(x, r, features, layer="relu2_1", batch_size=2)
    assert found.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            a, b = (features(t[None])["relu2_1"].flatten() for t in (x[i], r[j]))
            torch.testing.assert_close(found[i, j], a @ b / (a.norm() * b.norm()))
