"""Translations of a whole test set: in batches, kept as bytes, in one lossless file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segin_core.running.checkpoints import load_tensors, save_tensors


def save_pictures(path: Path, pictures: dict[str, Tensor], description: dict[str, Any]) -> Path:
    """Write stacks `... c h w` in [-1, 1] as 8-bit values, as a PNG would hold them: all of it or nothing."""
    save_tensors(path, {name: _to_bytes(stack) for name, stack in pictures.items()}, description)
    return path


def load_pictures(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The stacks that `save_pictures` wrote, back in [-1, 1], and their description; InputError as `load_tensors`."""
    stored, description = load_tensors(path)
    return {name: stack.float() / 127.5 - 1 for name, stack in stored.items()}, description


def _to_bytes(stack: Tensor) -> Tensor:
    return ((stack.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
