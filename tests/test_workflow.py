"""The whole book in its smoke edition, as `make book EDITION=smoke` makes it; what faults lead to."""

import graphlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from PIL import Image
from playwright.sync_api import Page

from build_html import assemble, read_published
from check_html import check_html, check_state, count_images, toc_pages
from notebooks import STEPS, Step, all_steps, inputs, load_index, results, source, steps, variants
from sources import digest, sources

ROOT = Path(__file__).parent.parent
SMOKE = ROOT / "runs" / "smoke"
LEFT_OUT = {"avatars", "shoes", "pix2pix", "bicyclegan", "munit", "outputs", "comparison", "table_1", "colourisation"}
LEFT_OUT |= {"paper_pictures", "matchers", "matching_ablation", "robustness", "choosing_the_match", "right_answers"}
LEFT_OUT |= {"ablations", "choosing_the_recipe", "learned_match", "learning_curve", "models", "better"}


def run(*arguments: str, cwd: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    """A Python command from the project's root, with its output; `more`: of the environment."""
    environment = {**os.environ, "PYTHONPATH": str(cwd), **more}
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
    assert {file.stem for file in (smoke / "notebooks").glob("*.ipynb")} == set(all_steps("smoke"))
    assert (smoke / "html/checked").is_file()  # by workflow/check_html.py


def test_smoke_edition_draws_figures(smoke: Path) -> None:
    read = [nbformat.read(file, as_version=4) for file in (smoke / "notebooks").glob("*.ipynb")]
    assert sum(count_images(notebook) for notebook in read) >= 8


def test_a_second_training_has_other_values_and_a_folder_of_its_own(smoke: Path) -> None:
    other = "choosing_the_match/k5-seed0"
    first, second = (
        json.loads((smoke / folder / "model.json").read_text())["provenance"]["parameters"]
        for folder in ("training", other)
    )
    assert (first["patch"], second["patch"]) == (3, 5)
    assert first | {"patch": 5, "run": other} == second


@pytest.fixture
def copy(smoke: Path, tmp_path: Path) -> Path:
    """A book of one page, the smoke edition's training chapter with its notebook, to be broken."""

    def other_pages(_: str, names: list[str]) -> set[str]:
        return {name for name in names if name.endswith(".html")} - {"training.html", "search.html"}

    shutil.copytree(smoke / "html/_build/html", tmp_path / "html", ignore=other_pages)
    (tmp_path / "site").mkdir()
    shutil.copy(smoke / "site" / "training.ipynb", tmp_path / "site")
    (tmp_path / "site" / "_toc.yml").write_text("format: jb-book\nroot: training\n")
    assert check_html(tmp_path / "site", tmp_path / "html", "smoke") == []
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


def untold_picture(copy: Path) -> None:
    spoiled = {"alt": "_images/a.png", "loading": "eager"}
    change_page(copy, lambda page: page.select_one(".cell_output img").attrs.update(spoiled))


def heavy_book(copy: Path) -> None:
    (copy / "html" / "heavy.png").open("wb").truncate(61_000_000)
    (copy / "html" / "introduction.html").write_text('<img src="heavy.png">')


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
        (untold_picture, "training: .*no text in its place"),
        (untold_picture, "training: .*not loaded lazily"),
        (heavy_book, "the book has .* MB"),
        (heavy_book, "introduction: it loads .* MB"),
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


def pruned(folder: str, names: list[str]) -> set[str]:
    """What a clone does without: the environment, data and other editions' runs above all."""
    without = {".git", ".venv", "__pycache__", "mathjax", "scripts", "checkpoints"}
    without |= {".hypothesis", ".pytest_cache"}  # other tests write there at the same time
    return set(names) - {"smoke"} if Path(folder) == ROOT / "runs" else without & set(names)


@pytest.fixture
def clone(smoke: Path, tmp_path: Path) -> Path:
    """The project with its smoke edition in another folder, whose name has a space."""
    return Path(shutil.copytree(ROOT, tmp_path / "a clone", ignore=pruned))


def planned(clone: Path, edition: str = "smoke", run_which: str = "edition") -> set[str]:
    """The notebooks that Snakemake would run."""
    config = [f"edition={edition}", f"run={run_which}"]
    done = run("-m", "snakemake", "--dry-run", "--nolock", "--quiet", "host", "--config", *config, cwd=clone)
    assert done.returncode == 0, done.stdout + done.stderr
    rules = set(re.findall(r"\brule (\w+):", done.stdout + done.stderr))
    return {step for step in all_steps(edition) if step.replace("-", "_") in rules}


def test_only_what_a_change_touches_runs_again(clone: Path) -> None:
    for pattern in ("book/*.ipynb", "params/smoke/*.yaml", "segin_core/**/*.py", "runs/smoke/*/*"):
        for file in clone.glob(pattern):
            file.touch()
    assert planned(clone) == set()

    parameters = clone / "params/smoke/results.yaml"
    parameters.write_text(parameters.read_text() + "# changed\n")
    assert planned(clone) == {"results", "introduction", "claims"}

    module = clone / "segin_core/corruption.py"
    module.write_text(module.read_text() + "# changed\n")
    users = {name for name in all_steps("smoke") if module in sources(clone / source(name), clone)}
    assert users >= {"self_supervision", "training"} and not users & {"setup_check", "data", "network", "losses"}
    after_training = {"results", "models", "introduction", "outputs", "comparison", "table_1", "claims"}
    after_training |= {"speed", "colourisation", "matching_ablation", "robustness", "failures", "choosing_the_match"}
    after_training |= {"right_answers", "right_answers-avatars", "ablations", "learning_curve"}
    after_training |= {"results-avatars", "better"}
    assert planned(clone) == users | after_training


def test_all_runs_what_the_edition_leaves_out(clone: Path) -> None:
    assert planned(clone, "quick") == set(STEPS) - LEFT_OUT
    assert planned(clone, "quick", "all") == set(all_steps("quick")) - {"shoes", "paper_pictures"}  # without photos


def test_fresh_clone_shows_published_runs(clone: Path) -> None:
    (clone / "runs/smoke").rename(clone / "runs/cpu")
    for name in ("training", "results"):
        file = clone / f"runs/cpu/notebooks/{name}.ipynb"
        file.write_text(re.sub(r"\bsmoke\b", "cpu", file.read_text()))
    done = run("workflow/publish.py", "--edition", "cpu", "training", "results", cwd=clone)
    assert done.returncode == 0, done.stderr

    shutil.rmtree(clone / ".snakemake")
    done = run("workflow/run.py", "html", "--edition", "quick", cwd=clone, HOME="/proc/nohome")
    assert done.returncode == 0, done.stderr
    assert (clone / ".snakemake").readlink() == Path("runs/.tools/snakemake")
    html = clone / "runs/quick/html/_build/html"
    assert check_html(clone / "runs/quick/site", html, "quick") == []
    banner = BeautifulSoup((html / "training.html").read_text(), "html.parser").select_one(".admonition")
    commit = json.loads((clone / "published/index.json").read_text())["training"]["cpu"]["commit"]
    assert {"cpu", "quick", commit} <= {tag.get_text() for tag in banner.select("strong, code")}
    assert "make book EDITION=cpu" in banner.get_text()


def note_of(title: str) -> BeautifulSoup:
    """A page with an admonition of that title."""
    return BeautifulSoup(f'<div class="admonition"><p class="admonition-title">{title}</p></div>', "html.parser")


def test_check_sees_a_run_of_another_edition() -> None:
    notebook = nbformat.v4.new_notebook()
    ran = nbformat.v4.new_code_cell('# Parameters\nedition = "cpu"\n', metadata={"tags": ["injected-parameters"]})
    notebook.cells = [ran]
    assert list(check_state(notebook, note_of("Note"), "cpu")) == []
    assert list(check_state(notebook, note_of("Published run"), "quick")) == []
    assert "run of the cpu edition" in next(check_state(notebook, note_of("Note"), "quick"))
    notebook.cells = []
    assert list(check_state(notebook, note_of("Not run"), "quick")) == []
    assert "not run" in next(check_state(notebook, note_of("Published run"), "quick"))


def test_typing_error_shows_before_anything_runs(clone: Path) -> None:
    with (clone / "params/smoke/results.yaml").open("a") as file:
        file.write("nonsense: 3\n")
    done = run("workflow/run.py", "book", "--edition", "smoke", cwd=clone)
    assert done.returncode == 2
    assert re.fullmatch(r"params/smoke/results\.yaml: unknown parameter 'nonsense'; [^\n]+\n", done.stderr)


def test_a_fault_of_snakemake_itself_is_told(tmp_path: Path) -> None:
    for linked in ("segin_core", "book", "params", "_config.yml"):
        (tmp_path / linked).symlink_to(ROOT / linked)
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow")
    with (tmp_path / "workflow/Snakefile").open("a") as file:
        file.write("rule broken: nonsense\n")
    done = run("workflow/run.py", "html", "--edition", "smoke", cwd=tmp_path, HOME="/proc/nohome")
    assert done.returncode == 1
    assert "Unexpected keyword nonsense" in done.stderr and "was not built" in done.stderr


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


def test_parameters_of_a_kernel_are_those_in_force(tmp_path: Path) -> None:
    check = "from segin_core.book.parameters import check_parameters\nparameters = check_parameters(globals())"
    use = "assert parameters() == {'edition': 'quick', 'n': 1}\nn = 7\nassert parameters()['n'] == 7"
    done = execute(tmp_path, f"{check}\n{use}")
    assert done.returncode == 0, done.stderr


def execute(root: Path, last_cell: str) -> subprocess.CompletedProcess[str]:
    """Run a notebook of three cells in a small project as the Snakefile does."""
    for folder in ("book", "params/quick"):
        (root / folder).mkdir(parents=True)
    for linked in ("segin_core", "workflow", "_config.yml"):
        (root / linked).symlink_to(ROOT / linked)
    (root / "params/quick/demo.yaml").write_text("n: 1  # small\n")
    notebook = nbformat.v4.new_notebook()
    parameters = '# a note above\nedition: str = "quick"\nn: int = 5'
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
    reader = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import segin_core\nsegin_core.__file__")])
    nbformat.write(reader, tmp_path / "reader.ipynb")  # it reads the files themselves
    assert set(sources(tmp_path / "reader.ipynb", tmp_path)) == {package / file for file in files}
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "timing.py").write_text("import segin_core.unused")
    notebook.cells.append(nbformat.v4.new_code_cell('folder = "benchmarks"'))
    nbformat.write(notebook, tmp_path / "demo.ipynb")
    more = set(sources(tmp_path / "demo.ipynb", tmp_path)) - {package / file for file in found}
    assert more == {tmp_path / "benchmarks" / "timing.py", package / "unused.py"}


