"""From a claim and the result files to its outcome: the verdict, and the comparisons of numbers that it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, combinations, product
from typing import Annotated, NamedTuple

from pydantic import FiniteFloat, Strict

from segin_core.book.ledger.claims import (
    Answers,
    Cell,
    Claim,
    Exhibit,
    Ledger,
    Less,
    Nothing,
    Order,
    Ranking,
    Seconds,
    lookup,
)
from segin_core.book.ledger.result_files import (
    Evidence,
    RightAnswers,
    Score,
    ScoreTable,
    evidence,
    with_row_in_place,
)
from segin_core.book.ledger.verdicts import Interval, Verdict, lead, ratio, within

# The paper's metrics by the beginning of their names: neither FD-... nor ST-LPIPS, and LPIPS on AlexNet.
FID, LPIPS = r"FID(?![\w-])", r"LPIPS(?![\w-]).*alex"
HIGHER_IS_BETTER = {"diversity", "part_colours", "structure", "double_retrieval"}
WITH_STRUCTURE = ("right_answers/scores.json", "table_1/scores.json")
COPIES = {"copy_r": "r itself", "w": "W itself"}  # what SEGIN has to beat where the shape of x counts
NAMES = {"segin": "SEGIN", "bicyclegan": "BicycleGAN", "munit": "MUNIT", "munit_ref": "MUNIT+ref", **COPIES}
NAMES |= {"n_of_r": "N fed with r", "tint": "a tint"}


def named(row: str) -> str:
    """A row's name on the page."""
    return NAMES.get(row, row.replace("_", " "))


class Comparison(NamedTuple):
    """What one comparison of numbers in a file says. merit: it speaks for SEGIN, so copying must not do as well."""

    verdict: Verdict
    between: tuple[str, ...]  # column and rows, the same in whichever claim
    merit: bool


class Outcome(NamedTuple):
    """A verdict and what it rests on. ours: our number with its interval, as text; note: why, in a few words."""

    verdict: Verdict
    ours: str = ""
    metric: str = ""
    edition: str = ""
    file: str = ""
    note: str = ""
    mark: str = ""  # a choice that was made on test pictures, where SEGIN's merit rests on it
    comparisons: tuple[Comparison, ...] = ()


class Files(NamedTuple):
    """The result files about a data set, as an edition's page sees them, with a row of theirs in SEGIN's place."""

    dataset: str
    edition: str
    in_place: str

    def __call__(self, file: str, only: str | None = None) -> Evidence | None:
        found = evidence(file, dataset=self.dataset, edition=self.edition, only=only)
        return found and found._replace(content=with_row_in_place(found.content, self.in_place, "segin"))


def distinct(outcomes: Iterable[Outcome]) -> dict[tuple[str, ...], Verdict]:
    """Each comparison once, however many claims restate it: file, column and rows to the verdict."""
    return {(each.file, *part.between): part.verdict for each in outcomes for part in each.comparisons}


def outcome(claim: Claim, ledger: Ledger, *, dataset: str, edition: str, in_place: str = "segin") -> Outcome:
    """What the result files about a data set ("shoes", "OpenMoji", "avatars") say, on the page of an edition.

    in_place: the row that plays SEGIN; "copy_r" asks what would hold of a method that hands back the reference.
    """
    judge, files = claim.judge, Files(dataset, edition, in_place)
    match judge:
        case Cell() if claim.paper is None:
            return Outcome(Verdict.NOTHING)
        case Exhibit():
            return Outcome(Verdict.EXHIBIT, note=f"{claim.notebook}, “{judge.figure}”")
        case Nothing():
            return Outcome(Verdict.UNTESTED, note=f"needs {judge.needs}")
        case Cell(data="bags") | Order(data="bags") | Ranking(data="bags"):
            return Outcome(Verdict.UNTESTED, note="needs trainings on bags")
    found = files(judge.file, judge.data if isinstance(judge, Less) else None)
    if found is None:
        return Outcome(Verdict.UNTESTED, note=f"no {judge.file}")
    match judge:
        case Cell():
            result = _of_cell(judge, claim.paper, ledger, found)
        case Order() | Ranking() | Answers():
            result = _of_rows(judge, ledger, found)
        case Less():
            result = _of_less(judge, found)
        case Seconds():
            result = _of_seconds(judge, claim.paper, found)
    result = _unless_copying_wins(result, files, judge.file)
    upheld = any(part.merit and part.verdict.upheld for part in result.comparisons)
    mark = ledger.chosen_on_test.get(dataset, "") if upheld else ""
    return result._replace(edition=found.edition, file=found.path, mark=mark)


