"""From a claim and the result files to its outcome: the verdict, by small rules on intervals, and what it rests on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import FiniteFloat, Strict

from segin_core.book.ledger.claims import Cell, Claim, Eye, Ledger, Less, Nothing, Order, Seconds, lookup
from segin_core.book.ledger.result_files import Evidence, Interval, Score, ScoreTable, evidence

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


class Outcome(NamedTuple):
    """A verdict and what it rests on. ours: our number with its interval, as text; note: why, in a few words."""

    verdict: Verdict
    ours: str = ""
    metric: str = ""
    edition: str = ""
    file: str = ""
    note: str = ""


def outcome(claim: Claim, ledger: Ledger, *, dataset: str, edition: str) -> Outcome:
    """What the result files about a data set ("shoes", "OpenMoji") say about a claim, on the page of an edition."""
    judge = claim.judge
    match judge:
        case Cell() if claim.paper is None:
            return Outcome(Verdict.NOTHING)
        case Eye():
            return Outcome(Verdict.UNTESTED, note=f"shown in the chapter {claim.notebook}, to be seen")
        case Nothing():
            return Outcome(Verdict.UNTESTED, note=f"needs {judge.needs}")
        case Cell(data="bags") | Order(data="bags"):
            return Outcome(Verdict.UNTESTED, note="needs pictures of bags")
    only = judge.data if isinstance(judge, Less) else None
    found = evidence(judge.file, dataset=dataset, edition=edition, only=only)
    if found is None:
        return Outcome(Verdict.UNTESTED, note=f"no {judge.file}")
    match judge:
        case Cell() | Order():
            result = _of_table(judge, claim.paper, ledger, found)
        case Less():
            result = _of_less(judge, found)
        case Seconds():
            result = _of_seconds(judge, claim.paper, found)
    return result._replace(edition=found.edition, file=found.path)


def _of_table(judge: Cell | Order, paper: float | None, ledger: Ledger, found: Evidence) -> Outcome:
    table = found.read(ScoreTable)
    metric = ", ".join(dict.fromkeys(name for column in judge.columns if (name := table.metrics.get(column))))
    orders = {column: _orders(judge, table, ledger, column) for column in judge.columns}
    verdict = Verdict.of_all(each for there in orders.values() for each in there.values())
    if isinstance(judge, Order):
        ours = ", ".join(f"{column} {score}" for column in judge.columns if (score := table.score("segin", column)))
        reasons = [f"{column}: {why}" for column, there in orders.items() if (why := _why(there))]
        return Outcome(verdict, f"SEGIN {ours}" if ours else "", metric, note="; ".join(reasons))
    score = table.score(judge.row, judge.column)
    if score is None:
        return Outcome(Verdict.UNTESTED, metric=metric, note="the file has no such cell")
    # its value can only be found in its own metric and data, and the paper edition is the only one of its 256 px
    comparable = is_papers_metric(judge.column, metric) and (table.dataset, found.edition) == (judge.data, "paper")
    if comparable and score.interval[0] <= paper <= score.interval[1]:
        verdict = Verdict.HOLDS
    better = score.segin_better_by
    paired = f"SEGIN better by {better}" if better else "no paired difference: judged by the two intervals"
    return Outcome(verdict, str(score), metric, note=_why(orders[judge.column]) if judge.row == "segin" else paired)


def _orders(judge: Cell | Order, table: ScoreTable, ledger: Ledger, column: str) -> dict[str, Verdict]:
    """For each row that SEGIN is compared with and that has a number in the paper's column: is the order the same?"""
    paper = ledger.paper_column(judge.table, judge.data, column)
    rows = judge.than
    if rows == ["segin"]:  # with all others; ties are no order to reproduce, and real data are no method
        rows = [row for row in paper if row != "real" and paper[row] != paper["segin"]]
    found = {}
    for row in (row for row in rows if {"segin", row} <= paper.keys()):
        ahead = better_by(table.score("segin", column), table.score(row, column), column)
        found[row] = Verdict.of_order(paper_order(paper["segin"], paper[row], column), ahead)
    return found


def better_by(segin: Score | None, other: Score | None, column: str) -> Interval | None:
    """The interval of SEGIN's lead: paired where the file has that, else from the two intervals, which is wider."""
    if other is not None and other.segin_better_by is not None:
        return other.segin_better_by.interval
    intervals = [score and score.interval for score in (segin, other)]
    return lead(*reversed(intervals)) if column in HIGHER_IS_BETTER else lead(*intervals)


def _why(orders: dict[str, Verdict]) -> str:
    """The rows whose order with SEGIN is not the paper's."""
    words = {Verdict.NOT: "not so against", Verdict.UNDECIDED: "no difference seen to", Verdict.UNTESTED: "nothing on"}
    listed = {verdict: [row for row, found in orders.items() if found is verdict] for verdict in words}
    return "; ".join(f"{words[verdict]} {', '.join(rows)}" for verdict, rows in listed.items() if rows)


def _of_less(judge: Less, found: Evidence) -> Outcome:
    known = {part: _operand(found, part) for pair in judge.pairs for part in pair}
    verdict = Verdict.of_all(Verdict.of_order(1, lead(known[a][0], known[b][0])) for a, b in judge.pairs)
    ours = "; ".join(text for _, text in known.values() if text)
    lacks = ", ".join(str(part) for part, (interval, _) in known.items() if interval is None)
    last = str(judge.pairs[0][0]).split(".")[-1]
    metric = lookup(found.content, f"metrics.{last}") or judge.measure
    return Outcome(verdict, ours, metric, note=f"the file has no {lacks}" if lacks else "")


def _operand(found: Evidence, expression: str | float) -> tuple[Interval | None, str]:
    """The interval and the text of a number, a score or a ratio of two scores; None and "" where the file lacks one."""
    if not isinstance(expression, str):
        return (expression, expression), f"compared with {expression:g}"
    scores = {key: found.read(Score | None, key) for key in expression.split(" / ")}
    if None in scores.values():
        return None, ""
    intervals = [score.interval for score in scores.values()]
    # without the keys that say nothing: "methods.munit.scores.diversity" is "munit diversity"
    names = (" ".join(part for part in key.split(".") if part not in ("methods", "scores")) for key in scores)
    text = " / ".join(f"{name} {score}" for name, score in zip(names, scores.values(), strict=True))
    return intervals[0] if len(intervals) == 1 else ratio(*intervals), text.replace("_", " ")


def _of_seconds(judge: Seconds, paper: float, found: Evidence) -> Outcome:
    there = {key: (lookup(found.content, key), wanted) for key, wanted in judge.given.items()}
    lacks = [f"{key.split('.')[-1]} is {ours}, not {wanted}" for key, (ours, wanted) in there.items() if ours != wanted]
    ours = found.read(Annotated[FiniteFloat, Strict()] | None, judge.path)
    if lacks or ours is None:
        return Outcome(Verdict.UNTESTED, metric=judge.measure, note=[*lacks, f"the file has no {judge.path}"][0])
    # as fast on another machine upholds the claim; a slower machine says nothing about it
    return Outcome(Verdict.DIRECTION if ours <= paper else Verdict.UNDECIDED, f"{ours:.3g} s", judge.measure)
