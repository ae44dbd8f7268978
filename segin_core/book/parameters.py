"""A notebook's parameters, checked: an unknown name or another type stops the run instead of being logged."""

import ast
import difflib
import shlex
from pathlib import Path
from typing import Any, Literal, NamedTuple

import nbformat
import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from segin_core.book.paths import project_root
from segin_core.errors import InputError

INJECTED = "# Parameters"  # first line of the cell that papermill adds behind the one tagged `parameters`
PLAIN_TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict, "None": None}


class Parameter(NamedTuple):
    """What a line `name: type = default` of a parameters cell declares."""

    type: Any
    default: Any


def _type(annotation: ast.expr) -> Any:
    """The type an annotation spells, without running it. Raises ValueError for any but a plain type."""
    match annotation:
        case ast.Name(id=name) if name in PLAIN_TYPES:
            return PLAIN_TYPES[name]
        case ast.Constant(value=None):
            return None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _type(left) | _type(right)
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return list[_type(item)]
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, item])):
            return dict[_type(key), _type(item)]
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            values = ast.literal_eval(choices)
            return Literal[values if isinstance(values, tuple) else (values,)]
    raise ValueError


def _check(value: Any, kind: Any, file: str, name: str) -> Any:
    """The value, if it is of that type: an int is a float too, a string or a bool is never a number."""
    try:
        return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False)).validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
    wanted, given = fault["msg"].removeprefix("Input should be "), fault["input"]
    written = fault["type"] == "float_type" and isinstance(given, str)
    hint = " (YAML reads 1e-3 as text: write 1.0e-3)" if written else ""
    raise InputError(f"{file}: {name} is {given!r} but must be {wanted}{hint}.")


def _parse(cell: str, file: str) -> dict[str, Parameter]:
    """The parameters a cell declares, one `name: type = literal` per line."""
    try:
        statements = ast.parse(cell).body
    except SyntaxError as error:
        raise InputError(f"{file}: line {error.lineno} of the parameters is not Python; mend it.") from None
    declared = {}
    for line in statements:
        if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value):
            raise InputError(f"{file}: write the parameter `{ast.unparse(line)}` as `name: type = value`.")
        name = line.target.id
        try:
            kind, default = _type(line.annotation), ast.literal_eval(line.value)
        except (ValueError, TypeError):
            known = ", ".join(PLAIN_TYPES)
            raise InputError(f"{file}: {name} needs a type of {known} and a plain value.") from None
        declared[name] = Parameter(kind, _check(default, kind, file, name))
    return declared


def _checked(declared: dict[str, Parameter], overrides: dict[str, Any], file: str) -> dict[str, Any]:
    """The overrides with each name known and each value of its type."""
    for name in overrides:
        if name not in declared:
            near = difflib.get_close_matches(str(name), declared, n=1)
            guess = f"did you mean {near[0]}? Known" if near else "known"
            raise InputError(f"{file}: unknown parameter {name!r}; {guess} are {', '.join(declared)}.")
    return {name: _check(value, declared[name].type, file, name) for name, value in overrides.items()}


def declared_parameters(notebook: Path) -> dict[str, Parameter]:
    """The parameters of a notebook's one cell tagged `parameters`: name to type and default."""
    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except FileNotFoundError:
        raise InputError(f"{notebook}: there is no such notebook; correct the name.") from None
    except Exception as error:
        raise InputError(f"{notebook}: not a notebook ({type(error).__name__}); restore it.") from None
    tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise InputError(f"{notebook}: {len(tagged)} cells are tagged `parameters`; tag exactly one.")
    return _parse(tagged[0], str(notebook))


def check_overrides(notebook: Path, overrides: dict[str, Any], source: Path | None = None) -> dict[str, Any]:
    """The overrides as the notebook may take them. Raises InputError, naming `source` if given."""
    return _checked(declared_parameters(notebook), overrides, str(source or notebook))


def check_parameters(history: list[str]) -> dict[str, Any]:
    """Called in the cell right behind the parameters one, as `check_parameters(In)`: are papermill's values allowed?

    Returns the values in force, name to value. Raises InputError for an unknown name or another type.
    """
    injected = max((i for i, cell in enumerate(history) if cell.partition("\n")[0].strip() == INJECTED), default=None)
    given = {}
    for line in [] if injected is None else ast.parse(history[injected]).body:
        name = ast.unparse(line.targets[0]) if isinstance(line, ast.Assign) else ast.unparse(line)
        try:
            given[name] = ast.literal_eval(line.value)
        except (ValueError, AttributeError):
            raise InputError(f"parameters: {name} must be a plain, finite value.") from None
    declaring = (cell for cell in reversed(history[:injected]) if cell.startswith("edition: "))
    declared = _parse(next(declaring, ""), "parameters cell")
    return {name: parameter.default for name, parameter in declared.items()} | _checked(declared, given, "parameters")


def overrides_file(edition: str, notebook: str) -> Path:
    """The YAML file, from the project's root, in which an edition keeps its overrides for a notebook."""
    return Path("params") / edition / f"{notebook}.yaml"


def load_overrides(edition: str, notebook: str) -> dict[str, Any]:
    """What params/<edition>/<notebook>.yaml sets, unchecked, and the edition itself."""
    file = overrides_file(edition, notebook)
    if not (project_root() / file.parent).is_dir():
        known = sorted(folder.name for folder in (project_root() / "params").glob("*/"))
        raise InputError(f"{file.parent}: there is no such edition; choose one of {', '.join(known)}.")
    try:
        content = yaml.safe_load((project_root() / file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file}: the file is missing; create it, empty if nothing is to be set.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise InputError(f"{file}: not valid YAML{line}; write one `name: value` per line.") from None
    overrides = {} if content is None else content
    if not isinstance(overrides, dict):
        raise InputError(f"{file}: write one `name: value` per line, not a {type(overrides).__name__}.")
    if overrides.get("edition", edition) != edition:
        raise InputError(f"{file}: edition must be {edition!r}, as the folder is named.")
    return {"edition": edition, **overrides}


def papermill_command(notebook: str, edition: str) -> str:
    """The command that runs this notebook alone, from the project's root, as the workflow would."""
    executed, values = f"runs/{edition}/notebooks/{notebook}.ipynb", overrides_file(edition, notebook)
    return shlex.join(["papermill", f"book/{notebook}.ipynb", executed, "-f", str(values), "-k", "python3"])
