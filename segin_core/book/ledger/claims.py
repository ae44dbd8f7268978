"""The claims ledger (book/claims.yaml): every claim of the paper, checked as it is read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator

from segin_core.book.paths import project_root
from segin_core.book.strict_yaml import read_yaml
from segin_core.errors import InputError

# The parts of the paper, in its order; a claim's `where` begins with one of them.
SECTIONS = (
    *(f"Section {name}" for name in ("I", "II", "III-A", "III-B", "IV", "IV-A", "IV-B")),
    *("Table I", "Section IV-C", "Table II", "Section V"),
)

Column = Literal["frechet", "diversity", "to_reference", "to_truth"]
Row = Annotated[str, Field(pattern=r"^(pix2pix|bicyclegan|munit|munit_ref|segin|real|without_[a-z_]+)$")]
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


class Cell(_InTable):
    """One cell of Table I or II. SEGIN's own cells: is its order with every other row that of the paper?"""

    by: Literal["cell"]
    row: Row
    column: Column

    @property
    def columns(self) -> list[str]:
        return [self.column]


class Order(_InTable):
    """SEGIN against the rows `than` in `columns`: is every order that the paper's table has there ours too?"""

    by: Literal["order"]
    columns: list[Column] = Field(min_length=1)
    than: list[Row] = Field(min_length=1)


class Less(_Strict):
    """In each pair the first score lies below the second (a number, "key.key" of the file, or "key.key / key.key")."""

    by: Literal["less"]
    file: File
    pairs: list[Annotated[tuple[Operand, Operand], Strict(False)]] = Field(min_length=1)  # [smaller, larger]
    measure: str
    data: Literal["OpenMoji"] | None = None  # set where the file is about drawings in every edition


class Seconds(_Strict):
    """A duration of the paper, which we reach too; `given`: what the file must say for the two to be comparable."""

    by: Literal["seconds"]
    file: File
    path: str
    unit: float  # of the file's number, in seconds
    given: dict[str, str | int | float]
    measure: str


class Eye(_Strict):
    """A claim about pictures: the claim's notebook shows them, no number decides."""

    by: Literal["eye"]
    look: str


class Nothing(_Strict):
    """A claim that no chapter tests."""

    by: Literal["nothing"]
    needs: str


class Claim(_Strict):
    """One claim of the paper. paper: the number claimed, if it is one; unit: its unit; judge: how it is tested."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    where: str
    quote: str | None = None
    claim: str = Field(min_length=1)
    paper: float | None
    unit: str = ""
    notebook: str | None
    judge: Annotated[Cell | Order | Less | Seconds | Eye | Nothing, Field(discriminator="by")]

    @property
    def section(self) -> str:
        return self.where.partition(",")[0]

    @model_validator(mode="after")
    def _consistent(self) -> Claim:
        if self.section not in SECTIONS:
            raise ValueError(f"where must begin with one of {', '.join(SECTIONS)}")
        if self.quote is not None and len(self.quote.split()) >= 15:
            raise ValueError("quote must be shorter than 15 words")
        if isinstance(self.judge, Eye) and self.notebook is None:
            raise ValueError("what is judged by eye needs the notebook that shows it")
        file = getattr(self.judge, "file", None)
        if file and self.notebook not in (None, file.partition("/")[0]):
            raise ValueError(f"notebook must be that of {file}")
        if isinstance(self.judge, Seconds) and self.paper is None:
            raise ValueError("a duration needs the paper's value")
        return self


class Ledger(_Strict):
    """All claims, in the order of the file."""

    claims: list[Claim]

    @model_validator(mode="after")
    def _unique(self) -> Ledger:
        judges = [claim.judge for claim in self.claims]
        cells = [f"{j.table} {j.data} {j.row} {j.column}" for j in judges if isinstance(j, Cell)]
        for what, keys in (("id", [claim.id for claim in self.claims]), ("cell", cells)):
            if twice := sorted(key for key in set(keys) if keys.count(key) > 1):
                raise ValueError(f"{what} {twice[0]!r} is there twice")
        return self

    @model_validator(mode="after")
    def _orders_are_known(self) -> Ledger:
        for claim in self.claims:
            judge = claim.judge
            if not isinstance(judge, Cell | Order) or (isinstance(judge, Cell) and claim.paper is None):
                continue
            than = set(judge.than) if isinstance(judge, Order) else {judge.row}
            known = {column: self.paper_column(judge.table, judge.data, column) for column in judge.columns}
            if unknown := sorted(than.difference(*known.values())):
                raise ValueError(f"{claim.id}: the paper's table has no number of {unknown[0]} there")
            for name, column in known.items():
                if "segin" not in column or not than & column.keys():
                    raise ValueError(f"{claim.id}: the paper's table has nothing to compare in {name}")
        return self

    def paper_column(self, table: str, data: str, column: str) -> dict[str, float]:
        """The paper's numbers of one column of a table: row to value, dashes left out."""
        cells = ((c.paper, c.judge) for c in self.claims if isinstance(c.judge, Cell))
        wanted = (table, data, column)
        return {j.row: p for p, j in cells if (j.table, j.data, j.column) == wanted and p is not None}


def fault_of(error: ValidationError, claims: Any = None) -> str:
    """The first fault of a pydantic error, "key: what is wrong"; claims are named by their id, if they have one."""
    fault = error.errors()[0]
    place = list(fault["loc"])
    if place[:1] == ["claims"] and len(place) > 1 and isinstance(claims[place[1]], dict):
        place[:2] = [claims[place[1]].get("id", f"claim {place[1] + 1}")]
    message = fault["msg"].removeprefix("Value error, ")
    return f"{'.'.join(map(str, place))}: {message}" if place else message


def load_ledger(path: Path | None = None, notebooks: Collection[str] | None = None) -> Ledger:
    """The ledger, by default book/claims.yaml; notebooks: the chapters that exist, if their names are to be checked.

    Raises InputError for a missing or broken file, an unknown key, an id that is there twice, an unknown notebook.
    """
    path = path or project_root() / "book" / "claims.yaml"
    if not path.is_file():
        raise InputError(f"{path}: there is no such ledger; restore it.")
    content = read_yaml(path)
    try:
        ledger = Ledger.model_validate(content)
    except ValidationError as error:
        fault = fault_of(error, content.get("claims") if isinstance(content, dict) else None)
        raise InputError(f"{path}: {fault}; correct it.") from None
    for claim in ledger.claims if notebooks is not None else ():
        if claim.notebook not in {None, *notebooks}:
            raise InputError(f"{path}: {claim.id}: there is no notebook {claim.notebook!r}; name a chapter, or null.")
    return ledger
