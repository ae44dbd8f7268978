"""Pairs from product photos: the split by product, edges without a frame, masks, and what an interruption leaves."""

import json
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

import segin_core.data.photos as shoes
from segin_core.data import cache
from segin_core.data.hed import HED, thin_edges
from segin_core.data.images import find_pictures, read_image, to_tensor
from segin_core.data.pairs import PairFolder
from segin_core.data.parts import PARTS
from segin_core.data.photos import (
    edges,
    foreground,
    line_settings,
    on_square,
    pair,
    prepare,
    product,
    split_as_given,
    split_by_product,
)
from segin_core.data.pix2pix_format import read_pair
from segin_core.errors import InputError

COLOURS = ("red", "green", "navy")
DATA = Path(__file__).parent.parent.parent / "shared" / "data"  # real photos, where the authors have them


@pytest.fixture(scope="module")
def hed() -> HED:
    return HED()


def photo(path: Path, colour: str = "red", inset: int = 6) -> Path:
    """A product photo of 40 x 30 pixels: a coloured ellipse on white."""
    image = Image.new("RGB", (40, 30), "white")
    ImageDraw.Draw(image).ellipse((inset, 6, 39 - inset, 24), fill=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Six products in one folder, with 1, 2, 3, 1, 1 and 1 colourways."""
    for number, colourways in enumerate((1, 2, 3, 1, 1, 1)):
        for i, colour in enumerate(COLOURS[:colourways]):
            photo(tmp_path / "photos" / f"Shoes_70{number}.{i}.jpg", colour, inset=5 + number)
    return tmp_path / "photos"


def files(folder: Path) -> dict[str, bytes]:
    """Every picture below a folder, by its relative path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def test_photos_are_found_nested_and_flat(flat, tmp_path):
    for path in find_pictures(flat):
        photo(tmp_path / "nested" / "Shoes" / "Flat Ones" / path.name)
    assert [path.name for path in find_pictures(flat)] == [path.name for path in find_pictures(tmp_path / "nested")]
    assert len(find_pictures(flat)) == 9


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("7381306.3.jpg", "7381306"),  # UT-Zap50K, nested
        ("Sandals_Heel_7381306.3.jpg", "7381306"),  # the same shoe in two flat categories
        ("Sandals_Flat_7381306.12.jpg", "7381306"),
        ("Boots_Knee-High_100627.255.jpg", "100627"),
        ("red_shoe_01.jpg", "red_shoe_01"),  # a count of one's own is no catalogue number
        ("IMG-20260101.jpg", "IMG-20260101"),
    ],
)
def test_the_product_is_the_catalogue_number(name, expected):
    assert product(Path("photos") / name) == expected


def test_a_shoe_in_two_categories_is_on_one_side():
    photos = [Path(f"{category}_{7000000 + i}.0.jpg") for i in range(80) for category in ("Heels", "Flats")]
    numbers = [{path.name.split("_")[1] for path in part} for part in split_by_product(photos).values()]
    assert all(not one & other for one, other in combinations(numbers, 2))


def test_colourways_are_whole_products_of_two_photos_or_more():
    photos = [Path(f"{7000000 + i}.{colour}.jpg") for i in range(60) for colour in range(1 + i % 3)]
    parts = split_by_product(photos)
    several = {product(path) for path in parts["train"] + parts["colourways"]}
    several = {name for name in several if sum(product(path) == name for path in photos) > 1}
    chosen = {product(path) for path in parts["colourways"]}
    assert len(chosen) == len(several) // 4 > 3 and chosen < several
    assert parts["colourways"] == sorted(path for path in photos if product(path) in chosen)
    assert sorted(path for part in parts.values() for path in part) == sorted(photos)
    assert "colourways" not in split_by_product([path for path in photos if path.name.endswith(".0.jpg")])


def test_given_split(flat, tmp_path):
    own = tmp_path / "own"
    for i, path in enumerate(find_pictures(flat)):
        photo(own / ("test" if i < 2 else "train") / path.name)
    parts = split_as_given(own / "train", own / "test")
    assert {part: len(found) for part, found in parts.items()} == {"test": 2, "train": 5, "validation": 1, "final": 1}
    assert {path.parent.name for path in parts["test"]} == {"test"}
    with pytest.raises(InputError, match="test is no folder that holds pictures"):
        split_as_given(flat / "train", flat / "test")


def test_too_few_photos_to_split(tmp_path):
    for name in ("one.0", "one.1"):
        photo(tmp_path / "photos" / f"{name}.jpg")
    with pytest.raises(InputError, match="2 pictures of 1 products leave none for validation"):
        prepare(tmp_path / "photos", 32, cache=tmp_path)


