"""A folder of pairs: what is returned, and each way in which a folder can be wrong."""

import pytest
import torch
from PIL import Image

from segin_core.data.pairs import PairFolder
from segin_core.errors import InputError


@pytest.fixture
def root(tmp_path):
    for kind, colour in {"x": (255, 255, 255), "y": (255, 0, 0), "mask": (0, 0, 0)}.items():
        (tmp_path / kind).mkdir()
        for name in ("b", "a", "c.1"):
            Image.new("RGB", (6, 4), colour).save(tmp_path / kind / f"{name}.png")
    return tmp_path


def test_items(root):
    (root / "x" / ".hidden.png").touch()
    (root / "x" / "notes.txt").touch()
    pairs = PairFolder(root)
    assert len(pairs) == 3 and pairs.names == ["a", "b", "c.1"]
    item = pairs[1]
    assert item["name"] == "b"
    assert item["x"].shape == (1, 4, 6) and (item["x"] == 1).all()
    assert item["mask"].shape == (1, 4, 6) and (item["mask"] == 0).all()
    assert torch.equal(item["y"], torch.tensor([1.0, -1, -1]).view(3, 1, 1).expand(3, 4, 6))


def test_batch(root):
    batch = PairFolder(root).batch(torch.tensor([2, 0]))
    assert batch["names"] == ["c.1", "a"]
    assert [tuple(batch[kind].shape) for kind in ("x", "y", "mask")] == [
        (2, 1, 4, 6),
        (2, 3, 4, 6),
        (2, 1, 4, 6),
    ]
    with pytest.raises(InputError, match="No indices"):
        PairFolder(root).batch([])


def test_loader_visits_every_item_and_stops(root):
    assert [item["name"] for item in PairFolder(root)] == ["a", "b", "c.1"]


@pytest.mark.parametrize("suffixes", [("png", "png", "PNG"), ("PNG",) * 3, ("jpg",) * 3, ("JPEG", "webp", "bmp")])
def test_suffixes_in_any_case_and_of_any_kind(tmp_path, suffixes):
    for kind in ("x", "y", "mask"):
        (tmp_path / kind).mkdir()
        for name, suffix in zip("abc", suffixes, strict=True):
            Image.new("RGB", (6, 4), "white").save(tmp_path / kind / f"{name}.{suffix}")
    pairs = PairFolder(tmp_path)
    assert pairs.names == ["a", "b", "c"] and pairs[2]["y"].shape == (3, 4, 6) and (pairs[2]["y"] > 0.9).all()


@pytest.mark.parametrize("twin", ["A.png", "a.PNG", "a.jpg"])
def test_two_names_that_differ_in_case_or_suffix_alone(root, twin):
    for kind in ("x", "y", "mask"):
        Image.new("RGB", (6, 4)).save(root / kind / twin)
    if len(list((root / "x").iterdir())) == 3:
        pytest.skip("here the two names are one file")
    with pytest.raises(InputError, match=r"would both be called [aA]: rename"):
        PairFolder(root)


def test_the_digest_is_that_of_the_pictures(root):
    before = PairFolder(root).digest
    (root / "x" / "notes.txt").write_text("no picture")
    assert PairFolder(root).digest == before
    Image.new("RGB", (6, 4), "navy").save(root / "y" / "b.png")
    assert PairFolder(root).digest != before


def test_missing_root_and_folder(root):
    with pytest.raises(InputError, match="nowhere/x is no folder that holds pictures"):
        PairFolder(root / "nowhere")
    (root / "mask").rename(root / "masks")
    with pytest.raises(InputError, match="mask is no folder that holds pictures"):
        PairFolder(root)


def test_empty_folder(root):
    for file in (root / "y").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="y is no folder that holds pictures"):
        PairFolder(root)


@pytest.mark.parametrize(("kind", "where"), [("x", "y"), ("y", "x"), ("mask", "x")])
def test_names_that_do_not_match(root, kind, where):
    (root / kind / "b.png").unlink()
    with pytest.raises(InputError, match=rf"{where}/b\.png has no partner in {kind}/"):
        PairFolder(root)


@pytest.mark.parametrize("kind", ["y", "mask"])
def test_sizes_that_differ_within_a_pair(root, kind):
    Image.new("RGB", (5, 4)).save(root / kind / "b.png")
    pairs = PairFolder(root)
    assert pairs[0]["name"] == "a"
    with pytest.raises(InputError, match=rf"{kind}/b\.png is 5 x 4 pixels but its x is 6 x 4"):
        pairs[1]


def test_sizes_that_differ_within_a_batch(root):
    for kind in ("x", "y", "mask"):
        Image.new("RGB", (5, 4)).save(root / kind / "b.png")
    with pytest.raises(InputError, match=r"x/b\.png and a\.png differ in size"):
        PairFolder(root).batch([0, 1])


def test_unreadable_picture(root):
    (root / "y" / "b.png").write_bytes((root / "y" / "b.png").read_bytes()[:40])
    with pytest.raises(InputError, match=r"y/b\.png"):
        PairFolder(root)[1]
