"""What `segin_core.matching` is measured against: the literal unfolding, FAISS, and the released draft's way."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from segin_core.vgg import VGG_BLOCKS, VGG_DEPTHS, VGGFeatures


def literal_match(fx: Tensor, fr: Tensor, patch: int) -> Tensor:
    """Eq. 1 as it is written: all patches unfolded, all their cosines at once, the best; b c h w -> b n."""
    unit_x, unit_r = (F.normalize(F.unfold(f, patch, padding=patch // 2), dim=1) for f in (fx, fr))
    return (unit_x.transpose(1, 2) @ unit_r).max(dim=2).indices


def literal_bytes(channels: int, cells: int, patch: int) -> int:
    """What `literal_match` holds at once: patches and unit patches of both, and all cosines, in fp32."""
    return 4 * (4 * channels * patch**2 * cells + cells**2)


def draft_way(x: Tensor, r: Tensor, features: VGGFeatures) -> tuple[Tensor, Tensor]:
    """The released draft's match as the book describes it: relu5_1, k = 1, cosines, squares pasted one by one.

    x: 1 1 h w, r: 1 3 h w; returns W, 1 3 h w, and the index, 1 n.
    """
    fx, fr = features(x)["relu5_1"], features(r)["relu5_1"]
    unit_x, unit_r = (F.normalize(rearrange(f, "1 c h w -> (h w) c"), dim=1) for f in (fx, fr))
    index = (unit_x @ unit_r.T).argmax(dim=1)
    w, columns, side = torch.zeros_like(r), fx.shape[3], x.shape[2] // fx.shape[2]
    for cell, source in enumerate(index.tolist()):
        (i, j), (k, m) = divmod(cell, columns), divmod(source, columns)
        square = r[:, :, k * side : (k + 1) * side, m * side : (m + 1) * side]
        w[:, :, i * side : (i + 1) * side, j * side : (j + 1) * side] = square
    return w, index[None]


def random_vgg19(folder: Path, *, seed: int) -> VGGFeatures:
    """A VGG-19 up to relu5_1 with random weights: it takes the time of the true one, which is a download.

    `folder` is for a file in passing, 80 MB. He et al.'s initialisation, so that the activations keep their size.
    """
    generator, state, channels, place = torch.Generator().manual_seed(seed), {}, 3, 0
    for count, depth in zip(VGG_BLOCKS["vgg19-imagenet"], VGG_DEPTHS, strict=True):
        for _ in range(count):
            kernel = torch.randn(depth, channels, 3, 3, generator=generator) * (2 / (9 * channels)) ** 0.5
            state |= {f"features.{place}.weight": kernel, f"features.{place}.bias": torch.zeros(depth)}
            channels, place = depth, place + 2  # torchvision's numbers count the activations, too
        place += 1  # and the poolings
    file = folder / "random_vgg19.pth"
    torch.save(state, file)
    found = VGGFeatures("vgg19-imagenet", ("relu5_1",), weights=file)
    file.unlink()
    return found


class FaissSearch:
    """The process of faiss_search.py: `search(fx, fr, patch)` -> seconds and index; close it with a `with` block."""

    def __init__(self, folder: Path) -> None:
        self.files = [str(folder / f"{name}.npy") for name in ("x", "r", "found")]
        environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        script = Path(__file__).with_name("faiss_search.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    @staticmethod
    def installed() -> bool:
        """Is the package faiss-cpu there? The book itself does not need it."""
        return find_spec("faiss") is not None

    def __enter__(self) -> FaissSearch:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # closes its input, which ends it

    def search(self, fx: Tensor, fr: Tensor, patch: int) -> tuple[float, Tensor]:
        """fx, fr: 1 c h w; the seconds are the child's own, without the way through the files. index: 1 n."""
        file_x, file_r, file_found = self.files
        for file, features in ((file_x, fx), (file_r, fr)):
            np.save(file, features[0].contiguous().numpy())
        self.process.stdin.write(f"{file_x}\t{file_r}\t{patch}\t{file_found}\n")
        self.process.stdin.flush()
        seconds = float(self.process.stdout.readline())
        return seconds, torch.from_numpy(np.load(file_found))[None]
