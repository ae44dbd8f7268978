"""The loop: what it learns, kill and resume to the bit, its alarms."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from tiny_run import tiny_batches, tiny_method, tiny_train

from segin_core.errors import InputError
from segin_core.losses import Weights
from segin_core.running.checkpoints import load_tensors
from segin_core.running.loop import TrainingStopped, checkpoint_path, decay_factor, train

STEPS = 40


def weights(path: Path) -> dict[str, torch.Tensor]:
    return {key: value for key, value in load_tensors(path)[0].items() if key.startswith(("network", "optimiser"))}


def test_killed_and_resumed_equals_uninterrupted_to_the_bit(pair_folder, tmp_path):
    tiny_train(pair_folder, tmp_path / "whole", STEPS)
    state = checkpoint_path(tmp_path / "killed", {"steps": STEPS})
    command = [sys.executable, str(Path(__file__).with_name("tiny_run.py"))]
    command += [str(pair_folder), str(tmp_path / "killed"), str(STEPS)]
    process = subprocess.Popen(command)
    while not state.is_file():  # as soon as there is something to go on from
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped_at = load_tensors(state)[1]["step"]
    assert 0 < stopped_at < STEPS, "killed too late to show anything"
    subprocess.run(command, check=True)
    whole, resumed = weights(checkpoint_path(tmp_path / "whole", {"steps": STEPS})), weights(state)
    assert whole.keys() == resumed.keys() and len(whole) > 100
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert not list(state.parent.glob(".*")), "a temporary file was left behind"


def test_training_lowers_the_reconstruction_loss(pair_folder, tmp_path):
    batches = tiny_batches(pair_folder)
    method = tiny_method(lr_translator=2e-3)
    history = train(
        method, batches, steps=60, folder=tmp_path, settings={}, precision="fp32", checkpoint_every=60, progress=False
    )
    assert history[-1]["reconstruction"] < 0.5 * history[0]["reconstruction"]
    assert [entry["step"] for entry in history] == list(range(10, 61, 10))


def test_samples_are_taken_in_evaluation_mode_at_the_steps_asked_for(pair_folder, tmp_path):
    method, seen = tiny_method(), []
    options = {"folder": tmp_path, "settings": {}, "checkpoint_every": 10, "progress": False, "sample_every": 4}
    train(method, tiny_batches(pair_folder), steps=10, on_sample=lambda s: seen.append(s), **options)
    assert seen == [0, 4, 8, 10] and not method.translator.training


@pytest.mark.parametrize("term", ["adversarial", "feature", "segmentation", "attention", "total_variation"])
def test_a_weight_of_zero_leaves_the_term_out(pair_folder, term):
    method = tiny_method(weights=Weights(**{term: 0.0}))
    found = method.update(tiny_batches(pair_folder)(0))
    assert term not in found and "reconstruction" in found
    assert ("discriminator" in found) == (term != "adversarial")


def test_a_loss_that_is_not_finite_stops_with_a_sentence(pair_folder, tmp_path):
    batches = tiny_batches(pair_folder)

    def poisoned(step):
        batch = batches(step)
        return batch._replace(y=batch.y * float("nan")) if step == 7 else batch

    with pytest.raises(TrainingStopped, match=r"step 8: the loss \w+ is nan.*last good state"):
        options = {"checkpoint_every": 5, "log_every": 5, "progress": False}
        train(tiny_method(), poisoned, steps=10, folder=tmp_path, settings={}, **options)
    assert load_tensors(checkpoint_path(tmp_path, {}))[1]["step"] == 5


class NoImages(NamedTuple):
    """An empty batch."""


class Won:
    """A method whose discriminator has won."""

    networks, optimisers = {}, {}

    def update(self, batch):
        return {"discriminator": torch.tensor(1e-5)}


def test_a_collapsed_discriminator_stops_with_a_sentence(tmp_path):
    with pytest.raises(TrainingStopped, match=r"discriminator's loss stayed under .* for 20 steps"):
        options = {"settings": {}, "collapse_after": 20, "progress": False}
        train(Won(), lambda step: NoImages(), steps=100, folder=tmp_path, **options)


def test_checkpoints_must_fall_on_logged_steps(tmp_path):
    with pytest.raises(InputError, match="multiple of log_every"):
        train(Won(), None, steps=1, folder=tmp_path, settings={}, checkpoint_every=15, log_every=10)


def test_decay_is_flat_then_falls_to_zero():
    factors = [decay_factor(step, 100, 0.4) for step in range(100)]
    assert factors[:60] == [1.0] * 60 and factors[-1] == pytest.approx(1 / 40)
    assert decay_factor(99, 100, 0.0) == 1.0


def test_other_settings_have_another_checkpoint(tmp_path):
    assert checkpoint_path(tmp_path, {"lr": 1, "b": 2}) == checkpoint_path(tmp_path, {"b": 2, "lr": 1})
    assert checkpoint_path(tmp_path, {"lr": 1}) != checkpoint_path(tmp_path, {"lr": 2})


def test_a_finished_run_returns_its_history_at_once(pair_folder, tmp_path):
    tiny_train(pair_folder, tmp_path, 10)
    method = tiny_method()
    options = {"settings": {"steps": 10}, "checkpoint_every": 5, "log_every": 5, "progress": False}
    history = train(method, None, steps=10, folder=tmp_path, **options)
    assert [entry["step"] for entry in history] == [5, 10]
    stored = load_tensors(checkpoint_path(tmp_path, {"steps": 10}))[0]
    for name, value in method.translator.state_dict().items():
        assert torch.equal(value, stored[f"network/translator/{name}"])


def test_an_unknown_precision_is_said_and_not_taken_for_fp32(tmp_path):
    with pytest.raises(InputError, match="precision='fp16'"):
        train(Won(), None, steps=1, folder=tmp_path, settings={}, precision="fp16")
