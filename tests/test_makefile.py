"""The front door: it knows its editions, and whose environment .venv is."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INSTALLS = "-m venv .venv"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the Makefile, its editions, something in runs/ and an environment that was made there."""
    root = tmp_path / "a project"
    shutil.copytree(ROOT / "params", root / "params")
    for name in ("Makefile", "requirements.txt", "requirements-weights.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    for name in ("runs/smoke/x", "runs/data/x", ".venv/installed"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / ".venv/folder").write_text(f"{root.resolve()}\n")
    return root


def make(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *words], cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("edition", ["", "..", "../..", ".", "smoke/..", "smoke data", "%", "Smoke", "data"])
@pytest.mark.parametrize("target", ["clean", "book", "html", "help"])
def test_an_unknown_edition_is_refused(project: Path, target: str, edition: str) -> None:
    done = make(project, target, f"EDITION={edition}")
    assert done.returncode == 2
    assert "there is no such edition; choose one of" in done.stderr and "smoke" in done.stderr
    assert (project / "runs/data/x").is_file() and (project / "runs/smoke/x").is_file()


def test_clean_removes_the_editions_files_alone(project: Path) -> None:
    done = make(project, "clean", "EDITION=smoke")
    assert done.returncode == 0, done.stderr
    assert (project / "runs/data/x").is_file() and not (project / "runs/smoke").exists()


def test_setup_installs_again_in_a_copied_or_moved_project(project: Path) -> None:
    assert INSTALLS not in make(project, "-n", "setup").stdout
    copy = Path(shutil.copytree(project, project.parent / "a copy"))
    assert f"rm -rf .venv\n{INSTALLS}" in make(copy, "-n", "setup").stdout.replace('"python3" ', "")
    moved = project.rename(project.parent / "moved")
    assert INSTALLS in make(moved, "-n", "book").stdout


def test_setup_installs_where_there_is_no_environment(project: Path) -> None:
    shutil.rmtree(project / ".venv")
    assert INSTALLS in make(project, "-n", "setup").stdout
