"""The whole book in its smoke edition, as `make book EDITION=smoke` makes it; what faults lead to."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from check_html import check_html, count_images
from notebooks import STEPS
from sources import sources

ROOT = Path(__file__).parent.parent
SMOKE = ROOT / "runs" / "smoke"
PRUNED = shutil.ignore_patterns(".git", ".venv", "quick", "cpu", "paper", "__pycache__", "mathjax", "scripts")


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A Python command from the project's root, with its output."""
    environment = {**os.environ, "PYTHONPATH": str(cwd)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def smoke() -> Path:
    """The smoke edition, executed and built in place: a failed notebook is to be read in runs/smoke/logs."""
    done = run("workflow/run.py", "book", "--edition", "smoke")
    assert done.returncode == 0, done.stderr[-3000:]
    assert str(SMOKE / "html/_build/html/index.html") in done.stdout
    headline = json.loads((SMOKE / "results/metrics.json").read_text())["headline"]
    assert headline and "\n" not in headline and headline in done.stdout
    return SMOKE


def test_smoke_edition_is_whole(smoke: Path) -> None:
    assert {file.stem for file in (smoke / "notebooks").glob("*.ipynb")} == set(STEPS)
    assert check_html(smoke / "site", smoke / "html/_build/html", "smoke") == []


def test_smoke_edition_draws_figures(smoke: Path) -> None:
    read = [nbformat.read(file, as_version=4) for file in (smoke / "notebooks").glob("*.ipynb")]
    assert sum(count_images(notebook) for notebook in read) >= 8


@pytest.fixture
def copy(smoke: Path, tmp_path: Path) -> Path:
    """Notebooks and pages of the smoke edition, to be broken."""
    shutil.copytree(smoke / "site", tmp_path / "site")
    shutil.copytree(smoke / "html/_build/html", tmp_path / "html")
    return tmp_path


def failed_cell(copy: Path) -> None:
    error = nbformat.v4.new_output("error", ename="E", evalue="")
    change_notebook(copy, lambda cell: cell.outputs.append(error))


def skipped_cell(copy: Path) -> None:
    change_notebook(copy, lambda cell: cell.update(execution_count=None))


def change_notebook(copy: Path, change: Callable[[nbformat.NotebookNode], None]) -> None:
    """Alter the first code cell of the training notebook as it was handed to the builder."""
    file = copy / "site" / "training.ipynb"
    notebook = nbformat.read(file, as_version=4)
    change(next(cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()))
    nbformat.write(notebook, file)


def lost_figure(copy: Path) -> None:
    change_page(copy, lambda page: page.select_one('.cell_output img[src*="_images/"]').decompose())


def dangling_image(copy: Path) -> None:
    change_page(copy, lambda page: page.select_one(".cell_output img").attrs.update(src="_images/none.png"))


def outside_script(copy: Path) -> None:
    change_page(copy, lambda page: page.head.append(page.new_tag("script", src="https://cdn.example.org/x.js")))


def outside_import(copy: Path) -> None:
    def change(page: BeautifulSoup) -> None:
        page.head.append(page.new_tag("script", string='import x from "https://cdn.example.org/x.mjs"'))

    change_page(copy, change)


def outside_font(copy: Path) -> None:
    change_page(copy, lambda page: page.body.attrs.update(style="background: url(https://cdn.example.org/x.png)"))


def lost_edition(copy: Path) -> None:
    change_page(copy, lambda page: page.select_one(".bd-header-announcement").decompose())


def change_page(copy: Path, change: Callable[[BeautifulSoup], None]) -> None:
    """Alter the training page."""
    file = copy / "html" / "training.html"
    page = BeautifulSoup(file.read_text(), "html.parser")
    change(page)
    file.write_text(str(page))


def lost_page(copy: Path) -> None:
    (copy / "html" / "training.html").unlink()


def lost_search(copy: Path) -> None:
    (copy / "html" / "searchindex.js").unlink()


def lost_mathjax(copy: Path) -> None:
    shutil.rmtree(copy / "html" / "_static" / "mathjax")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (failed_cell, "training: cell .* error output"),
        (skipped_cell, "training: cell .* not executed"),
        (lost_figure, "training: .* figures on the page"),
        (dangling_image, r"training: _images/none\.png is missing"),
        (outside_script, r"training: loads https://cdn\.example\.org/x\.js"),
        (outside_import, "training: its script loads from another host"),
        (outside_font, "training: a style loads from another host"),
        (lost_edition, "training: does not say that it shows the smoke edition"),
        (lost_page, "training: the page is missing"),
        (lost_search, "search: "),
        (lost_mathjax, "mathjax.* is missing"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_check_sees(copy: Path, fault: Callable[[Path], None], message: str) -> None:
    fault(copy)
    faults = check_html(copy / "site", copy / "html", "smoke")
    assert any(re.search(message, found) for found in faults), faults


@pytest.fixture
def clone(smoke: Path, tmp_path: Path) -> Path:
    """The project with its smoke edition in another folder, whose name has a space."""
    return Path(shutil.copytree(ROOT, tmp_path / "a clone", ignore=PRUNED))


def planned(clone: Path) -> set[str]:
    """The notebooks that Snakemake would run."""
    snakemake = ["-m", "snakemake", "--dry-run", "--nolock", "--quiet", "host", "--config", "edition=smoke"]
    done = run(*snakemake, cwd=clone)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"\brule (\w+):", done.stdout + done.stderr)) & set(STEPS)


