"""An unknown parameter, another type or a broken YAML is one sentence, before or in the notebook."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from segin_core.book.parameters import (
    check_overrides,
    declared_parameters,
    load_overrides,
    papermill_command,
)
from segin_core.errors import InputError

CELL = """edition: str = "quick"  # smoke, quick, cpu or paper
lr: float = 2.0e-4  # paper: 2e-4
steps: int = 10  # our choice
hue: bool = True
layers: list[str] = ["relu4_1"]
limit: int | None = None
size: Pixels = 64
precision: Precision = "bf16"
shares: Several[Share] = [0.5]
patch: Odd = 3
weights: dict[str, float] = {"l1": 100.0}
"""
CHECK = "parameters = check_parameters(globals())"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one notebook, with a space in its path."""
    root = tmp_path / "a project"
    for folder in ("segin_core", "book", "params/quick"):
        (root / folder).mkdir(parents=True)
    (root / "_config.yml").touch()
    write_notebook(root / "book" / "demo.ipynb", CELL)
    monkeypatch.chdir(root)
    return root


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of which each cell given is tagged `parameters`."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell, metadata={"tags": ["parameters"]}) for cell in cells]
    nbformat.write(notebook, path)


def test_declared_types_and_defaults(project: Path) -> None:
    declared = declared_parameters(Path("book/demo.ipynb"))
    names = "edition lr steps hue layers limit size precision shares patch weights"
    assert list(declared) == names.split()
    assert declared["limit"] == (int | None, None)
    assert declared["lr"].default == 2e-4


def test_good_overrides_pass(project: Path) -> None:
    given = {"lr": 1, "steps": 3, "layers": ["a", "b"], "limit": 5, "size": 128, "weights": {"l1": 1.5}}
    assert check_overrides(Path("book/demo.ipynb"), given) == given


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"stesp": 3}, ["'stesp'", "steps", "known", "lr"]),
        ({"zzz": 3}, ["'zzz'", "known are edition, lr"]),
        ({"lr": "1e-3"}, ["lr", "'1e-3'", "1.0e-3"]),
        ({"lr": float("nan")}, ["lr", "nan"]),
        ({"lr": True}, ["lr", "True"]),
        ({"steps": 3.0}, ["steps", "integer"]),
        ({"steps": True}, ["steps", "True"]),
        ({"hue": 1}, ["hue", "boolean"]),
        ({"layers": "relu4_1"}, ["layers", "list"]),
        ({"layers": [3]}, ["layers", "string"]),
        ({"size": 100}, ["size is 100", "multiple of 16"]),
        ({"size": 0}, ["size is 0", "greater than or equal to 32"]),
        ({"precision": "fp16"}, ["precision is 'fp16'", "'bf16' or 'fp32'"]),
        ({"shares": [0.1, 1.5]}, ["shares[1] is 1.5", "less than or equal to 1"]),
        ({"shares": []}, ["shares is []", "at least 1 item"]),
        ({"patch": 4}, ["patch is 4", "1, 3, 5"]),
        ({"weights": {"l1": "x"}}, ["weights['l1'] is 'x'"]),
        ({"layers": '["relu4_1"]'}, ["layers: [one, another]", "-y '{layers: [one, another]}'"]),
        ({"limit": "5"}, ["limit", "integer"]),
        ({3: 1}, ["unknown parameter 3"]),
    ],
)
def test_bad_overrides_are_one_sentence(project: Path, given: dict, words: list[str]) -> None:
    file = Path("params/quick/demo.yaml")
    with pytest.raises(InputError) as caught:
        check_overrides(Path("book/demo.ipynb"), given, source=file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ") and "\n" not in message
    assert all(word in message for word in words)


@pytest.mark.parametrize(
    "cell",
    [
        "a: float = 1 / 3",
        "a: __import__ = 'x'",
        "a: int.real = 3",
        "a: Literal[open('made', 'w')] = 3",
        "a: Share = 1.5",
        "a: float = 'x'",
        "a: Path = 'x'",
        "a = 3",
        "a: int",
        "import os",
        "a: int = (",
        "a: list[int] = [i for i in range(3)]",
    ],
)
def test_bad_parameters_cell(project: Path, cell: str) -> None:
    write_notebook(project / "book" / "bad.ipynb", cell)
    with pytest.raises(InputError, match=r"^book/bad\.ipynb: [^\n]+$"):
        declared_parameters(Path("book/bad.ipynb"))


def test_nothing_in_the_cell_is_run(project: Path) -> None:
    write_notebook(project / "book" / "bad.ipynb", "a: str = open('made', 'w').name")
    with pytest.raises(InputError):
        declared_parameters(Path("book/bad.ipynb"))
    assert not Path("made").exists()


def test_notebook_missing_broken_or_without_the_tag(project: Path) -> None:
    write_notebook(project / "book" / "two.ipynb", CELL, CELL)
    Path("book/broken.ipynb").write_text("{")
    for name, word in (("none", "no such notebook"), ("two", "2 cells"), ("broken", "not a notebook")):
        with pytest.raises(InputError, match=word):
            declared_parameters(Path(f"book/{name}.ipynb"))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("lr: [", "not valid YAML"),
        ("- 3", "a list"),
        ("edition: cpu", "edition"),
        ("a: 1\n b: 2", "line 2"),
        ("steps: 20\nlr: 0.1\nsteps: 30", r"line 3 \(steps is given twice\)"),
        ("weights:\n  l1: 1.0\n  l1: 2.0", r"line 3 \(l1 is given twice\)"),
        ("steps: 010", r"line 1 \(010 is a number in another notation"),
        ("steps: 0x10", "0x10 is a number in another notation"),
        ("lr: 1:30", "1:30 is a number in another notation"),
        ("lr: 1:30.5", "1:30.5 is a number in another notation"),
        ("patches: [1, 03]", "03 is a number in another notation"),
    ],
)
def test_bad_yaml(project: Path, content: str, word: str) -> None:
    Path("params/quick/demo.yaml").write_text(content)
    with pytest.raises(InputError, match=rf"^params/quick/demo\.yaml: .*{word}"):
        load_overrides("quick", "demo")


