"""How a chapter's page is laid out: today's folds, captions and first figure, on the cells of any run of it."""

import ast


def computes(code: str) -> str:
    """What a cell's code does: equal for two cells that differ in layout, comments and docstrings only."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            del node.body[0]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = " ".join(node.value.split())  # text in triple quotes may be wrapped elsewhere
    return ast.dump(tree)
