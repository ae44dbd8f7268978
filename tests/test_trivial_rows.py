"""Who does not beat the rows that need no method."""

import pytest
import torch

from segin_core.book.trivial_rows import in_words, not_beaten
from segin_core.evaluation.trivial import tint, without_a_method
from segin_core.translator import Translator


def score(low, high, better_by=None):
    found = {"value": (low + high) / 2, "interval": [low, high]}
    return found | ({"segin_better_by": score(*better_by)} if better_by else {})


DISTANCE = {
    "munit_ref": score(0.3, 0.4),
    "segin": score(0.2, 0.3),
    "copy_r": score(0, 0, (-0.3, -0.2)),
    "w": score(0.25, 0.35, (0.01, 0.09)),
    "n_of_r": score(0.5, 0.6),
    "tint": score(0.35, 0.45, (-0.1, 0.3)),
    "pix2pix": None,
}
METHODS = {"pix2pix": "pix2pix+noise", "munit_ref": "MUNIT+ref", "segin": "SEGIN"}


def test_a_row_is_beaten_by_the_paired_difference_or_by_intervals_apart():
    assert not_beaten(DISTANCE, "segin") == ["copy_r", "tint"]  # w overlaps, but input by input SEGIN is ahead
    assert not_beaten(DISTANCE, "munit_ref") == ["copy_r", "w", "tint"]


def test_higher_may_be_better():
    column = {"segin": score(0.8, 0.9), "copy_r": score(0.5, 0.6), "w": score(0.85, 0.95), "n_of_r": None}
    assert not_beaten(column, "segin", higher=True) == ["w"]
    assert not_beaten(column, "segin") == ["copy_r", "w"]


def test_words_name_those_that_are_not_beaten():
    said = in_words("To reference", DISTANCE, METHODS)
    assert said.startswith("- **To reference**: nothing beats r itself, so this column proves nothing for any of them;")
    assert said.endswith("SEGIN does not beat r itself or x in r's tint.")
    assert "MUNIT+ref does not beat r itself, W alone or x in r's tint" in said and "pix2pix" not in said


def test_methods_with_the_same_fate_share_a_sentence():
    column = {name: score(0.3, 0.4) for name in METHODS} | {"copy_r": score(0, 0), "tint": score(0.6, 0.7)}
    every = "pix2pix+noise, MUNIT+ref and SEGIN"
    assert in_words("L1", column, METHODS).endswith(f"proves nothing for any of them; {every} do not beat r itself.")
    assert in_words("L1", column | {"tint": score(0, 0)}, METHODS).endswith(f"; {every} beat none of them.")


@pytest.mark.parametrize("copy", [(0.8, 0.9), (0.31, 0.5)])
def test_words_say_that_all_are_beaten(copy):
    assert in_words("L1", {"segin": score(0.2, 0.3), "copy_r": score(*copy)}, METHODS) == (
        "- **L1**: SEGIN beats them all."
    )


def test_n_gets_r_in_the_place_of_w():
    x, r = torch.rand(2, 1, 16, 16) * 2 - 1, torch.rand(2, 3, 16, 16) * 2 - 1
    mask = torch.ones(2, 1, 16, 16)
    translator = Translator(8, downsamplings=2).eval()
    with torch.no_grad():
        made = without_a_method(translator)(x, r, mask)
        torch.testing.assert_close(made["n_of_r"], translator(x, r).image)
    torch.testing.assert_close(made["tint"], tint(x, r, mask))
