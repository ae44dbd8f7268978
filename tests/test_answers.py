"""Triples whose right answer is known: colours at known places, r never in x's place, one seed the same triples."""

import pytest
import torch
from PIL import Image, ImageDraw

from segin_core.data import colourways, openmoji, part_palettes
from segin_core.data.answers import SCALE, TURN, Answers, moved, random_move, random_palette
from segin_core.data.images import save_image, to_bytes, to_tensor
from segin_core.data.pairs import PairFolder
from segin_core.errors import InputError
from segin_core.running.randomness import seeded


def test_palettes_are_well_separated_and_depend_on_the_generator_alone() -> None:
    palette = random_palette(6, seeded(1))
    apart = torch.cdist(palette.float(), torch.cat([palette, torch.tensor([[255] * 3, [0] * 3])]).float())
    assert palette.dtype == torch.uint8 and palette.shape == (6, 3)
    assert apart.fill_diagonal_(999).min() > 50  # of 255 a channel
    assert torch.equal(palette, random_palette(6, seeded(1))) and not torch.equal(palette, random_palette(6, seeded(2)))
    with pytest.raises(InputError, match="count=0"):
        random_palette(0, seeded(1))


def test_a_moved_picture_is_turned_and_smaller_on_white() -> None:
    square = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    square[:, 16:48, 16:48] = 0
    for seed in range(8):
        move = random_move(seeded(seed))
        assert TURN[0] <= abs(move.turn) <= TURN[1] and SCALE[0] <= move.scale <= SCALE[1]
        found = moved(square, move)
        dark = (255 - found.float()).sum() / (255 * 3 * 32**2)
        assert abs(dark - move.scale**2) < 0.02  # its area
        assert found[:, 0, 0].tolist() == [255] * 3 and found[:, 32, 32].tolist() == [0] * 3
    left = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    left[:, 28:36, 8:16] = 0
    assert (moved(left, random_move(seeded(0))._replace(flip=True, turn=0.0)) == 0).nonzero()[:, 2].min() > 32


DRAWN = ["1F600", "1F3AF", "1F347", "1F408", "1F9D1-200D-1F680"]


@pytest.fixture(scope="module")
def drawn() -> Answers:
    return part_palettes.answers(64, codes=DRAWN, per_input=2, seed=3)


def test_each_part_of_a_drawing_has_its_colour_where_its_label_is(drawn: Answers) -> None:
    n = len(drawn.inputs)
    assert drawn.x.shape == drawn.mask.shape == (n, 1, 64, 64) and drawn.r.shape == drawn.truth.shape == (n, 3, 64, 64)
    assert all(stack.dtype == torch.uint8 for stack in (drawn.x, drawn.r, drawn.truth, drawn.mask))
    blank = drawn.x[:, 0] == 255
    for i in range(n):
        shown = drawn.colours[i].isfinite().all(dim=1)
        assert shown.sum() >= 2 and shown.tolist() == sorted(shown.tolist(), reverse=True)
        for j in shown.nonzero()[:, 0].tolist():
            found = drawn.truth[i][:, (drawn.labels[i] == j + 1) & blank[i]]
            assert found.shape[1] >= 0.01 * 64**2
            assert torch.equal(found.median(dim=1).values, to_bytes(drawn.colours[i, j][:, None, None])[:, 0, 0])
        assert (drawn.labels[i] > int(shown.sum())).sum() == 0
    dark = drawn.x[:, 0] < 20
    assert drawn.truth.movedim(1, -1)[dark].float().mean() < 20  # the lines are drawn over the parts


def test_a_drawings_lines_are_those_of_the_data(drawn: Answers) -> None:
    code = drawn.inputs[0]
    made = openmoji.pair(openmoji.svg_folder() / f"{code}.svg.gz", 64, "drawing", None)
    assert torch.equal(drawn.x[0], to_bytes(to_tensor(made["x"])))
    assert torch.equal(drawn.mask[0], to_bytes(to_tensor(made["mask"])))