def test_prepared_folder(flat, tmp_path):
    folder = prepare(flat, 32, cache=tmp_path / "cache", progress=False)
    assert folder.parent == tmp_path / "cache" / "photos" / "32px" and folder.name.startswith("product-")
    parts = {part: PairFolder(folder / part) for part in PARTS}
    assert [len(parts[part]) for part in PARTS] == [6, 1, 1, 1]
    batch = parts["train"].batch(range(5))
    assert set(batch["x"].unique().tolist()) == {-1.0, 1.0} and batch["y"].shape == (5, 3, 32, 32)
    inside = batch["mask"].mean(dim=(1, 2, 3))
    assert inside.min() > 0.2 and inside.max() < 0.55
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["counts"] == {part: len(parts[part]) for part in PARTS} and sum(manifest["families"].values()) == 6
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing half-made is left"


def test_photos_replaced_under_the_same_names(flat, tmp_path):
    def colours() -> set[str]:
        pairs = PairFolder(prepare(flat, 32, limit=(2, 1), cache=tmp_path / "cache", progress=False) / "train")
        return {"red" if pair["y"][0, 16, 16] > 0 else "blue" for pair in pairs}

    for colour in ("red", "blue"):
        for path in find_pictures(flat):
            photo(path, colour)
        assert colours() == {colour}


def test_second_call_returns_at_once(flat, tmp_path, monkeypatch):
    first = prepare(flat, 32, limit=(2, 1), cache=tmp_path / "cache", progress=False)
    monkeypatch.setattr(shoes, "read_image", None)
    assert prepare(flat, 32, limit=(2, 1), cache=tmp_path / "cache", progress=False) == first


def test_of_two_that_ask_for_one_folder_at_once_one_makes_it(flat, tmp_path, monkeypatch):
    save, made = cache.save_image, []
    monkeypatch.setattr(cache, "save_image", lambda picture, path: made.append(path) or save(picture, path))
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(prepare, flat, 32, limit=(2, 1), cache=tmp_path, progress=False) for _ in range(2)]
    assert asked[0].result() == asked[1].result() and len(made) == len(set(made)) == 15


@pytest.mark.parametrize("files_written", [0, 3, 7])  # none, one whole pair, two pairs and one file of the third
def test_interrupted_and_resumed_is_the_same(flat, tmp_path, monkeypatch, files_written):
    whole = prepare(flat, 32, limit=(3, 1), cache=tmp_path / "whole", progress=False)
    save, written, made = cache.save_image, [], []

    def stop(picture: Image.Image, path: Path) -> Path:
        if len(written) == files_written:
            raise KeyboardInterrupt
        written.append(path)
        return save(picture, path)

    monkeypatch.setattr(cache, "save_image", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(flat, 32, limit=(3, 1), cache=tmp_path / "cut", progress=False)
    assert not (tmp_path / "cut" / whole.relative_to(tmp_path / "whole")).exists(), "half a folder looks whole"

    monkeypatch.setattr(cache, "save_image", lambda picture, path: made.append(path) or save(picture, path))
    resumed = prepare(flat, 32, limit=(3, 1), cache=tmp_path / "cut", progress=False)
    assert len(made) == 3 * (6 - files_written // 3), "finished pairs are not made again"
    assert files(resumed) == files(whole)
    digests = [json.loads((folder / "manifest.json").read_text())["sha256"] for folder in (whole, resumed)]
    assert digests[0] == digests[1]


def test_photo_in_the_middle_of_a_white_square():
    for size in ((4, 2), (2, 4), (3, 3)):
        square = np.asarray(on_square(Image.new("RGB", size, "red")))
        side = max(size)
        assert square.shape == (side, side, 3)
        red = (square == (255, 0, 0)).all(axis=2)
        assert red.sum() == size[0] * size[1] and np.array_equal(red, red[::-1, ::-1])


def test_edges_below_the_photos_size_are_thinned_after_scaling(hed):
    image = to_tensor(on_square(Image.new("RGB", (80, 60), "navy")))[None]
    expected = 1 - 2 * thin_edges(F.avg_pool2d(hed(image), 2), threshold=0.2, min_length=40 // 16)
    assert torch.equal(edges(image, hed, 40), expected)
    assert set(expected.unique().tolist()) == {-1.0, 1.0}


def test_edges_above_the_photos_size_see_it_enlarged(hed):
    image = Image.new("RGB", (48, 48), "white")
    ImageDraw.Draw(image).rectangle((12, 12, 35, 35), fill="navy")
    x = edges(to_tensor(image)[None], hed, 96)
    assert x.shape == (1, 1, 96, 96)
    rows, columns = torch.nonzero(x[0, 0] < 0).T
    off = torch.maximum((rows - 47.5).abs(), (columns - 47.5).abs()) - 24
    assert len(rows) > 150 and (off.abs() < 3).all(), "one line around the square, twice as large as in the photo"


def test_line_settings_are_those_in_use(hed, monkeypatch):
    assert line_settings(64) == {"threshold": 0.2, "min_length": 4} and line_settings(256)["threshold"] == 0.4
    photo_64 = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    default = edges(photo_64, hed, 64)
    monkeypatch.setattr(shoes, "line_settings", lambda size: {"threshold": 0.6, "min_length": 12})
    assert 0 < (edges(photo_64, hed, 64) < 0).sum() < (default < 0).sum()


def test_no_frame_at_the_border(hed):
    for lightness in (1, 0):
        assert (edges(torch.full((1, 3, 48, 48), float(lightness)), hed, 48) == 1).all()
    cut = Image.new("RGB", (48, 48), "white")
    ImageDraw.Draw(cut).rectangle((0, 12, 24, 36), fill="grey")
    x = edges(to_tensor(cut)[None], hed, 48)[0, 0]
    assert (x[17:32, 22:28] < 0).any(dim=1).all(), "its right side is found"
    assert (x[17:32, :6] == 1).all(), "where the photo cuts it there is no line"


def test_mask_has_no_holes_and_no_specks():
    image = Image.new("RGB", (100, 100), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((20, 20, 80, 80), fill="black")
    pen.ellipse((40, 40, 60, 60), fill="white")
    pen.point((5, 5), fill="black")
    pen.rectangle((90, 90, 92, 92), fill=(248, 247, 246))  # a ripple of JPEG
    mask = np.asarray(foreground(image))
    assert set(np.unique(mask)) == {0, 255} and mask[50, 50] == 255 and mask[50, 25] == 255
    assert mask[5, 5] == mask[91, 91] == 0
    assert abs((mask > 0).sum() - np.pi * 30.5**2) < 40


def test_missing_and_empty_folder(tmp_path):
    with pytest.raises(InputError, match="photos is no folder that holds pictures"):
        prepare(tmp_path / "photos", 32, cache=tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "readme.txt").touch()
    with pytest.raises(InputError, match="photos is no folder that holds pictures"):
        prepare(tmp_path / "photos", 32, cache=tmp_path)


def test_unreadable_photo_is_named_before_any_work(flat, tmp_path, monkeypatch):
    broken = max(find_pictures(flat))
    broken.write_bytes(broken.read_bytes()[:200])
    monkeypatch.setattr(cache, "save_image", None)
    with pytest.raises(InputError, match=broken.name):
        prepare(flat, 32, cache=tmp_path / "cache", progress=False)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"size": 16}, "size"),
        ({"size": 64.0}, "size"),
        ({"size": 32, "split": "colour"}, "split"),
        ({"size": 32, "limit": (1, 0)}, "limit"),
    ],
)
def test_bad_arguments(flat, tmp_path, arguments, word):
    with pytest.raises(InputError, match=word):
        prepare(flat, cache=tmp_path / "cache", **arguments)
    assert not (tmp_path / "cache").exists()


