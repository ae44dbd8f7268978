"""Which files of ours a notebook runs, without running it: a change in one is a reason to rerun."""

import ast
from pathlib import Path

import nbformat

PACKAGE = "segin_core"


def code(notebook: Path) -> str:
    """All code of a notebook as one text."""
    cells = nbformat.read(notebook, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def _imported(tree: ast.AST, package: str) -> set[str]:
    """Dotted names under segin_core that a file may import; `package` is where it lies (relative imports)."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] == PACKAGE}


def _files(name: str, root: Path) -> set[Path]:
    """The file of a dotted name and the __init__ files above it; empty parts for a function or class."""
    found = set()
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        stem = root.joinpath(*parts[:depth])
        found |= {file for file in (stem / "__init__.py", stem.with_suffix(".py")) if file.is_file()}
    return found


def sources(notebook: Path, root: Path = Path(".")) -> list[Path]:
    """The segin_core files a notebook imports, directly or through one another; `root` holds segin_core.

    Of a notebook that names the folder benchmarks also the scripts there and what they import.
    """
    text = code(notebook)
    waiting = set(root.glob("benchmarks/*.py")) if '"benchmarks"' in text else set()
    waiting |= set().union(*(_files(name, root) for name in _imported(ast.parse(text), PACKAGE)))
    found: set[Path] = set()
    while waiting:
        file = waiting.pop()
        found.add(file)
        package = ".".join(file.parent.relative_to(root).parts)
        names = _imported(ast.parse(file.read_text(encoding="utf-8")), package)
        waiting |= set().union(*(_files(name, root) for name in names)) - found
    return sorted(found)