def test_all_leaves_out_the_photos_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGIN_DATA", str(tmp_path))
    assert set(all_steps("quick")) - set(steps("quick", "all")) == {"shoes", "paper_pictures"}
    assert "shoes" in steps("cpu")  # which cannot do without and says what is missing
    for folder in ("ut-zap50k", "anime-faces"):
        (tmp_path / folder).mkdir()
    assert set(steps("quick", "all")) == set(all_steps("quick"))


def test_steps_of_an_edition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in STEPS.values():
        (tmp_path / step.photos).mkdir(exist_ok=True)
    monkeypatch.setenv("SEGIN_DATA", str(tmp_path))
    for edition in ("smoke", "cpu", "paper"):
        days = set(variants("cpu")) | {"ablations", "better"} if edition == "cpu" else set()
        assert set(steps(edition)) == set(all_steps(edition)) - days
        assert set(steps(edition, "all")) == set(all_steps(edition))
        assert steps(edition)["data"].after == ("shoes",)
    for which in ("edition", "all"):
        graph = {name: step.after for name, step in steps("quick", which).items()}
        assert set(graph) == (set(STEPS) - LEFT_OUT if which == "edition" else set(all_steps("quick")))
        assert all(set(after) <= set(graph) for after in graph.values())
        graphlib.TopologicalSorter(graph).prepare()  # raises CycleError
        assert graph["data"] == ()  # ALL=1 does not train anew
    assert steps("quick")["claims"].after == ("speed", "results", "failures")
    assert steps("quick", "all")["claims"].after == (*STEPS["claims"].after, "right_answers-avatars")
    assert steps("quick", "all")["outputs"].after == STEPS["outputs"].after
    assert steps("quick", "none") == {}


