"""What the book says: no measured number is typed into a sentence, it comes from a result file in a code cell.

What a reader could take for a measurement: a decimal, a percentage, a multiple ("twice as many", "3 times"), a fraction
in words ("a third of"), a duration, a span ("by 6 to 10"). It may stand in Markdown only

- in code, a formula, a quotation or a link's address,
- where the sentence (`SOURCES`) or the head of its column (`HEADS`) says that it is somebody else's, or a setting,
- or in `ALLOWED`, with the reason.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

BOOK = Path(__file__).parent.parent / "book"

WORD = "two|three|four|five|six|seven|eight|nine|ten|twelve|sixteen|twenty|hundreds|thousands|millions"
COUNT = rf"(?:\d[\d,.]*|{WORD})"
PART = r"(?:half|third|quarter|fifth|sixth|seventh|eighth|ninth|tenth|twentieth|hundredth|thousandth)"
MEASURED = {
    "decimal": r"(?<![\dv.-])\d+\.\d+(?!\.?\d)",
    "percentage": r"(?!\b95 %)\b\d+ ?%",
    "multiple": rf"\b{COUNT} (?:of )?times\b|\b(?:twice|half) as \w+|\b(?:nearly|almost|is|are) (?:halved|doubled)\b",
    "fraction": rf"\b(?:an?|one|two|three|only|by) {PART}s?(?: of\b| if\b|[,.])",
    "share": rf"\b(?:{COUNT}|few) \w+ in (?:ten|a hundred)\b",
    "duration": rf"\b{COUNT} (?:more )?(?:milliseconds|ms|seconds|s|minutes|min|hours|h|days)\b",
    "span": r"\bby \d+ to \d+\b",
}
SOURCES = r"\b[Pp]aper|\bdraft|\bpublished|\bauthors|Table I|\bFig\. "
HEADS = r"paper|published|draft|parameter|setting|code"
ALLOWED = {
    "95 %": "the level of all intervals",
    "within a tenth of the": "the definition of PCK 0.1",
    "PCK 0.1": "the name of the measure",
    "0.5 is a coin": "the definition of chance",
    "lowest 5 %": "the definition of a sign",
    "at 100 % nothing": "the end of a scale",
    "near 100 % has no waste": "the end of a scale",
    "takes four times as long; a search among all pairs of cells takes sixteen times": "arithmetic: twice the side",
    "CC BY-SA 4.0": "the name of a licence",
    "CC BY 4.0": "the name of a licence",
}
UNREAD = (  # what is not a sentence of ours
    r"^```\{code.*?^```|^```\n.*?^```",
    r"^    [^\n]*$",
    r"\$\$.*?\$\$",
    r"\$[^$\n]+?\$",
    r"`[^`]*`",
    r"\{[\w:]+\}",
    r"(?<=\])\([^)]*\)",
    r'"[^"]*"',
)


def sentences(text: str, heads: str) -> Iterator[str]:
    """What is claimed, piece by piece: sentences, and the cells of tables, except under a head that matches `heads`."""
    for pattern in UNREAD:
        text = re.sub(pattern, " ", text, flags=re.MULTILINE | re.DOTALL)
    header: list[str] = []
    prose = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            header, prose = [], [*prose, line]
        elif not header:
            header = cells
        else:
            yield from (cell for head, cell in zip(header, cells, strict=False) if not re.search(heads, head))
    yield from re.split(r"(?<=[.:;?!])\s+(?=[A-Z*(\[-])|\n\s*\n|\n\s*(?=[-*#] )", "\n".join(prose))


def typed(text: str, heads: str = HEADS) -> list[str]:
    """Each typed number, with its sentence."""
    found = []
    for sentence in sentences(text, heads):
        sentence = " ".join(sentence.split())
        for allowed in ALLOWED:
            sentence = sentence.replace(allowed, "")
        if not re.search(SOURCES, sentence):
            found += [
                f"{m.group()!r} in: {sentence}" for rule in MEASURED.values() for m in re.finditer(rule, sentence)
            ]
    return found


def markdown(file: Path) -> str:
    """All prose of a page, captions with it."""
    if file.suffix == ".md":
        return file.read_text(encoding="utf-8")
    cells = nbformat.read(file, as_version=4).cells
    captions = (cell.metadata.get("caption", "") for cell in cells)
    return "\n\n".join([*(cell.source for cell in cells if cell.cell_type == "markdown"), *captions])


@pytest.mark.parametrize("file", sorted(BOOK.glob("*.ipynb")), ids=lambda file: file.stem)
def test_no_measured_number_is_typed(file: Path) -> None:
    assert not typed(markdown(file))


@pytest.mark.parametrize("file", sorted(BOOK.glob("*.md")), ids=lambda file: file.stem)
def test_no_measured_number_is_typed_on_a_page(file: Path) -> None:
    assert not typed(markdown(file), heads=rf"{HEADS}|here")  # "here" has this book's settings


@pytest.mark.parametrize(
    "sentence",
    [
        "MUNIT's Fréchet distance was 189.0, trained anew 154.9.",
        "Another seed moves it by 6 to 10.",
        "The search takes twelve times as long.",
        "W's error is nearly halved on the way.",
        "With 5 x 5 nine cells in ten are at home.",
        "a quarter of the cells does not even find itself",
        "It is 12 % better and took 7 minutes.",
        "| what | result |\n|---|---|\n| L1 | 0.0139 |",
    ],
)
def test_a_typed_number_is_found(sentence: str) -> None:
    assert typed(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The paper reports 0.112 for shoes.",
        "| what | paper | here |\n|---|---|---|\n| LPIPS | 0.112 | the table above |",
        "It starts at $2 \\log 2 = 1.39$, with 64 px, k = 3 and `rate = 0.5`.",
        "Intervals are 95 %, from a bootstrap; twenty pictures each.",
    ],
)
def test_others_numbers_and_settings_may_be_typed(sentence: str) -> None:
    assert not typed(sentence)
