"""Pairs of sketch and picture from a folder: any data set, made by `openmoji.prepare` or by hand."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from segin_core.data.images import find_pictures, named_files, read_image, to_tensor
from segin_core.data.parts import KINDS
from segin_core.errors import InputError
from segin_core.running.identity import content_digest
from segin_core.running.randomness import epoch_indices


class PairFolder(Dataset):
    """Triples under `root`: x/<name>.png the sketch, y/<name>.png the picture, mask/<name>.png its fill.

    Any kind of picture file will do (`images.SUFFIXES`). Names are sorted, so the order is the same everywhere; a file
    is decoded when it is asked for. Raises InputError for a folder that is missing or empty, for names that do not
    match or differ in case alone (at once), for a file that cannot be read and for sizes that differ within a triple
    (on access).
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        folders = [self.root / kind for kind in KINDS]
        self.files = {folder.name: named_files(find_pictures(folder), folder) for folder in folders}
        for kind in ("y", "mask"):
            if odd := sorted(self.files["x"].keys() ^ self.files[kind].keys()):
                has, lacks = ("x", kind) if odd[0] in self.files["x"] else (kind, "x")
                raise InputError(
                    f"{self.files[has][odd[0]]} has no partner in {lacks}/ (one of {len(odd)}): "
                    "each name must be in x/, y/ and mask/."
                )
        self.names = sorted(self.files["x"])

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the names and bytes of all files: other pictures, another digest."""
        return content_digest((file for named in self.files.values() for file in named.values()), self.root)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict[str, str | Tensor]:
        """`name`, `x` (1 h w) and `y` (3 h w) in [-1, 1], `mask` (1 h w) in [0, 1]; float32."""
        name = self.names[index]
        pictures = {kind: read_image(self.files[kind][name]) for kind in KINDS}
        for kind, picture in pictures.items():
            (w, h), (w_x, h_x) = picture.size, pictures["x"].size
            if (w, h) != (w_x, h_x):
                raise InputError(
                    f"{self.files[kind][name]} is {w} x {h} pixels but its x is {w_x} x {h_x}: scale them to one size."
                )
        x, mask = (to_tensor(pictures[kind].convert("L")) for kind in ("x", "mask"))
        return {"name": name, "x": x, "y": to_tensor(pictures["y"]), "mask": (mask + 1) / 2}

    def batch(self, indices: Iterable[int]) -> dict[str, list[str] | Tensor]:
        """Several triples of one size: `names`, and `x`, `y`, `mask` stacked to b c h w."""
        items = [self[int(index)] for index in indices]
        if not items:
            raise InputError(f"No indices were given for a batch of {self.root}: give at least one.")
        for odd in (item for item in items if item["x"].shape != items[0]["x"].shape):
            raise InputError(
                f"{self.files['x'][odd['name']]} and {self.files['x'][items[0]['name']].name} differ in size: "
                "a batch needs pictures of one size."
            )
        stacked = {kind: torch.stack([item[kind] for item in items]) for kind in KINDS}
        return {"names": [item["name"] for item in items]} | stacked


class PairBatch(NamedTuple):
    """What one step of a compared method sees; images b c h w in [-1, 1]."""

    x: Tensor  #: input, one channel
    y: Tensor  #: ground truth


class PairBatches:
    """Batches for the compared methods: `batches(step)` gives the pairs of that step, those that SEGIN sees in it."""

    def __init__(self, pairs: PairFolder, *, batch_size: int, seed: int) -> None:
        self.pairs, self.batch_size, self.seed = pairs, batch_size, seed

    def __call__(self, step: int) -> PairBatch:
        batch = self.pairs.batch(epoch_indices(len(self.pairs), step, batch_size=self.batch_size, seed=self.seed))
        return PairBatch(batch["x"], batch["y"])
