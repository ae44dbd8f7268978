"""The verdicts, and the small rules on intervals by which they are given."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum

Interval = tuple[float, float]


class Verdict(StrEnum):
    """What became of a claim."""

    HOLDS = "holds"  # the paper's own metric, data and size, and our interval lies within the margin around its value
    DIRECTION = "holds in direction"  # under another metric, data or size; the interval excludes zero
    COPYING = "copying not ruled out"  # in direction, but r or W handed back is not seen to be worse where shape counts
    NOT = "does not hold"  # the interval lies on the other side
    UNDECIDED = "undecided"  # the interval includes zero, or a part of the evidence is missing
    EXHIBIT = "by exhibit"  # a figure shows it, for the reader to judge
    UNTESTED = "not tested"
    NOTHING = "nothing claimed"  # a dash in the paper's table

    @property
    def upheld(self) -> bool:
        return self in (Verdict.HOLDS, Verdict.DIRECTION)

    @staticmethod
    def of_order(paper: int, lead: Interval | None, margin: float = 0.0) -> Verdict:
        """paper: its order of two (1, -1, 0 for alike); lead: the interval of the first's lead here, positive if ahead.

        Alike is what differs by less than the margin: no difference seen is no proof of none.
        """
        if lead is None:
            return Verdict.UNTESTED
        low, high = lead if paper >= 0 else (-lead[1], -lead[0])
        if paper == 0:
            alike, apart = max(abs(low), abs(high)) <= margin, max(low, -high) > margin
            return Verdict.DIRECTION if alike else Verdict.NOT if apart else Verdict.UNDECIDED
        return Verdict.DIRECTION if low > 0 else Verdict.NOT if high < 0 else Verdict.UNDECIDED

    @staticmethod
    def of_all(verdicts: Iterable[Verdict]) -> Verdict:
        """A claim of several parts: refuted by one, upheld only by all."""
        found = set(verdicts) or {Verdict.UNTESTED}
        if Verdict.NOT in found:
            return Verdict.NOT
        if len(found) == 1:
            return found.pop()
        weakest = Verdict.COPYING if Verdict.COPYING in found else Verdict.DIRECTION
        return weakest if found <= {Verdict.HOLDS, Verdict.DIRECTION, Verdict.COPYING} else Verdict.UNDECIDED


def lead(smaller: Interval | None, larger: Interval | None) -> Interval | None:
    """How far the first lies below the second, from their two intervals; it includes zero where these overlap."""
    return (larger[0] - smaller[1], larger[1] - smaller[0]) if smaller and larger else None


def ratio(a: Interval, b: Interval) -> Interval:
    """Bounds of a / b for scores that are not negative; without an upper bound where b may be zero."""
    return a[0] / b[1] if b[1] > 0 else 0.0, a[1] / b[0] if b[0] > 0 else math.inf


def within(interval: Interval, value: float, margin: float) -> bool:
    """Does the whole interval lie within a share (0.1 is 10 %) of the value around it?"""
    return max(abs(bound - value) for bound in interval) <= margin * abs(value)
