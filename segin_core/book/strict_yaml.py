"""YAML as its writer means it: a name given twice, `010` (8) and `1:30` (90) are refused."""

import re
from pathlib import Path
from typing import Any

import yaml

from segin_core.errors import InputError


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = set()
        for key, _ in node.value:
            if key.value in names:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is given twice", problem_mark=key.start_mark)
            names.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag.endswith((":int", ":float")) and re.match(r"[-+]?0\w|.*:", node.value):
            problem = f"{node.value} is a number in another notation: write it in decimals, a text in quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return super().construct_object(node, deep)


def read_yaml(path: Path, shown: Path | None = None) -> Any:
    """The content of a YAML file. Raises InputError, naming `shown` if given, for what is not valid or ambiguous."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1} ({error.problem})" if mark else ""
        raise InputError(f"{shown or path}: not valid YAML{where}; mend it.") from None
