"""The loop: what it learns, kill and resume to the bit, its alarms."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from tiny_run import RUN, tiny_batches, tiny_method, tiny_train

from segin_core import losses
from segin_core.errors import InputError
from segin_core.losses import Weights
from segin_core.running import files, loop
from segin_core.running.checkpoints import load_tensors
from segin_core.running.files import held
from segin_core.running.identity import Identity
from segin_core.running.loop import Samples, TrainingStopped, before, checkpoint_path, decay_factor, train
from segin_core.segin import SEGIN
from segin_core.self_supervision import SelfSupervision

STEPS = 40
OTHER = Identity({}, "other data", "code")


def state_of(folder: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Every tensor of a run, and what stands beside them, times left out."""
    tensors, state = load_tensors(checkpoint_path(folder, RUN["identity"]))
    history = [{key: value for key, value in entry.items() if key != "seconds"} for entry in state["history"]]
    return tensors, {key: state[key] for key in ("origin", "step", "won")} | {"history": history}


def assert_same_run(whole: Path, stopped: Path) -> None:
    (tensors, state), (others, other) = state_of(whole), state_of(stopped)
    assert tensors.keys() == others.keys() and len(tensors) > 100 and state == other
    assert all(torch.equal(tensors[key], others[key]) for key in tensors)
    assert not list((stopped / "checkpoints").glob(".*")), "a temporary file was left behind"


@pytest.fixture(scope="module")
def whole(pair_folder, tmp_path_factory) -> Path:
    """Twelve steps without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    tiny_train(pair_folder, folder, 12)
    return folder


def nth(call, n: int):
    """`call`, whose n-th use is stopped with Ctrl-C when it is done."""
    used = []

    def stopping(*arguments, **named):
        used.append(1)
        found = call(*arguments, **named)
        if len(used) == n:
            raise KeyboardInterrupt
        return found

    return stopping


PLACES = {
    "while the first state is saved": (files.os, "replace", 1),
    "in the first sample": (torch, "linspace", 1),
    "in the first batch": (SelfSupervision, "__call__", 1),
    "between D and N, before there is a checkpoint": (SEGIN, "_update_discriminator", 3),
    "in D's part, before there is a checkpoint": (losses, "discriminator_loss", 4),
    "between D and N, while the rates fall": (SEGIN, "_update_discriminator", 9),
    "while a state is saved": (loop, "save_tensors", 2),
    "in a later sample": (torch, "linspace", 3),
    "in the last step": (torch.optim.Adam, "step", 24),
}


@pytest.mark.parametrize("place", PLACES)
def test_stopped_by_a_key_and_called_again_equals_uninterrupted_to_the_bit(
    pair_folder, tmp_path, whole, monkeypatch, place
):
    method, batches = tiny_method(), tiny_batches(pair_folder)
    options = {"folder": tmp_path, "lr_decay": 0.5, "checkpoint_every": 5, "log_every": 5, "progress": False}
    options |= {"sample_every": 4, "on_sample": lambda step: torch.linspace(0, 1, 2) * torch.rand(2)} | RUN
    owner, name, n = PLACES[place]
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, nth(getattr(owner, name), n))
        with pytest.raises(KeyboardInterrupt):
            train(method, batches, steps=12, **options)
    torch.rand(3)  # whatever was done meanwhile
    training = train(method, batches, steps=12, **options)
    assert_same_run(whole, tmp_path)
    assert [entry["step"] for entry in training.history] == [5, 10, 12] and not method.translator.training


def test_killed_and_resumed_equals_uninterrupted_to_the_bit(pair_folder, tmp_path):
    tiny_train(pair_folder, tmp_path / "whole", STEPS)
    state = checkpoint_path(tmp_path / "killed", RUN["identity"])
    command = [sys.executable, str(Path(__file__).with_name("tiny_run.py"))]
    command += [str(pair_folder), str(tmp_path / "killed"), str(STEPS)]
    process = subprocess.Popen(command)
    while not state.is_file() or load_tensors(state)[1]["step"] == 0:  # until there is a step to go on from
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < load_tensors(state)[1]["step"] < STEPS, "killed too late to show anything"
    for leftover in state.parent.glob(".*"):
        leftover.unlink()
    subprocess.run(command, check=True)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_made_ahead_are_the_same_and_leave_the_random_state_alone(pair_folder, tmp_path, whole, workers):
    tiny_train(pair_folder, tmp_path, 12, workers=workers)
    assert_same_run(whole, tmp_path)


@pytest.fixture
def listens() -> Iterator[None]:
    """As in a terminal; a process that was started in the background may ignore Ctrl-C."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


