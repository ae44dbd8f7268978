"""Build the HTML of an edition: notebooks executed here or published, the book's pages; every warning is an error."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml

from check_html import NOT_RUN, PUBLISHED_RUN
from live import live_files
from notebooks import PUBLISHED, STEPS, all_steps, executed, left_out, load_index, published, source
from presentation import computes, present
from sources import digest, to_copy

MEANING = {
    "smoke": "a few training steps that only test the code: its pictures and numbers mean nothing",
    "quick": "trained within minutes on two CPU cores",
    "cpu": "a longer training on a CPU",
    "paper": "the paper's settings, for a GPU",
}


def command(edition: str, step: str) -> str:
    """What runs this chapter, or this variant of it, in that edition."""
    return f"`make book EDITION={edition}{' ALL=1' if left_out(edition, step) else ''}`"


def note(title: str, text: str) -> nbformat.NotebookNode:
    """A Markdown cell with an admonition."""
    return nbformat.v4.new_markdown_cell(f":::{{admonition}} {title}\n:class: important\n{text}\n:::")


def read_published(step: str, run: dict) -> nbformat.NotebookNode:
    """The executed copy of a published run, with the cells of today's chapter if they compute what it ran.

    Else a line on top says so: its cells are that commit's and may not run with today's library.
    """
    page = nbformat.read(published(run["edition"], step), as_version=4)
    today = nbformat.read(source(step), as_version=4)
    injected = [cell for cell in page.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    ran, code = (
        [cell for cell in notebook.cells if cell.cell_type == "code" and cell not in injected and not to_copy(cell)]
        for notebook in (page, today)
    )
    same = [computes(cell.source) for cell in ran] == [computes(cell.source) for cell in code]
    if not same or run.get("sources") != digest(source(step)):
        older = f"*The code of this page is that of commit `{run['commit']}`: to copy a cell, take the notebook's own.*"
        page.cells.insert(1, nbformat.v4.new_markdown_cell(older))
        return page
    for cell, done in zip(code, ran, strict=True):
        cell.update(outputs=done.outputs, execution_count=done.execution_count)
    cells = list(today.cells)
    tagged = (i for i, cell in enumerate(cells, 1) if "parameters" in cell.metadata.get("tags", []))
    place = next(tagged, 1)  # papermill puts the edition's values behind the cell with the chapter's own
    page.cells = cells[:place] + injected + cells[place:]
    return page


def published_run(edition: str, step: str, run: dict) -> nbformat.NotebookNode:
    """A published run under a banner that says whose it is; `run` is its row of published/index.json."""
    page, commands = read_published(step, run), []
    if step in all_steps(edition):
        commands.append(f"{command(edition, step)} in the {edition} edition")
    if run["edition"] != edition:
        commands.append(f"{command(run['edition'], step)} as shown")
    text = f"You have not run this chapter in the **{edition}** edition; shown is {which(run)}. Run it yourself"
    page.cells.insert(1, note(PUBLISHED_RUN, f"{text}, from the project's root: {', '.join(commands)}."))
    return page


def other_run(notebook: str, run: dict) -> nbformat.NotebookNode:
    """A published run beside the one that the chapter shows: its page has the edition in its title."""
    page = read_published(notebook, run)
    page.cells[0].source = titled(page.cells[0].source, f"{run['edition']} edition")
    text = f"{{doc}}`The chapter itself <{notebook}>` shows another run. This one is {which(run)}"
    page.cells.insert(1, note(PUBLISHED_RUN, f"{text}; to repeat it: {command(run['edition'], notebook)}."))
    return page


def which(run: dict) -> str:
    """Whose run it is, from its row of published/index.json."""
    where = f"at commit `{run['commit']}` on {run['hardware']}, {run['date'][:10]}"
    return f"the run of the **{run['edition']}** edition {where}"


def not_run(edition: str, notebook: str) -> nbformat.NotebookNode:
    """The title of a chapter and how to run it."""
    page = nbformat.read(source(notebook), as_version=4)
    text = "This chapter was not run here, and no run of it is published. Run it yourself, from the project's root: "
    page.cells = [page.cells[0], note(NOT_RUN, f"{text}{command(edition, notebook)}.")]
    return page


def published_editions(step: str, index: dict) -> list[str]:
    """The editions of which a run of this chapter is published, the best first."""
    return [one for one in PUBLISHED if one in index.get(step, {}) and Path(published(one, step)).is_file()]


def chapter(edition: str, step: str, index: dict) -> tuple[str, nbformat.NotebookNode, list[str]]:
    """What the page of a chapter is, the page, and the editions of the published runs that are not on it.

    It is the reader's "own" run, else the best "published" one, else "not run".
    """
    found = published_editions(step, index)
    if Path(executed(edition, step)).is_file():
        page = nbformat.read(executed(edition, step), as_version=4)
        return "own", page, [one for one in found if one != edition]
    if found:
        return "published", published_run(edition, step, index[step][found[0]]), found[1:]
    return "not run", not_run(edition, step), []


def variant_pages(edition: str, notebook: str, index: dict) -> dict[str, tuple[str, nbformat.NotebookNode]]:
    """Title and page of the chapter's variants that were run here or are published, by step."""
    pages, known = {}, dict.fromkeys([*all_steps(edition), *(index if edition in PUBLISHED else ())])
    for step in (step for step in known if step.startswith(f"{notebook}-")):
        state, page, _ = chapter(edition, step, index)
        if state != "not run":
            name = step.partition("-")[2]
            page.cells[0].source = titled(page.cells[0].source, name)
            pages[step] = name, page
    return pages


