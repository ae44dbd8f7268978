"""What a training will take: which ones cost the same, and a real one, timed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from estimate import felt, main, picture_size, trainings, values_of

ROOT = Path(__file__).parent.parent


def test_trainings_that_differ_in_data_or_length_alone_cost_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = trainings("paper")
    assert {"training", "training-bags", "pix2pix-bags", "bicyclegan", "munit", "training-without_gan"} <= set(found)
    assert not {"outputs", "matchers", "learned_match"} & set(found)
    assert picture_size("paper", values_of("paper", "training-bags", {})) == 256
    costs = {name: felt("paper", name, {}) for name in found}
    assert costs["training"] == costs["training-bags"] == costs["training-faces"] != costs["training-without_non_local"]
    assert costs["munit"] == costs["munit-bags"] != costs["pix2pix"]
    assert felt("paper", "training", {"width": 8}) != costs["training"]


def test_what_is_no_training_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["estimate.py", "--edition", "smoke", "--only", "outputs"])
    assert main() == 2
    assert "outputs is no training of this edition: choose of training, pix2pix" in capsys.readouterr().err


def test_a_training_is_timed_without_any_data(tmp_path: Path) -> None:
    for linked in ("segin_core", "params", "workflow", "_config.yml"):
        (tmp_path / linked).symlink_to(ROOT / linked)
    shutil.copytree(ROOT / "book", tmp_path / "book")  # no link: notebooks look for the project above them
    words = ["--only", "training", "training-avatars", "--steps", "10", "-p", "width", "16"]
    command = [sys.executable, "workflow/estimate.py", "--edition", "smoke", *words]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "one after the other" in done.stdout and not (tmp_path / "runs/smoke/estimate").exists()
    told = json.loads((tmp_path / "runs/smoke/estimate.json").read_text())["trainings"]
    one, other = told["training"], told["training-avatars"]
    assert one["seconds_a_step"] == other["seconds_a_step"] > 0  # timed once
    assert one["hours"] == pytest.approx(one["steps"] * one["seconds_a_step"] / 3600)
    # weights and Adam's two moments of N and D, twice, and once the weights alone; VGG's are not among them
    assert 4 * 7 * one["parameters"] * 0.9 < one["disk"] < 4 * 7 * one["parameters"] * 1.2
    assert 2e8 < one["memory"] < 2e10
