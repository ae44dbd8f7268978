"""Rows that need no method: they stand in every table of the book, and a method that does not beat them says so."""

from collections.abc import Mapping, Sequence
from typing import Any

TRIVIAL = {"copy_r": "r itself", "w": "W alone", "n_of_r": "N fed with r", "tint": "x in r's tint"}
CEILING = {"truth": "the truth"}

Column = Mapping[str, Mapping[str, Any] | None]  # row -> {"value", "interval"}, of SEGIN's rivals "segin_better_by" too


def not_beaten(column: Column, method: str, *, higher: bool = False) -> list[str]:
    """The trivial rows of a column that a method does not beat, by the keys of TRIVIAL; `higher`: higher is better.

    Beaten is a row whose paired difference to SEGIN lies above zero with its whole interval. Where the column has no
    such difference, as for all other methods, the two intervals must lie apart, which asks for more.
    """
    return [row for row in TRIVIAL if column.get(row) and not _beats(column, method, row, higher)]


def _beats(column: Column, method: str, row: str, higher: bool) -> bool:
    (low, high), (other_low, other_high) = column[method]["interval"], column[row]["interval"]
    if method == "segin" and "segin_better_by" in column[row]:
        return column[row]["segin_better_by"]["interval"][0] > 0
    return low > other_high if higher else high < other_low


def in_words(head: str, column: Column, methods: Mapping[str, str], *, higher: bool = False) -> str:
    """A line of Markdown: which methods (row -> its name) do not beat which trivial rows, and whether r itself wins."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for row, name in methods.items():
        if column.get(row):
            alike.setdefault(tuple(not_beaten(column, row, higher=higher)), []).append(name)
    words = [_sentence(names, rows, [row for row in TRIVIAL if column.get(row)]) for rows, names in alike.items()]
    if all("copy_r" in rows for rows in alike):
        words.insert(0, "nothing beats r itself, so this column proves nothing for any of them")
    return f"- **{head}**: {'; '.join(words)}."


def _sentence(names: list[str], behind: Sequence[str], rows: list[str]) -> str:
    who, many = _listed(names, "and"), len(names) > 1
    if not behind:
        return f"{who} {'beat' if many else 'beats'} them all"
    if len(behind) == len(rows) > 1:
        return f"{who} {'beat' if many else 'beats'} none of them"
    return f"{who} {'do' if many else 'does'} not beat {_listed([TRIVIAL[row] for row in behind], 'or')}"


def _listed(names: list[str], word: str) -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last
