"""Which files of ours a notebook runs, without running it: a change in one is a reason to rerun."""

from pathlib import Path

import nbformat

from segin_core.running.identity import content_digest, imported_files, source_files

COPY = "copy-me"  # the tag of cells that are made to be copied: each runs alone, and nothing else depends on it


def code(notebook: Path) -> str:
    """All code of a notebook as one text, but for the cells that are made to be copied."""
    cells = nbformat.read(notebook, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code" and not to_copy(cell))


def to_copy(cell: nbformat.NotebookNode) -> bool:
    """Is it a cell that is made to be copied?"""
    return COPY in cell.metadata.get("tags", [])


def sources(notebook: Path, root: Path = Path(".")) -> list[Path]:
    """The segin_core files a notebook imports, directly or through one another; `root` holds segin_core.

    Of a notebook that names the folder benchmarks also the scripts there and what they import; of one that asks where
    the package lies, to read its files, all of them.
    """
    text = code(notebook)
    scripts = root.glob("benchmarks/*.py") if '"benchmarks"' in text else ()
    package = root.glob("segin_core/**/*.py") if "segin_core.__file__" in text else ()
    return source_files(*scripts, *package, *imported_files(text, root=root), root=root)


def digest(notebook: Path) -> str:
    """The content of all these files; one that changes makes a run of the notebook another code's."""
    return content_digest(sources(notebook), Path("."))
