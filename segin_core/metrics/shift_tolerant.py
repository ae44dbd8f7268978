"""ST-LPIPS (Ghildyal and Liu, ECCV 2022): LPIPS on an AlexNet or VGG-16 trained to tolerate small shifts.

The weights come with the package stlpips-pytorch (BSD-2), which cannot be imported without packages that it does not
need here, so its files are read and its two trunks written out; a test holds the two together to 1e-4. This is not
LPIPS: other weights, other numbers.
"""

from functools import cache
from pathlib import Path

import lpips
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.errors import InputError
from segin_core.metrics.perceptual import Slices, on_trunk, pair_distances
from segin_core.running.checkpoints import below
from segin_core.running.weights import fill, packaged_file, read_tensors
from segin_core.vgg import VGG_BLOCKS, VGG_DEPTHS

SHA256 = {
    "alex": "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    "vgg": "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
}


class Halve(nn.Module):
    """Every second pixel behind a binomial filter, the part that makes the metric tolerate shifts."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", torch.empty(channels, 1, 3, 3))

    def forward(self, h: Tensor) -> Tensor:
        return F.conv2d(F.pad(h, (2, 2, 2, 2), mode="reflect"), self.filt, stride=2, groups=len(self.filt))


def alex() -> Slices:
    """AlexNet's convolutions with stride 1, each halving behind a filter."""
    layers = [
        *(nn.Conv2d(3, 64, 11, padding=2), Halve(64), nn.ReLU()),
        *(nn.MaxPool2d(3, 1), Halve(64), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
        *(nn.MaxPool2d(3, 1), Halve(192), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    ]
    return Slices(nn.Sequential(*layers), (3, 7, 11, 13, 15))


def vgg() -> Slices:
    """VGG-16's convolutions, each block but the first behind a filtered halving."""
    layers, ends, before = [], [], 3
    for count, depth in zip(VGG_BLOCKS["vgg16-hed"], VGG_DEPTHS, strict=True):
        layers += [nn.MaxPool2d(2, 1), Halve(before)] if layers else []
        for _ in range(count):
            layers += [nn.Conv2d(before, depth, 3, padding=1), nn.ReLU()]
            before = depth
        ends.append(len(layers))
    return Slices(nn.Sequential(*layers), ends)


def weights_path(net: str = "alex") -> Path:
    """The weights inside stlpips-pytorch, checked by SHA-256. Raises InputError where they are missing."""
    if net not in SHA256:
        raise InputError(f"net={net!r} is no network of ST-LPIPS here; choose one of {', '.join(SHA256)}")
    file, install = f"weights/vST0.0/{net}_shift_tolerant.pth", "pip install --no-deps stlpips-pytorch==0.0.2"
    return packaged_file("stlpips_pytorch", file, SHA256[net], purpose="ST-LPIPS", install=install)


@cache
def st_lpips_model(net: str = "alex", device: str = "cpu") -> lpips.LPIPS:
    """The network behind `st_lpips`."""
    path = weights_path(net)
    tensors = read_tensors(path)
    with torch.device("meta"):
        trunk = alex() if net == "alex" else vgg()
    return on_trunk(net, fill(trunk, below(tensors, "net."), path), tensors).to(device)


def st_lpips(a: Tensor, b: Tensor, *, net: str = "alex", batch: int = 32) -> Tensor:
    """ST-LPIPS of each pair: a and b are b 3 h w in [-1, 1], at least 32 pixels; returns b distances >= 0.

    Paper: LPIPS (AlexNet), which is `lpips_distance`. / Here: a cousin under its own name, beside it; `net` is "alex"
    or "vgg". Raises InputError for another net, for images that make no pairs and for missing weights.
    """
    return pair_distances(st_lpips_model(net, str(a.device)), a, b, batch=batch)
