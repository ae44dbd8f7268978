"""Every number with its 95 % interval, over inputs, or over inputs and references."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.stats import bootstrap
from scipy.stats import t as student

from segin_core.errors import InputError
from segin_core.metrics.frechet import as_features

Score = dict[str, float | list[float]]


def score(
    values: ArrayLike | Sequence[ArrayLike], statistic: Callable[..., float] = np.mean, *, resamples: int = 2000,
    seed: int = 0,
) -> Score:  # fmt: skip
    """A statistic of one number an input and its interval: {"value": v, "interval": [low, high]}.

    values: n numbers, or a list of several such for a statistic of several arguments; inputs are then drawn together,
    so that a difference or a ratio is taken input by input. The interval holds the middle 95 % of the resampled
    statistic (percentile bootstrap). Raises InputError for fewer than two inputs, unequal lengths and values that are
    not finite.
    """
    samples = _arrays(*([values] if not len(values) or np.ndim(values[0]) == 0 else values))
    found = bootstrap(samples, statistic, n_resamples=resamples, method="percentile", paired=len(samples) > 1,
                      vectorized=False, rng=np.random.default_rng(seed)).confidence_interval  # fmt: skip
    return {"value": float(statistic(*samples)), "interval": [float(found.low), float(found.high)]}


def score_over_both(values: ArrayLike, inputs: ArrayLike, references: ArrayLike) -> Score:
    """Mean of n numbers and its 95 % interval over inputs *and* references: as `score`, for values that share either.

    inputs, references: which ones each value had, as names or numbers. Numbers of one input, or of one reference, say
    less than as many of different ones, so the variance of the mean is that between inputs plus that between references
    minus that between pairs of both, which is in either (two-way clusters: Cameron, Gelbach and Miller, 2011); never
    less than that of one alone. Student's t with one degree less than there are inputs or references, the fewer of
    both; no wider than the values reach. With differences as values it is the interval of a paired difference. Raises
    InputError for fewer than two inputs or references, unequal lengths, and values that are not finite.
    """
    (values,) = _arrays(values)
    names = [np.unique(np.asarray(each), return_inverse=True)[1] for each in (inputs, references)]
    if any(len(each) != len(values) for each in names):
        raise InputError(
            f"{len(values)} values of {len(names[0])} inputs and {len(names[1])} references: name one each"
        )
    if min(counts := [each.max() + 1 for each in names]) < 2:
        raise InputError(
            f"{counts[0]} inputs and {counts[1]} references make no score over both: give two or more each"
        )

    def variance(cluster: np.ndarray) -> float:  # of the mean, if only whole clusters were drawn
        sums = np.bincount(cluster, weights=values - values.mean()) / len(values)
        return len(sums) / (len(sums) - 1) * (sums**2).sum()

    pairs = np.unique(names[0] * counts[1] + names[1], return_inverse=True)[1]
    one, other = (variance(each) for each in names)
    spread = max(one, other, one + other - variance(pairs)) ** 0.5
    ends = values.mean() + student.ppf([0.025, 0.975], min(counts) - 1) * spread
    low, high = ends.clip(values.min(), values.max())
    return {"value": float(values.mean()), "interval": [float(low), float(high)]}


def _arrays(*values: ArrayLike) -> list[np.ndarray]:
    """As many finite numbers each, two or more, as float64."""
    samples = [torch.as_tensor(each).detach().cpu().double().numpy() for each in values]
    lengths = sorted({len(each) for each in samples})
    if len(lengths) > 1 or lengths[0] < 2:
        raise InputError(f"values of {lengths} inputs make no score: give two or more, the same for each argument")
    if not all(np.isfinite(each).all() for each in samples):
        raise InputError("values that are not finite make no score: look at the images behind them")
    return samples


def ratio(a: np.ndarray, b: np.ndarray) -> float:
    """Ratio of two means, a statistic for `score`."""
    return a.mean() / b.mean()


def set_score(
    distance: Callable[..., float], real: ArrayLike, fake: ArrayLike, *other: ArrayLike, paired: bool = True,
    resamples: int = 1000, seed: int = 0,
) -> Score:  # fmt: skip
    """Distance of two sets of features and its interval, from a centred bootstrap over inputs.

    distance: `frechet_distance`, `kid` or, for paired sets, `partial(kid, paired=True)`. With another set: the distance
    of `fake` to `real` minus that of `other`, positive if `other` is nearer; all are drawn together, so the interval is
    narrower than the two apart. paired: fake[i] was made from the input of real[i], and both are drawn together; with
    False the sets may have different sizes and are drawn apart. A resampled set repeats images, so its covariance has
    fewer directions and its distance lies well above that of the sets themselves: plain percentiles need not even
    contain the value. So the resampled distances are moved as a whole until their mean is the value. What the interval
    then covers (a little generously, see the tests) is the expected distance *at this number of images*, not that of
    the distributions. Raises InputError for features that do not fit together.
    """
    sets = as_features(real, fake, *other)
    sizes = [len(each) for each in sets]
    if paired and len(set(sizes)) > 1:
        raise InputError(f"sets of {sizes} images are not paired: give as many of each, or paired=False")

    def statistic(*rows: np.ndarray) -> float:
        rows = rows * len(sets) if paired else rows
        first, second, *third = (each[index.astype(int)] for each, index in zip(sets, rows, strict=True))
        return distance(first, second) - sum(distance(first, each) for each in third)

    rows = [np.arange(size) for size in (sizes[:1] if paired else sizes)]
    resampled = bootstrap(rows, statistic, n_resamples=resamples, method="percentile", vectorized=False,
                          rng=np.random.default_rng(seed)).bootstrap_distribution  # fmt: skip
    value = float(statistic(*rows))
    low, high = value + np.percentile(resampled, [2.5, 97.5]) - resampled.mean()
    return {"value": value, "interval": [float(low), float(high)]}
