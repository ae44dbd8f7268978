"""How a chapter's page is laid out, whichever run it shows."""

import nbformat
import pytest

from presentation import UNTOLD, computes, opening, present

code, markdown = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell


def output(**data: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("display_data", data={key.replace("_", "/"): value for key, value in data.items()})


@pytest.mark.parametrize(
    "other",
    ["f(1, 2)  # why", "f(\n    1,\n    2,\n)", "f( 1,2 )"],
)
def test_layout_and_comments_do_not_count(other: str) -> None:
    assert computes(other) == computes("f(1, 2)")


def test_docstrings_and_the_wrapping_of_texts_do_not_count_but_words_do() -> None:
    assert computes('def f():\n    """A."""\n    return 1') == computes("def f():\n    return 1")
    assert computes('f("""a b\nc""")') == computes('f("""a\nb c""")')
    assert computes('f("a")') != computes('f("b")') and computes("f(1)") != computes("f(2)")


def test_an_old_run_gets_todays_folds_and_captions_and_shows_the_result_first() -> None:
    today = nbformat.v4.new_notebook()
    today.cells = [
        markdown("# T\n\n*Paper: x.*\n\nWords."),
        code("import a", id="one", metadata={"tags": ["hide-cell"]}),
        code("g(1)", id="two", metadata={"tags": ["result"], "caption": "See {doc}`the page <a>`, *W* and `x`."}),
        code("h(1)", id="three", metadata={"tags": ["result"], "caption": "A table."}),
        code("l(1)", id="four", metadata={"caption": "Two pictures."}),
    ]
    table = output(text_html='<style>#T_0a1b2 {}</style><table id="T_0a1b2">')
    run = nbformat.v4.new_notebook()
    run.cells = [
        markdown("# Old\n\n*Paper: x.*\n\nOld words."),
        code("import a, b", id="one"),
        code("edition = 1", metadata={"tags": ["injected-parameters"]}),
        code("g( 1 )", id="other", outputs=[output(image_png="AA==")], execution_count=3),
        code("h(1)", id="three", outputs=[table], execution_count=4),
        code("k(1)", id="gone", outputs=[output(image_png="AA==")], execution_count=5),
        code("l(1)", id="four", outputs=2 * [output(image_png="AA==")], execution_count=6),
    ]
    present(run, today)
    title, figure, caption, lifted, rest, *cells = run.cells
    assert (title.source, rest.source, caption.source) == ("# Old\n\n*Paper: x.*", "Old words.", "A table.")
    assert figure.metadata.mystnb.image.alt == "See the page, W and x." and "name" not in figure.metadata.mystnb.figure
    assert figure.metadata.tags == ["remove-input"] and figure.outputs == cells[2].outputs
    assert "T_" not in lifted.outputs[0].data["text/html"] and "T_0a1b2" in cells[3].outputs[0].data["text/html"]
    assert [cell.metadata.get("tags") for cell in cells[:2]] == [["hide-cell"], ["injected-parameters", "hide-input"]]
    assert cells[2].metadata.mystnb.figure.name == "figure-other"
    assert cells[4].metadata.mystnb.image.alt == UNTOLD
    assert cells[5].metadata.mystnb.figure == {"caption": "Two pictures."}, "two pictures would have one name"


def test_a_page_without_a_result_opens_as_it_did() -> None:
    page = nbformat.v4.new_notebook(cells=[markdown("# T\n\nWords."), code("1", outputs=[], execution_count=1)])
    present(page, page)
    assert [cell.source for cell in page.cells] == ["# T\n\nWords.", "1"]
    assert opening("# T\n*Paper: x.*\n\nWords.") == ("# T\n*Paper: x.*", "Words.")
