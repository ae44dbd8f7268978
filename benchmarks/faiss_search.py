"""A FAISS flat index on the unfolded patches, in a process of its own: its OpenMP must not meet torch's.

Reads one line for each search, four words: two .npy files with the features c h w of x and r, the patch size, and the
.npy file for the index found. Answers with the seconds that unfolding, indexing and searching took.
"""

from __future__ import annotations

import os
import sys
import time

import faiss
import numpy as np


def unit_patches(features: np.ndarray, patch: int) -> np.ndarray:
    """All k x k patches of a zero-padded map c h w, each of length 1; n (c k k)."""
    radius = patch // 2
    padded = np.pad(features, ((0, 0), (radius, radius), (radius, radius)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (patch, patch), axis=(1, 2))  # c h w k k
    patches = np.ascontiguousarray(windows.transpose(1, 2, 0, 3, 4)).reshape(-1, len(features) * patch**2)
    faiss.normalize_L2(patches)
    return patches


def search(fx: np.ndarray, fr: np.ndarray, patch: int) -> np.ndarray:
    """For each patch of x the one of r with the largest scalar product."""
    patches = unit_patches(fr, patch)
    index = faiss.IndexFlatIP(patches.shape[1])
    index.add(patches)
    return index.search(unit_patches(fx, patch), 1)[1][:, 0]


def main() -> None:
    """Search until the input ends."""
    faiss.omp_set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    for line in sys.stdin:
        file_x, file_r, patch, found = line.rstrip("\n").split("\t")
        fx, fr = np.load(file_x), np.load(file_r)
        started = time.perf_counter()
        index = search(fx, fr, int(patch))
        seconds = time.perf_counter() - started
        np.save(found, index)
        print(seconds, flush=True)


if __name__ == "__main__":
    main()
