"""The claims ledger: every claim of the paper, and the verdict that result files give on it, never typed by hand."""

from segin_core.book.ledger.claims import SECTIONS, Cell, Eye, Ledger, Nothing, load_ledger
from segin_core.book.ledger.outcomes import Outcome, Verdict, outcome
from segin_core.book.ledger.result_files import EVIDENCE

__all__ = ["EVIDENCE", "SECTIONS", "Cell", "Eye", "Ledger", "Nothing", "Outcome", "Verdict", "load_ledger", "outcome"]
