"""Pictures that are nearly the same, found by small grey thumbnails: no part of a set is to hold copies of another's.

Copies differ in size, compression, lightness or tint, seldom in where it gets lighter or darker; so what is compared is
the slope of lightness at each place, as by "difference hashes", but with a correlation in place of counted bits.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from scipy.cluster.hierarchy import DisjointSet

from segin_core.data.images import read_image

THUMB = 16  # slopes a side; coarser ones forgive a crop by a few per cent
CHUNK = 4096  # pictures compared with all others at a time, to bound the memory


def slopes(picture: Image.Image) -> np.ndarray:
    """A picture's middle square as a unit vector of 2 * 16 * 16: how lightness changes to the right and downwards."""
    grey = ImageOps.fit(picture.convert("L"), (THUMB + 1,) * 2, Image.Resampling.BOX)
    light = np.asarray(grey, np.float32) / 255
    slope = np.concatenate([np.diff(light, axis=1)[:-1].ravel(), np.diff(light, axis=0)[:, :-1].ravel()])
    return slope / max(float(np.linalg.norm(slope)), 1e-6)


def alike_pairs(vectors: np.ndarray, threshold: float) -> np.ndarray:
    """Pairs (n, 2), the first index smaller, of rows of `vectors` (at least one) whose product is over `threshold`.

    All pairs are compared: seconds for some ten thousand, minutes for two hundred thousand.
    """
    starts = range(0, len(vectors), CHUNK)
    products = (np.triu(vectors[i : i + CHUNK] @ vectors.T, k=i + 1) for i in starts)
    return np.concatenate(
        [np.argwhere(each > threshold) + np.array([i, 0]) for i, each in zip(starts, products, strict=True)]
    )


def look_alikes(files: Sequence[Path], root: Path, *, threshold: float) -> dict[Path, str]:
    """The group of each file below `root`, named for its first one: pictures that a chain of look-alikes connects.

    Raises InputError for a file that cannot be read.
    """
    names = [file.relative_to(root).as_posix() for file in files]
    groups = DisjointSet(names)
    for i, j in alike_pairs(np.stack([slopes(read_image(file)) for file in files]), threshold):
        groups.merge(names[i], names[j])
    return {file: min(groups.subset(name)) for file, name in zip(files, names, strict=True)}