def test_missing_yaml_and_edition(project: Path) -> None:
    with pytest.raises(InputError, match=r"^params/quick/demo\.yaml: the file is missing"):
        load_overrides("quick", "demo")
    with pytest.raises(InputError, match=r"^params/quik: .* choose one of quick"):
        load_overrides("quik", "demo")


def test_plain_numbers_are_read(project: Path) -> None:
    Path("params/quick/demo.yaml").write_text("a: 0\nb: -10\nc: 1.0e-3\nd: 0.5\ne: '010'\nf: [+1, .5]\n")
    read = {"edition": "quick", "a": 0, "b": -10, "c": 1e-3, "d": 0.5, "e": "010", "f": [1, 0.5]}
    assert load_overrides("quick", "demo") == read


@pytest.mark.parametrize("edition", ["", "..", "../..", "quik", "Quick", "quick/", "."])
def test_unknown_edition(project: Path, edition: str) -> None:
    for ask in (lambda: load_overrides(edition, "demo"), lambda: papermill_command("demo", edition)):
        with pytest.raises(InputError, match=r"no such edition; choose one of quick\.$"):
            ask()


def test_empty_yaml_sets_the_edition_only(project: Path) -> None:
    Path("params/quick/demo.yaml").write_text("# nothing to set\n")
    assert load_overrides("quick", "demo") == {"edition": "quick"}


def notebook(*cells: str) -> Callable[..., Any]:
    """Runs cells as IPython does, each entered into `In`; returns what runs more cells and gives `parameters()`."""
    namespace = {"In": [""]}

    def run(*more: str) -> dict[str, Any]:
        for cell in more:
            namespace["In"].append(cell)
            exec(cell, namespace)
        return namespace["parameters"]()

    run("from segin_core.book.parameters import *", *cells, CHECK)
    return run


def test_defaults_are_in_force() -> None:
    assert notebook(CELL)()["lr"] == 2e-4


def test_what_papermill_sets_is_in_force() -> None:
    given = notebook(CELL, "# Parameters\nlr = 0.001\nlimit = None\n")()
    assert given["lr"] == 0.001 and given["limit"] is None and given["steps"] == 10


@pytest.mark.parametrize(
    ("injected", "words"),
    [
        ("stesp = 3", r"stesp.*did you mean steps"),
        ('lr = "1e-3"', "lr is '1e-3'"),
        ("lr = float('nan')", "lr is nan but must be a finite number"),
        ("size = 40", "size is 40 but must be a multiple of 16"),
    ],
)
def test_what_papermill_may_not_set_stops_at_the_check(injected: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        notebook(CELL, f"# Parameters\n{injected}\n")


@pytest.mark.parametrize("above", ["# my settings\n", "\n", "\n\n# Parameters\n", "# Parameters\n"])
def test_a_note_above_the_parameters_loses_none(above: str) -> None:
    assert notebook(above + CELL)() == notebook(CELL)()


def test_a_value_set_in_a_later_cell_is_in_force() -> None:
    run = notebook(CELL)
    assert run("lr = 1.0e-5")["lr"] == 1e-5
    with pytest.raises(InputError, match="steps is 'many' but must be a valid integer"):
        run("steps = 'many'")


def test_an_edited_parameters_cell_run_again_is_in_force() -> None:
    run = notebook(CELL)
    again = run(CELL.replace("2.0e-4", "3.0e-4") + "momentum: Share = 0.9\n")
    assert again["lr"] == 3e-4 and again["momentum"] == 0.9


def test_names_annotated_elsewhere_are_no_parameters() -> None:
    run = notebook("first: int = 1", CELL)
    assert not {"first", "second"} & run("second: object = 2").keys()


def test_cells_copied_into_a_script() -> None:
    script = f"from segin_core.book.parameters import *\n{CELL}\n{CHECK}\nlater: object = 2\nlr = 0.5\n"
    namespace: dict[str, Any] = {}
    exec(script, namespace)
    assert namespace["parameters"]() == notebook(CELL)() | {"lr": 0.5}


def test_no_declaring_cell() -> None:
    for cells in ((), ("# Parameters\nlr = 0.001\n",), ("edition = 'quick'",)):
        with pytest.raises(InputError, match="run the cell that declares them"):
            notebook(*cells)


def test_papermill_command(project: Path) -> None:
    assert papermill_command("data", "quick") == (
        "papermill book/data.ipynb runs/quick/notebooks/data.ipynb -f params/quick/data.yaml -k python3"
    )
