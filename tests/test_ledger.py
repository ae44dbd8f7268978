"""The ledger has every number of the paper's tables; each verdict comes out of made-up result files as it should."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from notebooks import STEPS
from segin_core.book import ledger as claims
from segin_core.book.ledger import Verdict, distinct, load_ledger, outcome, outcomes, with_row_in_place
from segin_core.book.ledger.result_files import evidence
from segin_core.book.ledger.verdicts import lead, ratio, within
from segin_core.book.paths import result_file, results_of
from segin_core.errors import InputError

ROOT = Path(__file__).parent.parent
LEDGER = ROOT / "book" / "claims.yaml"
CONTENT = json.dumps(yaml.safe_load(LEDGER.read_text()))
BASELINES = ("pix2pix", "bicyclegan", "munit", "munit_ref")
LEFT_OUT = ("gan", "reconstruction", "feature", "total_variation", "non_local", "multi_task")
COLUMNS = ("frechet", "diversity", "to_reference", "to_truth")
COPIES = ("copy_r", "w")

# Typed from the paper's tables once more, on purpose: shoes first, then bags; None for a dash.
TABLE_1 = {
    "pix2pix": [(75.442, 0.012, None, 0.188), (83.241, 0.012, None, 0.253)],
    "bicyclegan": [(62.521, 0.108, None, 0.152), (70.117, 0.162, None, 0.237)],
    "munit": [(80.857, 0.110, None, 0.164), (88.641, 0.171, None, 0.239)],
    "munit_ref": [(80.873, 0.104, 0.467, 0.164), (89.273, 0.158, 0.650, 0.239)],
    "segin": [(54.514, 0.145, 0.382, 0.112), (68.211, 0.211, 0.487, 0.158)],
    "real": [(None, 0.301, None, 0.000), (None, 0.423, None, 0.000)],
}
TABLE_2 = {
    "without_gan": [(55.618, 0.112), (69.981, 0.158)],
    "without_reconstruction": [(59.162, 0.121), (78.301, 0.174)],
    "without_feature": [(76.554, 0.147), (96.454, 0.211)],
    "without_total_variation": [(58.181, 0.111), (72.538, 0.155)],
    "without_non_local": [(72.387, 0.132), (94.113, 0.172)],
    "without_multi_task": [(77.211, 0.144), (98.240, 0.181)],
    "segin": [(54.514, 0.112), (68.211, 0.158)],
}


@pytest.fixture(scope="module")
def ledger() -> claims.Ledger:
    return load_ledger(LEDGER, STEPS)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without a single result."""
    (tmp_path / "segin_core").mkdir()
    (tmp_path / "book").mkdir()
    (tmp_path / "_config.yml").touch()
    shutil.copy(LEDGER, tmp_path / "book")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def by_id(ledger: claims.Ledger, name: str) -> claims.claims.Claim:
    return next(claim for claim in ledger.claims if claim.id == name)


def cell(ledger: claims.Ledger, table: str, data: str, row: str, column: str) -> claims.claims.Claim:
    wanted = {"table": table, "data": data, "row": row, "column": column, "by": "cell"}
    return next(claim for claim in ledger.claims if claim.judge.model_dump() == wanted)


def score(value: float, better: tuple[float, float] | None = None) -> dict:
    """A score of the result files, 0.1 to both sides."""
    found = {"value": value, "interval": [value - 0.1, value + 0.1]}
    if better:
        found["segin_better_by"] = {"value": sum(better) / 2, "interval": list(better)}
    return found


def table(better: tuple[float, float] | None = (1.0, 2.0), methods=BASELINES, copies=(0.6, 0.6), **changes) -> dict:
    """A scores.json in which SEGIN is better than every method by the same interval.

    copies: the structure of r itself and of W itself; SEGIN has 0.9, all 0.1 to both sides.
    """
    rows = {name: {"scores": {column: score(1.0, better) for column in COLUMNS}} for name in methods}
    rows["segin"] = {"scores": {column: score(2.0) for column in COLUMNS} | {"structure": score(0.9)}}
    if copies:
        rows |= {name: {"scores": {"structure": score(value)}} for name, value in zip(COPIES, copies, strict=True)}
    names = {"frechet": "FD-EfficientNetLite0"} | dict.fromkeys(COLUMNS[1:], "ST-LPIPS (alex)")
    return {"dataset": "shoes", "edition": "cpu", "metrics": names, "methods": rows} | changes


def put(content: object, *, edition: str = "cpu", file: str = "table_1/scores.json", root: str = "runs") -> Path:
    """Write a result file into the project."""
    path = Path(root) / edition / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def answers(segin: float = 0.9, others: float = 0.5, **changes) -> dict:
    """A file about right answers with the same two numbers in every measure; where lower is better, 2 less them."""
    higher = ("part_colours", "structure", "double_retrieval")
    lower = ("part_delta_e", "right_answer", "right_answer_l1", "realism", "local_style")
    rows = dict.fromkeys((*COPIES, "n_of_r", "tint", *BASELINES), others) | {"segin": segin}
    measures = {name: {row: score(value) for row, value in rows.items()} for name in higher}
    measures |= {name: {row: score(2 - value) for row, value in rows.items()} for name in lower}
    return {"data": "shoes", "measures": measures} | changes


RIGHT_ANSWERS = "right_answers/scores.json"


def on_shoes(claim: claims.claims.Claim, ledger: claims.Ledger, edition: str = "cpu", **kwargs) -> claims.Outcome:
    return outcome(claim, ledger, dataset="shoes", edition=edition, **kwargs)


# --- the ledger -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "numbers", "columns"),
    [("table_1", TABLE_1, COLUMNS), ("ablations", TABLE_2, ("frechet", "to_truth"))],
)
def test_every_cell_of_the_tables_is_there(ledger, name, numbers, columns) -> None:
    listed = {
        (c.judge.data, c.judge.row, c.judge.column): c.paper
        for c in ledger.claims
        if isinstance(c.judge, claims.Cell) and c.judge.table == name
    }
    wanted = {
        (data, row, column): value
        for row, sets in numbers.items()
        for data, values in zip(("shoes", "bags"), sets, strict=True)
        for column, value in zip(columns, values, strict=True)
    }
    assert listed == wanted
    assert len(listed) == (48 if name == "table_1" else 28)


