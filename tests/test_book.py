"""The book's sources keep its rules: clean notebooks of one shape, reasoned overrides, whole toc and API."""

import ast
import json
import math
import re
import statistics
import symtable
import tokenize
from io import StringIO
from itertools import product
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml

from check_html import check_notebook, toc_pages
from notebooks import PUBLISHED, STEPS, all_steps, load_index, source, steps, variants
from segin_core.book.ledger import load_ledger
from segin_core.book.parameters import check_overrides, declared_parameters, load_overrides
from segin_core.running.shipped import DEFAULT, LIMIT, shipped
from sources import to_copy

ROOT = Path(__file__).parent.parent
EDITIONS = ("smoke", "quick", "cpu", "paper")
COPIES = sorted((ROOT / "published").glob("*/*/*"))
ENDINGS = ("The paper against ours", "What to take away")
FORBIDDEN = {
    "magic or shell command": r"^\s*[%!]",
    "edit of sys.path": r"sys\.path",
    "absolute path": r"""["'](/\w|~/|[A-Za-z]:\\)""",
    "bare except": r"except\s*:",
}

notebooks = pytest.mark.parametrize("name", STEPS)
VARIANTS = [(edition, name) for edition in EDITIONS for name in variants(edition)]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters are looked up from the project's root."""
    monkeypatch.chdir(ROOT)


def read(name: str) -> nbformat.NotebookNode:
    """A source notebook."""
    return nbformat.read(ROOT / "book" / f"{name}.ipynb", as_version=4)


def code_cells(name: str) -> list[str]:
    """The code of a source notebook, cell by cell."""
    return [cell.source for cell in read(name).cells if cell.cell_type == "code"]


def test_every_notebook_is_a_step() -> None:
    assert {file.stem for file in (ROOT / "book").glob("*.ipynb")} == set(STEPS)


def test_steps_name_known_notebooks_and_editions() -> None:
    for step in STEPS.values():
        named = {name.partition("-")[0] for name in (*step.after, *step.reads)}
        assert named <= set(STEPS) and set(step.without) <= set(EDITIONS)
    assert set(PUBLISHED) < set(EDITIONS)


def test_claims_comes_after_every_file_of_the_ledger() -> None:
    judges = [claim.judge for claim in load_ledger(ROOT / "book" / "claims.yaml").claims]
    named = {judge.file.partition("/")[0] for judge in judges if hasattr(judge, "file")}
    assert named & set(STEPS) == set(STEPS["claims"].after)


def test_toc_names_every_page() -> None:
    pages = list(toc_pages(yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())))
    assert sorted(pages) == sorted({*STEPS, "live", "wrong_match", "deviations", "faults", "api", "bibliography"})


def test_every_fault_has_its_test() -> None:
    lines = (ROOT / "book" / "faults.md").read_text().splitlines()
    rows = [line for line in lines if re.match(r"\| (?!fault \|)", line)]
    assert len(rows) >= 25
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert named and all(f"\ndef {name}(" in (ROOT / "tests" / file).read_text() for file, name in named), row


def test_readme_names_every_chapter_once() -> None:
    table = (ROOT / "README.md").read_text().partition("| chapter | paper |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| (\w+) \|", table, flags=re.MULTILINE)) == sorted(STEPS)


def on_api_page(module: Path) -> str:
    """What the page lists for a public module: its package, where that offers names of its own, else the module."""
    offers = "__all__" in (module.parent / "__init__.py").read_text()
    return ".".join((module.parent if offers else module.with_suffix("")).relative_to(ROOT / "segin_core").parts)


def test_api_page_names_every_module_once() -> None:
    listed = re.findall(r"automodule:: segin_core\.([\w.]+)", (ROOT / "book" / "api.md").read_text())
    assert sorted(listed) == sorted({on_api_page(module) for module in (ROOT / "segin_core").rglob("[!_]*.py")})


