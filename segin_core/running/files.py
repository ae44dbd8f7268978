"""Files that are whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from segin_core.errors import InputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its name when the block ends and goes when the block fails.

    Folders on the way are made. The file has the permissions that the umask gives, whoever writes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex}")  # short, however long the name of `path` is
    temporary.touch()
    mode = temporary.stat().st_mode
    try:
        yield temporary
        temporary.chmod(mode)  # safetensors makes files for their owner alone
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def held(lock: Path, *, wait: bool = True) -> Iterator[None]:
    """Do a block while no other process is in a block of the same lock file; what a killed one held is free again.

    Another process is waited for, or refused where `wait` is False. Folders on the way are made. Raises InputError for
    one that is refused, and where the file cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        mine = FileLock(lock).acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise InputError(f"{lock}: another process is at work here; wait until it ends, or stop it.") from None
    except OSError as problem:
        reason = problem.strerror or problem
        raise InputError(f"{lock} cannot be written ({reason}): choose a folder you may write to.") from problem
    with mine:
        yield


def write_json(path: Path, content: Any) -> None:
    """Write JSON: all of it or nothing."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
