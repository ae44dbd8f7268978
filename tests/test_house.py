"""The library's layout: the paper at the top and light, imports one way, each equation in one place."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parent.parent / "segin_core"
PAPER = ("matching", "vgg", "translator", "discriminator", "losses", "corruption", "self_supervision", "segin")
LAYERS = (
    ("errors",), ("the paper", "data", "running"), ("metrics",), ("evaluation",), ("baselines", "beyond"),
    ("translate",), ("book", "own"),
)  # fmt: skip
HEAVY = {
    "h5py", "matplotlib", "nbformat", "pandas", "papermill", "platformdirs", "pooch", "pydantic", "scipy", "skimage",
    "torchvision", "yaml", "segin_core.book", "segin_core.metrics", "segin_core.evaluation", "segin_core.baselines",
}  # fmt: skip


def sources() -> dict[str, ast.Module]:
    """Every module of the library by its dotted name, packages' own modules under the package's name."""
    found = {}
    for file in sorted(LIBRARY.rglob("*.py")):
        parts = ("segin_core", *file.relative_to(LIBRARY).with_suffix("").parts)
        found[".".join(part for part in parts if part != "__init__")] = ast.parse(file.read_text(encoding="utf-8"))
    return found


SOURCES = sources()


def imported(tree: ast.Module) -> set[str]:
    """The library's modules that a source imports, also inside its functions."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names & SOURCES.keys() - {"segin_core"}


def layer(module: str) -> int:
    """The place of a module in the row of `segin_core`'s docstring."""
    _, first, *rest = module.split(".")
    name = first if first in ("errors", "translate") or rest or (LIBRARY / first).is_dir() else "the paper"
    return next(i for i, names in enumerate(LAYERS) if name in names)


def test_imports_go_one_way() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, tree in SOURCES.items()
        for other in imported(tree)
        if module != "segin_core" and layer(other) > layer(module)
    ]
    assert not wrong


def test_no_imports_in_a_circle() -> None:
    waiting = {module: imported(tree) - {module} for module, tree in SOURCES.items()}
    while free := {module for module, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {module: needs for module, needs in waiting.items() if module not in free}
    assert not waiting


LOADED = "import sys, {}; print(*sys.modules)"


@pytest.mark.parametrize(
    ("modules", "without"),
    [
        ((), HEAVY | {"torch"}),
        (("errors",), HEAVY | {"torch"}),
        (PAPER, HEAVY),
        (("translate",), HEAVY),
    ],
)
def test_the_paper_needs_nothing_of_the_book(modules: tuple[str, ...], without: set[str]) -> None:
    names = ", ".join(["segin_core", *(f"segin_core.{module}" for module in modules)])
    done = subprocess.run([sys.executable, "-c", LOADED.format(names)], capture_output=True, text=True, check=True)
    assert not without & set(done.stdout.split())


QUIET = """
import importlib, random, sys
import numpy, torch
states = lambda: (torch.get_rng_state().tolist(), random.getstate(), numpy.random.get_state()[1].tolist())
before, threads = states(), torch.get_num_threads()
for name in sys.argv[1:]:
    importlib.import_module(name)
assert states() == before, "seeds, or draws"
assert torch.get_default_device().type == "cpu" and not torch.cuda.is_initialized(), "picks a device"
assert torch.get_num_threads() == threads and torch.is_grad_enabled(), "changes torch's settings"
"""


def test_imports_print_nothing_and_leave_the_random_state_and_devices_alone() -> None:
    done = subprocess.run([sys.executable, "-c", QUIET, *SOURCES], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_seeds_or_picks_a_device() -> None:
    calls = r"\bmanual_seed_all\(|\btorch\.manual_seed\(|\bset_default_device\(|\.cuda\(\)|\brandom\.seed\(|^\s*print\("
    allowed = {"translate": {"print("}, "command": {"print(", "torch.manual_seed("}}  # command lines speak, and seed
    for file in LIBRARY.rglob("*.py"):
        found = re.findall(calls, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert {call.strip() for call in found} <= allowed.get(file.stem, set()), (file, found)


def test_the_paper_is_short() -> None:
    files = (file for file in LIBRARY.glob("*.py") if file.stem != "translate")  # a command line, folders and sheets
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) <= 1100


def test_each_equation_has_one_place() -> None:
    places = {}
    for name in PAPER:
        module = importlib.import_module(f"segin_core.{name}")
        for thing in vars(module).values():
            if getattr(thing, "__module__", None) == module.__name__ and not thing.__name__.startswith("_"):
                first = re.match(r"Eq\. (\d+)(?: and (\d+))?\b", inspect.getdoc(thing) or "")
                for number in filter(None, first.groups() if first else ()):
                    places.setdefault(int(number), []).append(thing.__qualname__)
    assert {number: len(found) for number, found in places.items()} == dict.fromkeys(range(1, 12), 1), places
