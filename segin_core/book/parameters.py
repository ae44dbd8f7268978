"""A notebook's parameters, checked: an unknown name, another type or a value out of range stops the run at the top."""

import ast
import difflib
import re
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_origin

import nbformat
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from segin_core.book.paths import project_root
from segin_core.book.strict_yaml import read_yaml
from segin_core.errors import InputError

# What a parameter may be, in words that stand beside it: `steps: Count = 1300  # optimiser steps`.
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Odd = Literal[1, 3, 5, 7, 9, 11, 13, 15]
Even = Annotated[int, Field(ge=2, multiple_of=2)]
Pixels = Annotated[int, Field(ge=32, multiple_of=16)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Amount = Annotated[float, Field(gt=0)]  # pixels, seconds, GB
Percent = Annotated[int, Field(ge=0, le=100)]
Degrees = Annotated[float, Field(ge=0, le=180)]
Layer = Annotated[str, Field(pattern=r"^relu[1-5]_[1-4]$")]
Block = Literal[1, 2, 3, 4, 5]  # of a VGG
Vgg = Literal["vgg16-hed", "vgg16-imagenet", "vgg19-imagenet"]
Precision = Literal["bf16", "fp32"]
Blend = Literal["paste", "average"]
Match = Literal["paper", "learned", "object", "both"]
Corruption = Literal["paper", "draft", "none"]
Task = Literal["drawing", "colourisation", "hed"]
Dataset = Literal["openmoji", "shoes"]
Split = Literal["product", "given"]
Compared = Literal["pix2pix", "bicyclegan", "munit"]
Order = Literal["AB", "BA"]
Perceptual = Literal["st-lpips", "lpips"]
Frechet = Literal["efficientnet-lite0", "inception"]
Item = TypeVar("Item")
Several = Annotated[list[Item], Field(min_length=1)]  # Several[Count]: a list of at least one

TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}
TYPES |= {name: kind for name, kind in list(globals().items()) if get_origin(kind) in (Annotated, Literal)}


class Parameter(NamedTuple):
    """What a line `name: type = default` of a parameters cell declares."""

    type: Any
    default: Any


def _type(annotation: ast.expr, file: str, name: str) -> Any:
    """The type an annotation spells in the words of TYPES, `[...]` and `| None`. Raises InputError for any other."""
    spelling = (ast.Name, ast.Load, ast.Subscript, ast.Tuple, ast.BinOp, ast.BitOr, ast.Constant)
    with suppress(NameError, TypeError):
        if all(isinstance(node, spelling) for node in ast.walk(annotation)):  # with these alone nothing can run
            return eval(ast.unparse(annotation), {"__builtins__": TYPES})
    raise InputError(f"{file}: {name} needs a type of {', '.join(TYPES)}.")


def _check(value: Any, kind: Any, file: str, name: str) -> Any:
    """The value, if it is of that type: an int is a float too, a string or a bool is never a number."""
    try:
        return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False)).validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
    _, _, wanted = fault["msg"].partition(" should ")
    place = "".join(f"[{part!r}]" for part in fault["loc"]) if isinstance(value, list | dict) else ""
    hint = ""
    if fault["type"] == "float_type" and isinstance(fault["input"], str):
        hint = " (YAML reads 1e-3 as text: write 1.0e-3)"
    elif fault["type"] == "list_type":
        hint = f" (in YAML {name}: [one, another]; for papermill -y '{{{name}: [one, another]}}')"
    raise InputError(f"{file}: {name}{place} is {fault['input']!r} but must {wanted}{hint}.")


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
        kind = _type(line.annotation, file, name)
        try:
            default = ast.literal_eval(line.value)
        except (ValueError, TypeError):
            raise InputError(f"{file}: {name} needs a plain value, not `{ast.unparse(line.value)}`.") from None
        declared[name] = Parameter(kind, _check(default, kind, file, name))
    return declared


def _know(declared: Iterable[str], names: Iterable[str], file: str) -> None:
    """Raise InputError for the first name that is not declared."""
    for name in (name for name in names if name not in declared):
        near = difflib.get_close_matches(str(name), declared, n=1)
        guess = f"did you mean {near[0]}? Known" if near else "known"
        raise InputError(f"{file}: unknown parameter {name!r}; {guess} are {', '.join(declared)}.")


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
    declared, file = declared_parameters(notebook), str(source or notebook)
    _know(declared, overrides, file)
    return {name: _check(value, declared[name].type, file, name) for name, value in overrides.items()}


def check_parameters(namespace: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """Called in the cell right behind the parameters one, as `parameters = check_parameters(globals())`.

    Checks what papermill set and returns a function: `parameters()` gives the values in force at that moment, name to
    value, checked again, wherever they were set. In a plain script every annotated name above the call is a parameter.
    Raises InputError for an unknown name, another type, a value out of range, or where no parameter is declared.
    """
    annotated, history = dict(namespace.get("__annotations__", {})), namespace.get("In")

    def in_force() -> dict[str, Any]:
        declared = annotated
        if history is not None:  # IPython's cells: the newest that declares `edition: ...`
            cells = (cell for cell in reversed(history) if re.search(r"^edition\s*:", cell, flags=re.MULTILINE))
            declared = {name: each.type for name, each in _parse(next(cells, ""), "parameters").items()}
        if not declared or not declared.keys() <= namespace.keys():
            raise InputError("parameters: run the cell that declares them, `edition: str = ...` first, then this one.")
        return {name: _check(namespace[name], kind, "parameters", name) for name, kind in declared.items()}

    # papermill's cell, the one behind the parameters, is told by its first line
    injected = [cell for cell in history or () if cell.partition("\n")[0].strip() == "# Parameters"]
    lines = ast.parse("".join(injected[-1:])).body
    _know(in_force(), [ast.unparse(line.targets[0]) for line in lines if isinstance(line, ast.Assign)], "parameters")
    return in_force


def overrides_file(edition: str, notebook: str) -> Path:
    """The YAML file, from the project's root, in which an edition keeps its overrides for a notebook.

    Raises InputError for an unknown edition, and outside of the project.
    """
    known = sorted(folder.name for folder in (project_root() / "params").glob("*/"))
    if edition not in known:
        raise InputError(f"params/{edition}: there is no such edition; choose one of {', '.join(known)}.")
    return Path("params") / edition / f"{notebook}.yaml"


def load_overrides(edition: str, notebook: str) -> dict[str, Any]:
    """What params/<edition>/<notebook>.yaml sets, unchecked, and the edition itself."""
    file = overrides_file(edition, notebook)
    try:
        content = read_yaml(project_root() / file, shown=file)
    except FileNotFoundError:
        raise InputError(f"{file}: the file is missing; create it, empty if nothing is to be set.") from None
    overrides = {} if content is None else content
    if not isinstance(overrides, dict):
        raise InputError(f"{file}: write one `name: value` per line, not a {type(overrides).__name__}.")
    if overrides.get("edition", edition) != edition:
        raise InputError(f"{file}: edition must be {edition!r}, as the folder is named.")
    return {"edition": edition, **overrides}


def papermill_command(notebook: str, edition: str, run: str = "") -> str:
    """The command that runs this notebook alone, from the project's root, as the workflow would.

    run: a variant of it, where the edition has a file of its values.
    """
    variant = bool(run) and (project_root() / overrides_file(edition, run)).is_file()
    step = run if variant else notebook
    executed, values = f"runs/{edition}/notebooks/{step}.ipynb", overrides_file(edition, step)
    return shlex.join(["papermill", f"book/{notebook}.ipynb", executed, "-f", str(values), "-k", "python3"])
