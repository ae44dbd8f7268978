"""Networks that come with the project: N in half precision, each with a card that holds its SHA-256."""

from __future__ import annotations

import copy
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from segin_core.errors import InputError
from segin_core.running.checkpoints import save_networks
from segin_core.translator import Translator

INSTALLED, CHECKOUT = Path(__file__).parents[1] / "models", Path(__file__).parents[2] / "published" / "models"
FOLDER = INSTALLED if INSTALLED.is_dir() else CHECKOUT  # pyproject.toml puts the one's files where the other is
DEFAULT = "avatars"
LIMIT = 12_000_000  # bytes a file


def save_half(path: Path, translator: Translator, description: dict[str, Any], *, limit: int = LIMIT) -> Path:
    """Write N for `checkpoints.load_translator`, the weights of its convolutions as float16: half a file's size.

    What has one number a channel (biases, batch normalisation) stays float32: it is a thousandth of the size, and a
    variance may lie outside of float16's range. `description`: as the training saved it.
    Raises InputError, and leaves what was there, for a network of more than `limit` bytes and for weights that float16
    cannot hold.
    """
    half = copy.deepcopy(translator)
    for name, weight in half.named_parameters():
        if weight.ndim > 1:
            weight.data = weight.data.half()
        if not weight.isfinite().all():
            raise InputError(f"{path.name}: {name} has values that float16 cannot hold; train with smaller weights")
    size = sum(tensor.nbytes for tensor in half.state_dict().values())
    if size > limit:
        raise InputError(
            f"{path.name}: {size / 1e6:.1f} MB in half precision, but at most {limit / 1e6:.1f} MB are shipped; "
            "train a narrower network (width)"
        )
    return save_networks(path, {"translator": half}, description)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    return sha256(path.read_bytes()).hexdigest()


def shipped(name: str = DEFAULT, *, folder: Path = FOLDER) -> Path:
    """The file of a network that comes with the project, if its bytes are those that its card <name>.json names.

    Raises InputError where one of the two is missing, and where they do not belong together.
    """
    path = Path(folder) / f"{name}.safetensors"
    try:
        wanted = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["sha256"]
        found = file_digest(path)
    except OSError as error:
        raise InputError(
            f"{error.filename}: the network that comes with the project is not there; restore published/models, or "
            "give a checkpoint of your own"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path.with_suffix('.json')}: no card of a network; restore published/models") from error
    if found != wanted:
        raise InputError(f"{path}: not the network that its card names, damaged or exchanged; restore published/models")
    return path
