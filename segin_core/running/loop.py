"""The training loop: mixed precision, progress, samples, checkpoints, exact resume, alarms."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from segin_core.errors import InputError
from segin_core.running.checkpoints import below, load_state, load_tensors, save_tensors


class Method(Protocol):
    """Anything the loop can train: `segin.SEGIN`, a baseline."""

    networks: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]

    def update(self, batch: Any) -> dict[str, Tensor]: ...


class TrainingStopped(RuntimeError):
    """Training went wrong; the one sentence says what was seen, and the last good checkpoint is kept."""


def train(
    method: Method,
    batches: Callable[[int], Sequence[Tensor]],
    *,
    steps: int,
    folder: Path,
    settings: dict[str, Any],
    device: str = "cpu",
    precision: str = "bf16",
    lr_decay: float = 0.0,
    checkpoint_every: int = 250,
    log_every: int = 10,
    on_sample: Callable[[int], None] = lambda step: None,
    sample_every: int = 500,
    collapse_after: int = 300,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train until `steps` steps are done, from the last checkpoint of the same settings if there is one.

    batches(step): what `method.update` takes; must depend on the step alone, so that a resumed run equals an
    uninterrupted one to the bit on one machine. settings: everything that shapes the run; the checkpoint lies in
    `folder`/checkpoints under their hash, so a changed setting starts afresh and loses nothing. precision: "bf16"
    autocast or "fp32"; both use channels_last. lr_decay: the last share of the run over which both learning rates fall
    linearly to zero (paper: 0). on_sample(step) is called with the networks in evaluation mode, at step 0, every
    `sample_every` steps and at the end. Returns the history: one dict each `log_every` steps with "step", "seconds" and
    the means of the losses.

    Raises TrainingStopped at a loss that is not finite, and when D's loss stays under 1e-3 for `collapse_after` steps.
    """
    if precision not in ("bf16", "fp32"):
        raise InputError(f"precision={precision!r} is unknown; choose 'bf16' or 'fp32'")
    if checkpoint_every % log_every:
        raise InputError(
            f"checkpoint_every={checkpoint_every} must be a multiple of log_every={log_every}, "
            "or a resumed history would lack the steps between"
        )
    checkpoint = checkpoint_path(folder, settings)
    for network in method.networks.values():
        network.to(device, memory_format=torch.channels_last)
    rates = {name: optimiser.param_groups[0]["lr"] for name, optimiser in method.optimisers.items()}
    first, history = resume(method, checkpoint) if checkpoint.is_file() else (0, [])
    started = time.perf_counter() - (history[-1]["seconds"] if history else 0.0)
    recent: list[dict[str, float]] = []
    won = 0
    if first == 0:
        _sample(method, on_sample, 0)
    bar = tqdm(range(first, steps), initial=first, total=steps, disable=not progress, mininterval=5, desc="training")
    for step in bar:
        for network in method.networks.values():
            network.train()
        for name, optimiser in method.optimisers.items():
            optimiser.param_groups[0]["lr"] = rates[name] * decay_factor(step, steps, lr_decay)
        batch = batches(step)
        batch = type(batch)(*(part.to(device, memory_format=torch.channels_last) for part in batch))
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            found = method.update(batch)
        found = {name: float(value) for name, value in found.items()}
        won = won + 1 if found.get("discriminator", 1.0) < 1e-3 else 0
        _alarm(step, found, won, collapse_after, checkpoint)
        recent.append(found)
        done = step + 1
        if done % log_every == 0 or done == steps:
            means = {name: sum(f[name] for f in recent) / len(recent) for name in found}
            history.append({"step": done, "seconds": time.perf_counter() - started, **means})
            recent = []
            bar.set_postfix({name[:5]: f"{value:.3g}" for name, value in means.items()}, refresh=False)
        if done % sample_every == 0 or done == steps:
            _sample(method, on_sample, done)
        if done % checkpoint_every == 0 or done == steps:
            save(method, checkpoint, done, history)
    return history


def decay_factor(step: int, steps: int, lr_decay: float) -> float:
    """1, then over the last `lr_decay` share of the steps a straight line towards 0."""
    return min(1.0, (steps - step) / (lr_decay * steps)) if lr_decay else 1.0


def checkpoint_path(folder: Path, settings: dict[str, Any]) -> Path:
    """Where the run with these settings keeps its state; other settings, another file."""
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    return folder / "checkpoints" / f"{key}.safetensors"


def save(method: Method, path: Path, step: int, history: list[dict[str, float]]) -> None:
    """The whole state after `step` steps: weights, Adam's moments, PyTorch's random state, the history."""
    tensors = {"random": torch.get_rng_state()}
    for name, network in method.networks.items():
        tensors |= {f"network/{name}/{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in method.optimisers.items():
        for i, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{name}/{i}/{key}": torch.as_tensor(value) for key, value in state.items()}
    save_tensors(path, tensors, {"step": step, "history": history})


def resume(method: Method, path: Path) -> tuple[int, list[dict[str, float]]]:
    """Load what `save` wrote into the networks and optimisers; returns the steps done and the history."""
    tensors, description = load_tensors(path)
    for name, network in method.networks.items():
        load_state(network, below(tensors, f"network/{name}/"), path)
    for name, optimiser in method.optimisers.items():
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in below(tensors, f"optimiser/{name}/").items():
            i, part = key.split("/")
            # laid out in memory like its parameter, or every later step would be slower
            fits = value.shape == parameters[int(i)].shape
            state.setdefault(int(i), {})[part] = torch.empty_like(parameters[int(i)]).copy_(value) if fits else value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random"])
    return description["step"], description["history"]


def _sample(method: Method, on_sample: Callable[[int], None], step: int) -> None:
    for network in method.networks.values():
        network.eval()
    with torch.no_grad():
        on_sample(step)


def _alarm(step: int, found: dict[str, float], won: int, collapse_after: int, checkpoint: Path) -> None:
    kept = f"the last good state is in {checkpoint.name}" if checkpoint.is_file() else "nothing was saved yet"
    broken = [name for name, value in found.items() if not math.isfinite(value)]
    if broken:
        raise TrainingStopped(
            f"step {step + 1}: the loss {broken[0]} is {found[broken[0]]}; lower the learning rates "
            f"or use precision='fp32' ({kept})"
        )
    if collapse_after and won >= collapse_after:
        raise TrainingStopped(
            f"step {step + 1}: the discriminator's loss stayed under 0.001 for {won} steps, it tells real from "
            f"generated without a doubt and N learns nothing more from it; lower lr_discriminator ({kept})"
        )
