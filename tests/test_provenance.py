"""Where things lie and where they come from: the right folder, the right commit, or a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segin_core.book.paths import data_cache, project_root, result_file, runs
from segin_core.book.provenance import commit, trained
from segin_core.errors import InputError

ROOT = Path(__file__).parent.parent
COMMIT = "from segin_core.book.provenance import commit; print(commit())"


def git(folder: Path, *words: str) -> str:
    """Git's answer in that folder, whoever the user is."""
    words = ("-c", "user.email=a@b.c", "-c", "user.name=n", *words)
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def copied_code(folder: Path) -> Path:
    """What of the project the commit is asked from, in a folder of its own."""
    for name in ("__init__.py", "errors.py", "book/__init__.py", "book/provenance.py"):
        target = folder / "segin_core" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / "segin_core" / name).read_bytes())
    return folder


def commit_of(code: Path) -> str:
    """The commit that the code in this folder reports."""
    environment = {**os.environ, "PYTHONPATH": str(code)}
    done = subprocess.run([sys.executable, "-c", COMMIT], cwd=code, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_commit_is_that_of_the_projects_own_repository(tmp_path: Path) -> None:
    project = copied_code(tmp_path / "a project")
    assert commit_of(project) == "unknown"
    git(project, "init", "-q")
    git(project, "add", "segin_core/book")
    git(project, "commit", "-q", "-m", "ours")
    head = git(project, "rev-parse", "--short=12", "HEAD")
    assert commit_of(project) == f"{head}+changes"
    (project / ".gitignore").write_text("__pycache__\n")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "all of it")
    assert commit_of(project) == git(project, "rev-parse", "--short=12", "HEAD")


@pytest.mark.parametrize("place", ["tool", ".venv/lib/python3.11/site-packages"])
def test_commit_of_another_repository_is_not_ours(tmp_path: Path, place: str) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "a thesis")
    assert commit_of(copied_code(tmp_path / place)) == "unknown"


def test_trained_names_both_commits_and_the_data() -> None:
    made = {"commit": "0123456789ab", "date": "2026-01-02T03:04:05+00:00", "hardware": "a processor, 2 cores"}
    line = trained({"provenance": made, "identity": {"key": "k", "data": "fedcba9876543210", "code": "c"}})
    assert line == (
        "trained at commit 0123456789ab on data fedcba98 (2026-01-02, a processor, 2 cores), "
        f"evaluated at commit {commit()}"
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project."""
    root = tmp_path / "a project"
    for folder in ("segin_core", "book"):
        (root / folder).mkdir(parents=True)
    (root / "_config.yml").touch()
    return root


@pytest.mark.parametrize("inside", [".", "book"])
def test_paths_are_the_same_from_every_folder_of_the_project(
    project: Path, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / inside)
    monkeypatch.delenv("SEGIN_DATA", raising=False)
    assert (project_root(), runs("quick"), data_cache()) == (project, project / "runs/quick", project / "runs/data")
    for chosen in ("mydata", str(project.parent / "mydata")):
        monkeypatch.setenv("SEGIN_DATA", chosen)
        assert data_cache() == project / chosen


def test_outside_of_the_project_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEGIN_DATA", raising=False)
    for ask in (project_root, data_cache, lambda: runs("quick"), lambda: result_file("quick", "data", "dataset.json")):
        with pytest.raises(InputError, match=r"the working folder is not in the project; .* --cwd"):
            ask()
    monkeypatch.setenv("SEGIN_DATA", str(tmp_path))  # which needs no project
    assert data_cache() == tmp_path
