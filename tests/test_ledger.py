"""The ledger has every number of the paper's tables; each verdict comes out of made-up result files as it should."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from notebooks import STEPS
from segin_core.book import ledger as claims
from segin_core.book.ledger import Verdict, load_ledger, outcome, outcomes
from segin_core.book.ledger.result_files import evidence
from segin_core.book.paths import result_file, results_of
from segin_core.errors import InputError

ROOT = Path(__file__).parent.parent
LEDGER = ROOT / "book" / "claims.yaml"
CONTENT = json.dumps(yaml.safe_load(LEDGER.read_text()))
BASELINES = ("pix2pix", "bicyclegan", "munit", "munit_ref")
LEFT_OUT = ("gan", "reconstruction", "feature", "total_variation", "non_local", "multi_task")
COLUMNS = ("frechet", "diversity", "to_reference", "to_truth")

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


def table(better: tuple[float, float] | None = (1.0, 2.0), methods=BASELINES, **changes) -> dict:
    """A scores.json in which SEGIN is better than every method by the same interval."""
    rows = {name: {"scores": {column: score(1.0, better) for column in COLUMNS}} for name in methods}
    rows["segin"] = {"scores": {column: score(2.0) for column in COLUMNS}}
    names = {"frechet": "FD-EfficientNetLite0"} | dict.fromkeys(COLUMNS[1:], "ST-LPIPS (alex)")
    return {"dataset": "shoes", "edition": "cpu", "metrics": names, "methods": rows} | changes


def put(content: object, *, edition: str = "cpu", file: str = "table_1/scores.json", root: str = "runs") -> Path:
    """Write a result file into the project."""
    path = Path(root) / edition / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def on_shoes(claim: claims.claims.Claim, ledger: claims.Ledger, edition: str = "cpu") -> claims.Outcome:
    return outcome(claim, ledger, dataset="shoes", edition=edition)


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
    first = next(c for c in content["claims"] if c["judge"]["by"] == "eye")
    less = next(c for c in content["claims"] if c["judge"]["by"] == "less")
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
        (lambda c, _: c[0]["judge"].update(colour="red"), ["judge.eye.colour"]),
        (lambda c, _: c[0]["judge"].update(by="magic"), ["judge", "magic"]),
        (lambda c, _: c[0].pop("paper"), ["paper", "required"]),
        (lambda c, _: c[0].update(paper="0.1"), ["paper", "number"]),
        (lambda c, _: c[0].update(paper=float("nan")), ["paper", "finite"]),
        (lambda c, _: c[0].update(id="Not An Id"), ["pattern"]),
        (lambda c, _: c[0].update(where="Section IX"), ["where must begin"]),
        (lambda c, _: c[0].update(quote="word " * 15), ["shorter than 15 words"]),
        (lambda c, _: c[0].update(notebook=None), ["needs the notebook"]),
        (lambda c, _: c[0].update(notebook="comparsion"), ["'comparsion'", "there is no notebook"]),
        (lambda c, _: c[1].update(notebook="data"), ["notebook must be that of table_1/scores.json"]),
        (lambda c, _: c[1]["judge"].update(pairs=[["a"]]), ["pairs.0.1", "required"]),
        (lambda c, _: c[1]["judge"].update(pairs=[["a / b / c", 1]]), ["pairs.0.0", "pattern"]),
        (lambda c, _: c[1]["judge"].update(file="../scores.json"), ["file", "pattern"]),
        (lambda c, _: c.append(dict(c[0])), ["is there twice"]),
        (lambda c, _: c.append(c[2] | {"id": "again"}), ["cell 'table_1 shoes pix2pix frechet' is there twice"]),
        (lambda c, _: [c.remove(x) for x in c[2:] if x["judge"]["row"] == "segin"], ["no number of segin there"]),
        (lambda _, content: content.update(claims=3), ["claims", "list"]),
        (lambda _, content: content.update(more=3), ["more"]),
    ],
)
def test_a_broken_ledger_is_one_sentence(project, change, words) -> None:
    message = broken(change)
    assert all(word in message for word in words), message


def test_a_faulty_claim_is_named_by_its_id(project) -> None:
    assert "global-style-only-overall.paper: " in broken(lambda c, _: c[0].update(paper="x"))


def test_an_order_needs_two_numbers_of_the_paper(project) -> None:
    def ask(c, _):
        judge = {"by": "order", "table": "table_1", "data": "shoes", "columns": ["frechet"], "than": ["real"]}
        c.append(c[1] | {"id": "odd", "judge": judge})

    assert "odd: the paper's table has no number of real there" in broken(ask)


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
            assert found.verdict is (Verdict.NOTHING if dash else Verdict.UNTESTED)
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
    assert Verdict.of_order(1, outcomes.lead(smaller, larger)) is verdict


def test_ratio_bounds_are_the_extremes() -> None:
    corners = [a / b for a in (1, 2) for b in (4, 5)]
    assert outcomes.ratio((1, 2), (4, 5)) == (min(corners), max(corners))
    assert outcomes.ratio((1, 2), (0, 5)) == (0.2, float("inf"))


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


def own_metrics(value: float, better: tuple[float, float], **changes) -> dict:
    """A file in the paper's own metrics, in which pix2pix has this FID."""
    metrics = {"frechet": "FID", "diversity": "LPIPS (alex)", "to_reference": "LPIPS (alex)", "to_truth": None}
    content = table(better, metrics=metrics, edition="paper") | changes
    content["methods"]["pix2pix"]["scores"]["frechet"] = score(value, better)
    return content


@pytest.mark.parametrize(
    ("value", "better", "verdict"),
    [
        (75.45, (1, 2), Verdict.HOLDS),
        (75.45, (-2, -1), Verdict.HOLDS),
        (80.0, (1, 2), Verdict.DIRECTION),
        (80.0, (-2, -1), Verdict.NOT),
    ],
)
def test_the_papers_own_value_can_be_found(project, ledger, value, better, verdict) -> None:
    put(own_metrics(value, better), edition="paper")
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
        ((-1, 2), Verdict.UNDECIDED, "no difference seen to munit"),
        ((-2, -1), Verdict.NOT, "not so against munit"),
        (None, Verdict.UNDECIDED, "nothing on munit"),  # part of the evidence is missing
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
    assert found.verdict is Verdict.UNDECIDED and found.note == "the file has no methods.munit.scores.diversity"
    assert found.metric == "ST-LPIPS (alex)" and "pix2pix diversity 0.5 [0.4, 0.6]" in found.ours


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
    content = {"scores": {row: {"ST-LPIPS to reference, share of the ground truth's": score(share)}}}
    put(content, edition="quick", file=claim.judge.file)
    assert outcome(claim, ledger, dataset="OpenMoji", edition="cpu").verdict == verdict


def test_grey_drawings_are_drawings_in_every_edition(project, ledger) -> None:
    claim = by_id(ledger, "fig-8-colourisation")
    content = {"scores": {"colourisation": {"ST-LPIPS to reference, share of the ground truth's": score(0.5)}}}
    put(content, edition="cpu", file=claim.judge.file)
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


def test_what_is_published_can_be_judged(project, ledger) -> None:
    if (ROOT / "published").is_dir():
        shutil.copytree(ROOT / "published", "published", ignore=shutil.ignore_patterns("*.ipynb"))
    for claim in ledger.claims:
        for dataset in claims.EVIDENCE:
            assert outcome(claim, ledger, dataset=dataset, edition="quick").verdict in Verdict