def test_r_has_the_right_colours_in_the_wrong_places(drawn: Answers) -> None:
    """Copying r scores badly where the answer's own colours would be exact."""
    right = {"truth": [], "r": []}
    for i in range(len(drawn.inputs)):
        colours = to_bytes(drawn.colours[i].T[:, :, None])[..., 0].T.int()
        for name, found in right.items():
            picture = getattr(drawn, name)[i].int()
            for j in drawn.labels[i].clamp_min(0).unique()[1:].tolist():
                place = (drawn.labels[i] == j) & (drawn.x[i, 0] == 255)
                off = (picture[:, place] - colours[j - 1][:, None]).abs().amax(dim=0)
                found.append((off < 25).float().mean())
    assert torch.tensor(right["truth"]).mean() > 0.85
    assert torch.tensor(right["r"]).mean() < 0.5


def test_a_drawings_triples_depend_on_the_seed_and_its_code_alone(drawn: Answers) -> None:
    rows = [i for i, name in enumerate(drawn.inputs) if name == "1F408"]
    alone = part_palettes.answers(64, codes=["1F408"], per_input=3, seed=3)
    assert alone.references[:2] == [drawn.references[i] for i in rows] == ["1F408 1", "1F408 2"]
    assert torch.equal(alone.r[:2], drawn.r[rows]) and torch.equal(alone.truth[:2], drawn.truth[rows])
    assert not torch.equal(part_palettes.answers(64, codes=["1F408"], per_input=1, seed=4).truth, alone.truth[:1])


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"codes": ["1F408"], "per_input": 0}, "per_input=0"),
        ({"codes": ["nothing"], "per_input": 1}, "nothing"),
        ({"codes": [], "per_input": 1}, "two parts"),
    ],
)
def test_bad_drawings(given: dict, word: str) -> None:
    with pytest.raises(InputError, match=word):
        part_palettes.answers(64, **given, seed=0)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> PairFolder:
    """Three products: two colourways in one place; two in different places; a single one."""
    root = tmp_path_factory.mktemp("colourways")
    shoes = [("1.10", "red", 8), ("1.11", "blue", 8), ("2.12", "red", 4), ("2.13", "teal", 28), ("3.14", "red", 8)]
    for name, colour, left in shoes:
        box = (left, 20, left + 30, 40)
        for kind, background, fill in (("x", "white", None), ("y", "white", colour), ("mask", "black", "white")):
            picture = Image.new("RGB", (64, 64), background)
            ImageDraw.Draw(picture).rectangle(box, fill=fill, outline=fill or "black")
            save_image(picture, root / kind / f"Shoes_{name}.png")
    return PairFolder(root)


def test_the_right_answer_is_the_other_colourway_in_its_own_place(shop: PairFolder) -> None:
    found = colourways.answers(shop, count=None, per_input=2, seed=0)
    assert found.inputs == ["Shoes_1.10"] * 2 and found.references == ["Shoes_1.11 1", "Shoes_1.11 2"]
    assert found.labels is None and found.colours is None
    assert found.truth[0, :, 30, 20].tolist() == [0, 0, 255] and found.truth[0, :, 5, 5].tolist() == [255] * 3
    assert torch.equal(found.truth[0], found.truth[1]) and not torch.equal(found.r[0], found.r[1])
    assert (found.r[0] != found.truth[0]).any(dim=0).float().mean() > 0.05  # moved
    assert found.mask[0, 0, 30, 20] == 255 and found.x[0, 0, 20, 20] == 0
    again = colourways.answers(shop, count=1, per_input=2, seed=0)
    assert torch.equal(again.r, found.r)


def test_bad_colourways(shop: PairFolder, pair_folder) -> None:
    with pytest.raises(InputError, match="count=0"):
        colourways.answers(shop, count=0, per_input=1, seed=0)
    with pytest.raises(InputError, match="no product in two colourways"):
        colourways.answers(PairFolder(pair_folder), count=None, per_input=1, seed=0)