def _unless_copying_wins(result: Outcome, files: Files, file: str) -> Outcome:
    """What speaks for SEGIN holds only where SEGIN keeps the lines of x better than r itself and than W itself do."""
    for_segin = [part.merit and part.verdict.upheld for part in result.comparisons]
    if not any(for_segin) or not (why := copying_wins(files, file)):
        return result
    verdicts = [Verdict.COPYING if it else part.verdict for it, part in zip(for_segin, result.comparisons, strict=True)]
    parts = tuple(part._replace(verdict=new) for part, new in zip(result.comparisons, verdicts, strict=True))
    verdict = Verdict.of_all(verdicts)
    note = "; ".join(filter(None, [result.note, why])) if verdict is Verdict.COPYING else result.note
    return result._replace(verdict=verdict, comparisons=parts, note=note)


def copying_wins(files: Files, file: str) -> str:
    """Why it may be that r or W, handed back, would do as well as SEGIN; "" where SEGIN's structure is above both.

    The structure is that of the claim's own file or, where it has none, of the other file about the same data.
    """
    for name in sorted(WITH_STRUCTURE, key=lambda name: name != file):
        table = found.table() if (found := files(name)) else None
        if table and table.score("segin", "structure"):
            ahead = {row: better_by(table, "segin", row, "structure") for row in COPIES}
            as_good = [COPIES[row] for row, interval in ahead.items() if not interval or interval[0] <= 0]
            return f"structure no better than that of {' and '.join(as_good)}" if as_good else ""
    return "no score of structure beside r and W"


def is_papers_metric(column: str, name: str | None) -> bool:
    """Is the metric of this name the one in the paper's column?"""
    return bool(name and re.match(FID if column == "frechet" else LPIPS, name, flags=re.IGNORECASE))


def paper_order(first: float, second: float, column: str, margin: float = 0.0) -> int:
    """1 where the paper has the first better than the second, -1 where worse, 0 where alike: within the margin."""
    if abs(first - second) <= margin * max(abs(first), abs(second)):
        return 0
    return 1 if (first > second) == (column in HIGHER_IS_BETTER) else -1


def better_by(table: ScoreTable | RightAnswers, first: str, second: str, column: str) -> Interval | None:
    """The interval of a row's lead: paired where the file has that, else from the two, which is wider."""
    a, b = table.score(first, column), table.score(second, column)
    if a and b and (paired := _paired(first, a, second, b)):
        return paired
    if a and b and (paired := _paired(second, b, first, a)):
        low, high = paired
        return -high, -low
    intervals = [score and score.interval for score in (a, b)]
    return lead(*reversed(intervals)) if column in HIGHER_IS_BETTER else lead(*intervals)


def _paired(first: str, a: Score, second: str, b: Score) -> Interval | None:
    """The interval of the first's lead over the second, if the file has their paired difference."""
    found = b.segin_better_by if first == "segin" else a.leads.get(second)
    return found and found.interval


def compared(
    table: ScoreTable | RightAnswers, first: str, second: str, column: str, paper: int, margin: float
) -> Comparison:
    """The comparison of two rows in a column; paper: their order there, 1 for the first; margin: a share."""
    scores = [table.score(row, column) for row in (first, second)]
    absolute = margin * max((abs(score.value) for score in scores if score), default=0.0)
    verdict = Verdict.of_order(paper, better_by(table, first, second, column), absolute)
    merit = (paper > 0 and first == "segin") or (paper < 0 and second == "segin")
    return Comparison(verdict, (column, *sorted((first, second))), merit)


def _pairs(judge: Cell | Order | Ranking, ledger: Ledger) -> Iterator[tuple[str, str, str, int]]:
    """Which rows a claim compares in which column, and their order in the paper's table."""
    for column in judge.columns:
        paper = ledger.paper_column(judge.table, judge.data, column)
        match judge:
            case Cell(row="segin"):  # ties are no order to reproduce, and real data are no method
                pairs = [("segin", row) for row in paper if row != "real" and paper[row] != paper["segin"]]
            case Cell():
                pairs = [("segin", judge.row)]
            case Order():
                pairs = [(judge.row, row) for row in judge.than]
            case Ranking():
                pairs = combinations(judge.rows, 2)
        margin = ledger.margins[column] if isinstance(judge, Ranking) else 0.0
        for first, second in pairs:
            if {first, second} <= paper.keys():
                yield first, second, column, paper_order(paper[first], paper[second], column, margin)


