"""Drawn faces: known colours at known parts, pictures that their layers mix exactly, whole combinations held out."""

import io
import json
from hashlib import sha256
from itertools import combinations

import numpy as np
import pytest
import resvg_py
import torch
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

import segin_core.data.avatars as avatars
from segin_core.data.avatars import (
    APART,
    BACKGROUND,
    CODES,
    LEAST,
    OTHER,
    SHOWN,
    WHITE,
    answers,
    choices,
    combination,
    face,
    labels,
    layers,
    line_drawing,
    names,
    palette,
    prepare,
    recoloured,
    split,
)
from segin_core.data.images import from_bytes, to_bytes
from segin_core.data.pairs import PairFolder
from segin_core.data.parts import PARTS
from segin_core.errors import InputError

COLOURS = torch.tensor([[230, 0, 0], [0, 220, 0], [0, 0, 210], [200, 190, 0], [190, 0, 180], [0, 170, 160]])
FACES = ["adventurer-0000", "adventurer-0001", "adventurer-0005", "micah-0000", "micah-0003", "micah-0011"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepare(64, cache=tmp_path_factory.mktemp("cache"), limit=(6, 8), progress=False)


def rendered(name: str, size: int, *, crisp: bool = False) -> torch.Tensor:
    """The face as the renderer draws it in `COLOURS`: 3 h w, bytes."""
    svg = avatars._svg(name)
    for colour, paint in zip([*COLOURS.tolist(), [255] * 3], [*SHOWN, WHITE], strict=True):
        svg = svg.replace(CODES[paint], f"#{bytes(colour).hex()}")
    svg = svg.replace('shape-rendering="auto"', 'shape-rendering="crispEdges"') if crisp else svg
    png = resvg_py.svg_to_bytes(svg, background="white", width=size, height=size, skip_system_fonts=True)
    return torch.tensor(np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))).permute(2, 0, 1)


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("size", [64, 96])
def test_layers_mix_what_the_renderer_draws(name, size):
    drawing = layers(name, size)
    mixed = recoloured(drawing, COLOURS)
    assert (mixed.int() - rendered(name, size).int()).abs().max() <= 4  # of 255: eight roundings
    found, crisp = labels(drawing), rendered(name, size, crisp=True)
    for number in found.unique().tolist():
        if number > 0:
            assert (mixed[:, found == number] == COLOURS[number - 1][:, None]).all(), (
                "exactly its colour, on every pixel"
            )
            assert (crisp[:, found == number] == COLOURS[number - 1][:, None]).all(), "and no other part's"
            assert (found == number).float().mean() >= LEAST
    assert (mixed[:, found == BACKGROUND] == 255).all() and set(found.unique().tolist()) <= {*range(-1, len(SHOWN) + 1)}


def test_a_line_drawing_has_no_colour_and_shows_every_part_by_its_line():
    for name in FACES:
        drawing = layers(name, 64)
        x = line_drawing(drawing)
        assert x.shape == (1, 64, 64) and x.dtype == torch.uint8
        white = recoloured(drawing, torch.full((len(SHOWN), 3), 255))
        assert torch.equal(white, x.expand(3, -1, -1)), "all parts white, ink black"
        found = labels(drawing)
        assert (x[0][found >= 0] == 255).all() and x.min() < 60
        # two labels are nowhere neighbours: ink lies between them, or the edge of a part
        for shifted in (found.roll(1, 0), found.roll(1, 1)):
            assert not ((found >= 0) & (shifted >= 0) & (found != shifted))[1:, 1:].any()


def test_parts_are_where_a_face_has_them():
    areas = {name: {SHOWN[i - 1] for i in labels(layers(name, 64)).unique().tolist() if i > 0} for name in FACES}
    assert all({"skin", "hair"} <= parts for parts in areas.values())
    assert all(("clothes" in parts) == name.startswith("micah") for name, parts in areas.items())
    drawing = layers("micah-0000", 64)
    rows = [torch.nonzero(drawing.parts[SHOWN.index(part)] == 255)[:, 0].float().mean() for part in SHOWN[:2]]
    assert rows[1] < rows[0] < torch.nonzero(drawing.parts[SHOWN.index("clothes")] == 255)[:, 0].float().mean()


def test_palettes_are_far_apart_and_none_has_a_part_of_its_own():
    found = torch.stack([palette(name) for name in names()[::112]])
    for colours in found:
        lab = rgb2lab(torch.cat([colours, torch.tensor([[0] * 3, [255] * 3], dtype=torch.uint8)]).numpy())
        assert min(deltaE_ciede2000(one, other) for one, other in combinations(lab, 2)) >= APART
    assert (found.float().mean(0) - found.float().mean((0, 1))).abs().max() < 50
    assert torch.equal(palette("micah-0001"), palette("micah-0001"))
    assert not torch.equal(palette("micah-0001"), palette("micah-0002"))


DIGESTS = {
    "test": "25669cf0fe14",
    "validation": "f8ddbfe312aa",
    "final": "692cd7be0fba",
}


def test_the_split_never_changes_and_holds_out_whole_combinations():
    parts = split()
    assert {part: len(some) for part, some in parts.items()} == dict(zip(PARTS, (5000, 150, 300, 150), strict=True))
    assert {part: sha256(" ".join(parts[part]).encode()).hexdigest()[:12] for part in DIGESTS} == DIGESTS
    for one, other in combinations(parts.values(), 2):
        assert not {combination(name) for name in one} & {combination(name) for name in other}
    seen = {face(name)["hair"] for name in parts["train"]}
    assert {face(name)["hair"] for name in parts["test"]} <= seen, "new combinations of known parts"


