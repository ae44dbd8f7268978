"""What evidence makes of a claim: small rules from intervals to verdicts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from enum import StrEnum

from segin_core.book.ledger.result_files import Interval

# The paper's metrics by the beginning of their names: neither FD-... nor ST-LPIPS, and LPIPS on AlexNet.
FID, LPIPS = r"FID(?![\w-])", r"LPIPS(?![\w-]).*alex"
HIGHER_IS_BETTER = {"diversity"}


class Verdict(StrEnum):
    """What became of a claim."""

    HOLDS = "holds"  # the paper's own metric, data and size, and its value lies inside our interval
    DIRECTION = "holds in direction"  # under another metric, data or size; the interval excludes zero
    NOT = "does not hold"  # the interval lies on the other side
    UNDECIDED = "undecided"  # the interval includes zero, or a part of the evidence is missing
    UNTESTED = "not tested"
    NOTHING = "nothing claimed"  # a dash in the paper's table

    @staticmethod
    def of_order(paper: int, lead: Interval | None) -> Verdict:
        """paper: the paper's order (1, -1, 0 for equal); lead: the interval of SEGIN's lead here, positive if ahead."""
        if lead is None:
            return Verdict.UNTESTED
        ours = (lead[0] > 0) - (lead[1] < 0)
        if ours == 0:
            return Verdict.UNDECIDED  # no difference seen is no proof of none, even where the paper has none
        return Verdict.DIRECTION if ours == paper else Verdict.NOT

    @staticmethod
    def of_all(verdicts: Iterable[Verdict]) -> Verdict:
        """A claim of several parts: refuted by one, upheld only by all."""
        found = set(verdicts) or {Verdict.UNTESTED}
        if Verdict.NOT in found:
            return Verdict.NOT
        return found.pop() if len(found) == 1 else Verdict.UNDECIDED


def paper_order(segin: float, other: float, column: str) -> int:
    """1 where the paper has SEGIN better than the other in this column, -1 where worse, 0 where equal."""
    better = segin - other if column in HIGHER_IS_BETTER else other - segin
    return (better > 0) - (better < 0)


def lead(smaller: Interval | None, larger: Interval | None) -> Interval | None:
    """How far the first lies below the second, from their two intervals; it includes zero where these overlap."""
    return (larger[0] - smaller[1], larger[1] - smaller[0]) if smaller and larger else None


def ratio(a: Interval, b: Interval) -> Interval:
    """Bounds of a / b for scores that are not negative; without an upper bound where b may be zero."""
    return a[0] / b[1] if b[1] > 0 else 0.0, a[1] / b[0] if b[0] > 0 else math.inf


def is_papers_metric(column: str, name: str | None) -> bool:
    """Is the metric of this name the one in the paper's column?"""
    return bool(name and re.match(FID if column == "frechet" else LPIPS, name, flags=re.IGNORECASE))
