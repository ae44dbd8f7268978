"""Measures for pictures whose right answer is known: on drawings whose parts are boxes of two lines' distance."""

import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from segin_core.errors import InputError
from segin_core.evaluation.trivial import tint
from segin_core.metrics import part_colours, part_delta_e, structure
from segin_core.metrics.part_colours import counted_parts

RED, GREEN, BLUE = [1.0, -1, -1], [-1, 0.5, -1], [-1, -1, 1.0]
NONE = [float("nan")] * 3


def drawing(*colours: list[float], size: int = 48, place: int = 4) -> dict[str, torch.Tensor]:
    """Boxes side by side in these colours, outlined in black: x, y, labels, mask, and the colours."""
    x, y = torch.ones(1, 1, size, size), torch.ones(1, 3, size, size)
    labels = torch.zeros(1, size, size, dtype=torch.long)
    for k, colour in enumerate(colours):
        rows, columns = slice(place, place + 24), slice(place + 12 * k, place + 12 * k + 13)
        labels[0, rows, columns] = k + 1
        y[0, :, rows, columns] = torch.tensor(colour)[:, None, None]
        x[0, 0, rows, columns] = -1
        x[0, 0, rows.start + 1 : rows.stop - 1, columns.start + 1 : columns.stop - 1] = 1
    y = torch.minimum(y, x)
    mask = (labels > 0).float()[:, None]
    return {"x": x, "y": y, "labels": labels, "mask": mask, "colours": torch.tensor([colours])}


def judged(picture: torch.Tensor, truth: dict[str, torch.Tensor]) -> tuple[float, float]:
    """Part colours and Delta E of one picture."""
    each = (
        measure(picture, truth["labels"], truth["colours"], x=truth["x"]) for measure in (part_colours, part_delta_e)
    )
    return tuple(found.item() for found in each)


def test_the_right_answer_has_all_parts_right_and_others_do_not():
    d = drawing(RED, GREEN, BLUE)
    assert judged(d["y"], d) == pytest.approx((1, 0), abs=1e-4)
    r = drawing(RED, GREEN, BLUE, place=15)["y"]
    copy, one = judged(r, d), judged(tint(d["x"], r, d["mask"]), d)
    assert copy[0] < 0.4 and copy[1] > 30, "r itself, a few pixels aside"
    assert one[0] <= 1 / 3 and one[1] > 30, "the mean colour of r"
    assert judged(torch.ones_like(r), d)[0] == 0, "white is nobody's colour here"
    exchanged = drawing(GREEN, BLUE, RED)["y"]
    assert judged(exchanged, d)[0] == 0
    one_right = drawing(RED, RED, RED)["y"]
    assert judged(one_right, d)[0] == pytest.approx(1 / 3)
    red, green, blue = (rgb2lab([(c + 1) / 2 for c in colour]) for colour in (RED, GREEN, BLUE))
    wanted = (deltaE_ciede2000(green, red) + deltaE_ciede2000(blue, red)) / 3
    assert judged(one_right, d)[1] == pytest.approx(wanted, abs=1e-3)


def test_parts_weigh_alike_and_lines_do_not_count():
    d = drawing(RED, GREEN)
    d["labels"][d["labels"] == 2] = 0
    d["labels"][0, 10:12, 20:26] = 2  # ten of its twelve pixels off the lines
    picture = d["y"].clone()
    picture[0, :, 5:16, 5:16] = torch.tensor(BLUE)[:, None, None]  # 11 of the 22 rows of the red part
    assert judged(picture, d)[0] == pytest.approx(0.75)
    redrawn = torch.where(d["x"] > 0, d["y"], torch.rand_like(d["y"]))
    assert judged(redrawn, d) == judged(d["y"], d)


def test_a_colour_is_right_up_to_half_the_way_to_the_next():
    d = drawing(RED, GREEN)
    grey, dark = [0.0, 0.0, 0.0], [-0.6, -0.6, -0.6]
    d = drawing(grey, dark)
    ways = torch.linspace(0, 1, 21)
    found = [judged(drawing([0.6 * -way] * 3, dark)["y"], d)[0] for way in ways.tolist()]
    lightness = rgb2lab((1 - 0.6 * ways[:, None].repeat(1, 3).double().numpy()) / 2)[:, 0]
    half = [bool(light > (lightness[0] + lightness[-1]) / 2) for light in lightness]
    assert found == [1.0 if near else 0.5 for near in half]