def test_a_variant_is_the_notebook_under_other_values(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "params/quick").mkdir(parents=True)
    for file, values in {
        "training-red": "run: training-red\ndata: reds",
        "results-red": "seed: 1",
        "results-two": "seed: 2",
    }.items():
        (project / f"params/quick/{file}.yaml").write_text(values)
    monkeypatch.setitem(STEPS, "reds", Step(writes=("dataset.json",)))
    known = all_steps("quick")
    assert known["training-red"].after == ("reds",) and known["training-red"].writes == STEPS["training"].writes
    assert known["results-red"].after == ("data", "training-red")  # the network of the same variant
    assert known["results-two"].after == ("data", "training")  # there is none
    assert source("training-red") == Path("book/training.ipynb")
    assert not {"training-red", "results-red"} & set(steps("quick"))  # a reader's first book takes no longer
    assert {"training-red", "results-red"} < set(steps("quick", "all"))
    assert inputs("quick", "results-red", "all") == sorted(
        [*results("quick", "training-red"), "runs/quick/data/dataset.json"]
    )
    assert "runs/quick/training-red/model.safetensors" in results("quick", "training-red")
    assert not {"training-red"} & set(all_steps("cpu"))
    assert steps("quick", "all")["claims"].after == (*STEPS["claims"].after, "results-red", "results-two")


