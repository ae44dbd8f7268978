"""Sphinx extension: docstrings are plain text with `code` in backticks, not reStructuredText."""

import re
from typing import Any


def _inline(line: str) -> str:
    """One line of prose: `code` becomes literal, other markup characters are shown as they stand."""
    parts = re.split(r"(`[^`]+`)", line.replace("``", "`"))
    return "".join(
        f"``{part[1:-1].strip()}``\\ " if index % 2 else re.sub(r"([*|_`\\])", r"\\\1", part)
        for index, part in enumerate(parts)
    )


def plain(lines: list[str]) -> list[str]:
    """A docstring as reStructuredText: a paragraph with an indented line keeps its layout, others flow."""
    text = []
    for paragraph in "\n".join(lines).strip("\n").split("\n\n"):
        rows = paragraph.splitlines()
        if any(row.startswith((" ", "- ", "* ")) for row in rows):
            text += ["::", "", *(f"    {row}" for row in rows), ""]
        else:
            text += [*(_inline(row) for row in rows), ""]
    return text


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = plain(lines)


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