def test_only_what_a_change_touches_runs_again(clone: Path) -> None:
    for pattern in ("book/*.ipynb", "params/smoke/*.yaml", "segin_core/*.py", "runs/smoke/*/*"):
        for file in clone.glob(pattern):
            file.touch()
    assert planned(clone) == set()

    parameters = clone / "params/smoke/results.yaml"
    parameters.write_text(parameters.read_text() + "# changed\n")
    assert planned(clone) == {"results", "introduction"}

    module = clone / "segin_core/corruption.py"
    module.write_text(module.read_text() + "# changed\n")
    users = {name for name in STEPS if module in sources(clone / f"book/{name}.ipynb", clone)}
    assert users == {"self_supervision", "training"}
    assert planned(clone) == users | {"results", "translate_your_own", "introduction"}  # what comes after training


def test_typing_error_shows_before_anything_runs(clone: Path) -> None:
    with (clone / "params/smoke/results.yaml").open("a") as file:
        file.write("nonsense: 3\n")
    done = run("workflow/run.py", "book", "--edition", "smoke", cwd=clone)
    assert done.returncode == 2
    assert re.fullmatch(r"params/smoke/results\.yaml: unknown parameter 'nonsense'; [^\n]+\n", done.stderr)


def test_failed_notebook_is_kept(tmp_path: Path) -> None:
    failed = execute(tmp_path, "assert n > 1, 'n is too small'")
    assert failed.returncode == 1
    assert "cell 3 of book/demo.ipynb failed with AssertionError: n is too small" in failed.stderr
    assert "runs/quick/logs/demo.ipynb" in failed.stderr
    assert not (tmp_path / "runs/quick/notebooks/demo.ipynb").exists()
    assert "AssertionError" in (tmp_path / "runs/quick/logs/demo.ipynb").read_text()


def test_killed_kernel_is_a_failure(tmp_path: Path) -> None:
    failed = execute(tmp_path, "import os\nos.kill(os.getpid(), 9)")
    assert failed.returncode == 1
    assert "book/demo.ipynb did not finish: Kernel died" in failed.stderr


def test_own_kernel_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = tmp_path / "elsewhere" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = ["false", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "elsewhere"))
    assert execute(tmp_path, "import sys\nprint(sys.executable)").returncode == 0
    assert sys.executable in (tmp_path / "runs/quick/notebooks/demo.ipynb").read_text()


def execute(root: Path, last_cell: str) -> subprocess.CompletedProcess[str]:
    """Run a notebook of three cells in a small project as the Snakefile does."""
    for folder in ("book", "params/quick"):
        (root / folder).mkdir(parents=True)
    for linked in ("segin_core", "workflow", "_config.yml"):
        (root / linked).symlink_to(ROOT / linked)
    (root / "params/quick/demo.yaml").write_text("n: 1  # small\n")
    notebook = nbformat.v4.new_notebook()
    parameters = 'edition: str = "quick"\nn: int = 5'
    notebook.cells = [
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(last_cell),
    ]
    nbformat.write(notebook, root / "book/demo.ipynb")
    paths = ["--output", "runs/quick/notebooks/demo.ipynb", "--log", "runs/quick/logs/demo.ipynb"]
    return run("workflow/execute.py", "book/demo.ipynb", "--edition", "quick", *paths, cwd=root)


def test_sources_follow_imports(tmp_path: Path) -> None:
    package = tmp_path / "segin_core"
    (package / "metrics").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "a.py": "from segin_core.b import f",
        "b.py": "from . import c\nfrom .metrics.pixel import l1",
        "c.py": "import torch",
        "unused.py": "",
        "metrics/__init__.py": "from segin_core.metrics.pixel import l1",
        "metrics/pixel.py": "from ..d import x",
        "d.py": "import segin_core.a",  # a circle
    }
    for name, text in files.items():
        (package / name).write_text(text)
    notebook = nbformat.v4.new_notebook()
    code = ("import numpy", "from segin_core import a")
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in code]
    nbformat.write(notebook, tmp_path / "demo.ipynb")
    found = {str(file.relative_to(package)) for file in sources(tmp_path / "demo.ipynb", tmp_path)}
    assert found == set(files) - {"unused.py"}