def test_who_takes_other_networks_waits_for_those_that_are_trained_there(project: Path) -> None:
    (project / "params/quick").mkdir(parents=True)
    for file, values in {
        "training-red": "run: training-red\ndata: paper_pictures/reds",
        "colourisation": "trainings: [training-red, training-blue]",
    }.items():
        (project / f"params/quick/{file}.yaml").write_text(values)
    known = all_steps("quick")
    assert known["training-red"].after == ("paper_pictures",)
    assert known["colourisation"].after == ("training", "training-red")  # nothing trains the other


def test_inputs_of_a_notebook(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert inputs("cpu", "data") == ["runs/cpu/shoes/dataset.json"]
    assert inputs("quick", "data") == []
    assert inputs("cpu", "results") == sorted(results("cpu", "training"))
    monkeypatch.setitem(STEPS, "data", Step())
    assert inputs("quick", "network") == ["runs/quick/notebooks/data.ipynb"]  # there are no results to wait for

    own = [f"runs/quick/{file}.json" for file in ("results/metrics", "speed/match", "speed/network")]
    own = sorted([*own, "runs/quick/failures/warning.json"])
    assert inputs("quick", "claims") == own
    read = ["book/claims.yaml", "published/cpu/table_1/scores.json", "runs/quick/comparison/collapse.json"]
    hidden = [f"published/quick/{file}.json" for file in ("comparison/collapse", "results/metrics", "data/dataset")]
    for file in (*read, *hidden):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    assert inputs("quick", "claims") == sorted([*own, *read])
    assert "published/index.json" not in inputs("quick", "introduction")
    Path("published/index.json").touch()
    assert "published/index.json" in inputs("quick", "introduction")  # it lists what is published
    assert not any("cpu" in file or "quick" in file for file in inputs("smoke", "claims"))
    made = ["runs/quick/outputs/outputs.json", "runs/quick/right_answers/scores.json"]
    assert inputs("quick", "table_1", "all") == ["published/cpu/table_1/scores.json", *made]
    made = ["runs/cpu/outputs/outputs.json", "runs/cpu/right_answers/scores.json"]
    assert inputs("cpu", "table_1") == made  # its own result is not its input


def test_a_chapter_waits_for_its_variants_and_they_for_none_of_each_other(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "params/cpu").mkdir(parents=True)
    for name in ("table_1-one", "table_1-two"):
        (project / f"params/cpu/{name}.yaml").write_text(f"run: {name}")
    assert steps("cpu")["table_1"].after == ("outputs", "right_answers")  # they take days
    found = steps("cpu", "all")
    assert found["table_1"].after == ("outputs", "right_answers", "table_1-one", "table_1-two")
    assert found["table_1-one"].after == ("data", "outputs", "right_answers")
    assert not any("table_1" in file for file in inputs("cpu", "table_1-one", "all"))


PROVENANCE = {
    "date": "2026-01-02T03:04:05+00:00",
    "commit": "0123456789ab",
    "python": "3.11.7",
    "versions": {"torch": "2.0"},
    "hardware": "a processor, 2 cores",
    "seconds": 12.5,
    "parameters": {},
}
PRINTED = "Python 3.11.7, torch 2.0, segin_core at abcdef012345, another processor, 4 cores\n"


def executed_run(name: str, *outputs: nbformat.NotebookNode, edition: str = "cpu", **results: object) -> Path:
    """A small executed notebook in runs/cpu, one cell for each output, and its result files."""
    notebook = nbformat.v4.new_notebook()
    parameters = f'# Parameters\nedition = "{edition}"\n'
    first = nbformat.v4.new_code_cell(parameters, execution_count=1, metadata={"tags": ["injected-parameters"]})
    rest = [nbformat.v4.new_code_cell("1", execution_count=2, outputs=[output]) for output in outputs]
    notebook.cells = [nbformat.v4.new_markdown_cell(f"# Title of {name}"), first, *rest]
    for cell in notebook.cells:
        cell.metadata["papermill"] = {"start_time": "2026-01-01T00:00:00.123456+00:00"}
    paths = {"input_path": "/work/x.ipynb", "end_time": "2026-01-01T00:00:09.123456+00:00", "duration": 9.01}
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata = {"kernelspec": kernel, "papermill": paths, "sources": "5ou2ce5"}
    file = Path(f"runs/cpu/notebooks/{name}.ipynb")
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, file)
    Path(f"runs/cpu/{name}").mkdir()
    for stem, result in results.items():
        Path(f"runs/cpu/{name}/{stem}.json").write_text(json.dumps(result))
    return file


