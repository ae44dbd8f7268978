"""What `pip install` of a wheel gives: every module, the networks of the project, and the command segin."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

ROOT = Path(__file__).parent.parent
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def call(*words: str | Path, folder: Path) -> subprocess.CompletedProcess:
    """A command as on a machine where nothing of this checkout is on Python's path."""
    names = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([str(word) for word in words], cwd=folder, env=names, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built from a copy, so that nothing is left here."""
    copy, made = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("segin_core", "published/models"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    call(sys.executable, "-W", "error::Warning:setuptools", "-c", BUILD, made, folder=copy)
    return next(made.iterdir())


def test_a_wheel_holds_every_module_and_the_networks(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("segin_core/")}
    modules = {file.relative_to(ROOT).as_posix() for file in (ROOT / "segin_core").rglob("*.py")}
    networks = {f"segin_core/models/{file.name}" for file in (ROOT / "published" / "models").iterdir()}
    assert inside == modules | networks


def test_translate_in_an_empty_folder_after_installing_the_wheel(wheel: Path, tmp_path: Path) -> None:
    environment, work = tmp_path / "environment", tmp_path / "ein leerer Ordner ü"
    work.mkdir()
    for name, fill in (("skizze größe 1", None), ("red", "red")):
        picture = Image.new("RGB", (90, 60), "white")
        ImageDraw.Draw(picture).ellipse((20, 10, 70, 50), fill=fill, outline="black", width=4)
        picture.save(work / f"{name}.png")
    call(sys.executable, "-m", "venv", "--without-pip", environment, folder=work)
    place = next(environment.glob("lib/python*/site-packages"))
    (place / "torch_and_the_rest.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = environment / "bin" / "python"
    call(*PIP, "--python", python, "install", "--no-deps", "--no-index", "--no-compile", wheel, folder=work)
    done = call(
        environment / "bin" / "segin", "translate", "skizze größe 1.png", "red.png", "-o", "out.png", folder=work
    )
    assert "mean cosine" in done.stdout and done.stderr == ""
    assert Image.open(work / "out.png").size == (90, 60)
    assert {file.name for file in work.iterdir()} == {"skizze größe 1.png", "red.png", "out.png"}
