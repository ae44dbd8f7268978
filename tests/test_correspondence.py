"""Known warps, carried labels and their scores against slow literal versions; the parts of real drawings."""

import math

import pytest
import torch
from torch.nn import functional as F

from segin_core.data.openmoji import drawings
from segin_core.data.part_labels import OTHER, colour_of, draw_pairs, group_of, line_map, part_maps, shared_parts
from segin_core.errors import InputError
from segin_core.evaluation import correspondence as known
from segin_core.running.randomness import seeded

WOMAN, MAN = "1F469-200D-1F680", "1F468-200D-1F527"  # an astronaut and a mechanic
STILL = {"bend": 0.0, "rotation": 0.0, "scale": (1.0, 1.0), "shift": 0.0, "flip": 0.0}


def shift_warp(cells, grid, size):
    """r shows everything `cells` cells further right: the truth without any library."""
    positions = known.cell_centres((size, size)).view(1, size, size, 2)
    right = torch.tensor([2 * cells / grid, 0.0])
    return known.Warp(positions - right, positions + right)


def literal_pck(index, truth, foreground, grid, alpha):
    """Cell by cell, in pixels."""
    size = truth.shape[1]
    side, right, total = size // grid[0], 0.0, 0.0
    for cell, source in enumerate(index.tolist()):
        (i, j), (k, m) = divmod(cell, grid[1]), divmod(source, grid[1])
        block = truth[i * side : (i + 1) * side, j * side : (j + 1) * side].reshape(-1, 2).mean(0)
        x, y = ((block + 1) / 2 * size).tolist()
        weight = foreground[0, i * side : (i + 1) * side, j * side : (j + 1) * side].mean().item()
        if 0 <= x <= size and 0 <= y <= size:
            total += weight
            right += weight * (math.hypot((m + 0.5) * side - x, (k + 0.5) * side - y) <= alpha * size)
    return right / total


def literal_iou(found, truth):
    """Pixel by pixel."""
    pixels = [(f, t) for f, t in zip(found.flatten().tolist(), truth.flatten().tolist(), strict=True) if t >= 0]
    parts = {t for _, t in pixels if t > 0}
    each = [sum(f == t == p for f, t in pixels) / sum(p in pair for pair in pixels) for p in parts]
    return sum(each) / len(each)