def test_a_stop_is_answered_between_two_steps_with_a_state_to_go_on_from(pair_folder, tmp_path, whole, listens):
    batches = tiny_batches(pair_folder)

    def pressed(step):
        if step == 3:
            signal.raise_signal(signal.SIGINT)
        return batches(step)

    options = {"folder": tmp_path, "lr_decay": 0.5, "checkpoint_every": 10, "log_every": 5, "progress": False} | RUN
    with pytest.raises(KeyboardInterrupt, match="saved after step 5; the same call goes on from there"):
        train(tiny_method(), pressed, steps=12, **options)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler and state_of(tmp_path)[1]["step"] == 5
    train(tiny_method(), batches, steps=12, **options)
    assert_same_run(whole, tmp_path)


def test_where_the_last_state_is_damaged_the_one_before_is_used_and_it_is_said(pair_folder, tmp_path, whole):
    tiny_train(pair_folder, tmp_path, 12)
    state = checkpoint_path(tmp_path, RUN["identity"])
    assert [load_tensors(file)[1]["step"] for file in (before(state), state)] == [10, 12]
    state.write_bytes(state.read_bytes()[:-1000])
    with pytest.warns(UserWarning, match=r"cut short .*Going on from the state before it"):
        tiny_train(pair_folder, tmp_path, 12)
    assert_same_run(whole, tmp_path)


def test_a_run_that_another_process_trains_is_refused(tmp_path):
    with held(checkpoint_path(tmp_path, RUN["identity"]).with_suffix(".lock")):
        with pytest.raises(InputError, match="another process is at work here"):
            train(Won(), lambda step: NoImages(), steps=1, folder=tmp_path, progress=False, **RUN)


def test_other_data_begin_anew_with_their_own_origin(pair_folder, tmp_path):
    tiny_train(pair_folder, tmp_path, 5)
    again = tiny_train(pair_folder, tmp_path, 5, origin={"commit": "second"})[1]
    other = tiny_train(pair_folder, tmp_path, 5, origin={"commit": "second"}, identity=OTHER)[1]
    assert again.origin == {"commit": "first"} and other.origin == {"commit": "second"}
    assert 0 <= other.waiting < 1 and other.history[-1]["seconds"] > 0


def test_trained_networks_do_not_begin_another_run(pair_folder, tmp_path):
    method = tiny_train(pair_folder, tmp_path, 5)[0]
    with pytest.raises(InputError, match="build all of them anew"):
        train(method, tiny_batches(pair_folder), steps=5, folder=tmp_path, **RUN | {"identity": OTHER})


def test_an_optimiser_built_otherwise_does_not_go_on(pair_folder, tmp_path):
    tiny_train(pair_folder, tmp_path, 5)
    method = tiny_method(betas=(0.5, 0.999))
    with pytest.raises(InputError, match="built otherwise"):
        train(method, tiny_batches(pair_folder), steps=5, folder=tmp_path, **RUN)


def test_training_lowers_the_reconstruction_loss(pair_folder, tmp_path):
    batches = tiny_batches(pair_folder)
    method = tiny_method(lr_translator=2e-3)
    options = {"folder": tmp_path, "precision": "fp32", "checkpoint_every": 60, "progress": False} | RUN
    history = train(method, batches, steps=60, **options).history
    assert history[-1]["reconstruction"] < 0.5 * history[0]["reconstruction"]
    assert [entry["step"] for entry in history] == list(range(10, 61, 10))


