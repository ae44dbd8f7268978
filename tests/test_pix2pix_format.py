"""Pair files of two pictures side by side: which half is which, and the folder made of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import segin_core.data.pix2pix_format as pix2pix_format
from segin_core.data.pairs import PairFolder
from segin_core.data.parts import PARTS
from segin_core.data.pix2pix_format import prepare, read_pair, scale_lines
from segin_core.errors import InputError

DATA = Path(__file__).parent.parent.parent / "shared" / "data"  # real pairs, where the authors have them


def halves(colour: str | tuple = "brown", side: int = 64) -> tuple[Image.Image, Image.Image]:
    """A sketch of a disc and the photo of it."""
    sketch, picture = Image.new("RGB", (side, side), "white"), Image.new("RGB", (side, side), "white")
    box = (side // 4, side // 4, 3 * side // 4, 3 * side // 4)
    ImageDraw.Draw(sketch).ellipse(box, outline="black")
    ImageDraw.Draw(picture).ellipse(box, fill=colour)
    return sketch, picture


def save(path: Path, left: Image.Image, right: Image.Image) -> Path:
    both = Image.new("RGB", (left.width + right.width, left.height))
    both.paste(left)
    both.paste(right, (left.width, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    both.save(path, quality=95)
    return path


@pytest.mark.parametrize("colour", ["brown", "black", (128, 128, 128), (253, 246, 200)])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_both_orders_and_their_confusion(tmp_path, colour, suffix):
    sketch, picture = halves(colour)
    files = {
        "AB": save(tmp_path / f"ab.{suffix}", sketch, picture),
        "BA": save(tmp_path / f"ba.{suffix}", picture, sketch),
    }
    for order, other in (("AB", "BA"), ("BA", "AB")):
        x, y = read_pair(files[order], order)
        assert (x.mode, y.mode, x.size, y.size) == ("L", "RGB", (64, 64), (64, 64))
        assert x.getpixel((32, 32)) > 250 and (np.asarray(x) < 100).any()
        assert np.allclose(y.getpixel((32, 32)), picture.getpixel((32, 32)), atol=6)
        with pytest.raises(InputError, match=rf"{files[order].name} .*order='{other}' .*order='{order}'"):
            read_pair(files[order], other)


def test_a_thin_grey_thing_is_taken_as_given(tmp_path):
    sketch = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(sketch).rectangle((20, 20, 100, 80), outline="black")
    ImageDraw.Draw(sketch).rectangle((21, 21, 99, 79), outline="black")  # both sides of the wire: darker than its photo
    frame = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(frame).rectangle((20, 20, 100, 80), outline=(170, 170, 170))
    x, _ = read_pair(save(tmp_path / "frame.png", frame, sketch), "BA")
    assert x.getpixel((21, 21)) == 0


def test_no_sketch_in_either_half(tmp_path):
    _, picture = halves("brown")
    path = save(tmp_path / "two.png", picture, Image.new("RGB", (64, 64), "blue"))
    for order in ("AB", "BA"):
        with pytest.raises(InputError, match=r"two\.png"):
            read_pair(path, order)
    dark = save(tmp_path / "dark.png", Image.new("RGB", (64, 64), (40, 40, 40)), Image.new("RGB", (64, 64), "blue"))
    with pytest.raises(InputError, match="no sketch"):
        read_pair(dark, "AB")


def test_bad_files_and_arguments(tmp_path):
    sketch, picture = halves()
    with pytest.raises(InputError, match="order='ba'"):
        read_pair(save(tmp_path / "pair.png", sketch, picture), "ba")
    picture.save(tmp_path / "single.png")
    with pytest.raises(InputError, match=r"single\.png is 64 x 64 pixels"):
        read_pair(tmp_path / "single.png", "AB")
    with pytest.raises(InputError, match="does not exist"):
        read_pair(tmp_path / "gone.png", "AB")


def test_lines_stay_thin_and_whole_at_every_size():
    edges = Image.new("L", (128, 128), 255)
    ImageDraw.Draw(edges).rectangle((21, 33, 100, 90), outline=10)
    for size in (32, 64, 100, 128, 256):
        dark = np.asarray(scale_lines(edges, size)) < 128
        around = 2 * (79 + 57) * size / 128
        assert 0.85 * around < dark.sum() < 1.15 * around, size
        inside = [int((v + 0.5) * size / 128) for v in (25, 40, 96, 84)]
        assert not dark[inside[1] : inside[3], inside[0] : inside[2]].any()
    assert np.array_equal(np.asarray(scale_lines(edges, 128)) < 128, np.asarray(edges) < 128)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five training and two test pairs, edges on the right, the latter in val/ as in edges2shoes."""
    for part, count in (("train", 5), ("val", 2)):
        for i, colour in enumerate(("brown", "black", "teal", "navy", "red")[:count]):
            sketch, picture = halves(colour)
            save(tmp_path / "discs" / part / f"{i}_AB.jpg", picture, sketch)
    return tmp_path / "discs"


