"""Prepared pairs, kept in a folder of their own: made once, whole or not there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from segin_core.data.images import save_png
from segin_core.errors import InputError
from segin_core.running.files import write_json

PARTS = ("train", "test")


def check_size(size: int) -> None:
    """Raises InputError for a size that is no whole number of pixels from 32 up."""
    if not isinstance(size, int) or size < 32:
        raise InputError(f"size={size!r} is no whole number of pixels from 32 up: give 64, 128 or 256.")


def digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal: an order that looks random and never changes."""
    return sha256(text.encode()).hexdigest()


def first_by_hash(parts: dict[str, list[Path]], limit: tuple[int, int] | None) -> dict[str, list[Path]]:
    """At most `limit` (train, test) files, those whose names have the smallest hashes; InputError below 1."""
    if limit is None:
        return parts
    if len(limit) != 2 or min(limit) < 1:
        raise InputError(f"limit={limit!r} is not two positive counts: give (train, test) or None.")
    by_hash = {part: sorted(parts[part], key=lambda file: digest(file.name)) for part in PARTS}
    return {part: sorted(by_hash[part][:n]) for part, n in zip(PARTS, limit, strict=True)}


def named_files(files: Sequence[Path], root: Path) -> dict[str, Path]:
    """Flat names for files that may lie in nested folders: Boots/Ankle/1.2.jpg is Boots_Ankle_1.2.

    Raises InputError if two files would share a name.
    """
    named: dict[str, Path] = {}
    for file in files:
        name = "_".join(file.relative_to(root).with_suffix("").parts).replace(" ", "-")
        if name in named:
            raise InputError(f"{file} and {named[name]} would both be called {name}: rename one of them.")
        named[name] = file
    return named


def write_pairs(
    folder: Path,
    named: dict[str, dict[str, Path]],
    make: Callable[[Path], dict[str, Image.Image]],
    about: dict[str, object],
    *,
    progress: bool,
) -> Path:
    """Write what `make` returns for all `named` files (part to name to file), then a manifest; returns `folder`.

    `make` turns a file into {"x", "y", "mask"}. Pairs are collected in <folder>.partial, where an interrupted run finds
    them again; `folder` itself is whole or not there. The manifest is `about` with counts, SHA-256 and seconds.
    Raises InputError if something cannot be written, and what `make` raises.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    started, seen = time.perf_counter(), sha256()
    for part, files in named.items():
        for name, source in tqdm(files.items(), desc=f"{folder.name}, {part}", disable=not progress, mininterval=5):
            targets = {kind: partial / part / kind / f"{name}.png" for kind in ("x", "y", "mask")}
            if not targets["mask"].is_file():  # the last one written, so all three are there
                for kind, picture in make(source).items():
                    save_png(picture, targets[kind])
            for kind, file in targets.items():
                seen.update(f"{part}/{kind}/{name}".encode() + file.read_bytes())
    counts = {part: len(files) for part, files in named.items()}
    record = about | {"counts": counts, "sha256": seen.hexdigest()}
    try:
        write_json(partial / "manifest.json", record | {"seconds": round(time.perf_counter() - started, 1)})
        os.replace(partial, folder)
    except OSError as problem:
        if not (folder / "manifest.json").is_file():  # else another process was faster
            raise InputError(f"{folder} cannot be written ({problem.strerror}): delete it and run again.") from problem
    return folder
