"""The benchmarks: fair turns, honest skips, variants that agree, and JSON that the chapter can read."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from other_ways import FaissSearch, draft_way, literal_match, random_vgg19
from semantic_match import arguments, expected_seconds, gflop, growth, matrix_products, measure_draft, reasons_to_skip
from semantic_match import main as time_matching
from timing import CAN_RESET_PEAK, RETURN_MEMORY, interleaved, peak_while, power_law, ratio
from training_step import main as time_training
from translator import arguments as network_arguments
from translator import calibrated, folded, inputs
from translator import main as time_network

from segin_core.matching import auxiliary_image, match
from segin_core.vgg import VGGFeatures

ROOT = Path(__file__).parent.parent


def test_every_variant_has_one_turn_a_round() -> None:
    calls = []
    runs = {name: lambda name=name: calls.append(name) or float(len(calls)) for name in "abc"}
    times = interleaved(runs, rounds=6, seed=1)
    assert len(calls) == 3 * 7 and all(len(found) == 6 for found in times.values())
    turns = [calls[i : i + 3] for i in range(3, len(calls), 3)]
    assert all(sorted(turn) == ["a", "b", "c"] for turn in turns) and len(set(map(tuple, turns))) > 1
    # the seconds kept are those of the rounds after the first
    assert sorted(t for found in times.values() for t in found) == list(range(4, 22))


def test_slow_variants_get_fewer_rounds() -> None:
    assert len(interleaved({"a": lambda: 2.0}, rounds=50, seed=0, budget=10)["a"]) == 5
    assert len(interleaved({"a": lambda: 20.0}, rounds=50, seed=0, budget=10)["a"]) == 3


def test_a_ratio_takes_rounds_together() -> None:
    floor = [1.0, 2.0, 9.0, 1.5, 3.0]  # a machine that is busy now and then
    found = ratio([2 * each for each in floor], floor)
    assert found == {"value": 2.0, "interval": [2.0, 2.0]}


def test_power_law_is_recovered() -> None:
    found = power_law([64, 128, 512], [3 * size**2.5 for size in (64, 128, 512)])
    assert found == {"factor": pytest.approx(3), "exponent": pytest.approx(2.5)}


def test_growth_needs_three_sizes() -> None:
    cases = [{"layer": "relu4_1", "size": s, "variants": {"search": {"ms": {"value": s**4}}}} for s in (64, 128, 256)]
    assert growth(cases[:2]) == []
    assert growth(cases)[0]["exponent"] == pytest.approx(4)


@pytest.mark.skipif(not CAN_RESET_PEAK, reason="other systems cannot set their peak back")
def test_peak_memory_is_seen_again_after_it_was_freed() -> None:
    for size in (200, 100):
        seen = peak_while(lambda size=size: np.ones(size * 2**20, np.uint8).sum())
        assert 0.9 * size < seen / 2**20 < 1.5 * size


def test_expected_seconds_follow_their_laws() -> None:
    before = (128, {"vgg_fp32": 1.0, "s_fp32": 1.5, "search": 0.5})
    assert expected_seconds("vgg_fp32", 256, before) == 4
    assert expected_seconds("search", 256, before) == 8
    assert expected_seconds("s_fp32", 256, before) == 4 + 8
    assert expected_seconds("search_faiss", 256, before) == float("inf")


def test_what_does_not_fit_is_skipped_with_a_reason() -> None:
    asked = Namespace(patch=3, limit=2.0, memory_limit=0.5)
    times = dict.fromkeys(["vgg_fp32", "vgg_bf16", "search_literal", "search"], 0.3)
    why = reasons_to_skip("relu2_1", 256, (128, times), asked)
    assert "GB" in why["search_literal"] and "about 5 s" in why["search"] and "smaller size" in why["s_bf16"]
    assert "vgg_fp32" not in why
    assert "less than a patch" in reasons_to_skip("relu5_1", 32, None, asked)["s_fp32"]


def test_literal_and_faiss_find_the_same_index(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    fx, fr = torch.rand(1, 16, 12, 10, generator=generator), torch.rand(1, 16, 9, 14, generator=generator)
    for patch in (1, 3):
        index = match(fx, fr, patch)[0]
        assert torch.equal(literal_match(fx, fr, patch), index)
        if FaissSearch.installed():
            with FaissSearch(tmp_path) as faiss:
                seconds, found = faiss.search(fx, fr, patch)
            assert torch.equal(found, index) and 0 < seconds < 60


def test_the_drafts_way_gives_our_picture() -> None:
    features = VGGFeatures(layers=("relu5_1",))
    x, r = torch.rand(1, 1, 64, 64) * 2 - 1, torch.rand(1, 3, 64, 64) * 2 - 1
    w, index = draft_way(x, r, features)
    ours = auxiliary_image(x, r, features, layer="relu5_1", patch=1)
    assert torch.equal(index, ours.index) and torch.equal(w, ours.image)


def test_operations_are_counted() -> None:
    convolution, image = torch.nn.Conv2d(8, 16, 3, padding=1), torch.rand(1, 8, 32, 32)
    assert gflop(lambda: convolution(image)) == pytest.approx(2 * 8 * 16 * 9 * 32 * 32 / 1e9)
    assert [gflop(run) for run in matrix_products(0).values()] == [pytest.approx(2 * 2048**3 / 1e9)] * 2


def test_the_drafts_way_is_timed_beside_what_the_processor_can_do(tmp_path: Path) -> None:
    asked = arguments(["--rounds", "3", "--draft-size", "64", "-o", str(tmp_path / "match.json")])
    found = measure_draft(64, asked)
    assert set(found["ms"]) == set(found["gflops"]) == {"draft", "ours_fp32", "ours_bf16", "matmul_fp32", "matmul_bf16"}
    assert found["same_index"] == 1 and found["ceiling"]["value"] > 0
    # the same sums, whatever the arithmetic; the search differs by little
    work = {name: found["gflops"][name] * found["ms"][name]["value"] / 1000 for name in found["ms"]}
    assert work["draft"] == pytest.approx(work["ours_fp32"], rel=0.01) == pytest.approx(work["ours_bf16"], rel=0.01)


def test_random_vgg19_keeps_the_size_of_activations(tmp_path: Path) -> None:
    features = random_vgg19(tmp_path, seed=0)
    found = features(torch.randn(1, 3, 64, 64).clamp(-1, 1))["relu5_1"]
    assert len(features.convolutions) == 13 and found.shape == (1, 512, 4, 4)
    assert 0.1 < found.square().mean().sqrt() < 10
    assert not list(tmp_path.iterdir())


def test_folding_changes_nothing() -> None:
    network = calibrated(4, 32, seed=0)
    assert torch.equal(calibrated(4, 32, seed=0)(*inputs(1, 32, seed=9)).image, network(*inputs(1, 32, seed=9)).image)
    x, w = inputs(2, 32, seed=9)
    once = folded(network)
    assert not [m for m in once.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for ours, other in zip(once(x, w), network(x, w), strict=True):
        torch.testing.assert_close(ours, other, atol=1e-4, rtol=1e-3)
    assert network(x, w).image.std() > 0.05  # calibrated: a picture, not grey


def test_matching_script_writes_its_json(tmp_path: Path) -> None:
    file = tmp_path / "match.json"
    time_matching(["--sizes", "32", "48", "--layers", "relu3_1", "--rounds", "3", "-o", str(file)])
    result = json.loads(file.read_text())
    assert [(case["size"], case["grid"]) for case in result["cases"]] == [(32, [8, 8]), (48, [12, 12])]
    for case in result["cases"]:
        assert not set(case["skipped"]) - {"search_faiss"}
        for name, found in case["variants"].items():
            low, high = found["ms"]["interval"]
            assert 0 < low <= found["ms"]["value"] <= high and found["rounds"] == 3
            assert name.startswith("vgg") or "ratio" in found
        exact = [found["same_index"] for name, found in case["variants"].items() if "32" in name or "search" in name
                 if "same_index" in found]  # fmt: skip
        assert min(exact) >= 0.99  # a rounding may decide between two of hundreds of cells
    assert result["provenance"]["parameters"]["output"] == "match.json"


def test_network_script_writes_its_json(tmp_path: Path) -> None:
    file = tmp_path / "network.json"
    time_network(["--size", "32", "--width", "4", "--batches", "1", "2", "--rounds", "3", "-o", str(file)])
    result = json.loads(file.read_text())
    for case in result["cases"]:
        assert case["modes"]["fp32"]["error"]["largest"] == 0
        assert case["modes"]["fp32_channels_last_folded"]["error"]["largest"] < 1e-3
        assert 0 < case["modes"]["bf16_channels_last"]["error"]["mean"] < 0.1


def test_peak_memory_holds_the_largest_feature_map() -> None:
    script, wanted = ROOT / "benchmarks" / "peak_memory.py", ["128:vgg_fp32", "128:s_fp32"]
    command = [sys.executable, str(script), "relu3_1", "3", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | RETURN_MEMORY)
    largest = 4 * 64 * 128 * 128  # relu1_1
    assert all(largest < int(line) < 20 * largest for line in done.stdout.split()) and len(done.stdout.split()) == 2


@pytest.mark.parametrize(
    ("parse", "words", "sentence"),
    [
        (arguments, "--sizes 100", "100 is no whole number from 16 on that is a multiple of 16"),
        (arguments, "--layers relu6_1", "invalid choice: 'relu6_1'"),
        (arguments, "--patch 2", "the patch size must be odd"),
        (arguments, "--rounds 1", "1 is no whole number from 3 on"),
        (network_arguments, "--size 48", "power of two"),
        (network_arguments, "--width 3", "3 is no whole number from 2 on that is a multiple of 2"),
        (network_arguments, "--batches none", "none is no whole number"),
    ],
)
def test_bad_arguments_get_one_sentence(parse, words: str, sentence: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        parse([*words.split(), "-o", "x.json"])
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def test_a_training_step_is_taken_apart(tmp_path: Path) -> None:
    words = ["--size", "32", "--widths", "8", "4", "--batches", "2", "--rounds", "3", "--seconds", "1"]
    time_training([*words, "-o", str(tmp_path / "step.json")])
    found = json.loads((tmp_path / "step.json").read_text())
    assert found["parts"]["step"]["share"]["value"] == 1
    parts = {name: each["ms"]["value"] for name, each in found["parts"].items()}
    assert all(0 < ms < parts["step"] for name, ms in parts.items() if name != "step")
    assert found["steps"]["width 8, batch 2"]["times_faster"]["value"] == 1
    assert list(found["steps"]) == ["width 8, batch 2", "width 4, batch 2"]
