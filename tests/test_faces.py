"""Pairs from folders of faces: sketches and grey pictures, coloured regions, and no look-alikes in two parts."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageEnhance

from segin_core.data import faces, look_alikes
from segin_core.data.faces import ALIKE, GONE, SEEN, coloured, divide, edge_map, middle, pair, prepare, strokes
from segin_core.data.hed import HED
from segin_core.data.images import read_image
from segin_core.data.look_alikes import alike_pairs, slopes
from segin_core.data.pairs import PairFolder
from segin_core.data.parts import PARTS
from segin_core.data.strokes import traced
from segin_core.errors import InputError

DATA = Path(__file__).parent.parent.parent / "shared" / "data"  # real pictures, where the authors have them


def face(seed: int, size: tuple[int, int] = (96, 96)) -> Image.Image:
    """A head with two eyes on grey, in its own place and colours."""
    chance = np.random.default_rng(seed)
    picture = Image.new("RGB", size, (200, 200, 200))
    pen, (x, y) = ImageDraw.Draw(picture), chance.integers(8, 34, 2).tolist()
    dark, *colours = ([int(value) for value in chance.integers(low, low + 90, 3)] for low in (0, 20, 160))
    pen.ellipse((x - 6, y - 8, x + 60, y + 50), fill=tuple(dark))
    pen.ellipse((x, y, x + 48, y + 58), fill=(240, 190, colours[0][0]), outline="black", width=2)
    for side in (8, 30):
        pen.ellipse((x + side, y + 18, x + side + 10, y + 30), fill=tuple(colours[1]), outline="black")
    for _ in range(8):
        a, b, c, d = chance.integers(0, size[0], 4).tolist()
        pen.line((a, b, c, d), fill=tuple(chance.integers(0, 255, 3).tolist()), width=5)
    return picture


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen pictures in train/, four in test/, of which one is a brighter copy of the first in train/."""
    root = tmp_path_factory.mktemp("set") / "heads"
    for part, count, start in (("train", 16, 0), ("test", 3, 100)):
        (root / part).mkdir(parents=True)
        for i in range(count):
            face(start + i).save(root / part / f"{i}.png")
    ImageEnhance.Brightness(face(0)).enhance(1.2).resize((80, 80)).save(root / "test" / "copy.jpg", quality=70)
    return root


def test_copies_correlate_and_others_do_not():
    first = slopes(face(0))
    altered = ImageEnhance.Contrast(face(0).resize((64, 64))).enhance(0.6)
    assert np.linalg.norm(first) == pytest.approx(1) and first @ slopes(altered) > 0.95
    assert max(first @ slopes(face(seed)) for seed in range(1, 40)) < min(ALIKE.values())
    assert np.abs(slopes(Image.new("RGB", (40, 40), "red"))).max() == 0, "one colour is like nothing"


