"""The training loop: mixed precision, progress, samples, checkpoints, exact resume, alarms."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import safetensors.torch
import torch
from torch import Generator, Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from segin_core.errors import InputError
from segin_core.running.checkpoints import below, load_state, load_tensors, save_tensors
from segin_core.running.files import held
from segin_core.running.identity import Identity
from segin_core.running.randomness import random_state, set_random_state


class Method(Protocol):
    """Anything the loop can train: `segin.SEGIN`, a baseline."""

    networks: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]

    def update(self, batch: Any) -> dict[str, Tensor]: ...


class TrainingStopped(RuntimeError):
    """Training went wrong; the one sentence says what was seen, and the last good checkpoint is kept."""


class Training(NamedTuple):
    """What `train` returns."""

    history: list[dict[str, float]]  #: each `log_every` steps "step", "seconds" and the means of the losses
    origin: dict[str, Any]  #: what was given when the run began, though it was stopped and went on since
    waiting: float  #: share of the steps' time spent waiting for data


@dataclass
class State:
    """Where a run stands, beside its tensors."""

    origin: dict[str, Any]
    built: str  #: how its networks and optimisers are built, see `_built`
    step: int = 0  #: steps done
    seconds: float = 0.0  #: in these steps, samples and checkpoints left out
    waited: float = 0.0  #: seconds of them spent waiting for data
    won: int = 0  #: steps in a row that D had nothing left to learn
    history: list[dict[str, float]] = field(default_factory=list)


def train(
    method: Method, batches: Callable[[int], Sequence[Tensor]], *, steps: int, folder: Path, identity: Identity,
    origin: dict[str, Any], device: str = "cpu", precision: str = "bf16", lr_decay: float = 0.0,
    checkpoint_every: int = 250, log_every: int = 10, on_sample: Callable[[int], None] = lambda step: None,
    sample_every: int = 500, collapse_after: int = 300, workers: int = 0, progress: bool = True,
) -> Training:  # fmt: skip
    """Train until `steps` steps are done, from the last checkpoint of the same identity if there is one.

    However a run was stopped (a key in the notebook, kill -9), the same call goes on from that checkpoint and ends as
    if nothing had happened, to the bit on one machine, with the same objects or new ones: the first state is saved
    before the first step. Ctrl-C and a notebook's stop button are answered when the losses are next read, with a state
    saved first; pressed twice, at once. The state before the last one is kept too, and used with a warning where the
    last is damaged.

    batches(step): what `method.update` takes; must depend on the step alone. identity: everything that shapes the run;
    the checkpoint lies in `folder`/checkpoints under its key. origin: where the run comes from, as `book.provenance`
    says it. precision: "bf16" autocast or "fp32"; both use channels_last. lr_decay: the last share of the run over
    which all learning rates fall linearly to zero (paper: 0). on_sample(step) is called with the networks in evaluation
    mode, at step 0, every `sample_every` steps and at the end; random numbers that it draws change nothing. workers:
    processes that make batches ahead (`batches` must then be picklable); the batches are the same.

    Raises TrainingStopped at a loss that is not finite, and when D's loss stays under 1e-3 for `collapse_after` steps,
    both seen when the losses are read, every `log_every` steps. Raises InputError for values out of range, for a run
    that another process is training and for a folder that cannot be written.
    """
    _check(precision, lr_decay, checkpoint_every, log_every, steps=steps, sample_every=sample_every)
    checkpoint, kind = checkpoint_path(folder, identity), torch.device(device).type
    with held(checkpoint.with_suffix(".lock"), wait=False), _stop_asked() as asked:
        networks = nn.ModuleDict(method.networks).to(device, memory_format=torch.channels_last)
        networks.requires_grad_(True)  # parts that a step had frozen when it was stopped learn again
        if not (checkpoint.is_file() or before(checkpoint).is_file()):
            if any(optimiser.state for optimiser in method.optimisers.values()):
                raise InputError("these networks were trained under other settings before; build all of them anew")
            save(method, checkpoint, State(origin, _built(method)))
        state = resume(method, checkpoint)
        if state.step == 0:
            _sample(networks, on_sample, 0)
        todo = range(state.step, steps)
        # made ahead, in their order; a generator is given, so that the global one stays as it is
        how = {"num_workers": workers, "pin_memory": kind == "cuda", "generator": Generator()}
        ready = iter(DataLoader(todo, batch_size=None, collate_fn=batches, worker_init_fn=_no_stop, **how))
        recent: list[dict[str, Tensor]] = []
        bar = tqdm(todo, initial=state.step, total=steps, disable=not progress, mininterval=5, desc="training")
        for step in bar:
            started = time.perf_counter()
            batch = next(ready)
            state.waited += time.perf_counter() - started
            batch = type(batch)(*(p.to(device, non_blocking=True, memory_format=torch.channels_last) for p in batch))
            networks.train()
            for optimiser in method.optimisers.values():
                for group in optimiser.param_groups:
                    group["lr"] = optimiser.defaults["lr"] * decay_factor(step, steps, lr_decay)
            with torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16"):
                recent.append(method.update(batch))
            state.step = step + 1
            read = state.step % log_every == 0 or state.step == steps
            losses = _losses(recent) if read else []  # waits for the device
            state.seconds += time.perf_counter() - started
            if read:
                _alarm(state, losses, collapse_after, checkpoint)
                means = {name: sum(found[name] for found in losses) / len(losses) for name in losses[-1]}
                state.history.append({"step": state.step, "seconds": state.seconds, **means})
                recent = []
                bar.set_postfix({name[:5]: f"{value:.3g}" for name, value in means.items()}, refresh=False)
            if state.step % sample_every == 0 or state.step == steps:
                _sample(networks, on_sample, state.step)
            if state.step % checkpoint_every == 0 or state.step == steps or (asked and read):
                save(method, checkpoint, state)
            if asked and read and state.step < steps:
                raise KeyboardInterrupt(f"stopped and saved after step {state.step}; the same call goes on from there")
        networks.eval()
        return Training(state.history, state.origin, state.waited / state.seconds)


def _check(precision: str, lr_decay: float, checkpoint_every: int, log_every: int, **counts: int) -> None:
    if precision not in ("bf16", "fp32"):
        raise InputError(f"precision={precision!r} is unknown; choose 'bf16' or 'fp32'")
    if not 0 <= lr_decay <= 1:
        raise InputError(f"lr_decay={lr_decay} is no share of the run; give a number from 0 to 1")
    for name, value in {"checkpoint_every": checkpoint_every, "log_every": log_every, **counts}.items():
        if value < 1:
            raise InputError(f"{name}={value} must be a whole number from 1 up")
    if checkpoint_every % log_every:
        raise InputError(
            f"checkpoint_every={checkpoint_every} must be a multiple of log_every={log_every}, "
            "or a resumed history would lack the steps between"
        )


def decay_factor(step: int, steps: int, lr_decay: float) -> float:
    """1, then over the last `lr_decay` share of the steps a straight line towards 0."""
    return min(1.0, (steps - step) / (lr_decay * steps)) if lr_decay else 1.0


def checkpoint_path(folder: Path, identity: Identity) -> Path:
    """Where the run of this identity keeps its state; other settings, data or code, another file."""
    return folder / "checkpoints" / f"{identity.key}.safetensors"


def before(checkpoint: Path) -> Path:
    """Where the state before the last one is kept."""
    return checkpoint.with_suffix(".before.safetensors")


@contextmanager
def _stop_asked() -> Iterator[list[int]]:
    """A list that holds something once a stop was asked for, by SIGINT; the second SIGINT does what it usually does."""
    asked, usual = [], signal.getsignal(signal.SIGINT)

    def note(number: int, _: object) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, usual)

    # signals reach the main thread alone; and a process in the background, say, takes no such signal at all
    listens = threading.current_thread() is threading.main_thread() and callable(usual)
    if listens:
        signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        if listens:
            signal.signal(signal.SIGINT, usual)


def _no_stop(_: int) -> None:
    """A terminal sends Ctrl-C to the workers too, who go on until the loop is done with them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _built(method: Method) -> str:
    """SHA-256 of what the networks and optimisers are, which an edited cell may change without any parameter."""
    parts = *method.networks.values(), *(optimiser.defaults for optimiser in method.optimisers.values())
    return sha256("\n".join(map(str, parts)).encode()).hexdigest()