def test_cells_say_in_words_what_they_have_as_a_number(ledger) -> None:
    for claim in ledger.claims:
        if isinstance(claim.judge, claims.Cell) and claim.paper is not None:
            assert f" {claim.paper:.3f} on {claim.judge.data}" in claim.claim
            assert claim.judge.data in claim.where and "quote" not in claim.model_fields_set


@pytest.mark.parametrize(
    "word",
    ["MUNIT", "SIFT Flow", "PixelNN", "Deep Image Analogy", "anime", "faces", "greyscale", "part by part", "GPU"],
)
def test_statements_of_every_kind_are_there(ledger, word) -> None:
    assert any(word in claim.claim for claim in ledger.claims if not isinstance(claim.judge, claims.Cell))


@pytest.mark.parametrize("figure", [*(f"Fig. {i}" for i in (1, *range(3, 12))), "Table I,", "Table II,"])
def test_every_figure_of_results_is_claimed(ledger, figure) -> None:
    assert any(figure in f"{claim.where}," for claim in ledger.claims)


def test_every_section_has_claims_in_the_papers_order(ledger) -> None:
    assert tuple(dict.fromkeys(claim.section for claim in ledger.claims)) == claims.SECTIONS


def broken(change) -> str:
    """What is said of a short ledger after a change to it."""
    content = json.loads(CONTENT)
    first = next(c for c in content["claims"] if c["judge"]["by"] == "exhibit")
    less = next(c for c in content["claims"] if c["judge"].get("file") == "failures/warning.json")
    cells = [c for c in content["claims"] if c["judge"].get("column") == "frechet" and c["judge"]["by"] == "cell"]
    content["claims"] = [first, less, *cells]
    change(content["claims"], content)
    path = Path("broken.yaml")
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as caught:
        load_ledger(path, STEPS)
    message = str(caught.value)
    assert message.startswith("broken.yaml: ") and "\n" not in message
    return message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c, _: c[0].update(colour="red"), ["colour", "Extra inputs"]),
        (lambda c, _: c[0]["judge"].update(colour="red"), ["judge.exhibit.colour"]),
        (lambda c, _: c[0]["judge"].update(by="magic"), ["judge", "magic"]),
        (lambda c, _: c[0].pop("paper"), ["paper", "required"]),
        (lambda c, _: c[0].update(paper="0.1"), ["paper", "number"]),
        (lambda c, _: c[0].update(paper=float("nan")), ["paper", "finite"]),
        (lambda c, _: c[0].update(id="Not An Id"), ["pattern"]),
        (lambda c, _: c[0].update(where="Section IX"), ["where must begin"]),
        (lambda c, _: c[0].update(quote="word " * 15), ["shorter than 15 words"]),
        (lambda c, _: c[0].update(notebook=None), ["needs the notebook"]),
        (lambda c, _: c[0].update(notebook="comparsion"), ["'comparsion'", "there is no notebook"]),
        (lambda c, _: c[1].update(notebook="data"), ["notebook must be that of failures/warning.json"]),
        (lambda c, _: c[1]["judge"].update(pairs=[["a"]]), ["pairs.0.1", "required"]),
        (lambda c, _: c[1]["judge"].update(pairs=[["a / b / c", 1]]), ["pairs.0.0", "pattern"]),
        (lambda c, _: c[1]["judge"].update(file="../scores.json"), ["file", "pattern"]),
        (lambda c, _: c.append(dict(c[0])), ["is there twice"]),
        (lambda c, _: c.append(c[2] | {"id": "again"}), ["cell 'table_1 shoes pix2pix frechet' is there twice"]),
        (lambda c, _: [c.remove(x) for x in c[2:] if x["judge"]["row"] == "segin"], ["no number of segin there"]),
        (lambda c, _: c[1]["judge"].pop("merit"), ["judge.less.merit", "required"]),
        (lambda _, content: content.pop("margins"), ["margins", "required"]),
        (lambda _, content: content["margins"].update(frechet=0), ["margins.frechet", "greater than 0"]),
        (lambda _, content: content["chosen_on_test"].update(bags="k"), ["chosen_on_test.bags"]),
        (lambda _, content: content.update(claims=3), ["claims", "list"]),
        (lambda _, content: content.update(more=3), ["more"]),
    ],
)
def test_a_broken_ledger_is_one_sentence(project, change, words) -> None:
    message = broken(change)
    assert all(word in message for word in words), message


def test_a_faulty_claim_is_named_by_its_id(project) -> None:
    assert "grouped-data-are-scarce.paper: " in broken(lambda c, _: c[0].update(paper="x"))


def test_an_order_needs_two_numbers_of_the_paper(project) -> None:
    def ask(c, _):
        judge = {"by": "order", "table": "table_1", "data": "shoes", "columns": ["frechet"], "than": ["real"]}
        c.append(c[1] | {"id": "odd", "notebook": "table_1", "judge": judge})

    assert "odd: the paper's table has no number of real there" in broken(ask)

    def rank(c, _):
        judge = {"by": "ranking", "table": "table_1", "data": "shoes", "column": "frechet", "rows": ["munit", "real"]}
        c.append(c[1] | {"id": "odd", "notebook": "table_1", "judge": judge})

    assert "odd: the paper's table has no number of real there" in broken(rank)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("claims: [", "line 1"),
        ("claims: []\nclaims: []", "line 2 .claims is given twice"),
        ("", "dictionary"),
        (None, "there is no such ledger"),
    ],
)
def test_no_ledger_is_one_sentence(project, text, words) -> None:
    path = Path("other.yaml")
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        load_ledger(path)
    assert "\n" not in str(caught.value)


def test_the_default_ledger_is_the_books(project, ledger) -> None:
    assert load_ledger() == ledger


# --- result files -----------------------------------------------------------------------------------------------------


def test_own_runs_come_before_published_ones(project) -> None:
    assert result_file("cpu", "table_1", "scores.json") is None
    published = put(table(), root="published")
    assert result_file("cpu", "table_1", "scores.json") == project / published
    own = put(table())
    assert result_file("cpu", "table_1", "scores.json") == project / own


