"""Prepared pairs, kept in a folder of their own, named for what they are made of: whole or not there."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from segin_core.data.images import save_image
from segin_core.data.parts import KINDS, Limit, limited
from segin_core.errors import InputError
from segin_core.running.files import held, write_json
from segin_core.running.identity import Identity, content_digest, source_digest


def prepare_pairs(
    place: Path, name: str, named: Mapping[str, Mapping[str, Path]], make: Callable[[Path], dict[str, Image.Image]], *,
    root: Path, size: int, settings: dict[str, Any], packages: Sequence[str], limit: Limit,
    group_of: Callable[[Path], str], check: Callable[[Path], Any] | None = None, progress: bool = True,
) -> Path:  # fmt: skip
    """Make the pairs once; the folder holds <part>/{x,y,mask}/<name>.png and manifest.json.

    named: part to name to source file, all below `root`, of which `limit` is kept (see `parts.limited`). `make` turns a
    file into {"x", "y", "mask"}; `check` raises for one that cannot be read, before the first is made. `group_of` names
    the family of a file, to count them. The folder is <place>/<size>px/<name>-<key>: other settings, other bytes in a
    source, other code behind `make` or other versions of `packages` mean another one. A finished one is returned at
    once; of several processes that ask for the same one, the first makes it and the others wait. Raises InputError for
    a size below 32, a limit below 1 or a folder that cannot be written, and what `check` and `make` raise.
    """
    if not isinstance(size, int) or size < 32:
        raise InputError(f"size={size!r} is no whole number of pixels from 32 up: give 64, 128 or 256.")
    kept = {part: {each: named[part][each] for each in names} for part, names in limited(named, limit).items()}
    files = [file for part in kept.values() for file in part.values()]
    settings = {"size": size} | settings
    chosen = settings | {"names": {part: list(sources) for part, sources in kept.items()}}
    identity = Identity(chosen, content_digest(files, root), source_digest(make, packages=packages))
    folder, started = place / f"{size}px" / f"{name}-{identity.key}", time.perf_counter()
    if (folder / "manifest.json").is_file():
        return folder
    with held(place / f".{folder.name}.lock"):
        if (folder / "manifest.json").is_file():  # made by another process, for which this one has waited
            return folder
        for file in files if check else ():
            check(file)
        partial = folder.with_name(f"{folder.name}.partial")  # an interrupted run finds its pairs there again
        for part, sources in kept.items():
            for each, source in tqdm(sources.items(), desc=f"{name}, {part}", disable=not progress, mininterval=5):
                if not (partial / part / KINDS[-1] / f"{each}.png").is_file():  # the last one written, so all are there
                    made = make(source)
                    for kind in KINDS:
                        save_image(made[kind], partial / part / kind / f"{each}.png")
        manifest = settings | {
            "counts": {part: len(sources) for part, sources in kept.items()},
            "families": {part: len(set(map(group_of, sources.values()))) for part, sources in kept.items()},
            "sha256": content_digest(partial.rglob("*.png"), partial),
            "identity": identity.record,
            "versions": {package: version(package) for package in (*packages, "torch")},
            "seconds": round(time.perf_counter() - started, 1),
        }
        try:
            write_json(partial / "manifest.json", manifest)
            os.replace(partial, folder)
        except OSError as problem:
            raise InputError(f"{folder} cannot be written ({problem.strerror}): delete it and run again.") from problem
    return folder
