"""Is the built HTML whole? Jupyter Book itself accepts failed notebooks, lost figures and outside scripts."""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import yaml
from bs4 import BeautifulSoup

from presentation import UNTOLD
from sources import to_copy

PUBLISHED_RUN, NOT_RUN = "Published run", "Not run"  # titles of the notes above a chapter that is not the reader's own
KNOWN_WORD = "segin"  # the search must find it
WHOLE, FIRST = 60e6, 1.5e6  # bytes of the book, and of its first page with everything that it loads
HIDDEN = {"remove-output", "remove-cell", "remove_output", "remove_cell"}
LOADING_TAGS = ["script", "img", "source", "video", "audio", "iframe", "embed", "object", "track"]
LOADED_LINKS = {"stylesheet", "preload", "prefetch", "modulepreload", "icon", "manifest"}
OUTSIDE = r"""["'`(]\s*(?:https?:)?//[\w.-]+\.\w"""
OUTSIDE_CODE = re.compile(rf"\b(?:import|from|importScripts|fetch|url)\s*\(?\s*{OUTSIDE}|url\((?:https?:)?//")


def toc_pages(toc: dict | list) -> Iterator[str]:
    """Every page that a jb-book table of contents names."""
    if isinstance(toc, list):
        for item in toc:
            yield from toc_pages(item)
        return
    for key, value in toc.items():
        if key in ("root", "file"):
            yield str(value)
        elif key in ("parts", "chapters", "sections"):
            yield from toc_pages(value)


