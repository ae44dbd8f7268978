"""ST-LPIPS (Ghildyal and Liu, ECCV 2022): LPIPS on an AlexNet or VGG-16 trained to tolerate small shifts.

The weights come with the package stlpips-pytorch (BSD-2), which cannot be imported without packages that it does not
need here, so its files are read and its forward pass written out; a test holds the two together to 1e-4. This is not
LPIPS: other weights, other numbers.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.errors import InputError
from segin_core.metrics.perceptual import layer_distance, pair_distances
from segin_core.running.weights import packaged_file, read_tensors

SHA256 = {
    "alex": "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    "vgg": "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
}
# The convolutions of each of the five layers, as the files name them.
ALEX = (("slice1_0",), ("slice2_5",), ("slice3_9",), ("slice4_11",), ("slice5_13",))
VGG = (
    ("slice1_0", "slice1_2"),
    ("slice2_6", "slice2_8"),
    ("slice3_12", "slice3_14", "slice3_16"),
    ("slice4_20", "slice4_22", "slice4_24"),
    ("slice5_28", "slice5_30", "slice5_32"),
)


def weights_path(net: str = "alex") -> Path:
    """The weights inside stlpips-pytorch, checked by SHA-256. Raises InputError where they are missing."""
    if net not in SHA256:
        raise InputError(f"net={net!r} is no network of ST-LPIPS here; choose one of {', '.join(SHA256)}")
    file, install = f"weights/vST0.0/{net}_shift_tolerant.pth", "pip install --no-deps stlpips-pytorch==0.0.2"
    return packaged_file("stlpips_pytorch", file, SHA256[net], purpose="ST-LPIPS", install=install)


class ShiftTolerantLPIPS(nn.Module):
    """Distance of two images in the five layers of `net`, "alex" or "vgg"; the sum of LPIPS's Eq. 1."""

    def __init__(self, net: str = "alex") -> None:
        super().__init__()
        self.net = net
        for name, tensor in read_tensors(weights_path(net)).items():
            self.register_buffer(name.replace(".", "_"), tensor)
        binomial = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("blur_kernel", torch.outer(binomial, binomial)[None, None] / 16)
        self.eval()

    def features(self, images: Tensor) -> list[Tensor]:
        """The five layers of b 3 h w in [-1, 1], each b c h' w'."""
        h = (images - self.scaling_layer_shift) / self.scaling_layer_scale
        return self._alex(h) if self.net == "alex" else self._vgg(h)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        weights = [getattr(self, f"lin{i}_model_1_weight") for i in range(5)]
        return layer_distance(self.features(a), self.features(b), weights)

    def _alex(self, h: Tensor) -> list[Tensor]:
        layers = []
        for i, (name,) in enumerate(ALEX):
            if i in (1, 2):
                h = self._blur(F.max_pool2d(h, 3, 1))
            h = self._convolve(h, name, padding=2 if i < 2 else 1)
            h = F.relu(self._blur(h) if i == 0 else h)
            layers.append(h)
        return layers

    def _vgg(self, h: Tensor) -> list[Tensor]:
        layers = []
        for i, names in enumerate(VGG):
            h = self._blur(F.max_pool2d(h, 2, 1)) if i else h
            for name in names:
                h = F.relu(self._convolve(h, name, padding=1))
            layers.append(h)
        return layers

    def _convolve(self, h: Tensor, name: str, *, padding: int) -> Tensor:
        return F.conv2d(h, getattr(self, f"net_{name}_weight"), getattr(self, f"net_{name}_bias"), padding=padding)

    def _blur(self, h: Tensor) -> Tensor:
        """Halve the grid behind a 3 x 3 binomial filter, the part that makes the metric tolerate shifts."""
        kernel = self.blur_kernel.expand(h.shape[1], -1, -1, -1)
        return F.conv2d(F.pad(h, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=h.shape[1])


@cache
def _model(net: str, device: torch.device) -> ShiftTolerantLPIPS:
    return ShiftTolerantLPIPS(net).to(device)


def st_lpips(a: Tensor, b: Tensor, *, net: str = "alex", batch: int = 32) -> Tensor:
    """ST-LPIPS of each pair: a and b are b 3 h w in [-1, 1], at least 32 pixels; returns b distances >= 0.

    Paper: LPIPS (AlexNet), a download. / Here: a stand-in that pip installs, under its own name; `net` is "alex" or
    "vgg". Raises InputError for another net, for images that make no pairs and for missing weights.
    """
    return pair_distances(_model(net, a.device), a, b, batch=batch)