def test_results_of_several_editions_have_shoes_first_and_leave_gaps_out(project) -> None:
    put(table(), root="published")
    put(table() | {"dataset": "drawings"}, edition="quick")
    found = results_of(["quick", "paper", "cpu", "quick"], "table_1", "scores.json")
    assert [each["dataset"] for each in found] == ["shoes", "drawings"]


def test_the_paper_edition_testifies_before_cpu(project) -> None:
    put(table())
    put(table(edition="paper"), edition="paper", root="published")
    assert evidence("table_1/scores.json", dataset="shoes", edition="quick").edition == "paper"
    assert evidence("table_1/scores.json", dataset="OpenMoji", edition="quick") is None


def test_a_file_about_other_data_is_no_evidence(project) -> None:
    put(table(dataset="OpenMoji", edition="paper"), edition="paper")
    assert evidence("table_1/scores.json", dataset="shoes", edition="paper") is None
    put(table())
    assert evidence("table_1/scores.json", dataset="shoes", edition="paper").edition == "cpu"


@pytest.mark.parametrize("edition", ["quick", "cpu", "paper"])
@pytest.mark.parametrize("dataset", ["shoes", "OpenMoji"])
def test_smoke_is_no_evidence(project, edition, dataset) -> None:
    for root in ("runs", "published"):
        put(table(dataset=dataset, edition="smoke"), edition="smoke", root=root)
    assert evidence("table_1/scores.json", dataset=dataset, edition=edition) is None


def test_smoke_sees_itself_alone(project) -> None:
    put(table())
    put(table(dataset="OpenMoji", edition="quick"), edition="quick")
    assert evidence("table_1/scores.json", dataset="OpenMoji", edition="smoke") is None
    put(table(dataset="OpenMoji", edition="smoke"), edition="smoke")
    assert evidence("table_1/scores.json", dataset="OpenMoji", edition="smoke").edition == "smoke"
    assert evidence("table_1/scores.json", dataset="shoes", edition="smoke") is None


def test_every_claim_has_an_outcome_without_any_file(project, ledger) -> None:
    for claim in ledger.claims:
        for dataset in claims.EVIDENCE:
            found = outcome(claim, ledger, dataset=dataset, edition="quick")
            dash = isinstance(claim.judge, claims.Cell) and claim.paper is None
            without = Verdict.EXHIBIT if isinstance(claim.judge, claims.Exhibit) else Verdict.UNTESTED
            assert found.verdict is (Verdict.NOTHING if dash else without)
            assert dash or found.note


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["Invalid JSON", "line 1"]),
        ("[]", ["should be an object"]),
        (table(edition="smoke"), ["edition 'smoke'", "move it"]),
        ({"provenance": {"parameters": {"edition": "smoke"}}}, ["edition 'smoke'"]),
        ({"dataset": "shoes"}, ["edition", "required"]),
        (table(methods=[]) | {"methods": {"segin": 3}}, ["methods.segin"]),
        (table(methods=[]) | {"methods": {"segin": {"scores": {"frechet": {"value": 1.0}}}}}, ["interval"]),
    ],
)
def test_a_malformed_file_is_one_sentence(project, ledger, content, words) -> None:
    put(content)
    with pytest.raises(InputError) as caught:
        on_shoes(cell(ledger, "table_1", "shoes", "segin", "frechet"), ledger)
    message = str(caught.value)
    assert message.startswith("runs/cpu/table_1/scores.json: ") and "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "bad",
    [
        {"value": 1.0, "interval": [2.0, 1.0]},
        {"value": 1.0, "interval": [1.0]},
        {"value": 1.0, "interval": ["0", "2"]},
        {"value": "1", "interval": [0, 2]},
        {"value": float("nan"), "interval": [0, 2]},
        {"value": 1.0, "interval": [0, float("inf")]},
        1.0,
    ],
)
def test_a_score_that_is_none_is_named(project, ledger, bad) -> None:
    content = table()
    content["methods"]["pix2pix"]["scores"]["frechet"] = bad
    put(content)
    with pytest.raises(InputError, match=r"methods\.pix2pix\.scores\.frechet"):
        on_shoes(cell(ledger, "table_1", "shoes", "segin", "frechet"), ledger)
    put({"munit": {"style_distance_similar": bad, "style_distance_random": score(1)}}, file="comparison/collapse.json")
    with pytest.raises(InputError, match=r"collapse\.json: munit\.style_distance_similar"):
        on_shoes(by_id(ledger, "style-codes-collapse"), ledger)


# --- verdicts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paper", "interval", "verdict"),
    [
        (1, (0.1, 0.3), Verdict.DIRECTION),
        (1, (-0.1, 0.3), Verdict.UNDECIDED),
        (1, (0.0, 0.3), Verdict.UNDECIDED),
        (1, (-0.3, -0.1), Verdict.NOT),
        (-1, (-0.3, -0.1), Verdict.DIRECTION),
        (-1, (0.1, 0.3), Verdict.NOT),
        (0, (0.1, 0.3), Verdict.NOT),
        (0, (-0.3, -0.1), Verdict.NOT),
        (0, (-0.1, 0.1), Verdict.UNDECIDED),
        (1, None, Verdict.UNTESTED),
    ],
)
def test_verdict_of_an_order(paper, interval, verdict) -> None:
    assert Verdict.of_order(paper, interval) is verdict


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((-0.1, 0.2), Verdict.DIRECTION),
        ((-0.2, -0.1), Verdict.DIRECTION),
        ((-0.1, 0.3), Verdict.UNDECIDED),  # includes zero, and yet no proof of alikeness
        ((-0.5, -0.1), Verdict.UNDECIDED),
        ((0.3, 0.5), Verdict.NOT),
        ((-0.5, -0.3), Verdict.NOT),
        (None, Verdict.UNTESTED),
    ],
)
def test_alike_is_what_lies_within_the_margin(interval, verdict) -> None:
    assert Verdict.of_order(0, interval, margin=0.2) is verdict
    assert Verdict.of_order(1, (0.1, 0.15), margin=0.2) is Verdict.DIRECTION  # an order needs no margin