def printed(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", text=text)


def picture(image: Image.Image, **options: int) -> nbformat.NotebookNode:
    """An output as matplotlib leaves one."""
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return nbformat.v4.new_output("display_data", data={"image/png": b64encode(stream.getvalue()).decode()})


def noise(side: int) -> Image.Image:
    """A picture that PNG cannot compress: 3 bytes a pixel."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the workflow, to publish in."""
    for linked in ("segin_core", "workflow", "_config.yml"):
        (tmp_path / linked).symlink_to(ROOT / linked)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def publish(project: Path, *notebooks: str) -> subprocess.CompletedProcess[str]:
    return run("workflow/publish.py", "--edition", "cpu", *notebooks, cwd=project)


def test_publish_copies_what_is_small_and_cleans_it(project: Path) -> None:
    executed_run("training", printed("loss 3\n"), model={"provenance": PROVENANCE}, history=[1], big=["x" * 300_000])
    executed_run("network", printed(PRINTED))
    Path("runs/cpu/training/model.safetensors").touch()
    done = publish(project)
    assert done.returncode == 0, done.stderr
    assert "too large: big.json" in done.stdout

    published = {str(file.relative_to("published")) for file in Path("published").rglob("*.*")}
    notebooks = {"cpu/notebooks/training.ipynb", "cpu/notebooks/network.ipynb"}
    assert published == {"index.json", "cpu/training/model.json", "cpu/training/history.json"} | notebooks
    copy = nbformat.read("published/cpu/notebooks/training.ipynb", as_version=4)
    assert set(copy.metadata) == {"kernelspec"}
    assert [set(cell.metadata) for cell in copy.cells] == [set(), {"tags"}, set()]
    assert copy.cells[2].outputs[0].text == "loss 3\n"

    index = load_index()
    row = {key: PROVENANCE[key] for key in ("commit", "hardware", "date", "seconds")}
    versions = {"python": "3.11.7", "torch": "2.0"}
    assert index["training"] == {"cpu": {"edition": "cpu", "sources": "5ou2ce5", "versions": versions, **row}}
    row = {"commit": "abcdef012345", "hardware": "another processor, 4 cores", "seconds": 9.0}
    row["date"] = "2026-01-01T00:00:09+00:00"
    assert index["network"] == {"cpu": {"edition": "cpu", "sources": "5ou2ce5", "versions": versions, **row}}


def test_publish_again_changes_nothing_but_what_is_gone(project: Path) -> None:
    executed_run("network", printed(PRINTED), picture(noise(400)), old=1, new=2)
    assert publish(project).returncode == 0
    before = {file: file.stat().st_mtime_ns for file in Path("published").rglob("*.*")}
    assert publish(project, "network").returncode == 0
    assert {file: file.stat().st_mtime_ns for file in Path("published").rglob("*.*")} == before
    Path("runs/cpu/network/old.json").unlink()
    assert publish(project, "network").returncode == 0
    assert before.keys() - set(Path("published").rglob("*.*")) == {Path("published/cpu/network/old.json")}


def test_publish_shrinks_only_large_pictures(project: Path) -> None:
    smooth = Image.linear_gradient("L").resize((700, 700)).convert("RGB")
    pictures = [noise(200), smooth, noise(400)]
    executed_run(
        "network",
        printed(PRINTED),
        *(picture(image, compress_level=level) for image, level in zip(pictures, (9, 0, 9), strict=True)),
    )
    assert publish(project).returncode == 0
    found = []
    for name in ("runs", "published"):
        cells = nbformat.read(f"{name}/cpu/notebooks/network.ipynb", as_version=4).cells[3:]
        found.append([b64decode(cell.outputs[0].data["image/png"]) for cell in cells])
    (small, large, noisy), (small_copy, large_copy, noisy_copy) = found
    assert small_copy == small and len(small) < 300_000 < min(len(large), len(noisy))
    assert len(large_copy) < 300_000 and pixels(large_copy).tolist() == pixels(large).tolist()
    assert len(noisy_copy) < 300_000 and np.abs(pixels(noisy_copy) - pixels(noisy)).mean() < 25


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_publish_refuses(project: Path) -> None:
    error = nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[])
    page = nbformat.v4.new_output("display_data", data={"text/html": "<img src='/home/me/x.png'>"})
    executed_run("setup_check", printed(PRINTED), error)
    executed_run("data", printed(PRINTED), *(picture(noise(215)) for _ in range(10)))
    executed_run("network", printed(PRINTED + "read /tmp/x.png\n"))
    executed_run("losses", printed(PRINTED), page)
    executed_run("training", printed(f"{project.resolve()}/y"), model={"provenance": PROVENANCE})
    executed_run("results", metrics={"provenance": PROVENANCE, "folder": "/root/runs"})
    executed_run("metrics", printed(PRINTED + "Looking in indexes: https://mirror.example.org/api/pypi/simple\n"))
    executed_run("claims", printed("no environment"))
    executed_run("outputs", printed(PRINTED), edition="smoke")
    file = executed_run("self_supervision", printed(PRINTED))
    file.write_text(file.read_text().replace('"execution_count": 2', '"execution_count": null'))
    executed_run("introduction", printed(PRINTED + "data/tmp/x.png, a </work> and https://example.org/home\n"))
    reasons = {
        "setup_check": "cell 4 has an error output (ValueError); only a whole run",
        "data": "MB, but a published notebook may have 1.5 MB; show fewer or smaller pictures",
        "network": "names /tmp/x.png",
        "losses": "names /home/me/x.png,",
        "training": f"names {project.resolve()}",
        "results": "runs/cpu/results/metrics.json: it names /root/runs",
        "metrics": "names https://mirror.example.org/api/pypi/simple",
        "claims": "nor does it print environment()",
        "outputs": "was run with edition 'smoke'",
        "self_supervision": "cell 3 was not executed",
    }
    done = publish(project)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "UserWarning" not in line]
    assert len(lines) == len(reasons), done.stderr
    for name, reason in reasons.items():
        assert any(reason in line and f"/{name}" in line for line in lines), (name, lines)
    assert [file.name for file in Path("published").rglob("*.ipynb")] == ["introduction.ipynb"]
    assert set(load_index()) == {"introduction"}

    absent = publish(project, "table_1")
    assert absent.returncode == 1 and "table_1.ipynb: the notebook was not executed" in absent.stderr
    assert "there is no chapter tabel" in publish(project, "tabel").stderr


