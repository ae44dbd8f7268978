"""Result files as evidence: which edition may testify about which data, and what its file says.

A result file is runs/<edition>/<notebook>/<file>.json or, where that is missing, the published one of the book.
"""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Strict, TypeAdapter, ValidationError

from segin_core.book.ledger.claims import fault_of, lookup
from segin_core.book.ledger.verdicts import Interval
from segin_core.book.paths import project_root, result_file
from segin_core.errors import InputError


class Source(NamedTuple):
    """An edition that may testify; variant: the end of its notebooks' folders ("right_answers-avatars")."""

    edition: str
    variant: str = ""


# Which editions may testify about which data, the best first. smoke is trained for 20 steps and is no evidence.
EVIDENCE = {
    "shoes": (Source("paper"), Source("cpu")),
    "OpenMoji": (Source("quick"),),
    "avatars": (Source("quick", "-avatars"),),
}


def _in_order(bounds: Interval) -> Interval:
    if bounds[0] > bounds[1]:
        raise ValueError("the interval's ends are swapped")
    return bounds


class Score(BaseModel):
    """A number of a result file with its interval.

    segin_better_by: paired difference, positive if SEGIN is better; leads: by how much this row is better than others.
    """

    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    value: float
    interval: Annotated[Interval, Strict(False), AfterValidator(_in_order)]  # JSON's list becomes a tuple
    segin_better_by: Score | None = None
    leads: dict[str, Score] = {}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3g} [{low:.3g}, {high:.3g}]"


class _Scores(BaseModel):
    scores: dict[str, Score | None]


class ScoreTable(BaseModel):
    """table_1/scores.json, and of the same form ablations/scores.json."""

    dataset: str
    edition: str
    metrics: dict[str, str | None]
    methods: dict[str, _Scores]

    def score(self, row: str, column: str) -> Score | None:
        return self.methods[row].scores.get(column) if row in self.methods else None


class RightAnswers(BaseModel):
    """right_answers/scores.json: measure to row to score, and the measures' names."""

    data: str
    metrics: dict[str, str | None] = {}
    measures: dict[str, dict[str, Score | None]]

    def score(self, row: str, column: str) -> Score | None:
        return self.measures.get(column, {}).get(row)


class Evidence(NamedTuple):
    """A result file that may testify: the edition, its path from the project's root, what it says (unread: bytes)."""

    edition: str
    path: str
    content: dict[str, Any] | bytes

    def read(self, kind: Any, key: str = "") -> Any:
        """What lies under "key.key" as a `kind`, or all. Raises InputError, naming file and key, for another form."""
        content, adapter = lookup(self.content, key) if key else self.content, TypeAdapter(kind)
        try:
            return adapter.validate_json(content) if isinstance(content, bytes) else adapter.validate_python(content)
        except ValidationError as error:
            fault = f"{key}: {fault_of(error)}" if key else fault_of(error)
            raise InputError(f"{self.path}: {fault}; run the chapter {self.path.split('/')[-2]} again.") from None

    def table(self) -> ScoreTable | RightAnswers:
        return self.read(RightAnswers if "measures" in self.content else ScoreTable)


def evidence(file: str, *, dataset: str, edition: str, only: str | None = None) -> Evidence | None:
    """The best result file ("notebook/name.json") about a data set (a key of EVIDENCE), None where there is none.

    edition: the page's own; "smoke" sees the smoke files alone, none as shoes, and no other page sees them. only: the
    data set that the file is about in every edition, if it is. A file that names another data set than its edition
    should have is passed over. Raises InputError for a file that is no JSON object, or calls itself another edition's.
    """
    own, (notebook, name) = EVIDENCE[dataset], file.split("/")
    sources = own if only is None else tuple(chain(*EVIDENCE.values())) if only == dataset else ()
    if edition == "smoke":
        sources = () if dataset == "shoes" else (Source("smoke", own[0].variant),)
    for source, variant in sources:
        if path := result_file(source, notebook + variant, name):
            unread = Evidence(source, path.relative_to(project_root()).as_posix(), path.read_bytes())
            content = unread.read(dict[str, Any])
            named = content.get("edition") or lookup(content, "provenance.parameters.edition") or source
            if named != source:
                raise InputError(f"{unread.path}: it is of the edition {named!r}; move it to that edition's folder.")
            if dataset == (content.get("dataset") or content.get("data") or dataset):
                return unread._replace(content=content)
    return None


def with_row_in_place(content: Any, row: str, place: str) -> Any:
    """A result file's content with one row's numbers in another's place, such as those of "copy_r" in "segin"'s.

    Wherever there is such a place: it gets the row that lies beside it, or is gone where there is none. The paired
    differences to the one that had the place ("segin_better_by") are gone too, since they are about it.
    """
    if not isinstance(content, dict) or row == place:
        return content
    gone = (place, f"{place}_better_by")
    kept = {key: with_row_in_place(inner, row, place) for key, inner in content.items() if key not in gone}
    return kept | {place: kept[row]} if place in content and row in kept else kept