def test_prepared_folder(folder, tmp_path, monkeypatch):
    made = prepare(folder, 32, order="BA", cache=tmp_path / "cache", progress=False)
    assert made.parent == tmp_path / "cache" / "pix2pix" / "32px" and made.name.startswith("discs-BA-")
    parts = {part: PairFolder(made / part) for part in PARTS}
    assert parts["test"].names == ["0_AB", "1_AB"], "theirs"
    ours = [name for part in ("train", "validation", "final") for name in parts[part].names]
    assert sorted(ours) == [f"{i}_AB" for i in range(5)], "out of their train"
    batch = parts["train"].batch(range(3))
    assert set(batch["x"].unique().tolist()) == {-1.0, 1.0} and batch["mask"].mean() == pytest.approx(0.2, abs=0.03)
    assert json.loads((made / "manifest.json").read_text())["counts"] == {
        "train": 3,
        "validation": 1,
        "test": 2,
        "final": 1,
    }
    monkeypatch.setattr(pix2pix_format, "read_pair", None)
    assert prepare(folder, 32, order="BA", cache=tmp_path / "cache", progress=False) == made


def test_a_folder_named_test_comes_before_val(folder, tmp_path):
    sketch, picture = halves()
    save(folder / "test" / "9.png", picture, sketch)
    made = prepare(folder, 32, order="BA", limit=(1, 1), cache=tmp_path / "cache", progress=False)
    assert PairFolder(made / "test").names == ["9"] and len(PairFolder(made / "train")) == 1


def test_pictures_replaced_under_the_same_names_and_sizes(folder, tmp_path):
    def colour() -> float:
        made = prepare(folder, 32, order="BA", cache=tmp_path / "cache", progress=False)
        return float(PairFolder(made / "train")[0]["y"][:, 16, 16].max())

    seen = []
    for shade in ("orange", "navy"):
        for path in folder.rglob("*.jpg"):
            sketch, picture = halves(shade)
            save(path.with_suffix(".bmp"), picture, sketch)  # all files of one size in bytes
        for path in folder.rglob("*.jpg"):
            path.unlink()
        for path in folder.rglob("*.bmp"):
            sketch, picture = halves(shade)
            save(path, picture, sketch)
        seen.append(colour())
    assert seen[0] > 0.9 and seen[1] < 0.1


def test_interrupted_and_resumed_is_the_same(folder, tmp_path, monkeypatch):
    whole = prepare(folder, 32, order="BA", cache=tmp_path / "whole", progress=False)
    read, calls = pix2pix_format.read_pair, []

    def stop(*given: object) -> tuple[Image.Image, Image.Image]:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(*given)

    monkeypatch.setattr(pix2pix_format, "read_pair", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(folder, 32, order="BA", cache=tmp_path / "cut", progress=False)
    resumed = prepare(folder, 32, order="BA", cache=tmp_path / "cut", progress=False)
    assert len(calls) == 3 + 5, "two pairs are there already"
    pictures = [sorted(made.rglob("*.png")) for made in (whole, resumed)]
    assert len(pictures[0]) == 21 and [p.read_bytes() for p in pictures[0]] == [p.read_bytes() for p in pictures[1]]


def test_parts_missing_or_in_the_wrong_order(folder, tmp_path):
    with pytest.raises(InputError, match=r"train is not|needs the folders train and test \(or val\)"):
        prepare(folder / "train", 32, order="BA", cache=tmp_path / "cache")
    with pytest.raises(InputError, match="size"):
        prepare(folder, 31, order="BA", cache=tmp_path / "cache")
    with pytest.raises(InputError, match=r"train/1_AB\.jpg .*order='BA'"):
        prepare(folder, 32, order="AB", cache=tmp_path / "cache", progress=False)


@pytest.mark.skipif(not (DATA / "edges2shoes").is_dir(), reason="no edges2shoes beside the project")
def test_real_pairs():
    for path in sorted((DATA / "edges2shoes" / "train").iterdir()):
        x, y = read_pair(path, "BA")
        assert x.size == y.size == (256, 256) and (np.asarray(x) < 128).mean() < 0.05
        with pytest.raises(InputError, match=r"order='BA'\.$"):
            read_pair(path, "AB")