def test_no_change_is_no_warp():
    warp = known.smooth_warp(2, 16, generator=seeded(0), **STILL)
    positions = known.cell_centres((16, 16)).view(1, 16, 16, 2).expand(2, -1, -1, -1)
    torch.testing.assert_close(warp.grid, positions)
    torch.testing.assert_close(warp.truth, positions)
    image = torch.rand(2, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(known.apply_warp(image, warp.grid), image)


def test_truth_is_the_inverse_of_the_grid():
    warp = known.smooth_warp(4, 48, generator=seeded(1))
    back = F.grid_sample(warp.truth.movedim(-1, 1), warp.grid, align_corners=False).movedim(1, -1)
    inside = (warp.grid.abs() < 0.95).all(dim=-1)
    positions = known.cell_centres((48, 48)).view(1, 48, 48, 2).expand_as(back)
    assert 0.2 < inside.float().mean()
    assert (back - positions)[inside].abs().max() < 0.02  # half a pixel: grid_sample interpolates between pixels


def test_a_dot_goes_where_the_truth_says():
    """Literally: a dark dot at a pixel of y is in r at the position that the truth gives for that pixel."""
    warp = known.smooth_warp(6, 64, generator=seeded(2))
    dots = torch.ones(6, 1, 64, 64)
    dots[:, :, 30:33, 24:27] = -1
    dark = (1 - known.apply_warp(dots, warp.grid))[:, 0]
    positions = known.cell_centres((64, 64)).view(64, 64, 2)
    centre = torch.einsum("bhw,hwc->bc", dark, positions) / dark.sum(dim=(1, 2))[:, None]
    assert (centre - warp.truth[:, 31, 25]).abs().max() < 1 / 64  # half a pixel


def test_flip_and_seed():
    flipped = known.smooth_warp(1, 8, generator=seeded(0), **STILL | {"flip": 1.0})
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(known.apply_warp(image, flipped.grid), image.flip(-1))
    labels = torch.randint(-1, 4, (1, 8, 8))
    assert torch.equal(known.apply_warp_to_labels(labels, flipped.grid), labels.flip(-1))
    first, again, other = (known.smooth_warp(1, 8, generator=seeded(s)).grid for s in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_what_comes_from_outside_is_white_or_the_given_label():
    away = known.cell_centres((4, 4)).view(1, 4, 4, 2) + 5
    assert (known.apply_warp(torch.zeros(1, 3, 4, 4), away) == 1).all()
    assert (known.apply_warp_to_labels(torch.full((1, 4, 4), 2), away, outside=7) == 7).all()


def test_pck_of_the_same_place_without_a_warp_is_one():
    warp = known.smooth_warp(2, 16, generator=seeded(0), **STILL)
    assert known.pck(known.same_place(2, (4, 4)), warp.truth, torch.ones(2, 1, 16, 16), (4, 4), 0.01).tolist() == [1, 1]


def test_pck_of_a_shift_by_whole_cells():
    grid, warp, ones = (8, 8), shift_warp(2, 8, 32), torch.ones(1, 1, 32, 32)
    right = known.same_place(1, grid).view(1, 8, 8).roll(-2, dims=2).flatten(1)
    assert known.pck(right, warp.truth, ones, grid, 0.01) == 1  # the two columns that left do not count
    assert torch.equal(known.best_index(warp.truth, grid).view(8, 8)[:, :6], right.view(8, 8)[:, :6])
    still = known.same_place(1, grid)
    assert known.pck(still, warp.truth, ones, grid, 0.24) == 0 and known.pck(still, warp.truth, ones, grid, 0.26) == 1


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_pck_is_the_literal_count(alpha):
    warp, grid = known.smooth_warp(3, 24, generator=seeded(4)), (6, 6)
    index = known.random_index(3, grid, generator=seeded(5))
    index[:, ::2] = known.best_index(warp.truth, grid)[:, ::2]
    foreground = torch.rand(3, 1, 24, 24, generator=seeded(6))
    found = known.pck(index, warp.truth, foreground, grid, alpha)
    wanted = [literal_pck(index[i], warp.truth[i], foreground[i], grid, alpha) for i in range(3)]
    torch.testing.assert_close(found, torch.tensor(wanted), atol=1e-4, rtol=0)


def test_holes_are_the_literal_share_of_the_object_that_got_background():
    grid, sizes = (4, 4), (3, 1, 8, 8)
    inside, inside_r = (torch.rand(sizes, generator=seeded(s)).round() for s in (9, 10))
    index = known.random_index(3, grid, generator=seeded(11))
    found = known.holes(index, inside, inside_r, grid)
    for i in range(3):
        total = background = 0.0
        for cell, source in enumerate(index[i].tolist()):
            here, there = (
                m[i, 0, 2 * (c // 4) : 2 * (c // 4) + 2, 2 * (c % 4) : 2 * (c % 4) + 2].mean().item()
                for m, c in ((inside, cell), (inside_r, source))
            )
            total, background = total + here, background + here * (1 - there)
        assert found[i].item() == pytest.approx(background / total, abs=1e-6)
    still = known.same_place(3, grid)
    whole, empty = torch.ones(sizes), torch.zeros(sizes)
    assert known.holes(still, inside, whole, grid).tolist() == [0] * 3
    assert known.holes(still, inside, empty, grid).tolist() == [1] * 3
    with pytest.raises(InputError, match="no foreground that could have holes"):
        known.holes(still, empty, whole, grid)
    with pytest.raises(InputError, match="does not fit 3 and 2 masks"):
        known.holes(still, inside, inside_r[:2], grid)


def test_chance_is_what_theory_says():
    """Over random orders each cell of r is as likely as any other."""
    grid, alpha = (8, 8), 0.2
    truth = known.smooth_warp(1, 32, generator=seeded(7), **STILL).truth
    centres = known.cell_centres(grid)
    theory = (torch.cdist(centres, centres) <= 2 * alpha).float().mean()
    index = known.random_index(400, grid, generator=seeded(8))
    assert all(len(row.unique()) == 64 for row in index[:5])
    found = known.pck(index, truth.expand(400, -1, -1, -1), torch.ones(400, 1, 32, 32), grid, alpha)
    assert found.mean() == pytest.approx(theory.item(), rel=0.03)


def test_labels_are_carried_like_pixels():
    labels = torch.randint(-1, 4, (2, 12, 12), generator=seeded(9))
    index = torch.randint(9, (2, 9), generator=seeded(10))
    found = known.transfer_labels(labels, index, (3, 3))
    for b in range(2):
        for cell, source in enumerate(index[b].tolist()):
            (i, j), (k, m) = divmod(cell, 3), divmod(source, 3)
            to, take = found[b, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4], labels[b, 4 * k : 4 * k + 4, 4 * m : 4 * m + 4]
            assert torch.equal(to, take)
    still = known.same_place(2, (3, 3))
    for blend in ("paste", "average"):
        assert torch.equal(known.transfer_labels(labels, still, (3, 3), 3, blend), labels)


def test_averaging_takes_the_majority():
    """One cell of nine is sent to the wrong label: whole patches, averaged, outvote it."""
    labels = torch.tensor([[1, 1, 1, 2, 2, 2]] * 6)[None]
    index = known.same_place(1, (6, 6)).clone()
    index[0, 7] = 10  # row 1, column 1 -> row 1, column 4
    assert known.transfer_labels(labels, index, (6, 6), 3, "paste")[0, 1, 1] == 2
    assert known.transfer_labels(labels, index, (6, 6), 3, "average")[0, 1, 1] == 1


def test_scores_are_the_literal_ones():
    found, truth = (torch.randint(-1, 4, (5, 9, 9), generator=seeded(s)) for s in (11, 12))
    wanted = torch.tensor([literal_iou(f, t) for f, t in zip(found, truth, strict=True)])
    torch.testing.assert_close(known.mean_iou(found, truth), wanted)
    right = torch.tensor([float((f[t > 0] == t[t > 0]).float().mean()) for f, t in zip(found, truth, strict=True)])
    torch.testing.assert_close(known.accuracy(found, truth), right)
    assert known.mean_iou(truth, truth).tolist() == known.accuracy(truth, truth).tolist() == [1] * 5


def test_a_leak_into_the_background_costs_iou_but_not_accuracy():
    truth = torch.tensor([[[1, 1, 0, 0]]])
    found = torch.ones_like(truth)
    assert known.mean_iou(found, truth) == 0.5 and known.accuracy(found, truth) == 1


def test_a_person_has_hair_skin_and_clothes():
    maps = part_maps(drawings()[MAN], group_of, 64)
    assert set(maps) == {"hair", "skin", "color"}
    assert all(0.01 < pixels.mean() < 0.6 for pixels in maps.values())
    assert sum(maps.values()).max() == 1  # no pixel has two parts
    rows = {name: pixels.nonzero()[0].mean() for name, pixels in maps.items()}
    assert rows["skin"] < rows["color"]  # the head is above the clothes
    assert 0.03 < line_map(drawings()[MAN], 64).float().mean() < 0.4


SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72"><g id="color">
<rect width="72" height="72" fill="#FFF"/><rect width="36" height="36" fill="#ea5a47" opacity=".5"/>
<g fill="none" stroke="#3f3f3f" stroke-width="18"><path d="M0 63h72"/></g><rect x="54" width="18" height="18"/></g>
<g id="line"><rect width="72" height="9"/></g></svg>"""


def test_colours_are_the_fills_and_strokes_one_sees():
    maps = part_maps(SVG, colour_of, 8)
    assert set(maps) == {"#ffffff", "#ea5a47", "#3f3f3f", "#000000"}
    wanted = torch.full((8, 8), 1)
    wanted[:4, :4], wanted[6:], wanted[:2, 6:] = 2, 3, 4
    for number, name in enumerate(("#ffffff", "#ea5a47", "#3f3f3f", "#000000"), 1):
        assert torch.equal(torch.from_numpy(maps[name]), wanted == number)
    assert line_map(SVG, 8).sum(dim=1).tolist() == [8] + [0] * 7


def test_what_only_one_drawing_has_is_other():
    without = SVG.replace('<rect x="54" width="18" height="18"/>', "")
    names, x, r = shared_parts(SVG, without, 8)
    assert names == ("#3f3f3f", "#ea5a47", "#ffffff")
    assert (x == OTHER).sum() == 4 and (r == OTHER).sum() == 0
    assert x[0, 0] == 2 and x[5, 0] == 3 and x[7, 0] == 1
    assert shared_parts(SVG, SVG.replace("#FFF", "#000").replace("#ea5a47", "#000"), 8, least=0.2) is None


def test_people_share_their_groups():
    names, labels_x, labels_r = shared_parts(drawings()[WOMAN], drawings()[MAN], 64)
    assert {"skin", "color"} <= set(names)
    assert labels_x.shape == labels_r.shape == (64, 64) and labels_x.max() == labels_r.max() == len(names)


def test_drawn_pairs(monkeypatch):
    family = {"1F431": "cats", "1F408": "cats", MAN: "P", WOMAN: "P", "1F600": "alone"}
    monkeypatch.setattr("segin_core.data.part_labels.families", lambda: family)
    found = draw_pairs(5, 32, codes=family, seed=0, tries=20)
    assert found and all(pair.x != pair.r and family[pair.x] == family[pair.r] for pair in found)
    assert len({family[pair.x] for pair in found}) == len(found)
    assert [pair.x for pair in draw_pairs(5, 32, codes=family, seed=0, tries=20)] == [pair.x for pair in found]
    assert len(draw_pairs(1, 32, codes=family, seed=0)) == 1
    cats = draw_pairs(5, 32, codes=["1F431", "1F408", WOMAN], seed=0, tries=20)  # of P only one may be drawn
    assert {code for pair in cats for code in pair[:2]} <= {"1F431", "1F408"}


ONE = torch.ones(1, 1, 8, 8)
LABELS = torch.ones(1, 8, 8, dtype=torch.long)
TRUTH = known.cell_centres((8, 8)).view(1, 8, 8, 2)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: known.smooth_warp(1, 8, generator=seeded(0), scale=(0.0, 1.0)), "positive size"),
        (lambda: known.smooth_warp(1, 32, generator=seeded(0), bend=2.0), "folds"),
        (lambda: known.pck(known.same_place(1, (4, 4)), TRUTH, ONE, (4, 4), 0.0), "positive alpha"),
        (lambda: known.pck(known.same_place(1, (4, 4)), TRUTH, ONE, (2, 2), 0.1), "one number a cell"),
        (lambda: known.pck(known.same_place(1, (4, 4)), TRUTH, 0 * ONE, (4, 4), 0.1), "no foreground"),
        (lambda: known.pck(known.same_place(1, (3, 3)), TRUTH, ONE, (3, 3), 0.1), "do not divide"),
        (lambda: known.transfer_labels(LABELS - 3, known.same_place(1, (4, 4)), (4, 4)), "label of -2"),
        (lambda: known.mean_iou(LABELS, LABELS[:, :4]), "alike"),
        (lambda: known.accuracy(LABELS, 0 * LABELS), "no part"),
        (lambda: part_maps(SVG, colour_of, 4), "at least 8"),
        (lambda: draw_pairs(0, 64, codes=(), seed=0), "1 or more"),
    ],
)
def test_bad_input_gets_one_sentence(call, word):
    with pytest.raises(InputError, match=word) as caught:
        call()
    assert "\n" not in str(caught.value)
