"""A key stands for settings, data and code: it changes with each of them, and with nothing else."""

import functools
import inspect
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from segin_core.corruption import corrupt
from segin_core.running import identity
from segin_core.running.identity import Identity, content_digest, source_digest
from segin_core.segin import SEGIN


def test_the_key_changes_with_settings_data_and_code_and_not_with_their_order():
    key = Identity({"lr": 1.0, "k": 3}, "data", "code").key
    assert len(key) == 12 and key == Identity({"k": 3, "lr": 1.0}, "data", "code").key
    others = [Identity({"lr": 1.0, "k": 5}, "data", "code"), Identity({"lr": 1.0, "k": 3}, "other", "code")]
    others.append(Identity({"lr": 1.0, "k": 3}, "data", "other"))
    assert len({key, *(other.key for other in others)}) == 4


def test_content_counts_by_name_and_by_byte_wherever_the_folder_lies(tmp_path):
    def folder(name: str, **files: str) -> str:
        for file, text in files.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / file).write_text(text)
        return content_digest((tmp_path / name).iterdir(), tmp_path / name)

    first = folder("first", a="one", b="two")
    assert first == folder("elsewhere", b="two", a="one")
    assert first not in {folder("replaced", a="one", b="2wo"), folder("renamed", a="one", c="two")}
    assert folder("moved", a="on", b="etwo") not in {first, folder("joined", a="one", b="two!")}


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A copy of the package whose sources a test may change; the digest reads it instead of the imported one."""
    shutil.copytree(identity.ROOT / "segin_core", tmp_path / "segin_core", ignore=shutil.ignore_patterns("__pycache__"))
    original = identity.ROOT
    monkeypatch.setattr(identity, "ROOT", tmp_path)

    def moved(each: object) -> str:
        return str(tmp_path / Path(inspect.getfile(each)).relative_to(original))

    monkeypatch.setattr(identity, "inspect", SimpleNamespace(getfile=moved, getsource=inspect.getsource))
    return tmp_path / "segin_core"


def edited(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_changed_loss_changes_the_digest_of_the_method_that_imports_it(package):
    before = source_digest(SEGIN)
    edited(package / "losses.py", "return F.l1_loss(output, y)", "return F.mse_loss(output, y)")
    assert source_digest(SEGIN) != before


def test_comments_docstrings_and_modules_that_are_not_imported_do_not_count(package):
    before = source_digest(SEGIN)
    edited(package / "losses.py", "Eq. 5", "the fifth equation")
    edited(package / "losses.py", "    return", "    # the value\n    return")
    edited(package / "baselines" / "pix2pix.py", "def ", "async def ")
    assert source_digest(SEGIN) == before


def test_partials_packages_and_functions_of_ones_own_count():
    assert source_digest(functools.partial(corrupt, cell=4)) == source_digest(corrupt) != source_digest(SEGIN)
    assert source_digest(corrupt, packages=["torch"]) != source_digest(corrupt)

    def damage(w):
        return w

    before = source_digest(damage)

    def damage(w):  # with a comment
        return w

    assert source_digest(damage) == before

    def damage(w):
        return -w

    assert source_digest(damage) != before
