"""Distances between two sets of images, from n d features of each: Frechet distance (FID's formula) and KID."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from segin_core.errors import InputError


def frechet_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Frechet distance of the Gaussians fitted to two sets of features, n d and m d; never below 0.

    |mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)); on Inception's features it is the FID of Table I (Heusel et
    al., 2017), pytorch-fid's number, without any d x d matrix and so in milliseconds for a few hundred images: with
    centred features X and Y, C_a C_b has the non-zero eigenvalues of M M^T for M = X Y^T / sqrt((n - 1)(m - 1)), so
    the trace of its root is the sum of M's singular values. With n below d both covariances are singular and the value
    is far above that of the distributions; compare only values of equal n. Raises InputError for features that are not
    two matrices of equal width.
    """
    a, b = as_features(a, b)
    between = ((a.mean(0) - b.mean(0)) ** 2).sum()
    x, y = ((each - each.mean(0)) / np.sqrt(len(each) - 1) for each in (a, b))
    within = (x**2).sum() + (y**2).sum()
    # X = QR with orthonormal Q: R alone, d x d, has the same singular values, so M never exceeds d x d
    x, y = (np.linalg.qr(each, mode="r") if len(each) > each.shape[1] else each for each in (x, y))
    return max(0.0, float(between + within - 2 * np.linalg.svd(x @ y.T, compute_uv=False).sum()))


def kid(a: ArrayLike, b: ArrayLike, *, paired: bool = False) -> float:
    """Kernel distance (Binkowski et al., 2018): unbiased squared MMD of features n d and m d, kernel (u.v/d + 1)^3.

    Unlike the Frechet distance its expectation does not depend on n; it is 0 for equal distributions, so estimates
    fall below 0 too. That holds for independent sets. paired: b[i] was made from what a[i] shows; the terms of an
    image with its own partner are left out as well (Gretton et al., 2012, Eq. 4), or their likeness would push the
    value below 0. Over all images at once, not over random subsets. Raises InputError as `frechet_distance`, and for
    paired sets of different sizes.
    """
    a, b = as_features(a, b)
    if paired and len(a) != len(b):
        raise InputError(f"sets of {len(a)} and {len(b)} images are not paired: give as many of each, or paired=False")

    def likeness(u: np.ndarray, v: np.ndarray, *, others: bool) -> float:  # others: without u[i] and v[i]
        k = (u @ v.T / u.shape[1] + 1) ** 3
        return (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) if others else k.mean()

    return float(likeness(a, a, others=True) + likeness(b, b, others=True) - 2 * likeness(a, b, others=paired))


def as_features(*sets: ArrayLike) -> list[np.ndarray]:
    """Features, tensors or arrays, as float64 matrices. Raises InputError unless they are of one width and finite."""
    found = [torch.as_tensor(each).detach().cpu().double().numpy() for each in sets]
    shapes = " and ".join(str(each.shape) for each in found)
    if any(each.ndim != 2 or len(each) < 2 for each in found) or len({each.shape[1] for each in found}) > 1:
        raise InputError(f"features of shapes {shapes} cannot be compared: give n d and m d with n and m at least 2")
    if not all(np.isfinite(each).all() for each in found):
        raise InputError(f"features of shapes {shapes} hold values that are not finite: look at the images behind them")
    return found
