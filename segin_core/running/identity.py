"""What a result belongs to: the settings in force, the content of its data, the sources that made it.

Whatever is kept to be found again (a training's state, a match, a prepared set) is kept under the key of its identity,
so that other settings, other data or other code never find it.
"""

from __future__ import annotations

import ast
import functools
import inspect
import json
import textwrap
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

PACKAGE = "segin_core"
_PARSING = Lock()  # two threads in `ast.parse` at once trip over each other's depth in Python 3.11 (SystemError)
ROOT = Path(__file__).parents[2]  # the folder that holds the package


class Identity(NamedTuple):
    """What a result belongs to; two results with the same `key` are the same result."""

    settings: dict[str, Any]  #: everything that shapes it, as JSON can hold it
    data: str  #: `content_digest` of what it was made from
    code: str  #: `source_digest` of what made it

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of all three."""
        return sha256(json.dumps(self, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def record(self) -> dict[str, str]:
        """Key and digests, to be stored with the result."""
        return {"key": self.key, "data": self.data, "code": self.code}


def content_digest(files: Iterable[Path], root: Path) -> str:
    """SHA-256 over the names relative to `root`, and the bytes, of files in any order."""
    digest = sha256()
    for file in sorted(files):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def source_digest(*objects: Any, packages: Iterable[str] = ()) -> str:
    """SHA-256 of the code behind classes, functions and partials of such, comments and docstrings left out.

    Of an object of segin_core that is its module and every module of segin_core which that one imports; of any other
    (in a notebook's cell, say) its own source. `packages`: distributions whose installed version counts too.
    """
    files, texts = set(), []
    for each in objects:
        while isinstance(each, functools.partial):
            each = each.func
        if each.__module__.split(".")[0] == PACKAGE:
            files.add(Path(inspect.getfile(each)))
        else:
            texts.append(textwrap.dedent(inspect.getsource(each)))
    with _PARSING:
        texts += [file.read_text(encoding="utf-8") for file in source_files(*files, root=ROOT)]
        parts = [ast.unparse(_WithoutDocstrings().visit(ast.parse(text))) for text in texts]
    parts += [f"{name}=={version(name)}" for name in sorted(packages)]
    return sha256("".join(f"{part}\0" for part in parts).encode()).hexdigest()


class _WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node


def source_files(*starts: Path, root: Path) -> list[Path]:
    """These files and those of segin_core that they import, directly or through one another; `root` holds it."""
    waiting, found = set(starts), set()
    while waiting:
        file = waiting.pop()
        found.add(file)
        folder = ".".join(file.parent.relative_to(root).parts)
        waiting |= imported_files(file.read_text(encoding="utf-8"), root=root, package=folder) - found
    return sorted(found)


def imported_files(text: str, *, root: Path, package: str = "") -> set[Path]:
    """The files of segin_core that a Python text names in its imports; `package`: where it lies, for relative ones."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    paths = [name.split(".") for name in names if name.split(".")[0] == PACKAGE]
    # the __init__ files above it come with a module's own; of a function that is named, those of its module
    stems = {root.joinpath(*path[:depth]) for path in paths for depth in range(1, len(path) + 1)}
    return {file for stem in stems for file in (stem / "__init__.py", stem.with_suffix(".py")) if file.is_file()}
