"""Every number with its 95 % interval, from a bootstrap over inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.stats import bootstrap

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


def score_over_references(values: ArrayLike, references: ArrayLike, *, resamples: int = 2000, seed: int = 0) -> Score:
    """Mean of one number an input and its interval over inputs *and* references; `references`: which one each had.

    Where many inputs share a few references, drawing inputs alone says nothing of other references. Here references
    are drawn, then as many inputs of each drawn one. Raises InputError for fewer than two references, for unequal
    lengths and for values that are not finite.
    """
    values, references = _arrays(values, references)
    if len(set(references)) < 2:
        raise InputError("all inputs have one reference: with two or more this score can be made")
    groups, rng = [values[references == each] for each in np.unique(references)], np.random.default_rng(seed)

    def resampled() -> float:
        drawn = [groups[k] for k in rng.integers(len(groups), size=len(groups))]
        return np.concatenate([rng.choice(group, len(group)) for group in drawn]).mean()

    low, high = np.percentile([resampled() for _ in range(resamples)], [2.5, 97.5])
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
