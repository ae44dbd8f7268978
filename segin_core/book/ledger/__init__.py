"""The claims ledger: every claim of the paper, and the verdict that result files give on it, never typed by hand."""

from segin_core.book.ledger.claims import SECTIONS, Cell, Exhibit, Ledger, Nothing, load_ledger
from segin_core.book.ledger.outcomes import COPIES, Comparison, Outcome, distinct, outcome
from segin_core.book.ledger.result_files import EVIDENCE, with_row_in_place
from segin_core.book.ledger.verdicts import Verdict

__all__ = [
    "COPIES",
    "EVIDENCE",
    "SECTIONS",
    "Cell",
    "Comparison",
    "Exhibit",
    "Ledger",
    "Nothing",
    "Outcome",
    "Verdict",
    "distinct",
    "load_ledger",
    "outcome",
    "with_row_in_place",
]