def titled(opening: str, what: str) -> str:
    """A chapter's first cell with `what` behind its title."""
    title, _, rest = opening.partition("\n")
    return f"{title} ({what})\n{rest}"


def list_below(toc: dict, others: dict[str, dict[str, str]]) -> None:
    """Put the pages of other runs, page to title, into the table of contents, each below its chapter."""
    for part in toc["parts"]:
        for entry in part["chapters"]:
            if runs := others.get(entry["file"]):
                entry["sections"] = [{"file": page, "title": title} for page, title in runs.items()]


def assemble(edition: str, site: Path) -> dict[str, list[str]]:
    """Put into `site` what the builder reads: pages, notebooks, configuration naming the edition.

    Returns which notebooks are the reader's "own" runs, which are "published", which are "not run".
    """
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree("book", site, ignore=shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints"))
    states, index, others = {"own": [], "published": [], "not run": []}, load_index(), {}
    for notebook in STEPS:
        state, page, more = chapter(edition, notebook, index)
        states[state].append(notebook)
        more = more if edition in PUBLISHED else []  # smoke is for the code, not for reading
        below = {f"{notebook}-{one}": (f"{one} edition", other_run(notebook, index[notebook][one])) for one in more}
        below |= variant_pages(edition, notebook, index)
        others[notebook] = {name: title for name, (title, _) in below.items()}
        for name, (_, other) in below.items():
            present(other, nbformat.read(source(notebook), as_version=4), anchors=False)
            nbformat.write(other, site / f"{name}.ipynb")
        if below:
            links = ", ".join(f"{{doc}}`{title} <{name}>`" for name, title in others[notebook].items())
            links = nbformat.v4.new_markdown_cell(f"*Other runs of this chapter beside this one: {links}.*")
            page.cells.insert(1, links)
        present(page, nbformat.read(source(notebook), as_version=4))
        nbformat.write(page, site / f"{notebook}.ipynb")
    toc = yaml.safe_load((site / "_toc.yml").read_text(encoding="utf-8"))
    list_below(toc, others)
    (site / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    config = yaml.safe_load(Path("_config.yml").read_text(encoding="utf-8"))
    meaning = f": {MEANING[edition]}" if edition in MEANING else ""
    theme = config["sphinx"]["config"]["html_theme_options"]
    theme["announcement"] = f"This copy shows the <b>{edition}</b> edition{meaning}."
    (site / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return states


# a drawing in the packed Font Awesome: its name, its size, other names, its letter, its paths
ICON = re.compile(r'"?([\w-]+)"?:\[\d+,\d+,\[[^]]*\],"[0-9a-f]+",(?:"[^"]*"|\[[^]]*\])\],?')

# the same as a letter of a font of 0.2 MB, which shows until the drawing is there
LETTER = re.compile(r'(?:\.fa-[\w-]+:before,?)+\{content:"[^"]*"\}')


def prune(html: Path) -> None:
    """Drop what no page loads: MathJax's other formats and speech maps (20 of 24 MB), unused icons, source maps."""
    static = html / "_static"
    for bundle in set((static / "mathjax").glob("*.js")) - {static / "mathjax" / "tex-chtml.js"}:
        bundle.unlink()
    shutil.rmtree(static / "mathjax" / "sre" / "mathmaps", ignore_errors=True)
    for source_map in static.rglob("*.map"):
        source_map.unlink()
    icons = static / "scripts" / "fontawesome.js"
    if icons.is_file():
        naming = [*html.glob("*.html"), *(set(static.rglob("*.js")) - {icons})]
        used = {name for file in naming for name in re.findall(r"\bfa-([\w-]+)", file.read_text(encoding="utf-8"))}
        kept = ICON.sub(lambda icon: icon[0] if icon[1] in used else "", icons.read_text(encoding="utf-8"))
        icons.write_text(kept, encoding="utf-8")
        style = static / "styles" / "pydata-sphinx-theme.css"
        style.write_text(LETTER.sub("", style.read_text(encoding="utf-8")), encoding="utf-8")


def finish(html: Path) -> None:
    """What the theme leaves undone: a name for the arrows that open a branch of the contents, to be read out; no roles
    in the bibliography that do not fit each other; and no MathJax (1.2 MB) on a page without an equation.
    """
    roles = r'(class="citation"[^>]*) role="doc-biblioentry"|role="list" (?=class="citation-list")'
    toggle, named = '<summary><span class="toctree-toggle"', '<summary aria-label="Pages below this one"><span'
    for file in html.glob("*.html"):
        text = file.read_text(encoding="utf-8").replace(toggle, f'{named} class="toctree-toggle"')
        text = re.sub(roles, r"\1", text)
        if not re.search(r'class="math\b', text):
            text = re.sub(r'<script[^>]*src="_static/mathjax/[^>]*></script>', "", text)
        file.write_text(text, encoding="utf-8")


def build(site: Path, out: Path, log: Path) -> bool:
    """Run Jupyter Book on `site`; True if there was no warning. What it said is in `log`."""
    shutil.rmtree(out, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    options = ["--config", site / "_config.yml", "--path-output", out, "--all", "-W", "--keep-going"]
    # the local Sphinx extension lies beside this file
    extensions = Path(__file__).parent.resolve()
    path = os.pathsep.join([str(extensions), os.getcwd()])
    docutils = str(extensions / "docutils.conf")
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": path, "DOCUTILSCONFIG": docutils}
    with log.open("w") as stream:
        run = subprocess.run(
            [*jupyter_book, "build", site, *options], stdout=stream, stderr=subprocess.STDOUT, env=environment
        )
    prune(out / "_build" / "html")
    finish(out / "_build" / "html")
    return run.returncode == 0


def main() -> int:
    """Command line: build, and print the warnings if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edition", required=True)
    edition = parser.parse_args().edition
    root = Path("runs") / edition
    log = root / "logs" / "html.txt"
    states = assemble(edition, root / "site")
    live_files(root / "site")
    others = [f"; {state}: {', '.join(states[state])}" for state in ("published", "not run") if states[state]]
    print(f"{edition}/html: started{''.join(others)}", file=sys.stderr, flush=True)
    if build(root / "site", root / "html", log):
        print(f"{edition}/html: done", file=sys.stderr, flush=True)
        return 0
    fault = re.compile(r"(WARNING|ERROR|CRITICAL|Error):")
    lines = [line for line in log.read_text().splitlines() if fault.search(line)]
    print("\n".join(lines[:20]), file=sys.stderr)
    print(f"{edition}/html: Jupyter Book warned or failed (all of it: {log})", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
