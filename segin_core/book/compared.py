"""The compared methods, trained: how the chapters of results load them, and what each makes of an input and noise."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from segin_core.baselines import bicyclegan, munit, pix2pix
from segin_core.running.checkpoints import load_networks

# method -> the networks of its file that translate, each with its class
NETWORKS: dict[str, dict[str, type[nn.Module]]] = {
    "pix2pix": {"generator": pix2pix.Generator},
    "bicyclegan": {"generator": bicyclegan.Generator, "encoder": bicyclegan.Encoder},
    "munit": {"generator_x": munit.Generator, "generator_y": munit.Generator},
}
FOLDERS = {"segin": "training"} | {method: method for method in NETWORKS}  # method -> the chapter that trains it


class Compared(NamedTuple):
    """A trained method."""

    networks: list[nn.Module]  #: those of `NETWORKS`, in evaluation mode and channels last
    about: dict[str, Any]  #: what its file says


def load_compared(method: str, path: Path, device: str = "cpu") -> Compared:
    """A compared method's networks on the device. Raises what `load_networks` raises."""
    networks, about = load_networks(path, NETWORKS[method])
    return Compared([each.to(device, memory_format=torch.channels_last) for each in networks.values()], about)


def from_noise(method: str, networks: list[nn.Module], x: Tensor, z: Tensor) -> Tensor:
    """What a method makes of x, b 1 h w in [-1, 1], and eight random numbers each, z, b 8: b 3 h w in [-1, 1]."""
    if method == "pix2pix":
        return pix2pix.translate(*networks, x, z)
    return munit.translate(*networks, x, style=z) if method == "munit" else networks[0](x, z)
