"""From a claim and the result files to its outcome: the verdict, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from segin_core.book.ledger.claims import Cell, Claim, Eye, Ledger, Less, Nothing, Order, Seconds
from segin_core.book.ledger.result_files import Evidence, Interval, Number, Score, ScoreTable, evidence, lookup, read_as
from segin_core.book.ledger.verdicts import HIGHER_IS_BETTER, Verdict, is_papers_metric, lead, paper_order, ratio


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
        case Cell():
            result = _of_cell(judge, claim.paper, ledger, found)
        case Order():
            result = _of_order(judge, ledger, found)
        case Less():
            result = _of_less(judge, found)
        case Seconds():
            result = _of_seconds(judge, claim.paper, found)
    return result._replace(edition=found.edition, file=found.path)


def better_by(segin: Score | None, other: Score | None, column: str) -> Interval | None:
    """The interval of SEGIN's lead: paired where the file has that, else from the two intervals, which is wider."""
    if other is not None and other.segin_better_by is not None:
        return other.segin_better_by.interval
    intervals = [score and score.interval for score in (segin, other)]
    return lead(*reversed(intervals)) if column in HIGHER_IS_BETTER else lead(*intervals)


def _orders(
    judge: Cell | Order, table: ScoreTable, ledger: Ledger, column: str, rows: Iterable[str]
) -> dict[str, Verdict]:
    """For each row that has a number in the paper's column: is its order with SEGIN the paper's?"""
    paper = ledger.paper_column(judge.table, judge.data, column)
    found = {}
    for row in (row for row in rows if row in paper):
        ahead = better_by(table.score("segin", column), table.score(row, column), column)
        found[row] = Verdict.of_order(paper_order(paper["segin"], paper[row], column), ahead)
    return found


def _why(orders: dict[str, Verdict]) -> str:
    """The rows whose order with SEGIN is not the paper's."""
    words = {Verdict.NOT: "not so against", Verdict.UNDECIDED: "no difference seen to", Verdict.UNTESTED: "nothing on"}
    listed = {verdict: [row for row, found in orders.items() if found is verdict] for verdict in words}
    return "; ".join(f"{words[verdict]} {', '.join(rows)}" for verdict, rows in listed.items() if rows)


def _of_cell(judge: Cell, paper: float, ledger: Ledger, found: Evidence) -> Outcome:
    table = read_as(found, ScoreTable, found.content)
    metric = table.metrics.get(judge.column) or ""
    score = table.score(judge.row, judge.column)
    if score is None:
        return Outcome(Verdict.UNTESTED, metric=metric, note="the file has no such cell")
    if judge.row == "segin":
        # ties are no order to reproduce, and real data are no method
        numbers = ledger.paper_column(judge.table, judge.data, judge.column)
        rows = [row for row in numbers if row != "real" and numbers[row] != paper]
    else:
        rows = [judge.row]
    orders = _orders(judge, table, ledger, judge.column, rows)
    # its value can only be found in its own metric and data, and the paper edition is the only one of its 256 px
    comparable = is_papers_metric(judge.column, metric) and (table.dataset, found.edition) == (judge.data, "paper")
    low, high = score.interval
    verdict = Verdict.HOLDS if comparable and low <= paper <= high else Verdict.of_all(orders.values())
    if judge.row == "segin":
        note = _why(orders)
    elif score.segin_better_by:
        note = f"SEGIN better by {score.segin_better_by}"
    else:
        note = "no paired difference: judged by the two intervals"
    return Outcome(verdict, str(score), metric, note=note)


def _of_order(judge: Order, ledger: Ledger, found: Evidence) -> Outcome:
    table = read_as(found, ScoreTable, found.content)
    orders = {column: _orders(judge, table, ledger, column, judge.than) for column in judge.columns}
    scores = {column: score for column in judge.columns if (score := table.score("segin", column))}
    ours = ", ".join(f"{column} {score}" for column, score in scores.items())
    metric = ", ".join(dict.fromkeys(name for column in judge.columns if (name := table.metrics.get(column))))
    reasons = [f"{column}: {why}" for column, found_there in orders.items() if (why := _why(found_there))]
    verdict = Verdict.of_all(verdict for found_there in orders.values() for verdict in found_there.values())
    return Outcome(verdict, f"SEGIN {ours}" if ours else "", metric, note="; ".join(reasons))


def _of_less(judge: Less, found: Evidence) -> Outcome:
    known = {part: _operand(found, part) for pair in judge.pairs for part in pair}
    leads = (lead(*(known[part] and known[part][0] for part in pair)) for pair in judge.pairs)
    verdict = Verdict.of_all(Verdict.of_order(1, ahead) for ahead in leads)
    ours = "; ".join(operand[1] for operand in known.values() if operand)
    lacks = ", ".join(str(part) for part, operand in known.items() if operand is None)
    last = str(judge.pairs[0][0]).split(".")[-1]
    metric = lookup(found.content, f"metrics.{last}") or judge.measure
    return Outcome(verdict, ours, metric, note=f"the file has no {lacks}" if lacks else "")


def _operand(found: Evidence, expression: str | float) -> tuple[Interval, str] | None:
    """The interval and the text of a number, a score or a ratio of two scores; None where the file lacks one."""
    if not isinstance(expression, str):
        return (float(expression), float(expression)), f"compared with {expression:g}"
    keys = expression.split(" / ")
    parts = [lookup(found.content, key) for key in keys]
    if any(part is None for part in parts):
        return None
    scores = [read_as(found, Score, part, key) for key, part in zip(keys, parts, strict=True)]
    text = " / ".join(f"{_name(key)} {score}" for key, score in zip(keys, scores, strict=True))
    return scores[0].interval if len(scores) == 1 else ratio(scores[0].interval, scores[1].interval), text


def _name(path: str) -> str:
    """A path without the keys that say nothing: "methods.munit.scores.diversity" is "munit diversity"."""
    return " ".join(key for key in path.split(".") if key not in ("methods", "scores")).replace("_", " ")


def _of_seconds(judge: Seconds, paper: float, found: Evidence) -> Outcome:
    for key, wanted in judge.given.items():
        if (there := lookup(found.content, key)) != wanted:
            note = f"{key.split('.')[-1]} is {there}, not {wanted}"
            return Outcome(Verdict.UNTESTED, metric=judge.measure, note=note)
    value = lookup(found.content, judge.path)
    if value is None:
        return Outcome(Verdict.UNTESTED, metric=judge.measure, note=f"the file has no {judge.path}")
    ours = read_as(found, Number, value, judge.path) * judge.unit
    # as fast on another machine upholds the claim; a slower machine says nothing about it
    return Outcome(Verdict.DIRECTION if ours <= paper else Verdict.UNDECIDED, f"{ours:.3g} s", judge.measure)