def test_colours_that_look_alike_are_one():
    almost = [0.99, -1, -1]
    d = drawing(RED, almost, GREEN)
    assert judged(d["y"], d)[0] == 1
    pale = [0.995, 0.995, 0.99]  # as good as white, which lies in every palette
    d = drawing(RED, pale)
    assert judged(d["y"], d)[0] == 1


def test_what_does_not_count():
    d = drawing(RED, GREEN, NONE)
    d["labels"][0, :3, :3] = -1
    assert counted_parts(d["labels"], d["colours"], x=d["x"]).unique().tolist() == [0, 1, 2]
    assert judged(d["y"].nan_to_num(1.0), d)[0] == 1
    d["labels"][d["labels"] == 2] = 0
    d["labels"][0, 40, 40:44] = 2  # four of 2,304 pixels
    assert counted_parts(d["labels"], d["colours"], x=d["x"]).unique().tolist() == [0, 1]
    d["labels"][d["labels"] == 1] = 0
    with pytest.raises(InputError, match=r"picture 0 shows no part .* leave it out"):
        judged(d["y"].nan_to_num(1.0), d)


def test_what_does_not_go_together():
    d = drawing(RED, GREEN)
    for changed in (
        {"labels": d["labels"].float()},
        {"labels": d["labels"][:, 1:]},
        {"labels": d["labels"] + 1},
        {"colours": d["colours"][0]},
        {"colours": d["colours"].repeat(2, 1, 1)},
    ):
        with pytest.raises(InputError, match="do not go with x"):
            judged(d["y"], d | changed)
    with pytest.raises(InputError, match="do not go together"):
        judged(d["y"][:, :, 1:], d)
    white = drawing([1.0, 1, 1])
    with pytest.raises(InputError, match="any colour would be right"):
        judged(white["y"], white)


def test_structure_sees_places_and_no_colours():
    d = drawing(RED, GREEN, BLUE)
    lines = d["x"].expand(-1, 3, -1, -1)
    r = drawing(RED, GREEN, BLUE, place=11)["y"]
    found = structure(
        torch.cat([d["y"], lines, tint(d["x"], r, d["mask"]), d["y"].roll((1, -1), (2, 3))]),
        d["x"].expand(4, -1, -1, -1),
    )
    assert (found == 1).all(), "the truth, x, a tint of it, and the truth a pixel aside"
    assert structure(r, d["x"]).item() < 0.5, "r itself"
    assert structure(r, d["x"], tolerance=7).item() == 1
    assert structure(torch.ones_like(r), d["x"]).item() == 0
    outline = torch.ones(1, 3, 48, 48)
    outline[0, :, 4:28, 4:41] = torch.tensor(RED)[:, None, None]
    assert 0.5 < structure(outline, d["x"]).item() < 0.9, "the lines between the parts are missing"
    with pytest.raises(InputError, match="do not go together"):
        structure(d["y"], d["x"][:, :, 1:])


def test_a_tint_is_the_mean_colour_of_r_under_the_lines_of_x():
    d, r = drawing(RED, GREEN), torch.ones(1, 3, 48, 48)
    r[0, :, :10, :20] = torch.tensor(RED)[:, None, None]
    r[0, :, 10:20, :20] = torch.tensor(BLUE)[:, None, None]
    found = tint(d["x"], r, d["mask"])
    inside, outside = (found[0][:, (d["x"][0, 0] > 0) & (d["mask"][0, 0] == k)] for k in (1, 0))
    torch.testing.assert_close(inside, torch.tensor([0.0, -1, 0])[:, None].expand_as(inside))
    assert (outside == 1).all() and (found[0][:, d["x"][0, 0] < 0] == -1).all()
    mask = torch.zeros(1, 1, 48, 48)
    mask[0, 0, :10, :20] = 1
    assert tint(d["x"], r, d["mask"], mask)[0, :, 10, 10].tolist() == RED
    assert torch.equal(tint(d["x"], torch.ones_like(r), d["mask"]), d["x"].expand(-1, 3, -1, -1))
    with pytest.raises(InputError, match="do not go together"):
        tint(d["x"][:, :, 1:], r, d["mask"])