def test_no_function_is_defined_in_two_notebooks() -> None:
    homes: dict[str, set[str]] = {}
    for name in STEPS:
        for node in ast.walk(ast.parse("\n".join(code_cells(name)))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                homes.setdefault(node.name, set()).add(name)
    assert not {name: sorted(chapters) for name, chapters in homes.items() if len(chapters) > 1}


@notebooks
def test_source_is_clean(name: str) -> None:
    for cell in read(name).cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


@notebooks
def test_parameters_come_first_and_are_checked(name: str) -> None:
    declared = declared_parameters(Path("book") / f"{name}.ipynb")
    assert next(iter(declared)) == "edition" and declared["edition"].default == "quick"
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    place = next(i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", []))
    assert "parameters = check_parameters(globals())" in cells[place + 1].source
    for line in cells[place].source.splitlines():
        assert re.match(r"\w+: .+ = .+  # \S", line), f"no comment: {line}"


def bound(cell: str) -> set[str]:
    """The names that a cell's code binds at module level, in whatever way."""
    waiting, names = [symtable.symtable(cell, "cell", "exec")], set()
    while waiting:
        scope = waiting.pop()
        waiting += scope.get_children()
        found = (one for one in scope.get_symbols() if one.is_assigned() or one.is_imported())
        names |= {one.get_name() for one in found if scope.get_type() == "module" or one.is_global()}
    return names


@pytest.mark.parametrize(
    "cell",
    [
        "x = 1",
        "(a, [x, *b]) = 1, [2]",
        "a, *x = 1, 2",
        "x += 1",
        "x: int = 1",
        "for a, x in []:\n    pass",
        "with open('a') as x:\n    pass",
        "print(x := 1)",
        "[(x := a) for a in range(3)]",
        "import x.y",
        "import y as x",
        "from y import x",
        "def x():\n    pass",
        "class x:\n    pass",
        "if True:\n    x = 1",
        "try:\n    pass\nexcept OSError as x:\n    pass",
        "del x",
        "def f():\n    global x\n    x = 1",
    ],
)
def test_every_way_to_bind_a_name_is_seen(cell: str) -> None:
    assert "x" in bound(cell)


@pytest.mark.parametrize("cell", ["def f(x):\n    x = 1", "[x for x in y]", "f(x=1)", "y[x] = x", "x.y = 1"])
def test_what_binds_no_name_of_the_module(cell: str) -> None:
    assert "x" not in bound(cell)


@notebooks
def test_numbers_have_a_range(name: str) -> None:
    cell = next(cell for cell in read(name).cells if "parameters" in cell.metadata.get("tags", []))
    bare = re.findall(r"^(\w+): .*\b(?:int|float)\b.* =", cell.source, flags=re.MULTILINE)
    assert not bare, "use a named type of segin_core.book.parameters"


@notebooks
def test_no_cell_rebinds_a_parameter(name: str) -> None:
    declared = declared_parameters(Path("book") / f"{name}.ipynb").keys()
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    others = [cell.source for cell in cells if "parameters" not in cell.metadata.get("tags", [])]
    assert not declared & set().union(*map(bound, others))


def origins(cell: str) -> dict[str, str]:
    """The names that a cell binds, and where imported ones come from, so that equal imports are equal here."""
    found = dict.fromkeys(bound(cell), "")
    for node in ast.walk(ast.parse(cell)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            found |= {(one.asname or one.name.split(".")[0]): f"{module}.{one.name}" for one in node.names}
    return found


@notebooks
def test_a_cell_to_copy_takes_no_name_of_its_chapter(name: str) -> None:
    """So that a chapter which is run again from its middle is the same."""
    code = [cell for cell in read(name).cells if cell.cell_type == "code"]
    own = [each for cell in code if not to_copy(cell) for each in origins(cell.source).items()]
    for each, origin in (item for cell in code if to_copy(cell) for item in origins(cell.source).items()):
        assert not [other for known, other in own if known == each and (other != origin or not origin)], each


@notebooks
def test_cells_are_short(name: str) -> None:
    # the first two, imports and parameters, are lists and as long as they need to be; a statement that is broken for
    # the page's column is one line
    cells = [tokenize.generate_tokens(StringIO(cell).readline) for cell in code_cells(name)[2:]]
    lengths = [sum(token.type == tokenize.NEWLINE for token in tokens) for tokens in cells]
    assert statistics.median(lengths) <= 7
    assert max(lengths) <= 22


@notebooks
@pytest.mark.parametrize("what", FORBIDDEN)
def test_code_has_no(name: str, what: str) -> None:
    for cell in code_cells(name):
        assert not re.search(FORBIDDEN[what], cell, flags=re.MULTILINE), cell


@notebooks
def test_shows_its_result_first_and_folds_what_every_chapter_has(name: str) -> None:
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    tags = [set(cell.metadata.get("tags", [])) for cell in cells]
    assert "hide-cell" in tags[0] and "hide-input" in tags[1] and "hide-input" in tags[2]
    assert any("result" in each for each in tags) or name == "setup_check"  # which has no figure
    assert all(cell.metadata.get("caption") for cell, each in zip(cells, tags, strict=True) if "result" in each) or (
        name == "introduction"
    )


def test_links_to_pictures_arrive() -> None:
    for name in STEPS:
        for page, picture in re.findall(r"(\w+)\.html#figure-([\w-]+)", "\n".join(c.source for c in read(name).cells)):
            assert any(c.id == picture and c.metadata.get("caption") for c in read(page).cells), (name, page, picture)


@notebooks
def test_opens_and_ends_alike(name: str) -> None:
    cells = read(name).cells
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    headings = re.findall(r"^##\s+(?:\d+\.?\s+)?(.+)$", prose, flags=re.MULTILINE)
    assert headings and headings[-1].strip() in ENDINGS
    assert "papermill_command(" in "\n".join(code_cells(name))


@pytest.mark.parametrize("edition", EDITIONS)
def test_edition_has_every_notebook(edition: str) -> None:
    found = {file.name for file in (ROOT / "params" / edition).iterdir()}
    assert found == {f"{name}.yaml" for name in all_steps(edition)}


@pytest.mark.parametrize(("edition", "name"), VARIANTS)
def test_variants_are_notebooks_under_other_values_with_a_folder_of_their_own(edition: str, name: str) -> None:
    notebook, _, variant = name.partition("-")
    assert notebook in STEPS and variant not in EDITIONS  # its page would have the name of an edition's
    values = load_overrides(edition, name)
    assert values["run"] == name and values != load_overrides(edition, notebook) | {"run": name}


LEFT_OUT = {  # what each row of Table II, of ours and of what lies beyond the paper, has otherwise than the full model
    "full": {},
    "without_gan": {"w_adversarial": 0.0},
    "without_reconstruction": {"w_reconstruction": 0.0},
    "without_feature": {"w_feature": 0.0},
    "without_total_variation": {"w_total_variation": 0.0},
    "without_non_local": {"non_local": False},
    "without_multi_task": {"mask_decoder": False},
    "without_damage": {"corruption": "none"},
    "draft_damage": {"corruption": "draft"},
    "without_hue_rotation": {"hue_rotation": 0.0},
    "unconditional": {"conditional": False},
    "learned": {"matcher": "learned"},
    "object": {"matcher": "object"},
    "answers": {"answers": 0.5},
    "better": {"matcher": "both", "answers": 0.5},
}


@pytest.mark.parametrize(("edition", "name"), [(e, name) for e, name in VARIANTS if name.startswith("training-")])
def test_an_ablated_network_is_trained_as_the_full_one_but_for_one_part(edition: str, name: str) -> None:
    row, _, data = name.removeprefix("training-").partition("-")
    row, _, number = row.partition("_") if row.startswith("full") else (row.rstrip("_12"), "", row[-1])
    if row not in LEFT_OUT:
        return  # another variant, or the paper's GAN, whose values are chosen together
    chapter = load_overrides(edition, f"ablations-{data}" if data else "ablations")
    base = load_overrides(edition, chapter.get("full", "training-full") + chapter.get("networks", ""))
    wanted = base | LEFT_OUT[row] | {"run": name} | ({"seed": int(number)} if number in ("1", "2") else {})
    found, shown = load_overrides(edition, name), {"snapshots", "warps"}
    assert {k: v for k, v in found.items() if k not in shown} == {k: v for k, v in wanted.items() if k not in shown}


def test_trainings_of_the_paper_are_as_long_as_their_reasons_say() -> None:
    """steps = epochs x pictures / batch. MUNIT's authors count no epochs."""
    said = re.compile(r"^steps: (\d+)  # (\d+) epochs .*?of (?:the )?(\d+) \w.* at batch (\d+)", flags=re.MULTILINE)
    for name in all_steps("paper"):
        if name.partition("-")[0] in ("training", "pix2pix", "bicyclegan", "colourisation"):
            text = (ROOT / "params" / "paper" / f"{name}.yaml").read_text().replace(",", "")
            steps, epochs, pictures, batch = map(int, said.search(text).groups())
            assert steps == math.ceil(epochs * pictures / batch), name
            trained = load_overrides("paper", "training" if name == "colourisation" else name)
            assert batch == trained["batch_size"], name


def test_the_paper_edition_has_every_experiment_of_the_paper() -> None:
    found = set(all_steps("paper"))
    left_out = ("gan", "reconstruction", "feature", "total_variation", "non_local", "multi_task")
    for data in ("", "-bags"):  # Table I, Fig. 5 and 6, Table II and Fig. 11
        assert {f"{method}{data}" for method in ("training", "pix2pix", "bicyclegan", "munit")} < found
        assert {f"{chapter}{data}" for chapter in ("results", "outputs", "comparison", "table_1", "ablations")} < found
        assert {f"training-without_{part}{data}" for part in left_out} < found
    assert {"training-anime", "training-faces", "matchers"} < found  # Fig. 7, 8 and 9
    for name in (name for name in found if name.startswith("training")):
        values = load_overrides("paper", name)
        assert (values["batch_size"], values["width"], values["lr_translator"]) == (5, 64, 2e-4), name
        assert values["workers"] > 0, name


def test_the_chapter_on_ablations_waits_for_its_networks() -> None:
    for edition in EDITIONS:
        rows = {name for name in variants(edition) if re.match(r"training-(full|without|draft|uncond|paper_gan)", name)}
        shoes = {name for name in rows if not name.endswith("-bags")}
        assert set(steps(edition, "all")["ablations"].after) - {"training"} == shoes
    assert set(steps("cpu", "all")["ablations-bags"].after) >= {"training-full-bags", "training-without_gan-bags"}


def test_there_is_no_other_edition() -> None:
    assert {folder.name for folder in (ROOT / "params").iterdir()} == set(EDITIONS)


@pytest.mark.parametrize(("edition", "name"), [*product(EDITIONS, STEPS), *VARIANTS])
def test_overrides_are_known_and_reasoned(edition: str, name: str) -> None:
    check_overrides(source(name), load_overrides(edition, name))
    text = (ROOT / "params" / edition / f"{name}.yaml").read_text()
    if edition != "quick":  # quick is the default; plain papermill has only the file
        assert re.search(rf"^edition: {edition}\b", text, flags=re.MULTILINE)
    for line in text.splitlines():
        if re.match(r"\w+:", line):
            assert re.search(r"\s# \S", line), f"no reason: {line}"


@notebooks
def test_papermill_shows_every_parameter_in_its_help(name: str) -> None:
    path = ROOT / "book" / f"{name}.ipynb"
    shown = papermill.inspect_notebook(str(path))
    assert shown.keys() == declared_parameters(path).keys()
    assert all(parameter["help"] for parameter in shown.values())


def test_published_runs_agree_with_their_index() -> None:
    index = load_index()
    rows = {(edition, name) for name, editions in index.items() for edition in editions}
    assert {(file.parts[-3], file.stem) for file in COPIES if file.suffix == ".ipynb"} == rows
    assert all(edition in PUBLISHED and name in all_steps(edition) for edition, name in rows)
    for file in COPIES:
        edition, folder = file.parts[-3:-1]
        assert (folder, file.suffix) == ("notebooks", ".ipynb") or (
            (edition, folder) in rows and file.suffix == ".json"
        )
    for edition, name in rows:
        row = index[name][edition]
        assert set(row) - {"sources"} == {"edition", "commit", "hardware", "date", "seconds", "versions"}
        assert row["edition"] == edition
        results = [json.loads(file.read_text()) for file in COPIES if file.parts[-3:-1] == (edition, name)]
        commits = {
            found["provenance"]["commit"] for found in results if isinstance(found, dict) and "provenance" in found
        }
        assert not commits or row["commit"] in commits


def test_published_runs_are_whole() -> None:
    for file in COPIES:
        if file.suffix == ".ipynb":
            notebook = nbformat.read(file, as_version=4)
            assert not list(check_notebook(notebook)), file
            assert not {"papermill", "widgets"} & set(notebook.metadata), file


def test_published_runs_name_no_machine() -> None:
    for file in COPIES:
        pictures = r'"image/(png|jpeg)": "[^"]*"|;base64,[\w+/=]*'  # base64 spells anything by chance
        text = re.sub(pictures, "", file.read_text()).replace(r"\n", "\n")
        assert not re.findall(r"(?<![\w.<~])/(?:work|tmp|home|root)\b.{0,40}", text), file


def test_nothing_waits_to_be_written() -> None:
    files = [file for folder in ("published", "book") for file in (ROOT / folder).rglob("*") if file.is_file()]
    pictures = r'"image/(png|jpeg)": "[^"]*"|;base64,[\w+/=]*'  # base64 spells anything by chance
    for file in files:
        if file.suffix in (".ipynb", ".md", ".yaml", ".yml", ".json", ".bib"):
            assert not re.search(r"\b(TODO|FIXME|XXX)\b", re.sub(pictures, "", file.read_text())), file


def test_published_runs_are_small() -> None:
    sizes = [file.stat().st_size for file in COPIES if file.is_file()]
    assert sum(sizes) < 30e6 and max(sizes, default=0) < 2e6


def test_published_networks_have_cards_and_are_small() -> None:
    files = sorted((ROOT / "published" / "models").iterdir())
    names = [file.stem for file in files if file.suffix == ".safetensors"]
    assert DEFAULT in names
    assert {file.name for file in files} == {f"{name}.{end}" for name in names for end in ("safetensors", "json", "md")}
    assert all(shipped(name).stat().st_size <= LIMIT == 12e6 for name in names)
    assert sum(file.stat().st_size for file in files) < 40e6
