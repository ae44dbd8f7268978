"""Measures for pictures whose right answer is known: on drawings whose parts are boxes of two lines' distance."""

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from segin_core.errors import InputError
from segin_core.evaluation.trivial import tint
from segin_core.metrics import double_retrieval, grid_regions, local_style, part_colours, part_delta_e, structure
from segin_core.metrics.part_colours import counted_parts
from segin_core.running.randomness import seeded

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
    with pytest.raises(InputError, match=r"picture 0 has no part .* leave it out"):
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


def test_local_style_is_the_shift_of_a_regions_colours():
    truth = torch.full((1, 3, 16, 16), -0.2)
    moved = torch.full_like(truth, 0.3)
    d = (rgb2lab([0.65] * 3) - rgb2lab([0.4] * 3))[0]
    regions = torch.ones(1, 16, 16, dtype=torch.long)
    found = [local_style(moved, truth, regions=regions, seed=seed).item() for seed in range(50)]
    assert sum(found) / 50 == pytest.approx(d, rel=0.05), "over many sets of directions"
    assert local_style(moved, truth, regions=regions).item() == pytest.approx(found[0])
    regions[:, :, 4:] = 2
    moved[:, :, :, 4:] = -0.2
    assert local_style(moved, truth, regions=regions).item() == pytest.approx(found[0] / 2, rel=1e-4)
    regions[:, :, 4:] = 0
    assert local_style(moved, truth, regions=regions).item() == pytest.approx(found[0], rel=1e-4)


def test_local_style_sees_mixtures_in_regions_and_no_places_within():
    generator = torch.Generator().manual_seed(0)
    truth, other = torch.rand(2, 2, 3, 16, 16, generator=generator) * 2 - 1
    cells = grid_regions(torch.ones(2, 1, 16, 16), cells=2)
    assert cells[0, ::8, ::8].tolist() == [[1, 2], [3, 4]] and cells[1].flatten().bincount().tolist() == [
        0,
        64,
        64,
        64,
        64,
    ]
    mixed = truth.clone()
    mixed[:, :, :8, :8] = truth[:, :, :8, :8].flip(2, 3)
    assert (local_style(mixed, truth, regions=cells) == 0).all()
    assert (local_style(truth.flip(3), truth, regions=cells) > 1).all(), "cells exchanged"
    torch.testing.assert_close(local_style(other, truth, regions=cells), literal(other, truth, cells))
    mask = torch.ones(2, 1, 16, 16)
    mask[:, :, 4:8] = 0
    assert (grid_regions(mask, cells=2)[:, 4:8] == 0).all()


def literal(images, truth, regions, seed=0):
    """The same, region by region and direction by direction."""
    directions = torch.randn(16, 3, generator=seeded(seed)).double()
    found = []
    for one, true, of in zip(
        *(rgb2lab(each.numpy() / 2 + 0.5, channel_axis=1) for each in (images, truth)), regions.numpy(), strict=True
    ):
        means = [
            abs(np.sort(way @ one[:, of == k]) - np.sort(way @ true[:, of == k])).mean() / np.linalg.norm(way)
            for k in range(1, of.max() + 1)
            for way in directions.numpy()
        ]
        found.append(2 * np.mean(means))
    return torch.tensor(found, dtype=torch.float32)


def test_local_style_has_the_truth_before_copies_and_tints():
    d, r = drawing(RED, GREEN, BLUE), drawing(RED, GREEN, BLUE, place=11)["y"]
    rows = torch.cat([d["y"], r, tint(d["x"], r, d["mask"]), drawing(GREEN, BLUE, RED)["y"]])
    found = local_style(rows, d["y"].expand_as(rows), regions=d["labels"].expand(4, -1, -1))
    assert found[0] == 0 and (found[1:] > 20).all()


def test_what_makes_no_regions():
    y, labels = drawing(RED)["y"], torch.zeros(1, 48, 48, dtype=torch.long)
    for regions, reason in ((labels, "no part or region"), (labels[:, 1:], "do not go"), (labels.float(), "do not go")):
        with pytest.raises(InputError, match=reason):
            local_style(y, y, regions=regions)
    with pytest.raises(InputError, match="1 cell or more"):
        grid_regions(y[:, :1], cells=0)


def triples(count: int = 12) -> dict[str, torch.Tensor]:
    """Drawings of one to three boxes in several places, two random palettes of well separated colours each, r moved."""
    corners = [[red, green, blue] for red in (-1.0, 1) for green in (-1, 0.2) for blue in (-1, 0.2)][1:]
    rows = []
    for k in range(count):
        colours = [corners[(k + step * (k % 3 + 1)) % 7] for step in range(1 + k % 3)]
        d = drawing(*colours, size=64, place=2 + 4 * (k % 4))
        rows.append(
            {"x": d["x"], "y": d["y"], "mask": d["mask"], "r": d["y"].flip(3).roll((9 - k % 5, k % 4 - 6), (2, 3))}
        )
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def test_both_must_be_found():
    t, several = triples(), torch.arange(12) % 3 > 0  # of one part, a tint is the right answer
    found = {
        "truth": double_retrieval(t["y"], t["x"], t["r"]).mean(),
        "copy": double_retrieval(t["r"], t["x"], t["r"]).mean(),
        "lines": double_retrieval(t["x"].expand_as(t["y"]), t["x"], t["r"]).mean(),
        "tint": double_retrieval(tint(t["x"], t["r"], t["mask"]), t["x"], t["r"])[several].mean(),
        "other": double_retrieval(t["y"].roll(1, 0), t["x"], t["r"]).mean(),
    }
    assert found["truth"] == 1 and all(found[name] < 0.5 for name in ("copy", "lines", "tint", "other")), found


def test_chance_finds_one_in_among_by_each():
    generator = torch.Generator().manual_seed(0)
    r, images = torch.rand(2, 60, 3, 8, 8, generator=generator) * 2 - 1
    x = (torch.rand(60, 1, 8, 8, generator=generator) > 0.8).float() * 2 - 1
    found = torch.stack([double_retrieval(images, x, r, among=2, seed=seed) for seed in range(20)])
    assert found.unique().tolist() == [0, 1] and 0.1 < found.mean() < 0.4  # a quarter
    assert torch.equal(found[3], double_retrieval(images, x, r, among=2, seed=3))


def test_who_shares_x_or_r_is_no_other():
    t = triples(4)
    twice = {name: each.repeat(2, 1, 1, 1) for name, each in t.items()}
    assert double_retrieval(twice["y"], twice["x"], twice["r"], among=4).mean() == 1
    for among in (1, 8):  # two of the eight have the same x and r
        with pytest.raises(InputError, match=f"among={among}"):
            double_retrieval(twice["y"], twice["x"], twice["r"], among=among)


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