@pytest.mark.parametrize(
    ("interval", "inside"),
    [((91, 109), True), ((89, 109), False), ((91, 111), False), ((50, 150), False), ((120, 130), False)],
)
def test_the_whole_interval_has_to_lie_within_the_margin(interval, inside) -> None:
    assert within(interval, 100.0, 0.1) is inside
    assert within((0, 0), 0.0, 0.1)


def test_the_papers_order_knows_which_way_is_better() -> None:
    assert outcomes.paper_order(54.5, 75.4, "frechet") == 1
    assert outcomes.paper_order(0.145, 0.012, "diversity") == 1
    assert outcomes.paper_order(0.145, 0.301, "diversity") == -1
    assert outcomes.paper_order(0.112, 0.112, "to_truth") == 0


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([Verdict.DIRECTION, Verdict.DIRECTION], Verdict.DIRECTION),
        ([Verdict.DIRECTION, Verdict.UNDECIDED], Verdict.UNDECIDED),
        ([Verdict.DIRECTION, Verdict.UNTESTED], Verdict.UNDECIDED),
        ([Verdict.UNTESTED, Verdict.NOT], Verdict.NOT),
        ([Verdict.DIRECTION, Verdict.COPYING], Verdict.COPYING),
        ([Verdict.COPYING, Verdict.UNDECIDED], Verdict.UNDECIDED),
        ([Verdict.COPYING, Verdict.NOT], Verdict.NOT),
        ([Verdict.UNTESTED], Verdict.UNTESTED),
        ([], Verdict.UNTESTED),
    ],
)
def test_verdict_of_several_parts(parts, verdict) -> None:
    assert Verdict.of_all(parts) is verdict


@pytest.mark.parametrize(
    ("smaller", "larger", "verdict"),
    [
        ((1, 2), (3, 4), Verdict.DIRECTION),
        ((3, 4), (1, 2), Verdict.NOT),
        ((1, 3), (2, 4), Verdict.UNDECIDED),
        ((1, 2), (2, 3), Verdict.UNDECIDED),
        (None, (1, 2), Verdict.UNTESTED),
        ((1, 2), None, Verdict.UNTESTED),
    ],
)
def test_verdict_of_less(smaller, larger, verdict) -> None:
    assert Verdict.of_order(1, lead(smaller, larger)) is verdict


def test_ratio_bounds_are_the_extremes() -> None:
    corners = [a / b for a in (1, 2) for b in (4, 5)]
    assert ratio((1, 2), (4, 5)) == (min(corners), max(corners))
    assert ratio((1, 2), (0, 5)) == (0.2, float("inf"))


@pytest.mark.parametrize(
    ("column", "name", "same"),
    [
        ("frechet", "FID", True),
        ("frechet", "FID (Inception)", True),
        ("frechet", "FID-EfficientNetLite0", False),
        ("frechet", "FD-EfficientNetLite0", False),
        ("diversity", "LPIPS (alex)", True),
        ("to_truth", "LPIPS (AlexNet, v0.1)", True),
        ("to_truth", "LPIPS (vgg)", False),
        ("to_truth", "ST-LPIPS (alex)", False),
        ("to_truth", "", False),
        ("to_truth", None, False),
    ],
)
def test_the_papers_metrics_are_told_from_others(column, name, same) -> None:
    assert outcomes.is_papers_metric(column, name) is same


@pytest.mark.parametrize(
    ("better", "verdict"),
    [((1, 2), Verdict.DIRECTION), ((-1, 2), Verdict.UNDECIDED), ((-2, -1), Verdict.NOT)],
)
def test_a_baselines_cell(project, ledger, better, verdict) -> None:
    put(table(better))
    found = on_shoes(cell(ledger, "table_1", "shoes", "pix2pix", "frechet"), ledger)
    assert found.verdict is verdict
    assert found.ours == "1 [0.9, 1.1]" and found.metric == "FD-EfficientNetLite0"
    assert found.edition == "cpu" and found.file == "runs/cpu/table_1/scores.json"


@pytest.mark.parametrize(("real", "verdict"), [(3.0, Verdict.DIRECTION), (2.15, Verdict.UNDECIDED), (1.0, Verdict.NOT)])
def test_without_a_paired_difference_the_two_intervals_decide(project, ledger, real, verdict) -> None:
    content = table()
    content["methods"]["real"] = {"scores": {"diversity": score(real), "to_truth": score(4.0 - real)}}
    put(content)  # SEGIN's are 2 +- 0.1; in the paper real data are better in both columns
    assert on_shoes(cell(ledger, "table_1", "shoes", "real", "diversity"), ledger).verdict is verdict
    assert on_shoes(cell(ledger, "table_1", "shoes", "real", "to_truth"), ledger).verdict is verdict


def own_metrics(value: float, better: tuple[float, float], half: float = 1.0, **changes) -> dict:
    """A file in the paper's own metrics, in which pix2pix has this FID, `half` to both sides."""
    metrics = {"frechet": "FID", "diversity": "LPIPS (alex)", "to_reference": "LPIPS (alex)", "to_truth": None}
    content = table(better, metrics=metrics, edition="paper") | changes
    interval = [value - half, value + half]
    content["methods"]["pix2pix"]["scores"]["frechet"] = score(value, better) | {"interval": interval}
    return content


@pytest.mark.parametrize(
    ("value", "half", "better", "verdict"),
    [
        (75.45, 1, (1, 2), Verdict.HOLDS),
        (75.45, 1, (-2, -1), Verdict.HOLDS),
        (80.0, 1, (1, 2), Verdict.HOLDS),  # the whole interval within 10 % of 75.442
        (75.45, 8, (1, 2), Verdict.DIRECTION),  # a wide interval around the value proves nothing
        (82.5, 1, (1, 2), Verdict.DIRECTION),
        (82.5, 1, (-2, -1), Verdict.NOT),
    ],
)
def test_the_papers_own_value_is_found_within_a_margin(project, ledger, value, half, better, verdict) -> None:
    put(own_metrics(value, better, half), edition="paper")
    assert on_shoes(cell(ledger, "table_1", "shoes", "pix2pix", "frechet"), ledger).verdict is verdict


