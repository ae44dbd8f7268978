"""Checkpoints: tensors as safetensors, everything else as JSON; nothing is unpickled."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from segin_core.errors import InputError
from segin_core.running.files import write_json, written_whole
from segin_core.running.identity import Identity
from segin_core.translator import Translator


def save_tensors(path: Path, tensors: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Write tensors and a JSON description into one safetensors file: all of it or nothing.

    Raises InputError where there is no place for it, or none that may be written to.
    """
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with written_whole(path) as temporary:
            save_file(flat, temporary, metadata={"json": json.dumps(description)})
    except (SafetensorError, OSError) as problem:
        raise InputError(f"{path} cannot be written ({problem}): free some space or choose another folder") from problem


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_tensors` wrote. Raises InputError where the file is missing, cut short or not one of these."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such checkpoint; train first, or give the path of a model.safetensors")
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["json"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: no checkpoint of segin_core, or cut short ({error}); copy or make it again"
        ) from error


def save_networks(path: Path, networks: dict[str, torch.nn.Module], description: dict[str, Any]) -> Path:
    """Save a method's networks in one file, with the `config` of each, and the description beside it as JSON."""
    description = {"networks": {name: network.config for name, network in networks.items()}, **description}
    states = {
        f"{name}/{key}": value for name, network in networks.items() for key, value in network.state_dict().items()
    }
    save_tensors(path, states, description)
    write_json(path.with_suffix(".json"), description)
    return path


def load_networks(
    path: str | Path, classes: dict[str, type[torch.nn.Module]]
) -> tuple[dict[str, torch.nn.Module], dict[str, Any]]:
    """The networks of these names in evaluation mode, built from their saved configs, and the description.

    `classes` says which class each is; networks that it does not name (a discriminator, say) are left in the file.
    Raises InputError for a file that is missing, damaged, of another method or another version, and for weights that do
    not fit their own config.
    """
    tensors, description = load_tensors(Path(path))
    networks = {}
    for name, kind in classes.items():
        config = description.get("networks", {}).get(name)
        if config is None:
            raise InputError(f"{path}: holds no network {name!r}; give the path of the method's own model.safetensors")
        try:
            networks[name] = kind(**config)
        except TypeError as error:
            raise InputError(f"{path}: {name} was saved by another version ({error}); train it anew") from error
        load_state(networks[name], below(tensors, f"{name}/"), path)
        networks[name].eval()
    return networks, description


def load_translator(path: str | Path) -> tuple[Translator, dict[str, Any]]:
    """SEGIN's N in evaluation mode and the description it was saved with; raises as `load_networks`."""
    networks, description = load_networks(path, {"translator": Translator})
    return networks["translator"], description


def kept(folder: Path, identity: Identity, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What `make` returns: computed once for each identity, and found again in `folder`.

    A file that cannot be read is made anew, with a warning.
    """
    path = folder / f"{identity.key}.safetensors"
    if path.is_file():
        try:
            return load_tensors(path)[0]
        except InputError as problem:
            warnings.warn(f"{problem}: done here", stacklevel=2)
    save_tensors(path, make(), identity._asdict())
    return load_tensors(path)[0]


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def load_state(model: torch.nn.Module, tensors: dict[str, Tensor], path: str | Path) -> None:
    """Load weights, or say in one sentence which do not fit: a checkpoint of another width, say."""
    have, want = ({name: tuple(t.shape) for name, t in state.items()} for state in (tensors, model.state_dict()))
    for name in sorted(have.keys() | want.keys()):
        if have.get(name) != want.get(name):
            raise InputError(
                f"{path}: {name} is {have.get(name, 'absent')} in the file and {want.get(name, 'absent')} in the "
                "network; the checkpoint is of another width or architecture, use the settings it was trained with"
            )
    model.load_state_dict(tensors)
