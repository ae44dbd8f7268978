"""The claims ledger (book/claims.yaml): every claim of the paper, checked as it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, ValidationInfo, model_validator

from segin_core.book.paths import project_root
from segin_core.book.strict_yaml import read_yaml
from segin_core.errors import InputError

# The parts of the paper, in its order; a claim's `where` begins with one of them.
SECTIONS = (
    *(f"Section {name}" for name in ("I", "II", "III-A", "III-B", "IV", "IV-A", "IV-B")),
    *("Table I", "Section IV-C", "Table II", "Section V"),
)

Column = Literal["frechet", "diversity", "to_reference", "to_truth"]
Measure = Literal[
    *("part_colours", "part_delta_e", "right_answer", "right_answer_lpips", "right_answer_l1", "structure"),
    *("double_retrieval", "realism", "realism_frechet", "local_style"),
]
Row = Annotated[str, Field(pattern=r"^(pix2pix|bicyclegan|munit|munit_ref|segin|real|without_[a-z_]+)$")]
AnswersRow = Annotated[str, Field(pattern=r"^(copy_r|w|n_of_r|tint|pix2pix|bicyclegan|munit|munit_ref|segin)$")]
Operand = Annotated[str, Field(pattern=r"^[^/]+( / [^/]+)?$")] | float
File = Annotated[str, Field(pattern=r"^\w+/\w+\.json$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _InTable(_Strict):
    table: Literal["table_1", "ablations"]
    data: Literal["shoes", "bags"]

    @property
    def file(self) -> str:
        return f"{self.table}/scores.json"


class _InColumn(_InTable):
    column: Column

    @property
    def columns(self) -> list[str]:
        return [self.column]


class Cell(_InColumn):
    """One cell of Table I or II. SEGIN's own cells: is its order with every other row that of the paper?"""

    by: Literal["cell"]
    row: Row

    @property
    def compared(self) -> list[str]:
        return ["segin", self.row]


class Order(_InTable):
    """A row against the rows `than` in `columns`: is every order that the paper's table has there ours too?"""

    by: Literal["order"]
    row: Row = "segin"
    columns: list[Column] = Field(min_length=1)
    than: list[Row] = Field(min_length=1)

    @property
    def compared(self) -> list[str]:
        return [self.row, *self.than]


class Ranking(_InColumn):
    """Each two rows of a column: are those alike here that the paper has alike, and the others ordered as there?"""

    by: Literal["ranking"]
    rows: list[Row] = Field(min_length=2)

    @property
    def compared(self) -> list[str]:
        return self.rows


class Answers(_Strict):
    """Where the right answer is known: is the row better than each of `than`, by every measure that the file has?"""

    by: Literal["answers"]
    row: AnswersRow = "segin"
    measures: list[Measure] = Field(min_length=1)
    than: list[AnswersRow] = Field(min_length=1)

    @property
    def file(self) -> str:
        return "right_answers/scores.json"


class Less(_Strict):
    """In each pair the first score lies below the second (a number, "key.key" of the file, or "key.key / key.key").

    merit: does it speak for SEGIN? Then it holds only where copying does not do as well.
    """

    by: Literal["less"]
    file: File
    pairs: list[Annotated[tuple[Operand, Operand], Strict(False)]] = Field(min_length=1)  # [smaller, larger]
    measure: str
    merit: bool
    data: Literal["OpenMoji"] | None = None  # set where the file is about drawings in every edition


class Seconds(_Strict):
    """A duration of the paper, which we reach too; `given`: what the file must say for the two to be comparable."""

    by: Literal["seconds"]
    file: File
    path: str  # of the seconds
    given: dict[str, str | int | float]
    measure: str


class Exhibit(_Strict):
    """A claim about pictures: a figure of the claim's notebook shows it, and the reader is the judge."""

    by: Literal["exhibit"]
    figure: str  # the title of its section
    picture: str  # the id of the cell that draws it
    look: str  # at which two pictures, and what for


class Nothing(_Strict):
    """A claim that no chapter tests."""

    by: Literal["nothing"]
    needs: str


AnyJudge = Cell | Order | Ranking | Answers | Less | Seconds | Exhibit | Nothing