OTHER_RUNS = ("training-cpu", "network-quick")


def test_assemble_shows_own_then_best_published_then_a_note(project: Path) -> None:
    Path("book").mkdir()
    for name in STEPS:
        notebook = nbformat.v4.new_notebook()
        cells = [nbformat.v4.new_code_cell("1"), nbformat.v4.new_markdown_cell("more")]
        notebook.cells = [nbformat.v4.new_markdown_cell(f"# Title of {name}"), *cells]
        nbformat.write(notebook, f"book/{name}.ipynb")
    shutil.copyfile(ROOT / "book/_toc.yml", "book/_toc.yml")
    executed_run("training", model={"provenance": PROVENANCE})
    executed_run("network", printed(PRINTED))
    assert publish(project).returncode == 0
    index = load_index()
    index["network"]["cpu"]["sources"] = digest(Path("book/network.ipynb"))
    index["network"]["quick"] = index["network"]["cpu"] | {"edition": "quick"}  # the better one is shown
    Path("published/index.json").write_text(json.dumps(index))
    shutil.copytree("published/cpu/notebooks", "published/quick/notebooks")
    Path("runs/quick/notebooks").mkdir(parents=True)
    shutil.copyfile("runs/cpu/notebooks/training.ipynb", "runs/quick/notebooks/training.ipynb")

    states = assemble("quick", project / "site")
    assert states["own"] == ["training"] and states["published"] == ["network"]
    assert set(states["not run"]) == set(STEPS) - {"training", "network"}
    pages = {name: nbformat.read(project / f"site/{name}.ipynb", as_version=4).cells for name in STEPS}
    title, links, code = pages["training"]
    assert "{doc}`cpu edition <training-cpu>`" in links.source and code.cell_type == "code"
    title, links, banner, *rest = pages["network"]
    assert "{doc}`quick edition <network-quick>`" in links.source
    assert title.source == "# Title of network" and [cell.source for cell in rest][1:] == ["1", "more"]
    assert "{admonition} Published run" in banner.source and "run of the **cpu** edition" in banner.source
    for said in ("**quick**", "`abcdef012345` on another processor, 4 cores, 2026-01-01", "`make book EDITION=cpu`"):
        assert said in banner.source
    title, note = pages["shoes"]
    assert title.source == "# Title of shoes"
    assert "{admonition} Not run" in note.source and "`make book EDITION=quick ALL=1`" in note.source
    assert "`make book EDITION=quick`" in pages["data"][1].source
    assert len(pages["data"]) == 2  # no other run, no links

    beside = {name: nbformat.read(project / f"site/{name}.ipynb", as_version=4).cells for name in OTHER_RUNS}
    assert beside["training-cpu"][0].source.startswith("# Title of training (cpu edition)")
    assert "run of the **quick** edition" in beside["network-quick"][1].source
    toc = yaml.safe_load((project / "site/_toc.yml").read_text())
    assert set(toc_pages(toc)) == {*OTHER_RUNS, *toc_pages(yaml.safe_load(Path("book/_toc.yml").read_text()))}
    assert assemble("smoke", project / "site") and not list((project / "site").glob("*-*.ipynb"))


