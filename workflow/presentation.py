"""How a chapter's page is laid out: today's folds and captions on the cells of any run, the result under the title.

The sources say it in the metadata of their cells, which JupyterLab's property inspector shows: the tags `hide-input`
and `hide-cell` fold, `caption` is one sentence on what a picture or table shows, and the tag `result` marks what the
chapter is read for.
"""

import ast
import re
from copy import deepcopy

import nbformat
from nbformat import NotebookNode

RESULT = "result"
UNTOLD = "A picture of an older run of this chapter; the text above it says what it shows."


def computes(code: str) -> str:
    """What a cell's code does: equal for two cells that differ in layout, comments and docstrings only."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            del node.body[0]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = " ".join(node.value.split())  # text in triple quotes may be wrapped elsewhere
    return ast.dump(tree)


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def present(page: NotebookNode, chapter: NotebookNode, *, anchors: bool = True) -> None:
    """Lay out a page as today's chapter asks; a run's cell is one of today's by its id, or if it computes the same.

    `anchors`: pictures with a caption can be linked to as figure-<id of the cell>; names are unique in the book, so not
    on a second page of the same chapter.
    """
    code = [cell for cell in chapter.cells if cell.cell_type == "code"]
    today = {computes(cell.source): cell for cell in code} | {cell.id: cell for cell in code}
    for cell in (cell for cell in page.cells if cell.cell_type == "code"):
        if "injected-parameters" in tags(cell):
            cell.metadata.tags = [*tags(cell), "hide-input"]
        elif found := today.get(cell.id) or today.get(computes(cell.source)):
            cell.metadata = deepcopy(found.metadata)
    lifted = [part for cell in page.cells if RESULT in tags(cell) for part in lift(cell)]
    for cell in page.cells:
        set_caption(cell, anchor=f"figure-{cell.id}" if anchors else None)
    if lifted:
        title, rest = opening(page.cells[0].source)
        page.cells[0].source = title
        page.cells[1:1] = [*lifted, nbformat.v4.new_markdown_cell(rest)]


def opening(source: str) -> tuple[str, str]:
    """A chapter's first cell in two: title with the line that names its place in the paper, and the rest."""
    title, _, rest = source.partition("\n\n")
    if rest.startswith("*"):
        paper, _, rest = rest.partition("\n\n")
        title = f"{title}\n\n{paper}"
    return title, rest


def lift(cell: NotebookNode) -> list[NotebookNode]:
    """A copy of what a cell shows, without its code; the caption of a table stands above it."""
    outputs = [deepcopy(output) for output in cell.outputs if "data" in output]
    for data in (output.data for output in outputs):
        if "text/html" in data:  # a styled table's names are taken by the table itself
            data["text/html"] = re.sub(r"\bT_(?=[0-9a-f]{5})", "R_", data["text/html"])
    metadata = {"tags": ["remove-input"], "caption": cell.metadata.get("caption", "")}
    copy = nbformat.v4.new_code_cell(
        cell.source, outputs=outputs, execution_count=cell.execution_count, metadata=metadata
    )
    set_caption(copy, anchor=None)
    if "mystnb" in copy.metadata or not copy.metadata.caption:
        return [copy]
    return [nbformat.v4.new_markdown_cell(copy.metadata.caption), copy]


def set_caption(cell: NotebookNode, *, anchor: str | None) -> None:
    """Give the pictures of a cell its caption and, without markup, the same as the text in their place.

    Of several pictures of one cell none gets the anchor: each would, and a page may have a name but once.
    """
    pictures = 0 if cell.cell_type != "code" else sum("image/png" in output.get("data", {}) for output in cell.outputs)
    if not pictures:
        return
    caption = cell.metadata.get("caption")
    cell.metadata["mystnb"] = {"image": {"alt": UNTOLD}}
    if caption:
        plain = re.sub(r"\{\w+\}`([^`<]*?)(?: <[^`>]*>)?`|[*`$]", r"\1", caption)
        figure = {"caption": caption} | ({"name": anchor} if anchor and pictures == 1 else {})
        cell.metadata["mystnb"] = {"figure": figure, "image": {"alt": plain}}