class Claim(_Strict):
    """One claim of the paper. paper: the number claimed, if it is one; unit: its unit; judge: how it is tested."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    where: str
    quote: str = ""
    claim: str = Field(min_length=1)
    paper: float | None
    unit: str = ""
    notebook: str | None
    judge: Annotated[AnyJudge, Field(discriminator="by")]

    @property
    def section(self) -> str:
        return self.where.partition(",")[0]

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Claim:
        file, chapters = getattr(self.judge, "file", None), info.context
        rules = {
            f"where must begin with one of {', '.join(SECTIONS)}": self.section in SECTIONS,
            "quote must be shorter than 15 words": len(self.quote.split()) < 15,
            f"there is no notebook {self.notebook!r}": chapters is None or self.notebook in {None, *chapters},
            f"notebook must be that of {file}": not (file and self.notebook) or file.startswith(f"{self.notebook}/"),
            "an exhibit needs the notebook that shows it": self.notebook or not isinstance(self.judge, Exhibit),
            "a duration needs the paper's value": self.paper is not None or not isinstance(self.judge, Seconds),
        }
        if broken := [rule for rule, kept in rules.items() if not kept]:
            raise ValueError(broken[0])
        return self


class Ledger(_Strict):
    """All claims, in the order of the file, and what holds for all of them.

    margins: by column, which share of a value still counts as equal (0.1: 10 %). chosen_on_test: by data set, which
    choice about SEGIN was made on the pictures that report; what holds there is marked.
    """

    margins: dict[Column, Annotated[float, Field(gt=0, lt=1)]]
    chosen_on_test: dict[Literal["shoes", "OpenMoji", "avatars"], str]
    claims: list[Claim]

    @model_validator(mode="after")
    def _consistent(self) -> Ledger:
        cells = [claim.judge for claim in self.claims if isinstance(claim.judge, Cell)]
        names = [f"id {claim.id!r}" for claim in self.claims]
        names += [f"cell '{cell.table} {cell.data} {cell.row} {cell.column}'" for cell in cells]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"{twice[0]} is there twice")
        for claim, judge in ((claim, claim.judge) for claim in self.claims):
            if isinstance(judge, Order | Ranking) or (isinstance(judge, Cell) and claim.paper is not None):
                known = (self.paper_column(judge.table, judge.data, column) for column in judge.columns)
                if unknown := sorted(set(judge.compared).difference(*known)):
                    raise ValueError(f"{claim.id}: the paper's table has no number of {unknown[0]} there")
        return self

    def paper_column(self, table: str, data: str, column: str) -> dict[str, float]:
        """The paper's numbers of one column of a table: row to value, dashes left out."""
        cells = ((c.paper, c.judge) for c in self.claims if isinstance(c.judge, Cell))
        wanted = (table, data, column)
        return {j.row: p for p, j in cells if (j.table, j.data, j.column) == wanted and p is not None}


def lookup(content: Any, path: str) -> Any:
    """What lies under "key.key" (a digit counts the items of a list); None where a key is missing."""
    for key in path.split("."):
        try:
            content = content[int(key) if isinstance(content, list) else key]
        except (LookupError, TypeError, ValueError):
            return None
    return content


def fault_of(error: ValidationError, content: Any = None) -> str:
    """The first fault of a pydantic error, "key: what is wrong"; a claim of the content is named by its id."""
    fault = error.errors()[0]
    place = [str(key) for key in fault["loc"]]
    if name := lookup(content, ".".join([*place[:2], "id"])):
        place[:2] = [str(name)]
    return ": ".join(filter(None, [".".join(place), fault["msg"].removeprefix("Value error, ")]))


def load_ledger(path: Path | None = None, notebooks: Collection[str] | None = None) -> Ledger:
    """The ledger, by default book/claims.yaml; notebooks: the chapters that exist, if their names are to be checked.

    Raises InputError for a missing or broken file, an unknown key, an id that is there twice, an unknown notebook.
    """
    path = path or project_root() / "book" / "claims.yaml"
    if not path.is_file():
        raise InputError(f"{path}: there is no such ledger; restore it.")
    content = read_yaml(path)
    try:
        return Ledger.model_validate(content, context=notebooks)
    except ValidationError as error:
        raise InputError(f"{path}: {fault_of(error, content)}; correct it.") from None