def test_the_papers_value_means_nothing_at_another_size_or_under_another_metric(project, ledger) -> None:
    claim = cell(ledger, "table_1", "shoes", "pix2pix", "frechet")
    put(own_metrics(75.45, (1, 2), edition="cpu"))
    assert on_shoes(claim, ledger).verdict is Verdict.DIRECTION
    names = table()["metrics"]
    put(own_metrics(75.45, (1, 2), metrics=names), edition="paper")
    assert on_shoes(claim, ledger).verdict is Verdict.DIRECTION


@pytest.mark.parametrize(
    ("exception", "verdict", "note"),
    [
        ((1, 2), Verdict.DIRECTION, ""),
        ((-1, 2), Verdict.UNDECIDED, "not decided against MUNIT"),
        ((-2, -1), Verdict.NOT, "not so against MUNIT"),
        (None, Verdict.UNDECIDED, "nothing on MUNIT"),  # part of the evidence is missing
    ],
)
def test_segins_own_cell_is_best_of_its_column_or_not(project, ledger, exception, verdict, note) -> None:
    content = table()
    content["methods"]["munit"]["scores"]["frechet"] = score(1.0, exception) if exception else None
    put(content)
    found = on_shoes(cell(ledger, "table_1", "shoes", "segin", "frechet"), ledger)
    assert (found.verdict, found.note) == (verdict, note)
    assert on_shoes(by_id(ledger, "most-realistic"), ledger).verdict is verdict
    assert on_shoes(by_id(ledger, "best-of-all-columns-shoes"), ledger).verdict is verdict
    assert on_shoes(by_id(ledger, "most-diverse"), ledger).verdict is Verdict.DIRECTION


def test_a_dash_is_not_waited_for(project, ledger) -> None:
    content = table()
    for name in ("pix2pix", "bicyclegan", "munit"):  # these have no reference
        content["methods"][name]["scores"]["to_reference"] = None
    put(content)
    assert on_shoes(by_id(ledger, "best-of-all-columns-shoes"), ledger).verdict is Verdict.DIRECTION
    assert on_shoes(cell(ledger, "table_1", "shoes", "munit", "to_reference"), ledger).verdict is Verdict.NOTHING


def test_a_missing_cell_is_not_tested(project, ledger) -> None:
    put(table(methods=["pix2pix"]))
    found = on_shoes(cell(ledger, "table_1", "shoes", "munit", "frechet"), ledger)
    assert found.verdict is Verdict.UNTESTED and found.file


def test_shoes_say_nothing_about_bags(project, ledger) -> None:
    put(table())
    for name in ("closer-to-reference-bags", "best-of-all-columns-bags", "table-1-bags-pix2pix-frechet"):
        assert on_shoes(by_id(ledger, name), ledger).verdict is Verdict.UNTESTED


def test_drawings_testify_apart_from_shoes(project, ledger) -> None:
    put(table((-2, -1)))
    put(table(dataset="OpenMoji", edition="quick"), edition="quick", root="published")
    claim = by_id(ledger, "most-diverse")
    found = {dataset: outcome(claim, ledger, dataset=dataset, edition="cpu") for dataset in claims.EVIDENCE}
    assert found["shoes"].verdict is Verdict.NOT
    assert found["OpenMoji"].verdict is Verdict.DIRECTION
    assert found["OpenMoji"].file == "published/quick/table_1/scores.json"


def test_table_ii_works_as_soon_as_there_are_ablations(project, ledger) -> None:
    content = table(methods=[f"without_{name}" for name in LEFT_OUT])
    truth = {name: method["scores"] for name, method in content["methods"].items()}
    truth["without_total_variation"]["to_truth"] = score(1.0, (-2, -1))
    put(content, file="ablations/scores.json")
    put(answers(), file=RIGHT_ANSWERS)

    def verdict(name: str) -> Verdict:
        return on_shoes(by_id(ledger, name), ledger).verdict

    assert verdict("ablations-best-fid") is Verdict.DIRECTION
    assert verdict("table-2-shoes-without-gan-frechet") is Verdict.DIRECTION
    # in the paper SEGIN is worse here than without total variation, and as good as without the adversarial loss
    assert verdict("without-total-variation-lowest-gt") is Verdict.DIRECTION
    assert verdict("table-2-shoes-segin-to-truth") is Verdict.DIRECTION
    assert verdict("table-2-shoes-without-gan-to-truth") is Verdict.NOT
    truth["without_total_variation"]["to_truth"] = score(1.0, (1, 2))
    put(content, file="ablations/scores.json")
    assert verdict("table-2-shoes-segin-to-truth") is Verdict.NOT


@pytest.mark.parametrize(
    ("claim", "row", "measure"),
    [
        ("without-gan-flat", "without_gan", "gradients"),
        ("without-reconstruction-other-colours", "without_reconstruction", "colours"),
        ("without-total-variation-mottled", "without_total_variation", "mottling"),
        ("without-non-local-no-propagation", "without_non_local", "propagation"),
        ("without-multi-task-ragged-edges", "without_multi_task", "edge"),
        ("corruption-teaches-repair", "without_damage", "right_answer"),
    ],
)
def test_what_breaks_without_a_part_is_judged_by_its_own_measure(project, ledger, claim, row, measure) -> None:
    content = table(methods=[f"without_{name}" for name in LEFT_OUT])
    put(answers(), file=RIGHT_ANSWERS)

    def judged(better: tuple[float, float] | None) -> Verdict:
        content["methods"].setdefault(row, {"scores": {}})["scores"] = {measure: score(1.0, better)} if better else {}
        put(content, file="ablations/scores.json")
        return on_shoes(by_id(ledger, claim), ledger).verdict

    assert judged(None) is Verdict.UNTESTED, "a row that is not trained"
    assert judged((1, 2)) is Verdict.DIRECTION
    assert judged((-1, 2)) is Verdict.UNDECIDED
    assert judged((-2, -1)) is Verdict.NOT


