"""LPIPS (Zhang et al., CVPR 2018), the distance of Table I, on an AlexNet that is a download."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import alexnet

from segin_core.errors import InputError
from segin_core.running.weights import fill, packaged_file, published_file, read_tensors

ALEXNET_URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
LINEAR_SHA256 = {
    "0.0": "18720f55913d0af89042f13faa7e536a6ce1444a0914e6db9461355ece1e8cd5",
    "0.1": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
}
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's mean and deviation, in [-1, 1]
RELUS = (1, 4, 7, 9, 11)  # the five layers' places in torchvision's AlexNet


def layer_distance(a: Iterable[Tensor], b: Iterable[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Eq. 1 of the LPIPS paper: sum over layers of the mean over places of w^T (a/|a| - b/|b|)^2, w being 1 c 1 1."""
    terms = [
        F.conv2d((unit_length(one) - unit_length(two)) ** 2, weight).mean(dim=(1, 2, 3))
        for one, two, weight in zip(a, b, weights, strict=True)
    ]
    return torch.stack(terms).sum(0)


def unit_length(layer: Tensor) -> Tensor:
    """Each place's vector of b c h w divided by its length."""
    return layer / (layer.norm(dim=1, keepdim=True) + 1e-10)


def pair_distances(model: nn.Module, a: Tensor, b: Tensor, *, batch: int) -> Tensor:
    """The model's distance of each pair, `batch` of them at a time: b 3 h w twice, to b numbers, without gradients.

    Raises InputError unless a and b are equally many colour images of one size.
    """
    if a.ndim != 4 or a.shape[1] != 3 or a.shape != b.shape:
        raise InputError(f"images of {tuple(a.shape)} and {tuple(b.shape)} make no pairs: give two tensors b 3 h w")
    # channels last: half as fast again on a processor
    a, b = (images.float().contiguous(memory_format=torch.channels_last).split(batch) for images in (a, b))
    with torch.no_grad():
        return torch.cat([model(one, two) for one, two in zip(a, b, strict=True)])


class LPIPS(nn.Module):
    """LPIPS on AlexNet: the linear weights inside the package lpips, torchvision's ImageNet trunk.

    version "0.1" sees normalised images, "0.0" does not; each has its own linear weights. `trunk`: see
    `lpips_distance`. Raises InputError for another version and for weights that are not to be had.
    """

    def __init__(self, version: str = "0.1", *, trunk: str | Path | None = None) -> None:
        super().__init__()
        if version not in LINEAR_SHA256:
            raise InputError(f"version={version!r} is no version of LPIPS; choose one of {', '.join(LINEAR_SHA256)}")
        self.version = version
        linear = packaged_file("lpips", f"weights/v{version}/alex.pth", LINEAR_SHA256[version], purpose="LPIPS",
                               install="pip install lpips==0.1.4")  # fmt: skip
        for i, weight in enumerate(read_tensors(linear).values()):
            self.register_buffer(f"linear{i}", weight)
        instead = "pass its path as trunk=..., or use st_lpips, whose weights pip installs"
        path = published_file(ALEXNET_URL, trunk, purpose=f"LPIPS {version}", instead=instead)
        with torch.device("meta"):
            whole = alexnet(weights=None)
        self.trunk = fill(whole, read_tensors(path), path).features[: RELUS[-1] + 1]
        for name, values in (("shift", SHIFT), ("scale", SCALE)):
            self.register_buffer(name, rearrange(torch.tensor(values), "c -> c 1 1"))

    def features(self, images: Tensor) -> list[Tensor]:
        """The five layers of b 3 h w in [-1, 1], each b c h' w'."""
        h = (images - self.shift) / self.scale if self.version == "0.1" else images
        layers = []
        for place, module in enumerate(self.trunk):
            h = module(h)
            if place in RELUS:
                layers.append(h)
        return layers

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        linear = [getattr(self, f"linear{i}") for i in range(len(RELUS))]
        return layer_distance(self.features(a), self.features(b), linear)


@cache
def _model(version: str, trunk: str | Path | None, device: torch.device) -> LPIPS:
    return LPIPS(version, trunk=trunk).to(device)


def lpips_distance(
    a: Tensor, b: Tensor, *, version: str = "0.1", trunk: str | Path | None = None, batch: int = 32
) -> Tensor:
    """LPIPS (AlexNet) of each pair: a and b are b 3 h w in [-1, 1], at least 32 pixels; returns b distances >= 0.

    Paper: LPIPS with AlexNet, its version not said. / Here: version "0.1" or "0.0"; always say which, for their
    numbers differ by a factor. `trunk` is a local copy of torchvision's alexnet-owt-7be5be79.pth; without it, torch
    hub's own copy is used, or downloaded and checked by hash. Raises InputError where neither can be had: a trunk
    with random weights would give numbers too, but not LPIPS.
    """
    return pair_distances(_model(version, trunk, a.device), a, b, batch=batch)