def test_unwritable_cache(flat, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        prepare(flat, 32, limit=(1, 1), cache=tmp_path / "file", progress=False)


@pytest.mark.skipif(not (DATA / "ut-zap50k").is_dir(), reason="no UT-Zap50K beside the project")
def test_the_split_of_real_photos_never_changes():
    parts = split_by_product(find_pictures(DATA / "ut-zap50k"))
    sizes = {part: len(found) for part, found in parts.items()}
    assert sizes == dict(zip((*PARTS, "colourways"), (8829, 300, 200, 200, 671), strict=True))
    assert len({product(path) for path in parts["colourways"]}) == 300
    names = " ".join(sorted(path.name for path in parts["test"]))
    assert sha256(names.encode()).hexdigest() == "581d3683b123b0fd3f6766d26e0906032340a291e8ad4fa6d29ed98c1890aef2"
    numbers = [{path.name.split("_")[-1].split(".")[0] for path in found} for found in parts.values()]
    assert all(not one & other for one, other in combinations(numbers, 2)), "a catalogue number is on two sides"


@pytest.mark.skipif(not (DATA / "ut-zap50k").is_dir(), reason="no UT-Zap50K beside the project")
def test_real_photo(hed):
    made = pair(read_image(find_pictures(DATA / "ut-zap50k" / "test")[0]), 64, hed)
    line, inside = np.asarray(made["x"]) < 128, np.asarray(made["mask"]) > 127
    assert 0.01 < line.mean() < 0.15 and 0.1 < inside.mean() < 0.7
    near = np.asarray(Image.fromarray(inside).resize((64, 64))) | (np.asarray(made["y"]).min(axis=2) < 250)
    assert near[line].mean() > 0.9, "the lines lie on the shoe"


@pytest.mark.skipif(not (DATA / "edges2shoes").is_dir(), reason="no edges2shoes beside the project")
def test_real_edges_are_found_and_no_others(hed):
    x, y = read_pair(find_pictures(DATA / "edges2shoes" / "train")[0], order="BA")
    a, b = (np.argwhere(lines[0].numpy() < 0) for lines in (edges(to_tensor(y)[None], hed, 256)[0], to_tensor(x)))
    near = np.sqrt(((a[:, None] - b) ** 2).sum(-1)) <= 2
    assert near.any(1).mean() > 0.75 and near.any(0).mean() > 0.75