def test_a_variant_has_a_page_below_its_chapter(project: Path) -> None:
    Path("book").mkdir()
    for name in STEPS:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# Title of {name}")])
        nbformat.write(notebook, f"book/{name}.ipynb")
    shutil.copyfile(ROOT / "book/_toc.yml", "book/_toc.yml")
    (project / "params/cpu").mkdir(parents=True)
    for name in ("training-red", "training-blue", "network-red"):
        (project / f"params/cpu/{name}.yaml").write_text("edition: cpu")
    executed_run("training-red", model={"provenance": PROVENANCE})
    assert publish(project, "training-red").returncode == 0
    assert assemble("quick", project / "site")["own"] == []
    assert [file.name for file in (project / "site").glob("*-*.ipynb")] == ["training-red.ipynb"]
    title, older, banner = nbformat.read(project / "site/training-red.ipynb", as_version=4).cells[:3]
    assert title.source.startswith("# Title of training-red (red)")
    banner, older = (banner, older) if "admonition" in banner.source else (older, banner)
    assert "`make book EDITION=cpu ALL=1` as shown" in banner.source and "in the quick edition" not in banner.source
    toc = yaml.safe_load((project / "site/_toc.yml").read_text())
    entry = next(entry for part in toc["parts"] for entry in part["chapters"] if entry["file"] == "training")
    assert entry["sections"] == [{"file": "training-red", "title": "red"}]


