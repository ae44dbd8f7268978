"""Weights that others have published: inside a pip package, on this machine, or a download. Checked by hash."""

from __future__ import annotations

import pickle
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from segin_core.errors import InputError


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
    import pooch  # here, so that the method itself can be imported without it

    try:
        return Path(pooch.retrieve(url, f"sha256:{digest}", kept.name, kept.parent))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{purpose}: its weights are not on this machine and could not be downloaded ({error}); either put "
            f"{kept.name} from {url.rsplit('/', 1)[0]} into {kept.parent} or {instead}"
        ) from error


def kept_file(url: str) -> Path:
    """Where the download of this address is kept, whether it is there or not: the user's folder of caches."""
    import pooch

    return Path(pooch.os_cache("segin")) / url.rsplit("/", 1)[-1]


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth file by name; nothing but tensors is unpickled. Raises InputError for any other file."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
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