def test_pix2pix_varies_least(project, ledger) -> None:
    content = table()
    claim = by_id(ledger, "pix2pix-varies-least")
    for pix2pix, verdict in ((0.5, Verdict.DIRECTION), (1.0, Verdict.UNDECIDED), (3.0, Verdict.NOT)):
        content["methods"]["pix2pix"]["scores"]["diversity"] = score(pix2pix)
        put(content)
        assert on_shoes(claim, ledger).verdict is verdict
    del content["methods"]["munit"]
    content["methods"]["pix2pix"]["scores"]["diversity"] = score(0.5)
    put(content)
    found = on_shoes(claim, ledger)
    assert found.verdict is Verdict.UNDECIDED and found.note == "nothing on MUNIT"
    assert found.metric == "ST-LPIPS (alex)" and found.ours == "pix2pix: diversity 0.5 [0.4, 0.6]"


@pytest.mark.parametrize(
    ("munit", "segin", "collapse", "still_diverse"),
    [
        (1.0, 4.0, Verdict.DIRECTION, Verdict.DIRECTION),
        (4.0, 1.0, Verdict.NOT, Verdict.NOT),
        (2.0, 2.0, Verdict.UNDECIDED, Verdict.UNDECIDED),
    ],
)
def test_collapse_is_judged_by_the_share_of_diversity_that_is_left(
    project, ledger, munit, segin, collapse, still_diverse
) -> None:
    put(answers(), file=RIGHT_ANSWERS)
    content = {
        "munit": {"diversity_similar": score(munit), "diversity_random": score(5.0)},
        "segin": {"diversity_similar": score(segin), "diversity_random": score(5.0)},
    }
    put(content, file="comparison/collapse.json")
    found = on_shoes(by_id(ledger, "munit-collapses"), ledger)
    assert found.verdict is collapse
    assert "munit diversity similar" in found.ours and " / " in found.ours
    assert on_shoes(by_id(ledger, "segin-diverse-for-similar-references"), ledger).verdict is still_diverse
    assert on_shoes(by_id(ledger, "style-codes-collapse"), ledger).verdict is Verdict.UNTESTED


@pytest.mark.parametrize(("share", "verdict"), [(0.5, "holds in direction"), (1.05, "undecided"), (2, "does not hold")])
@pytest.mark.parametrize(
    ("name", "row"), [("fig-5-resembles-reference", "N(x, W)"), ("fig-8-colourisation", "colourisation")]
)
def test_likeness_to_the_reference_is_a_share_below_one(project, ledger, share, verdict, name, row) -> None:
    claim = by_id(ledger, name)
    put(answers(data="OpenMoji"), edition="quick", file=RIGHT_ANSWERS)
    content = {"scores": {row: {"ST-LPIPS to reference, share of the ground truth's": score(share)}}}
    put(content, edition="quick", file=claim.judge.file)
    assert outcome(claim, ledger, dataset="OpenMoji", edition="cpu").verdict == verdict


def test_grey_drawings_are_drawings_in_every_edition(project, ledger) -> None:
    claim = by_id(ledger, "fig-8-colourisation")
    content = {"scores": {"colourisation": {"ST-LPIPS to reference, share of the ground truth's": score(0.5)}}}
    put(content, edition="cpu", file=claim.judge.file)
    put(answers(data="OpenMoji"), edition="quick", file=RIGHT_ANSWERS)
    assert on_shoes(claim, ledger).verdict is Verdict.UNTESTED
    found = outcome(claim, ledger, dataset="OpenMoji", edition="quick")
    assert found.verdict is Verdict.DIRECTION and found.edition == "cpu"
    put(content, edition="smoke", file=claim.judge.file)
    assert outcome(claim, ledger, dataset="OpenMoji", edition="smoke").edition == "smoke"


@pytest.mark.parametrize(
    ("seconds", "size", "verdict"),
    [(0.9, 256, Verdict.DIRECTION), (1.1, 256, Verdict.UNDECIDED), (0.9, 64, Verdict.UNTESTED)],
)
def test_a_slower_machine_does_not_refute_a_duration(project, ledger, seconds, size, verdict) -> None:
    put({"paper": {"s_whole_seconds": seconds, "size": size}}, file="speed/match.json")
    assert on_shoes(by_id(ledger, "match-seconds"), ledger).verdict is verdict


def test_a_duration_must_be_a_number(project, ledger) -> None:
    put({"paper": {"s_whole_seconds": "fast", "size": 256}}, file="speed/match.json")
    with pytest.raises(InputError, match=r"paper\.s_whole_seconds: .*valid number"):
        on_shoes(by_id(ledger, "match-seconds"), ledger)
    put({"paper": {"size": 256}}, file="speed/match.json")
    assert on_shoes(by_id(ledger, "match-seconds"), ledger).verdict is Verdict.UNTESTED


# --- where copying would do as well -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("copies", "verdict", "note"),
    [
        ((0.6, 0.6), Verdict.DIRECTION, ""),
        ((0.8, 0.6), Verdict.COPYING, "structure no better than that of r itself"),
        ((0.6, 1.0), Verdict.COPYING, "structure no better than that of W itself"),
        ((0.9, 0.9), Verdict.COPYING, "structure no better than that of r itself and W itself"),
        (None, Verdict.COPYING, "no score of structure beside r and W"),
    ],
)
def test_what_speaks_for_segin_needs_a_structure_above_both_copies(project, ledger, copies, verdict, note) -> None:
    content = table(copies=copies)
    if copies is None:
        del content["methods"]["segin"]["scores"]["structure"]
    put(content)
    found = on_shoes(by_id(ledger, "most-realistic"), ledger)
    assert (found.verdict, found.note) == (verdict, note)
    assert on_shoes(cell(ledger, "table_1", "shoes", "munit", "frechet"), ledger).verdict is verdict
    # nor is SEGIN's lead to be had by naming it last
    assert on_shoes(by_id(ledger, "pix2pix-varies-least"), ledger).comparisons[-1].verdict is verdict
    # what says nothing for SEGIN needs no such evidence, and what is refuted stays so
    assert on_shoes(by_id(ledger, "bicyclegan-and-munit-alike"), ledger).verdict is Verdict.UNDECIDED
    put(table((-2, -1), copies=copies))
    assert on_shoes(by_id(ledger, "most-realistic"), ledger).verdict is Verdict.NOT