def test_a_published_run_has_the_chapters_text_of_today(project: Path) -> None:
    Path("book").mkdir()
    Path("published/cpu/notebooks").mkdir(parents=True)
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    parameters = {"metadata": {"tags": ["parameters"]}}
    ran = nbformat.v4.new_notebook()
    injected = code('edition = "cpu"', metadata={"tags": ["injected-parameters"]})
    ran.cells = [
        markdown("# Old"),
        code('edition = "quick"', **parameters),
        injected,
        code("1", outputs=[printed("1")]),
    ]
    nbformat.write(ran, "published/cpu/notebooks/network.ipynb")

    today = nbformat.v4.new_notebook()
    today.cells = [markdown("# New"), code('edition = "quick"', **parameters), markdown("more"), code("1")]
    nbformat.write(today, "book/network.ipynb")
    run = {"edition": "cpu", "sources": digest(Path("book/network.ipynb"))}
    shown = read_published("network", run).cells
    assert [cell.source for cell in shown] == ["# New", 'edition = "quick"', 'edition = "cpu"', "more", "1"]
    assert shown[-1].outputs[0].text == "1"

    for other in ({}, {"sources": "0"}):  # older, or of another library
        title, older, *rest = read_published("network", {"edition": "cpu", "commit": "abcdef", **other}).cells
        assert [title, *rest] == ran.cells and "that of commit `abcdef`" in older.source
    today.cells[-1].source = "(\n    1  # one\n)"  # the same, laid out anew
    nbformat.write(today, "book/network.ipynb")
    last = read_published("network", run).cells[-1]
    assert (last.source, last.outputs[0].text) == (today.cells[-1].source, "1")
    today.cells[-1].source = "2"  # the outputs are not this code's: nothing is exchanged
    nbformat.write(today, "book/network.ipynb")
    title, _, *rest = read_published("network", run | {"commit": "abcdef"}).cells
    assert [title, *rest] == ran.cells


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", ["introduction", "table_1", "right_answers"])
def test_everybody_can_read_a_page_and_none_scrolls_sideways(smoke: Path, page: Page, name: str, mode: str) -> None:
    page.add_init_script(f"localStorage.setItem('mode', '{mode}'); localStorage.setItem('theme', '{mode}')")
    page.goto((smoke / "html/_build/html" / f"{name}.html").as_uri())
    assert page.evaluate("document.documentElement.dataset.theme") == mode
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    found = {fault["id"]: fault for fault in Axe().run(page).response["violations"]}
    serious = {what for what, fault in found.items() if fault["impact"] in ("serious", "critical")}
    assert not {what: found[what]["nodes"][0]["html"] for what in serious}
