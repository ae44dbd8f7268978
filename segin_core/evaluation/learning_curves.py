"""Curves of methods against the images that their trainings have seen: who still gains, who leads, who could catch up.

A curve is a mapping of images seen to how good a method was then; more is better.
"""

import math
from collections.abc import Mapping

Curve = Mapping[int, float]


def last_doubling(curve: Curve) -> float | None:
    """What was gained since the moment nearest to half of the images; None where none before the end was kept."""
    end = max(curve)
    before = [images for images in curve if images < end]
    if not before:
        return None
    return curve[end] - curve[min(before, key=lambda images: abs(math.log(2 * images / end)))]


def order_since(curves: Mapping[str, Curve]) -> tuple[list[str], int]:
    """The order at the end, the best first, and the first number of images from which on it is that one.

    A method counts with its last moment so far, and not before its first one.
    """
    moments = sorted({images for curve in curves.values() for images in curve})
    orders = [_order(curves, images) for images in moments]
    settled = len(moments) - 1
    while settled and orders[settled - 1] == orders[-1]:
        settled -= 1
    return orders[-1], moments[settled]


def _order(curves: Mapping[str, Curve], images: int) -> list[str]:
    reached = {name: [each for each in curve if each <= images] for name, curve in curves.items()}
    return sorted((name for name in curves if reached[name]), key=lambda name: -curves[name][max(reached[name])])


def could_catch_up(behind: Curve, ahead: Curve) -> bool | None:
    """Is the gap at the end smaller than what the one behind gained on the other in its last doubling? None: no gains.

    A ruler, no forecast: one more doubling usually gives less than the last.
    """
    gains = [last_doubling(curve) for curve in (behind, ahead)]
    if None in gains:
        return None
    return ahead[max(ahead)] - behind[max(behind)] < gains[0] - gains[1]