@pytest.mark.parametrize(
    ("lead", "verdict"), [((0.05, 0.1), Verdict.DIRECTION), ((-0.1, -0.05), Verdict.NOT), ((-0.1, 0.1), "overlap")]
)
def test_two_compared_methods_are_ordered_by_their_paired_difference(project, ledger, lead, verdict) -> None:
    content = table()
    claim = by_id(ledger, "order-of-others-shoes-diversity")

    def of_pair(first: str, second: str) -> Verdict:
        found = on_shoes(claim, ledger).comparisons
        return next(each.verdict for each in found if each.between == ("diversity", *sorted((first, second))))

    put(content)
    assert of_pair("bicyclegan", "pix2pix") is Verdict.UNDECIDED  # the two intervals overlap
    paired = {"bicyclegan": {"value": -sum(lead) / 2, "interval": [-lead[1], -lead[0]]}}
    content["methods"]["pix2pix"]["scores"]["diversity"]["leads"] = paired
    put(content)  # the paper has BicycleGAN ahead
    assert of_pair("bicyclegan", "pix2pix") is (Verdict.UNDECIDED if verdict == "overlap" else verdict)


def test_a_row_that_is_missing_is_not_beaten(project, ledger) -> None:
    content = table()
    del content["methods"]["w"]
    put(content)
    found = on_shoes(by_id(ledger, "most-realistic"), ledger)
    assert (found.verdict, found.note) == (Verdict.COPYING, "structure no better than that of W itself")


def test_structure_is_taken_from_the_right_answers_where_the_own_file_has_none(project, ledger) -> None:
    content = table(copies=None)
    del content["methods"]["segin"]["scores"]["structure"]
    put(content)
    claim = by_id(ledger, "most-realistic")
    for others, verdict in ((0.5, Verdict.DIRECTION), (0.8, Verdict.COPYING)):
        put(answers(others=others), file=RIGHT_ANSWERS)
        assert on_shoes(claim, ledger).verdict is verdict
    put(table())  # its own structure comes first
    assert on_shoes(claim, ledger).verdict is Verdict.DIRECTION


@pytest.mark.parametrize(
    ("segin", "verdict"), [(0.9, "holds in direction"), (0.5, "undecided"), (0.1, "does not hold")]
)
def test_local_control_is_judged_where_the_right_answer_is_known(project, ledger, segin, verdict) -> None:
    judged = [c for c in ledger.claims if c.judge.by == "answers" and c.judge.row == "segin"]
    assert len(judged) >= 8
    put(answers(segin), file=RIGHT_ANSWERS)
    for claim in judged:
        found = on_shoes(claim, ledger)
        assert found.verdict == verdict, claim.id
        assert found.ours.startswith("SEGIN: ")


def test_a_measure_that_the_data_cannot_have_is_left_out(project, ledger) -> None:
    claim = by_id(ledger, "semantic-control-keeps-parts")
    content = answers()
    del content["measures"]["part_colours"]  # photos have no parts
    put(content, file=RIGHT_ANSWERS)
    assert on_shoes(claim, ledger).verdict is Verdict.DIRECTION
    content["measures"]["local_style"]["w"] = None
    put(content, file=RIGHT_ANSWERS)
    assert on_shoes(claim, ledger).note == "nothing on W itself"
    del content["measures"]["local_style"]
    put(content, file=RIGHT_ANSWERS)
    found = on_shoes(claim, ledger)
    assert (found.verdict, found.note) == (Verdict.UNTESTED, "the file has no such measure")


@pytest.mark.parametrize(("munit", "verdict"), [(0.1, Verdict.DIRECTION), (0.5, Verdict.UNDECIDED), (0.9, Verdict.NOT)])
def test_a_style_code_that_does_more_than_a_tint_refutes(project, ledger, munit, verdict) -> None:
    content = answers()
    content["measures"]["part_colours"]["munit_ref"] = score(munit)
    content["measures"]["local_style"]["munit_ref"] = score(2 - munit)
    put(content, file=RIGHT_ANSWERS)
    assert on_shoes(by_id(ledger, "global-style-only-overall"), ledger).verdict is verdict


@pytest.mark.parametrize(
    ("bicyclegan", "munit", "half", "verdict"),
    [
        (1.0, 1.0, 0.04, Verdict.DIRECTION),
        (1.0, 1.0, 0.10, Verdict.UNDECIDED),
        (1.0, 1.1, 0.04, Verdict.UNDECIDED),
        (1.0, 1.5, 0.04, Verdict.NOT),
    ],
)
def test_alike_in_diversity_needs_narrow_intervals(project, ledger, bicyclegan, munit, half, verdict) -> None:
    content = table()
    for name, value in (("bicyclegan", bicyclegan), ("munit", munit)):
        interval = [value - half, value + half]
        content["methods"][name]["scores"]["diversity"] = score(value) | {"interval": interval}
    put(content)
    assert on_shoes(by_id(ledger, "bicyclegan-and-munit-alike"), ledger).verdict is verdict


def test_the_other_methods_are_ranked_pair_by_pair(project, ledger) -> None:
    claim, content = by_id(ledger, "order-of-others-shoes-frechet"), table()
    for name, value in (("bicyclegan", 50), ("pix2pix", 60), ("munit", 70), ("munit_ref", 70)):
        content["methods"][name]["scores"]["frechet"] = score(value)
    put(content)
    found = on_shoes(claim, ledger)  # the paper: 62.5, 75.4, 80.9, 80.9; pix2pix and MUNIT differ by less than 10 %
    assert found.verdict is Verdict.NOT and found.note == "not so against pix2pix / MUNIT, pix2pix / MUNIT+ref"
    content["methods"]["pix2pix"]["scores"]["frechet"] = score(69)
    put(content)
    assert on_shoes(claim, ledger).verdict is Verdict.DIRECTION
    assert len(distinct([on_shoes(claim, ledger)])) == 6


