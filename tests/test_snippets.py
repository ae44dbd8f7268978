"""What a reader may copy works: the snippets of the README and the pages, and cells of the chapters, in another folder.

Python runs as it stands. Shell runs in bash as it stands; what installs, builds or trains is a stand-in there that
writes down how it was called, and those calls are checked against the files and parameters they name.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
import yaml
from PIL import Image, ImageDraw

from notebooks import STEPS
from segin_core.book.parameters import check_overrides
from sources import to_copy

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "book").glob("*.md")))
RECORDED = ("make", "conda", "pip", "python", ".venv/bin/papermill")  # commands that are only written down


def snippets(language: str) -> list[str]:
    """The fenced blocks of one language on all pages, in their order."""
    fence = re.compile(rf"^```{language}\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
    return [block for page in PAGES for block in fence.findall(page.read_text(encoding="utf-8"))]


def run_python(code: str, folder: Path) -> None:
    """Run it in a new interpreter and another folder; whatever it raises fails the test."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, f"{code[:2000]}\n{done.stderr}"


def environment() -> dict[str, str]:
    """As after `pip install -e .`: the library is found from every folder."""
    return {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": "/nowhere", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def elsewhere(tmp_path: Path, checkpoint: Path) -> Path:
    """Another folder, with the files that the snippets name: a sketch, a picture and the model of `make book`."""
    for name, fill in (("sketch", None), ("picture", "red")):
        picture = Image.new("RGB", (90, 60), "white")
        ImageDraw.Draw(picture).ellipse((20, 10, 70, 50), fill=fill, outline="black", width=4)
        picture.save(tmp_path / f"{name}.png")
    model = tmp_path / "runs" / "quick" / "training"
    shutil.copytree(checkpoint.parent, model)
    checkpoint = model / checkpoint.name
    for file in model.iterdir():
        file.rename(file.with_stem("model"))
    return tmp_path


def test_there_are_snippets() -> None:
    assert len(snippets("python")) >= 2 and len(snippets("bash")) >= 5


def test_python_snippets_run_elsewhere(elsewhere: Path) -> None:
    torch.save(
        {"x": torch.rand(2, 1, 32, 32) * 2 - 1, "r": torch.rand(1, 3, 32, 32) * 2 - 1}, elsewhere / "pictures.pt"
    )
    given = "import torch; globals().update(torch.load('pictures.pt'))\n"  # x and r, as the snippet's comment has them
    for code in snippets("python"):
        run_python(given + code, elsewhere)
    assert Image.open(elsewhere / "out.png").size == (90, 60)


def called(script: str, folder: Path) -> list[list[str]]:
    """Run a shell snippet; the calls of RECORDED, word by word, in their order."""
    log = folder / "calls.txt"
    log.unlink(missing_ok=True)
    stand_ins = folder / "stand-ins"
    for name in RECORDED:
        command = folder / name if "/" in name else stand_ins / name
        command.parent.mkdir(parents=True, exist_ok=True)
        command.write_text(f'#!/bin/bash\nprintf "%s\\t" {Path(name).name} "$@" >> "{log}"; echo >> "{log}"\n')
        command.chmod(0o755)
    for name, words in (("python", ""), ("segin", "-m segin_core.own.command")):
        real = folder / ".venv" / "bin" / name
        real.write_text(f'#!/bin/bash\nexec "{sys.executable}" {words} "$@"\n')
        real.chmod(0o755)
    names = environment() | {"PATH": f"{stand_ins}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-euc", script], cwd=folder, env=names, capture_output=True, text=True)
    assert done.returncode == 0, f"{script}\n{done.stderr}"
    return [line.split("\t")[:-1] for line in log.read_text().splitlines()] if log.exists() else []


def check_make(words: list[str]) -> None:
    """The targets are the Makefile's, the editions exist."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for word in words:
        name, _, value = word.partition("=")
        assert word in targets or (name in ("ALL", "PYTHON") and value) or (ROOT / "params" / value).is_dir(), word


def check_papermill(words: list[str], folder: Path) -> None:
    """The notebook is there and takes these parameters; its copy goes to a folder that the snippet has made."""
    notebook, copy, *options = words
    assert Path(notebook).stem in STEPS and (ROOT / notebook).is_file()
    assert Path(copy).suffix == ".ipynb" and copy.startswith("runs/")
    while options:
        option = options.pop(0)
        if option == "-f":
            overrides = yaml.safe_load((ROOT / options.pop(0)).read_text()) or {}
        elif option == "-p":
            overrides = {options.pop(0): yaml.safe_load(options.pop(0))}
        else:
            assert (option, options.pop(0)) == ("-k", "python3")
            continue
        check_overrides(ROOT / notebook, overrides)


def test_shell_snippets_run_elsewhere(elsewhere: Path) -> None:
    calls = [call for script in snippets("bash") for call in called(script, elsewhere)]
    for command, *words in calls:
        if command == "make":
            check_make(words)
        elif command == "papermill":
            check_papermill(words, elsewhere)
        else:  # conda, pip, python: the files they name
            assert all((ROOT / word).is_file() for word in words if Path(word).suffix in (".txt", ".yml", ".py"))
    assert {"make", "papermill", "conda", "pip", "python"} == {call[0] for call in calls}
    assert all((elsewhere / name).is_file() for name in ("out.png", "w.png", "mask.png"))


def test_make_commands_in_the_text_exist() -> None:
    for page in PAGES:
        for command in re.findall(r"`make ([^`]+)`", page.read_text(encoding="utf-8")):
            check_make(command.split())


def test_cells_to_copy_and_import_cells_run_elsewhere(tmp_path: Path) -> None:
    """Each chapter's first cell alone, and each cell tagged copy-me, all in one new interpreter.

    None sees the names of another, each one to copy has an empty folder of its own and leaves it so: in a chapter that
    is executed it would write beside the sources.
    """
    cells = {}
    for name in STEPS:
        notebook = nbformat.read(ROOT / "book" / f"{name}.ipynb", as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        copied = [cell.source for cell in code if to_copy(cell)]
        assert 1 <= len(copied) <= 3 or name == "introduction", name
        assert "import" in code[0].source and all(cell.startswith("# ") for cell in copied)
        cells |= {name: code[0].source} | {f"{name}-{i}": cell for i, cell in enumerate(copied)}
    run_python(
        f"import os\nfor name, cell in {cells!r}.items():\n    os.mkdir(name)\n    os.chdir(name)\n"
        "    exec(compile(cell, name, 'exec'), dict(__name__='__main__'))\n    os.chdir('..')",
        tmp_path,
    )
    assert not [file for file in tmp_path.rglob("*") if not file.is_dir()]