def test_pairs_are_found_in_chunks(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(30, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    slow = [(i, j) for i in range(30) for j in range(i + 1, 30) if vectors[i] @ vectors[j] > 0.9]
    for chunk in (4096, 7):
        monkeypatch.setattr(look_alikes, "CHUNK", chunk)
        assert list(map(tuple, alike_pairs(vectors, 0.9).tolist())) == slow and slow


def test_a_copy_of_a_test_picture_is_left_out(given):
    parts, groups = divide(given, "anime")
    assert [file.name for file in parts[GONE]] == ["0.png"]
    assert {file.parent.name for file in parts["test"]} == {"test"} and len(parts["test"]) == 4
    assert groups[given / "train" / "0.png"] == groups[given / "test" / "copy.jpg"] == "test/copy.jpg"
    assert sorted(file for part in parts.values() for file in part) == sorted(given.rglob("*.*"))


def test_a_flat_folder_is_divided_by_groups(given, tmp_path):
    for i, file in enumerate(sorted(given.rglob("*.png"))):
        shutil.copy(file, tmp_path / f"{i}.png")
        if i % 3 == 0:
            Image.open(file).resize((64, 64)).save(tmp_path / f"{i}-again.png")
    parts, groups = divide(tmp_path, "faces")
    assert set(parts) == set(PARTS)
    owners = {part: {groups[file] for file in files} for part, files in parts.items()}
    assert sum(map(len, owners.values())) == len(set(groups.values())) == 19, "no group in two parts"
    assert sum(map(len, parts.values())) == 26


def test_coloured_regions():
    picture = Image.new("RGB", (192, 192), (128, 128, 128))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((40, 40, 150, 150), fill=(230, 180, 160))
    pen.ellipse((80, 80, 95, 95), fill="white")  # an eye: a hole is filled
    pen.rectangle((5, 5, 6, 6), fill=(190, 110, 110))  # a speck
    pen.rectangle((160, 0, 191, 191), fill="black")
    mask = np.asarray(coloured(picture)) > 0
    assert mask[88, 88] and mask[60, 100] and not mask[6, 6] and not mask[100, 180] and not mask[10, 100]
    assert mask.mean() == pytest.approx(np.pi * 55**2 / 192**2, rel=0.05)
    assert np.asarray(coloured(Image.new("RGB", (64, 64), (90, 90, 90)))).max() == 0
    assert np.asarray(coloured(Image.new("RGB", (64, 64), "teal"))).min() == 255, "up to the border"


def test_the_middle_of_a_wide_picture():
    wide = Image.new("RGB", (96, 40), "white")
    wide.paste("red", (24, 0, 72, 40))
    assert middle(wide, 32).getcolors() == [(32 * 32, (255, 0, 0))]


def test_greyscale_transparent_and_tall_pictures(tmp_path):
    face(1).convert("L").save(tmp_path / "grey.png")
    Image.new("RGBA", (300, 500), (200, 30, 30, 0)).save(tmp_path / "clear.png")
    for name in ("grey", "clear"):
        made = pair(tmp_path / f"{name}.png", 32, "faces", None)
        assert [made[kind].size for kind in ("x", "y", "mask")] == [(32, 32)] * 3
        assert [made[kind].mode for kind in ("x", "y", "mask")] == ["L", "RGB", "L"]
        assert np.asarray(made["mask"]).max() == 0, "no colour, no foreground"
    assert np.asarray(made["y"]).min() == 255, "laid on white"


def test_faces_are_their_luminance(given, tmp_path):
    made = prepare(given, 32, task="faces", cache=tmp_path, progress=False)
    assert made.parent == tmp_path / "faces" / "32px" and made.name.startswith("heads-faces-")
    parts = {part: PairFolder(made / part) for part in PARTS}
    assert parts["test"].names == ["0", "1", "2", "copy"]
    names = [name for part in ("train", "validation", "final") for name in parts[part].names]
    assert sorted(names, key=int) == [str(i) for i in range(1, 16)], "0 is a copy"
    batch = parts["test"].batch(range(3))
    luminance = (batch["y"] * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    assert (batch["x"] - luminance).abs().max() < 0.01
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["counts"] == {"train": 11, "validation": 2, "test": 4, "final": 2} == manifest["families"]


def test_anime_has_sketches_and_the_second_call_finds_them(given, tmp_path, monkeypatch):
    made = prepare(given, 32, task="anime", limit=(2, 1), cache=tmp_path, progress=False)
    every = [PairFolder(made / part)[0] for part in PARTS]
    for one in every:
        assert one["x"].shape == (1, 32, 32) and 0.02 < (one["x"] < 0).float().mean() < 0.4
    assert all((a["x"] != b["x"]).any() for a, b in pairwise(every))
    monkeypatch.setattr(faces, "draw", None)
    assert prepare(given, 32, task="anime", limit=(2, 1), cache=tmp_path, progress=False) == made


def test_what_cannot_be_prepared(given, tmp_path):
    with pytest.raises(InputError, match="task='manga' is unknown: choose one of anime, faces"):
        prepare(given, 32, task="manga", cache=tmp_path)
    with pytest.raises(InputError, match="gone is no folder that holds pictures"):
        prepare(tmp_path / "gone", 32, task="faces", cache=tmp_path)
    with pytest.raises(InputError, match="size=31"):
        prepare(given, 31, task="faces", cache=tmp_path)
    with pytest.raises(InputError, match="limit"):
        prepare(given, 32, task="faces", limit=(0, 1), cache=tmp_path)
    (tmp_path / "half" / "train").mkdir(parents=True)
    face(0).save(tmp_path / "half" / "train" / "0.png")
    with pytest.raises(InputError, match="half has train/ alone of train/ and test/"):
        prepare(tmp_path / "half", 32, task="faces", cache=tmp_path)
    with pytest.raises(InputError, match="1 pictures of 1 products leave none"):
        prepare(tmp_path / "half" / "train", 32, task="faces", cache=tmp_path)
    (tmp_path / "half" / "train" / "1.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"1\.png is empty, or not an image"):
        prepare(tmp_path / "half" / "train", 32, task="faces", cache=tmp_path)


@pytest.mark.skipif(not (DATA / "anime-faces").is_dir(), reason="no anime faces beside the project")
def test_real_pictures_get_fewer_and_longer_strokes():
    hed = HED()
    for file in sorted((DATA / "anime-faces" / "test").iterdir())[:3]:
        picture = middle(read_image(file), SEEN)
        before, after = traced(edge_map(picture, hed)[0]), strokes(picture, hed)
        assert 8 < len(after) < 0.7 * len(before)
        assert np.median([len(stroke) / 2 for stroke in after]) > 1.5 * np.median(list(map(len, before)))