def check_notebook(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """Faults of an executed notebook: a cell that was not run, an error among the outputs.

    Cells that are made to be copied may be newer than a published run.
    """
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None and not to_copy(cell):
            yield f"cell {number} was not executed"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {number} has an error output ({output.ename})"


def injected_edition(notebook: nbformat.NotebookNode) -> str | None:
    """The edition that papermill ran a notebook with."""
    cells = (cell.source for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", []))
    found = re.search(r"^edition = ['\"](\w+)['\"]", next(cells, ""), flags=re.MULTILINE)
    return found[1] if found else None


def check_state(notebook: nbformat.NotebookNode, page: BeautifulSoup, edition: str) -> Iterator[str]:
    """Is it said on the page when the chapter was run in another edition, or not at all?"""
    notes = {note.get_text().strip() for note in page.select(".admonition-title")}
    shown = injected_edition(notebook)
    if not any(cell.cell_type == "code" for cell in notebook.cells):
        if NOT_RUN not in notes:
            yield "no code on it, and it does not say that it was not run"
    elif shown != edition and PUBLISHED_RUN not in notes:
        yield f"does not say that it shows a run of the {shown} edition"


def count_images(notebook: nbformat.NotebookNode) -> int:
    """How many image files the page of an executed notebook must show (those with HTML have none)."""
    outputs = [
        output.get("data", {})
        for cell in notebook.cells
        if cell.cell_type == "code" and not HIDDEN & set(cell.metadata.get("tags", []))
        for output in cell.outputs
    ]
    plain = (data for data in outputs if "text/html" not in data)
    return sum(any(kind.startswith("image/") for kind in data) for data in plain)


def check_pictures(page: BeautifulSoup) -> Iterator[str]:
    """Has each figure a text in its place, of its own cell if the chapter was run here, and is it loaded lazily?"""
    own = PUBLISHED_RUN not in {note.get_text().strip() for note in page.select(".admonition-title")}
    for picture in page.select('.cell_output img[src*="_images/"]'):
        text = picture.get("alt", "")
        if not text or "_images/" in text or (own and text == UNTOLD):
            yield f"{picture['src']} has no text in its place: give the cell a caption, in its metadata"
        if picture.get("loading") != "lazy":
            yield f"{picture['src']} is not loaded lazily"


def check_weight(html: Path) -> Iterator[str]:
    """Is the book, and its first page with all that this loads, light enough?"""
    whole = sum(file.stat().st_size for file in html.rglob("*") if file.is_file())
    if whole > WHOLE:
        yield f"the book has {whole / 1e6:.1f} MB, at most {WHOLE / 1e6:.0f} are meant"
    file = html / "introduction.html"
    if file.is_file():
        page = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        paths = {urlsplit(address).path for address in _assets(page)}
        loaded = [file, *filter(Path.is_file, (file.parent / unquote(path) for path in paths))]
        weight = sum(each.stat().st_size for each in loaded)
        if weight > FIRST:
            yield f"introduction: it loads {weight / 1e6:.2f} MB, at most {FIRST / 1e6:.1f} are meant"


def _assets(page: BeautifulSoup) -> Iterator[str]:
    """What a page loads by itself, without a click."""
    for tag in page.find_all(LOADING_TAGS):
        yield from (str(tag[name]) for name in ("src", "data", "poster") if tag.get(name))
        yield from (part.split()[0] for part in str(tag.get("srcset", "")).split(",") if part.strip())
    for tag in page.find_all("link", href=True):
        if LOADED_LINKS & set(tag.get("rel") or []):
            yield str(tag["href"])


def check_page(file: Path, edition: str | None = None) -> Iterator[str]:
    """Faults of one HTML page: an asset missing or on another host, no local MathJax, no edition named."""
    page = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
    scripts = []
    for address in _assets(page):
        parts = urlsplit(address)
        if parts.scheme == "data":
            continue
        if parts.scheme or parts.netloc:
            yield f"loads {address} from another host"
        elif not (file.parent / unquote(parts.path)).is_file():
            yield f"{address} is missing"
        scripts.append(parts.path)
    for tag in page.find_all(["script", "style"]):
        for found in OUTSIDE_CODE.findall(tag.get_text()):
            yield f"its {tag.name} loads from another host: {found}"
    for tag in page.find_all(style=True):
        if OUTSIDE_CODE.search(tag["style"]):
            yield f"a style loads from another host: {tag['style']}"
    if page.select(".math") and not any("mathjax" in script for script in scripts):
        yield "has equations but no MathJax of its own"
    redirects = page.find("meta", attrs={"http-equiv": "Refresh"})  # index.html only leads to the first page
    if edition and not redirects:
        banner = page.select_one(".bd-header-announcement")
        if banner is None or f"{edition} edition" not in banner.get_text():
            yield f"does not say that it shows the {edition} edition"


def check_search(html: Path, pages: list[str]) -> Iterator[str]:
    """Faults of the search: no page for it, no index, a page or a known word that it cannot find."""
    index = html / "searchindex.js"
    if not (html / "search.html").is_file() or not index.is_file():
        yield "search: search.html or searchindex.js is missing"
        return
    content = index.read_text(encoding="utf-8")
    try:
        search = json.loads(content[content.index("(") + 1 : content.rindex(")")])
    except ValueError:
        yield "search: searchindex.js cannot be read"
        return
    if KNOWN_WORD not in search["terms"] and KNOWN_WORD not in search["titleterms"]:
        yield f"search: it does not find the word {KNOWN_WORD!r}"
    unknown = (page for page in pages if page not in search["docnames"])
    yield from (f"search: it does not know the page {page}" for page in unknown)


def check_html(site: Path, html: Path, edition: str | None = None) -> list[str]:
    """All faults, each naming its page; `site` holds what was built (notebooks, toc), `html` the result."""
    toc = yaml.safe_load((site / "_toc.yml").read_text(encoding="utf-8"))
    pages = [page.removesuffix(".md").removesuffix(".ipynb") for page in toc_pages(toc)]
    faults = [f"{page}: the page is missing" for page in pages if not (html / f"{page}.html").is_file()]
    for source in sorted(site.glob("*.ipynb")):
        notebook = nbformat.read(source, as_version=4)
        faults += [f"{source.stem}: {fault}" for fault in check_notebook(notebook)]
        page = html / f"{source.stem}.html"
        if page.is_file():
            soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
            shown = len(soup.select('.cell_output img[src*="_images/"]'))
            made = count_images(notebook)
            if shown != made:
                faults.append(f"{source.stem}: {shown} figures on the page, {made} in the notebook")
            faults += [f"{source.stem}: {fault}" for fault in check_pictures(soup)]
            if edition:
                faults += [f"{source.stem}: {fault}" for fault in check_state(notebook, soup, edition)]
    for file in sorted(html.rglob("*.html")):
        if "_static" not in file.relative_to(html).parts:
            name = file.relative_to(html).with_suffix("")
            faults += [f"{name}: {fault}" for fault in check_page(file, edition)]
    for file in sorted((html / "_static").rglob("*.css")):
        outside = OUTSIDE_CODE.findall(file.read_text(encoding="utf-8"))
        faults += [f"{file.relative_to(html)}: loads from another host: {found}" for found in outside]
    return [*faults, *check_weight(html), *check_search(html, pages)]


def main() -> int:
    """Command line: print each fault; the exit code is 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edition", required=True)
    edition = parser.parse_args().edition
    root = Path("runs") / edition
    faults = check_html(root / "site", root / "html" / "_build" / "html", edition)
    for fault in faults:
        print(f"{edition}/html: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
