"""Edges to strokes: what is traced, joined, dropped and smoothed, on lines whose strokes are known."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from segin_core.data.strokes import draw, joined, simplify, smoothed, strongest, traced


def lines(*polylines: list[tuple[int, int]], side: int = 64) -> np.ndarray:
    """One-pixel lines through (column, row) points."""
    page = Image.new("L", (side, side))
    for points in polylines:
        ImageDraw.Draw(page).line(points, fill=255)
    return np.asarray(page) > 0


def ends(stroke: np.ndarray) -> set[tuple[int, int]]:
    return {tuple(np.round(point).astype(int)[::-1].tolist()) for point in (stroke[0], stroke[-1])}


def row(y: float, start: int, stop: int) -> np.ndarray:
    """A horizontal stroke, a point a pixel."""
    return np.stack([np.full(stop - start, float(y)), np.arange(start, stop, dtype=float)], axis=1)


def test_a_line_is_traced_from_end_to_end():
    (stroke,) = traced(lines([(5, 10), (50, 40)]))
    assert ends(stroke) == {(5, 10), (50, 40)}
    assert np.abs(np.diff(stroke, axis=0)).max() == 1, "a pixel at a time"


def test_a_circle_comes_back_to_its_start():
    page = Image.new("L", (64, 64))
    ImageDraw.Draw(page).ellipse((12, 12, 50, 50), outline=255)
    (stroke,) = joined(traced(np.asarray(page) > 0), gap=6, turn=50)
    assert (stroke[0] == stroke[-1]).all() and len(stroke) > 100
    radius = np.hypot(*(smoothed(stroke, 0.7) - 31).T)
    assert radius.min() > 17.5 and radius.max() < 20.5


def test_branches_meet_in_the_middle_of_their_crossing():
    strokes = traced(lines([(10, 32), (54, 32)], [(32, 10), (32, 54)]))
    assert len(strokes) == 4 and all((32, 32) in ends(stroke) for stroke in strokes)
    through = joined(strokes, gap=6, turn=50)
    assert sorted(map(sorted, map(ends, through))) == [[(10, 32), (54, 32)], [(32, 10), (32, 54)]], "straight through"


@pytest.mark.parametrize(("apart", "expected"), [(4, 1), (12, 2)])
def test_gaps_are_closed_up_to_a_length(apart, expected):
    made = joined([row(20, 5, 25), row(20, 24 + apart, 50)], gap=6, turn=50)
    assert len(made) == expected
    backwards = joined([row(20, 24 + apart, 50), row(20, 5, 25)[::-1]], gap=6, turn=50)
    assert sorted(map(sorted, map(ends, backwards))) == sorted(map(sorted, map(ends, made)))


def test_a_corner_is_not_joined_and_the_straightest_goes_first():
    down = row(0, 21, 50)[:, ::-1] + [0, 26]  # from (26, 21) downwards
    assert len(joined([row(20, 5, 25), down], gap=6, turn=50)) == 2
    bent = np.stack([np.arange(20.0, 40), np.arange(27.0, 47)], axis=1)  # 45 degrees
    made = joined([row(20, 5, 25), bent, row(20, 27, 50)], gap=6, turn=50)
    assert len(made) == 2 and {(5, 20), (49, 20)} in map(ends, made)


def test_faint_short_and_doubled_strokes_are_dropped():
    edge = np.full((64, 64), 0.9)
    edge[40:] = 0.1
    kept = strongest(
        [row(30, 5, 9), row(12, 8, 40), row(10, 5, 50), row(50, 5, 50), row(25, 5, 20)], edge, ink=8, apart=3
    )
    assert [stroke[0, 0] for stroke in kept] == [10, 25], "the strongest first"


def test_splines_take_the_stairs_out_and_stay_near():
    (stroke,) = traced(lines([(3, 5), (60, 25)]))
    smooth = smoothed(stroke, 0.7)
    away = np.abs((smooth - [5, 3]) @ np.array([57, -20]) / np.hypot(57, 20))
    assert away.max() < 1.5 and len(smooth) == 2 * len(stroke)
    bends = [np.abs(np.diff(np.unwrap(np.arctan2(*np.diff(one[::4], axis=0).T)))).sum() for one in (stroke, smooth)]
    assert bends[1] < bends[0] / 4
    assert np.array_equal(smoothed(row(5, 0, 4), 0.7), row(5, 0, 4)), "too short for a cubic"


def test_a_noisy_drawing_becomes_the_few_lines_it_was():
    mess = lines(
        [(8, 8), (30, 14)], [(33, 15), (56, 20)], [(20, 40), (50, 40)], [(30, 40), (30, 42)], [(60, 60), (62, 60)]
    )
    found = simplify(mess, mess * 0.8)
    assert [sorted(ends(stroke)) for stroke in found] == [[(8, 8), (56, 20)], [(20, 40), (50, 40)]]


def test_an_empty_page_stays_white():
    assert simplify(np.zeros((32, 32), bool), np.zeros((32, 32))) == []
    assert np.asarray(draw([], side=32, size=48)).min() == 255


@pytest.mark.parametrize("size", [32, 64, 256])
def test_drawn_lines_lie_where_they_were_at_any_size(size):
    page = np.asarray(draw([row(20, 0, 64)], side=64, size=size)).astype(float)
    ink = (255 - page).mean(axis=1)
    assert (ink * (np.arange(size) + 0.5)).sum() / ink.sum() == pytest.approx(20.5 * size / 64, abs=0.3)
    assert ink.sum() / 255 == pytest.approx(1.2, abs=0.3), "as wide as was asked for"
