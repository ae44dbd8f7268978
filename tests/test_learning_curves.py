"""Who still gains, who leads since when, who could catch up: on curves that can be read by eye."""

import pytest

from segin_core.evaluation.learning_curves import could_catch_up, last_doubling, order_since

SLOW = {10: 0.1, 20: 0.2, 40: 0.5, 80: 0.7}
QUICK = {10: 0.6, 20: 0.7, 40: 0.75, 80: 0.76}


def test_the_last_doubling_is_the_gain_since_half_of_the_images() -> None:
    assert last_doubling(SLOW) == pytest.approx(0.2)
    assert last_doubling({30: 0.1, 50: 0.3, 80: 1.0}) == pytest.approx(0.7)  # 50 is nearer to half than 30
    assert last_doubling({80: 1.0}) is None


def test_the_order_and_since_when_it_is_that_of_the_end() -> None:
    assert order_since({"slow": SLOW, "quick": QUICK}) == (["quick", "slow"], 10)
    crossed = SLOW | {80: 0.9}
    assert order_since({"slow": crossed, "quick": QUICK}) == (["slow", "quick"], 80)
    there_and_back = {10: 0.7, 20: 0.1, 40: 0.8, 80: 0.9}
    assert order_since({"it": there_and_back, "quick": QUICK}) == (["it", "quick"], 40)


def test_a_method_counts_from_its_first_moment_on_and_keeps_its_last() -> None:
    assert order_since({"late": {40: 0.9}, "quick": QUICK}) == (["late", "quick"], 40)
    assert order_since({"stopped": {10: 0.72}, "quick": QUICK}) == (["quick", "stopped"], 40)


def test_who_gained_more_than_the_gap_could_catch_up() -> None:
    assert could_catch_up(SLOW, QUICK)  # behind by 0.06, gained 0.2 against 0.01
    assert not could_catch_up({40: 0.5, 80: 0.55}, QUICK)
    assert could_catch_up({80: 0.5}, QUICK) is None