def test_what_is_left_out():
    assert "long18" not in choices("adventurer")["hair"] and "short13" not in choices("adventurer")["hair"]
    assert choices("micah")["hair"] == ("dannyPhantom", "fonze", "full", "pixie", "turban")
    assert choices("micah")["glasses"].count("") == 2 * (len(choices("micah")["glasses"]) // 3)
    assert not {"facialHair", "details"} & (choices("micah").keys() | choices("adventurer").keys())


def test_prepared_folder(folder, tmp_path):
    assert folder.parts[-3:-1] == ("avatars-10.6.0", "64px") and folder.name.startswith("drawing-")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["counts"] == {"train": 6, "validation": 8, "test": 8, "final": 8} and manifest["task"] == "avatars"
    assert "Lisa Wischofsky" in manifest["artwork"] and "Micah Lanier" in manifest["artwork"]
    assert manifest["versions"].keys() >= {"dicebear-core", "dicebear-styles", "resvg_py"}
    pairs = PairFolder(folder / "test")
    for name, x, y in zip(pairs.names, *(pairs.batch(range(8))[kind] for kind in "xy"), strict=True):
        drawing = layers(name, 64)
        assert torch.equal(to_bytes(x), line_drawing(drawing)) and torch.equal(
            to_bytes(y), recoloured(drawing, palette(name))
        )
        assert json.loads((folder.parents[1] / "faces" / f"{name}.json").read_text()) == face(name)
    again = prepare(64, cache=tmp_path, limit=(6, 8), progress=False)
    read = [json.loads((one / "manifest.json").read_text())["sha256"] for one in (folder, again)]
    assert again.name == folder.name and read[0] == read[1]


def test_a_finished_folder_is_returned_at_once(folder, monkeypatch):
    monkeypatch.setattr(avatars, "layers", None)
    assert prepare(64, cache=folder.parents[2], limit=(6, 8), progress=False) == folder


def test_answers_have_the_references_colours_at_the_parts_of_x(folder):
    pairs = PairFolder(folder / "test")
    known = answers(pairs, per_input=2, seed=3)
    assert known.inputs == [name for name in pairs.names for _ in range(2)] and len(known.references) == 16
    assert known.x.shape == (16, 1, 64, 64) and known.r.shape == known.truth.shape == (16, 3, 64, 64)
    assert known.labels.shape == (16, 64, 64) and known.colours.shape == (16, len(SHOWN), 3)
    assert all(each.dtype == torch.uint8 for each in (known.x, known.r, known.truth, known.mask))
    for i, (x, r) in enumerate(zip(known.inputs, known.references, strict=True)):
        assert face(x)["hair"] != face(r)["hair"]
        assert torch.equal(known.truth[i], recoloured(layers(x, 64), palette(r)))
        assert not torch.equal(known.r[i], recoloured(layers(r, 64), palette(r))), "r is moved"
        numbers = set(known.labels[i].unique().tolist()) - {BACKGROUND, OTHER}
        assert (
            numbers == {k + 1 for k in range(len(SHOWN)) if not known.colours[i, k].isnan().any()} and {1, 2} <= numbers
        )
        assert numbers <= set(labels(layers(r, 64)).unique().tolist()), "r shows what it is to colour"
        for number in numbers:
            found = known.truth[i][:, known.labels[i] == number]
            assert (from_bytes(found) == known.colours[i, number - 1][:, None]).all()
    assert len(set(zip(known.inputs, known.references, strict=True))) == 16


def test_answers_in_its_own_palette_are_the_picture(folder):
    pairs = PairFolder(folder / "test")
    for name, y in zip(pairs.names, pairs.batch(range(8))["y"], strict=True):
        assert torch.equal(recoloured(layers(name, 64), palette(name)), to_bytes(y))


def test_answers_depend_on_the_seed_alone(folder):
    pairs = PairFolder(folder / "test")
    first, again, other = (answers(pairs, per_input=2, seed=seed) for seed in (3, 3, 4))
    assert first.references == again.references and first.references != other.references
    assert all(torch.equal(one, two) for one, two in zip(first[2:-1], again[2:-1], strict=True))
    assert torch.equal(first.colours.nan_to_num(9), again.colours.nan_to_num(9))


def test_bad_input_is_told_in_a_sentence(folder, tmp_path):
    pairs = PairFolder(folder / "test")
    for name in ("1F600", "micah", "pixel-0001", "micah-x"):
        with pytest.raises(InputError, match="no avatar: give names such as micah-0007"):
            face(name)
    with pytest.raises(InputError, match="size=4"):
        layers("micah-0007", 4)
    with pytest.raises(InputError, match="size=16"):
        prepare(16, cache=tmp_path, limit=(1, 1))
    with pytest.raises(InputError, match="below 1"):
        prepare(64, cache=tmp_path, limit=(0, 1))
    with pytest.raises(InputError, match="per_input=0"):
        answers(pairs, per_input=0, seed=0)
    with pytest.raises(InputError, match="have other hair than"):
        answers(pairs, per_input=8, seed=0)
