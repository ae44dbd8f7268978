"""What evidence makes of a claim: small rules from intervals to verdicts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from enum import StrEnum

from segin_core.book.ledger.result_files import Interval

# The paper's metrics by the beginning of their names: neither FD-... nor ST-LPIPS, and LPIPS on AlexNet.
FID, LPIPS = r"FID(?![\w-])", r"LPIPS(?![\w-]).*alex"
PAPERS_METRICS = {"frechet": FID, "diversity": LPIPS, "to_reference": LPIPS, "to_truth": LPIPS}
HIGHER_IS_BETTER = {"diversity"}


class Verdict(StrEnum):
    """What became of a claim."""

    HOLDS = "holds"  # the paper's own metric, data and size, and its value lies inside our interval
    DIRECTION = "holds in direction"  # under another metric, data or size; the interval excludes zero
    NOT = "does not hold"  # the interval lies on the other side
    UNDECIDED = "undecided"  # the interval includes zero, or a part of the evidence is missing
    UNTESTED = "not tested"
    NOTHING = "nothing claimed"  # a dash in the paper's table


def side(interval: Interval) -> int:
    """On which side of zero an interval lies: 1, -1, or 0 if it includes zero."""
    low, high = interval
    return 1 if low > 0 else -1 if high < 0 else 0


def paper_order(segin: float, other: float, column: str) -> int:
    """1 where the paper has SEGIN better than the other in this column, -1 where worse, 0 where equal."""
    better = segin - other if column in HIGHER_IS_BETTER else other - segin
    return (better > 0) - (better < 0)


def verdict_of_order(paper: int, lead: Interval | None) -> Verdict:
    """paper: the paper's order (1, -1, or 0 for equal); lead: the interval of SEGIN's lead here, positive if better."""
    if lead is None:
        return Verdict.UNTESTED
    ours = side(lead)
    if ours == 0:
        return Verdict.UNDECIDED  # no difference seen is no proof of none, even where the paper has none
    return Verdict.DIRECTION if ours == paper else Verdict.NOT


def verdict_of_value(paper: float, interval: Interval, *, comparable: bool, otherwise: Verdict) -> Verdict:
    """comparable: the paper's own metric, data and size. Only then can its value itself be found; else the order."""
    low, high = interval
    return Verdict.HOLDS if comparable and low <= paper <= high else otherwise


def verdict_of_all(verdicts: Iterable[Verdict]) -> Verdict:
    """A claim of several parts: refuted by one, upheld only by all."""
    found = set(verdicts)
    if Verdict.NOT in found:
        return Verdict.NOT
    if found <= {Verdict.UNTESTED}:
        return Verdict.UNTESTED
    return Verdict.DIRECTION if found == {Verdict.DIRECTION} else Verdict.UNDECIDED


def verdict_of_less(smaller: Interval | None, larger: Interval | None) -> Verdict:
    """Two intervals of which the first should lie below the second; where they overlap nothing is decided."""
    if smaller is None or larger is None:
        return Verdict.UNTESTED
    if smaller[1] < larger[0]:
        return Verdict.DIRECTION
    return Verdict.NOT if smaller[0] > larger[1] else Verdict.UNDECIDED


def verdict_of_seconds(paper: float, ours: float) -> Verdict:
    """The same speed or better on another machine upholds the claim; a slower machine says nothing about it."""
    return Verdict.DIRECTION if ours <= paper else Verdict.UNDECIDED


def ratio(a: Interval, b: Interval) -> Interval:
    """Bounds of a / b for scores that are not negative; without an upper bound where b may be zero."""
    return a[0] / b[1] if b[1] > 0 else 0.0, a[1] / b[0] if b[0] > 0 else math.inf


def is_papers_metric(column: str, name: str | None) -> bool:
    """Is the metric of this name the one in the paper's column?"""
    return bool(name and re.match(PAPERS_METRICS[column], name, flags=re.IGNORECASE))