def save(method: Method, path: Path, state: State) -> None:
    """All of a run: weights, Adam's moments, the random state of every device, and where it stands.

    What `path` held is kept as `before(path)`.
    """
    tensors = {f"random/{name}": value for name, value in random_state().items()}
    for name, network in method.networks.items():
        tensors |= {f"network/{name}/{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in method.optimisers.items():
        for i, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{name}/{i}/{key}": torch.as_tensor(value) for key, value in moments.items()}
    written = path.with_suffix(".next.safetensors") if path.is_file() else path
    save_tensors(written, tensors, asdict(state))
    if written != path:
        os.replace(path, before(path))
        os.replace(written, path)


def resume(method: Method, path: Path) -> State:
    """Load what `save` wrote last into the networks and optimisers; returns where the run stood.

    Where that file is damaged, what it wrote before, with a warning.
    """
    try:
        tensors, description = load_tensors(path)
    except InputError as problem:
        if not before(path).is_file():
            raise
        warnings.warn(f"{problem}. Going on from the state before it", stacklevel=3)
        os.replace(before(path), path)
        tensors, description = load_tensors(path)
    if description.get("built") != _built(method):
        raise InputError(f"{path}: begun with networks or optimisers built otherwise; build them as then, or delete it")
    for name, network in method.networks.items():
        load_state(network, below(tensors, f"network/{name}/"), path)
    for name, optimiser in method.optimisers.items():
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in below(tensors, f"optimiser/{name}/").items():
            i, part = key.split("/")
            # laid out in memory like its parameter, or every later step would be slower
            fits = part != "step" and value.shape == parameters[int(i)].shape
            state.setdefault(int(i), {})[part] = torch.empty_like(parameters[int(i)]).copy_(value) if fits else value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        optimiser.zero_grad()
    set_random_state(below(tensors, "random/"))
    return State(**description)


def _sample(networks: nn.Module, on_sample: Callable[[int], None], step: int) -> None:
    networks.eval()
    before = random_state()
    with torch.no_grad():
        on_sample(step)
    set_random_state(before)


def _losses(found: list[dict[str, Tensor]]) -> list[dict[str, float]]:
    """The losses of several steps as numbers, fetched from the device at once."""
    values = torch.stack([torch.stack([value.float() for value in losses.values()]) for losses in found]).tolist()
    return [dict(zip(found[0], row, strict=True)) for row in values]


def _alarm(state: State, losses: list[dict[str, float]], collapse_after: int, checkpoint: Path) -> None:
    """Stop where one of the last steps, those of `losses`, went wrong; counts on in `state.won`."""
    kept = f"the last good state is in {checkpoint.name}"
    for step, found in enumerate(losses, state.step - len(losses) + 1):
        broken = [name for name, value in found.items() if not math.isfinite(value)]
        if broken:
            raise TrainingStopped(
                f"step {step}: the loss {broken[0]} is {found[broken[0]]}; lower the learning rates "
                f"or use precision='fp32' ({kept})"
            )
        state.won = state.won + 1 if found.get("discriminator", 1.0) < 1e-3 else 0
        if collapse_after and state.won >= collapse_after:
            raise TrainingStopped(
                f"step {step}: the discriminator's loss stayed under 0.001 for {state.won} steps, it tells real from "
                f"generated without a doubt and N learns nothing more from it; lower lr_discriminator ({kept})"
            )


class Samples:
    """Pictures of the same few inputs at several moments of a run, kept beside its checkpoint.

    `paint(**inputs)` returns pictures by name. Other inputs have another folder, so that a resumed run still has its
    pictures of before and no others. An instance is what `train` takes as `on_sample`.
    """

    def __init__(self, checkpoint: Path, paint: Callable[..., dict[str, Tensor]], **inputs: Tensor) -> None:
        self.paint, self.inputs = paint, inputs
        content = safetensors.torch.save({name: value.contiguous() for name, value in inputs.items()})
        self.folder = checkpoint.with_suffix("") / sha256(content).hexdigest()[:12]

    def __call__(self, step: int) -> None:
        save_tensors(self.folder / f"{step:07d}.safetensors", self.paint(**self.inputs), {"step": step})

    def over_time(self, moments: int = 6) -> dict[int, dict[str, Tensor]]:
        """Step to pictures: the first and the last that were kept, and evenly spaced ones between them."""
        files = sorted(self.folder.glob("*.safetensors"))
        chosen = torch.linspace(0, len(files) - 1, min(moments, len(files))).long()
        return {int(files[i].stem): load_tensors(files[i])[0] for i in chosen.tolist()}
