"""Write constraints.txt: what pip has installed in this environment, without addresses and local packages."""

import re
import subprocess
import sys
from pathlib import Path


def names(file: str) -> set[str]:
    """The packages a requirements file pins, in lower case with dashes."""
    found = re.findall(r"^([\w.-]+)==", Path(file).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {normal(name) for name in found}


def normal(name: str) -> str:
    """A package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock() -> str:
    """`pip freeze` without editable and local lines and without the packages of requirements-weights.txt."""
    freeze = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    lines = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.splitlines()
    weights = names("requirements-weights.txt")
    pins = [line for line in lines if re.fullmatch(r"[\w.-]+==\S+", line)]
    kept = sorted((pin for pin in pins if normal(pin.split("==")[0]) not in weights), key=str.lower)
    return "\n".join(["# Written by `make lock`: the versions that were tried together.", *kept, ""])


if __name__ == "__main__":
    Path("constraints.txt").write_text(lock(), encoding="utf-8")