def test_a_row_takes_the_place_of_another_wherever_there_is_one() -> None:
    content = {
        "methods": {"segin": {"scores": 1}, "copy_r": {"scores": 2}, "pix2pix": {"scores": {"segin_better_by": 3}}},
        "measures": {"structure": {"segin": 4, "copy_r": 5}, "realism": {"segin": 6}},
        "others": {"copy_r": 7},
        "edition": "cpu",
    }
    kept = json.dumps(content)
    assert with_row_in_place(content, "copy_r", "segin") == {
        "methods": {"segin": {"scores": 2}, "copy_r": {"scores": 2}, "pix2pix": {"scores": {}}},
        "measures": {"structure": {"segin": 5, "copy_r": 5}, "realism": {}},
        "others": {"copy_r": 7},
        "edition": "cpu",
    }
    assert json.dumps(content) == kept
    assert with_row_in_place(content, "segin", "segin") == content


def everything(ledger: claims.Ledger, dataset: str, in_place: str) -> dict[str, claims.Outcome]:
    return {c.id: outcome(c, ledger, dataset=dataset, edition="cpu", in_place=in_place) for c in ledger.claims}


def for_segin(found: dict[str, claims.Outcome]) -> list[str]:
    """The claims that speak for SEGIN and are upheld."""
    return [name for name, o in found.items() if o.verdict.upheld and any(each.merit for each in o.comparisons)]


def test_nothing_holds_with_a_copy_in_segins_place(project, ledger) -> None:
    content, known = table(), answers()
    for name in COPIES:  # as on the shoes: the copies win each of the paper's columns, not the structure
        best = {"frechet": score(0.5), "diversity": score(9.0), "to_reference": score(0.0), "to_truth": score(0.0)}
        content["methods"][name]["scores"] |= best
        known["measures"]["realism"][name] = score(0.0)
    put(content)
    put(known, file=RIGHT_ANSWERS)
    put(
        {"scores": {"N(x, W)": {"ST-LPIPS to reference, share of the ground truth's": score(0.5)}}},
        file="results/metrics.json",
    )
    assert len(for_segin(everything(ledger, "shoes", "segin"))) >= 25
    for name in COPIES:
        found = everything(ledger, "shoes", name)
        assert for_segin(found) == []
        lowered = [claim for claim, o in found.items() if o.verdict is Verdict.COPYING]
        assert {"most-realistic", "most-diverse", "closer-to-reference-shoes", "fig-5-resembles-reference"} <= set(
            lowered
        )


def test_each_comparison_counts_once(project, ledger) -> None:
    put(table())
    found = everything(ledger, "shoes", "segin")
    restated = (
        "most-realistic",
        "best-of-all-columns-shoes",
        "table-1-shoes-segin-frechet",
        "realistic-diverse-similar",
    )
    once = distinct(found[name] for name in restated)
    wanted = {
        (c, *sorted(("segin", row))) for c in COLUMNS for row in BASELINES if c != "to_reference" or row == "munit_ref"
    }
    assert {key[1:] for key in once} == wanted
    assert set(once) == {("runs/cpu/table_1/scores.json", *key) for key in wanted}
    assert distinct([found["noise-is-ignored"]]).keys() <= distinct([found["order-of-others-shoes-diversity"]]).keys()


def test_choices_made_on_test_pictures_are_marked(project, ledger) -> None:
    put(table())
    put(table(dataset="OpenMoji", edition="quick"), edition="quick")
    claim = by_id(ledger, "most-realistic")
    assert on_shoes(claim, ledger).mark == ledger.chosen_on_test["shoes"] != ""
    assert outcome(claim, ledger, dataset="OpenMoji", edition="cpu").mark == ""
    put(table((-2, -1)))
    assert on_shoes(claim, ledger).mark == ""  # what does not hold in spite of the choice needs no mark
    put(table())
    assert on_shoes(by_id(ledger, "noise-is-ignored"), ledger).mark == ""  # nor what is not about SEGIN


def test_avatars_have_folders_of_their_own(project, ledger) -> None:
    claim = by_id(ledger, "semantic-control-keeps-parts")
    put(answers(data="avatars"), edition="quick", file="right_answers-avatars/scores.json")
    put(answers(0.1, data="OpenMoji"), edition="quick", file=RIGHT_ANSWERS)

    def verdict(dataset: str, edition: str) -> Verdict:
        return outcome(claim, ledger, dataset=dataset, edition=edition).verdict

    assert verdict("avatars", "cpu") is Verdict.DIRECTION
    assert verdict("OpenMoji", "cpu") is Verdict.NOT
    assert verdict("avatars", "smoke") is Verdict.UNTESTED
    put(answers(data="avatars"), edition="smoke", file="right_answers-avatars/scores.json")
    assert verdict("avatars", "smoke") is Verdict.DIRECTION
    put(answers(data="shoes"), edition="quick", file="right_answers-avatars/scores.json")
    assert verdict("avatars", "cpu") is Verdict.UNTESTED


def test_exhibits_are_figures_that_the_book_has(ledger) -> None:
    exhibits = [claim for claim in ledger.claims if isinstance(claim.judge, claims.Exhibit)]
    for claim in exhibits:
        cells = json.loads((ROOT / "book" / f"{claim.notebook}.ipynb").read_text())["cells"]
        lines = "".join("".join(c["source"]) + "\n" for c in cells if c["cell_type"] == "markdown").split("\n")
        assert f"## {claim.judge.figure}" in lines, claim.id
        assert any(c["id"] == claim.judge.picture and c["metadata"].get("caption") for c in cells), claim.id


def test_what_names_segin_as_the_better_one_speaks_for_it(ledger) -> None:
    for claim in (c for c in ledger.claims if c.judge.by == "less"):
        lower, higher = zip(*claim.judge.pairs, strict=True)
        named = any(
            word in str(part) for part in (*lower, *higher) for word in ("segin", "n_better_by", ".N.", "N(x, W)")
        )
        assert claim.judge.merit or not named, claim.id


def test_what_is_published_can_be_judged(project, ledger) -> None:
    if (ROOT / "published").is_dir():
        shutil.copytree(ROOT / "published", "published", ignore=shutil.ignore_patterns("*.ipynb"))
    for dataset in claims.EVIDENCE:
        assert {o.verdict for o in everything(ledger, dataset, "segin").values()} <= set(Verdict)
        for name in COPIES:  # and r or W in SEGIN's place upholds nothing of what speaks for SEGIN
            assert for_segin(everything(ledger, dataset, name)) == []