def test_samples_are_taken_in_evaluation_mode_at_the_steps_asked_for(pair_folder, tmp_path):
    method, seen = tiny_method(), []
    options = RUN | {"folder": tmp_path, "checkpoint_every": 10, "progress": False, "sample_every": 4}
    train(method, tiny_batches(pair_folder), steps=10, on_sample=seen.append, **options)
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
        train(tiny_method(), poisoned, steps=10, folder=tmp_path, **RUN, **options)
    assert load_tensors(checkpoint_path(tmp_path, RUN["identity"]))[1]["step"] == 5


class NoImages(NamedTuple):
    """An empty batch."""


class Won:
    """A method whose discriminator has won."""

    networks, optimisers = {}, {}

    def update(self, batch):
        return {"discriminator": torch.tensor(1e-5)}


def test_a_collapsed_discriminator_stops_with_a_sentence(tmp_path):
    with pytest.raises(TrainingStopped, match=r"discriminator's loss stayed under .* for 20 steps"):
        options = {"collapse_after": 20, "progress": False}
        train(Won(), lambda step: NoImages(), steps=100, folder=tmp_path, **RUN, **options)


WRONG = {"steps": 0, "log_every": 0, "sample_every": 0, "checkpoint_every": 15, "lr_decay": 2.0, "precision": "fp16"}


@pytest.mark.parametrize("name", WRONG)
def test_values_out_of_range_are_said_before_anything_is_done(tmp_path, name):
    given = {"steps": 1, "folder": tmp_path} | RUN | {name: WRONG[name]}
    with pytest.raises(InputError, match=f"^{name}="):
        train(Won(), None, **given)
    assert not list(tmp_path.iterdir())


def test_a_collapse_is_counted_across_a_stop(tmp_path):
    def stopped(step):
        if step == 15:
            raise KeyboardInterrupt
        return NoImages()

    options = RUN | {"collapse_after": 20, "checkpoint_every": 10, "progress": False, "folder": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        train(Won(), stopped, steps=100, **options)
    with pytest.raises(TrainingStopped, match=r"step 20: .* for 20 steps"):
        train(Won(), lambda step: NoImages(), steps=100, **options)


def test_decay_is_flat_then_falls_to_zero():
    factors = [decay_factor(step, 100, 0.4) for step in range(100)]
    assert factors[:60] == [1.0] * 60 and factors[-1] == pytest.approx(1 / 40)
    assert decay_factor(99, 100, 0.0) == 1.0


def test_a_finished_run_returns_its_history_at_once(pair_folder, tmp_path):
    tiny_train(pair_folder, tmp_path, 10)
    method = tiny_method()
    options = {"checkpoint_every": 5, "log_every": 5, "progress": False}
    training = train(method, None, steps=10, folder=tmp_path, **RUN, **options)
    assert [entry["step"] for entry in training.history] == [5, 10]
    stored = load_tensors(checkpoint_path(tmp_path, RUN["identity"]))[0]
    for name, value in method.translator.state_dict().items():
        assert torch.equal(value, stored[f"network/translator/{name}"])


def test_samples_are_kept_by_their_inputs_and_shown_over_time(tmp_path):
    def keeping(x):
        return Samples(tmp_path / "key.safetensors", lambda x: {"image": 2 * x}, x=x)

    first, other = keeping(torch.ones(2, 3)), keeping(torch.zeros(2, 3))
    for step in range(0, 100, 10):
        first(step)
    found = keeping(torch.ones(2, 3)).over_time(moments=4)
    assert [*found] == [0, 30, 60, 90] and torch.equal(found[30]["image"], torch.full((2, 3), 2.0))
    assert not other.over_time()