def _of_rows(judge: Cell | Order | Ranking | Answers, ledger: Ledger, found: Evidence) -> Outcome:
    table = found.table()
    if isinstance(judge, Answers):
        measures = [measure for measure in judge.measures if measure in table.measures]
        pairs = [(judge.row, other, measure, 1) for measure, other in product(measures, judge.than)]
    else:
        pairs = list(_pairs(judge, ledger))
    columns = list(dict.fromkeys(column for _, _, column, _ in pairs))
    parts = [compared(table, *pair, ledger.margins.get(pair[2], 0.0)) for pair in pairs]
    if isinstance(judge, Ranking):
        scores = [(named(row), table.score(row, judge.column)) for row in judge.rows]
    else:
        scores = [(column.replace("_", " "), table.score(judge.row, column)) for column in columns]
    ours = ", ".join(f"{name} {score}" for name, score in scores if score)
    return Outcome(
        Verdict.of_all(part.verdict for part in parts),
        ours if isinstance(judge, Ranking) or not ours else f"{named(judge.row)}: {ours}",
        ", ".join(dict.fromkeys(name for column in columns if (name := table.metrics.get(column)))),
        note=_why(pairs, parts) if parts else "the file has no such measure",
        comparisons=tuple(parts),
    )


def _why(pairs: list[tuple[str, str, str, int]], parts: list[Comparison]) -> str:
    """The comparisons that did not come out as they should, column by column."""
    words = {Verdict.NOT: "not so against", Verdict.UNDECIDED: "not decided against", Verdict.UNTESTED: "nothing on"}
    one_row = len({first for first, *_ in pairs}) == 1
    failed: dict[str, dict[str, list[str]]] = {}
    for (first, second, column, _), part in zip(pairs, parts, strict=True):
        if word := words.get(part.verdict):
            row = named(second) if one_row else f"{named(first)} / {named(second)}"
            failed.setdefault(column, {}).setdefault(word, []).append(row)
    said = {c: "; ".join(f"{word} {', '.join(rows)}" for word, rows in there.items()) for c, there in failed.items()}
    if len({column for _, _, column, _ in pairs}) == 1:
        return "".join(said.values())
    return "\n".join(f"{column.replace('_', ' ')}: {there}" for column, there in said.items())


def _of_cell(judge: Cell, paper: float, ledger: Ledger, found: Evidence) -> Outcome:
    result, table = _of_rows(judge, ledger, found), found.table()
    score = table.score(judge.row, judge.column)
    if score is None:
        return result._replace(verdict=Verdict.UNTESTED, note="the file has no such cell", comparisons=())
    result = result._replace(ours=str(score))
    # its value can only be found in its own metric and data, and the paper edition is the only one of its 256 px
    comparable = is_papers_metric(judge.column, result.metric) and (table.dataset, found.edition) == (
        judge.data,
        "paper",
    )
    if comparable and within(score.interval, paper, ledger.margins[judge.column]):
        value = Comparison(Verdict.HOLDS, (judge.column, judge.row, "the paper's value"), merit=judge.row == "segin")
        return result._replace(verdict=Verdict.HOLDS, comparisons=(value,), note="")
    if judge.row == "segin":
        return result
    better = score.segin_better_by
    paired = f"SEGIN better by {better}" if better else "no paired difference: judged by the two intervals"
    return result._replace(note=paired)


def _of_less(judge: Less, found: Evidence) -> Outcome:
    known = {part: _operand(found, part) for pair in judge.pairs for part in pair}
    parts = tuple(
        Comparison(Verdict.of_order(1, lead(known[a][0], known[b][0])), (str(a), str(b)), judge.merit)
        for a, b in judge.pairs
    )
    verdict = Verdict.of_all(part.verdict for part in parts)
    deciding = [pair for pair, part in zip(judge.pairs, parts, strict=True) if part.verdict is verdict] or judge.pairs
    ours = "; ".join(text for part in dict.fromkeys(chain(*deciding)) if (text := known[part][1]))
    lacks = ", ".join(str(part) for part, (interval, _) in known.items() if interval is None)
    last = str(judge.pairs[0][0]).split(".")[-1]
    metric = lookup(found.content, f"metrics.{last}") or judge.measure
    return Outcome(verdict, ours, metric, note=f"the file has no {lacks}" if lacks else "", comparisons=parts)


def _operand(found: Evidence, expression: str | float) -> tuple[Interval | None, str]:
    """The interval and the text of a number, a score or a ratio of two scores; None and "" where the file lacks one."""
    if not isinstance(expression, str):
        return (expression, expression), f"compared with {expression:g}" if expression else ""
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
    verdict = Verdict.DIRECTION if ours <= paper else Verdict.UNDECIDED
    comparison = Comparison(verdict, (judge.path, "the paper's value"), merit=False)
    return Outcome(verdict, f"{ours:.3g} s", judge.measure, comparisons=(comparison,))
