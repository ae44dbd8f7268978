"""A folder of one's own: what is seen in each layout, the pairs made of it, and a training by the command segin."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from segin_core.book.parameters import declared_parameters
from segin_core.data.pairs import PairFolder
from segin_core.errors import InputError
from segin_core.own.command import main as segin
from segin_core.own.folder import SIZES, look
from segin_core.own.prepare import prepare
from segin_core.own.recipe import train_pairs
from segin_core.segin import SEGIN
from segin_core.translator import Translator

BOOK = Path(__file__).parent.parent / "book"
DATA = Path(__file__).parent.parent.parent / "shared" / "data"  # real pictures, where the authors have them


def halves(i: int, side: int = 64) -> tuple[Image.Image, Image.Image]:
    """A sketch of a disc and the picture of it, each time another one."""
    x, y = Image.new("RGB", (side, side), "white"), Image.new("RGB", (side, side), "white")
    for picture, fill in ((x, None), (y, (40 * i % 255, 90, 160))):
        ImageDraw.Draw(picture).ellipse((8 + i, 10, side - 14, side - 10), fill=fill, outline="black", width=2)
    return x, y


def put(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def pair_file(i: int, path: Path, *, turned: bool = False) -> None:
    both = Image.new("RGB", (128, 64))
    for left, half in zip((64, 0) if turned else (0, 64), halves(i), strict=True):
        both.paste(half, (left, 0))
    put(both, path)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, in which the tests make folders with spaces and umlauts."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "meine Größen"


def write(mine: Path, layout: str) -> None:
    """Six pairs in a layout that people have."""
    for i in range(6):
        x, y = halves(i)
        part = "test" if i < 2 else "train"
        if layout in ("flat", "turned"):
            pair_file(i, mine / f"{i}.JPG", turned=layout == "turned")
        elif layout == "sides":
            pair_file(i, mine / ("val" if i < 2 else "train") / f"{i}_AB.jpg")
        elif layout in ("unaligned", "mirrored", "unpaired"):
            a, b = (y, x) if layout == "mirrored" else (x, y)
            put(a, mine / f"{part}A" / f"{i}.jpg")
            put(b, mine / f"{part}B" / f"{i + 10 * (layout == 'unpaired')}.jpeg")
        elif layout == "photos":
            put(y, mine / f"2024.01.{i}.png")
        else:
            place = mine / part if layout == "parts" else mine
            put(x, place / "x" / f"{i}.png")
            put(y, place / "y" / f"{i}.{'PNG' if i % 2 else 'jpg'}")
            if layout == "masked":
                put(Image.new("L", (64, 64), 255), mine / "mask" / f"{i}.png")


LAYOUTS = {  # to the first row of the table, and the train, validation and test pictures
    "flat": ("pair files.*photo is on the right", (4, 1, 1)),
    "turned": ("pair files.*photo is on the left", (4, 1, 1)),
    "sides": ("pair files", (3, 2, 1)),
    "unaligned": ("trainA/ and trainB/, two folders.*masks are estimated", (3, 1, 2)),
    "mirrored": ("two folders of pairs", (3, 1, 2)),
    "unpaired": ("no name is in both, so these are no pairs", (3, 1, 2)),
    "photos": ("photos alone.*edges", (4, 1, 1)),
    "folders": ("x/ and y/, two folders.*masks are estimated", (4, 1, 1)),
    "masked": ("x/ and y/, two folders.*masks are there", (4, 1, 1)),
    "parts": ("x/ and y/, two folders", (3, 1, 2)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_becomes_pairs(mine: Path, layout: str) -> None:
    write(mine, layout)
    found = look(mine, size=32)
    first = f"{found.rows[0].what}: {found.rows[0].advice}"
    words, counts = LAYOUTS[layout]
    assert re.search(words, first)
    assert tuple(len(found.parts[part]) for part in ("train", "validation", "test")) == counts
    assert not [row for row in found.rows if row.state == "wrong"]
    made = prepare(found, 32, cache=mine.parent / "cache", progress=False)
    item = PairFolder(made / "train")[0]
    assert item["x"].shape == (1, 32, 32) and item["x"][0, 16, 16] > 0.9, "a sketch: white inside of its outline"
    assert (item["x"] < 0).any() and item["y"][2, 16, 16] < 0.5, "y is the coloured one"
    assert item["mask"][0, 16, 16] == 1 and item["mask"][0, 0, 0] == (layout == "masked")
    assert prepare(look(mine, size=32), 32, cache=mine.parent / "cache", progress=False) == made


def test_other_sketches_are_other_data(mine: Path) -> None:
    write(mine, "folders")
    before = prepare(look(mine, size=32), 32, cache=mine.parent / "cache", progress=False)
    put(halves(9)[0], mine / "x" / "0.png")
    assert prepare(look(mine, size=32), 32, cache=mine.parent / "cache", progress=False) != before


def spoil(mine: Path, what: str) -> None:
    """Change picture 3 of the layout "folders"."""
    x, y = halves(3)
    file = mine / "y" / "3.PNG"
    if what == "broken":
        file.write_bytes(file.read_bytes()[:60])
    elif what == "deep":
        Image.new("I;16", (64, 64)).save(file)
    elif what == "alone":
        (mine / "x" / "3.png").unlink()
    elif what == "shape":
        put(x.resize((64, 40)), mine / "x" / "3.png")
    elif what == "palette":
        y.quantize(8).save(file)
    elif what == "alpha":
        y.putalpha(Image.new("L", (64, 64), 0))
        ImageDraw.Draw(y).rectangle((0, 0, 31, 63), fill=(200, 0, 0, 255))
        y.save(file)
    elif what == "opaque":
        y.convert("RGBA").save(file)
    elif what == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        y.save(file, exif=exif)
    elif what == "grey ground":
        put(Image.new("RGB", (64, 64), "grey"), file)
    elif what == "dark":
        put(Image.eval(x, lambda value: 255 - value), mine / "x" / "3.png")
    elif what == "small":
        for kind, picture in zip(("x", "y"), halves(3, 31), strict=True):
            put(picture, mine / kind / ("3.png" if kind == "x" else "3.PNG"))


@pytest.mark.parametrize(
    ("what", "state", "words"),
    [
        ("broken", "wrong", "y/3.PNG is damaged or cut short.*left out; copy or export it again"),
        ("deep", "wrong", "y/3.PNG has more than 8 bits a channel.*left out; save it as an 8-bit"),
        ("alone", "wrong", r"1 picture without a partner of the same name \(y/3.PNG\): left out"),
        ("shape", "wrong", "x/3.png is 64 x 40 pixels but its picture 64 x 64: left out; cut them alike"),
        ("palette", "", ""),
        ("alpha", "note", r"1 picture with transparency \(y/3.PNG\)"),
        ("opaque", "", ""),
        ("turned", "note", r"1 picture turned by EXIF data \(y/3.PNG\)"),
        ("grey ground", "note", r"1 picture not on white \(y/3.PNG\)"),
        ("dark", "note", r"1 picture whose sketch is mostly dark \(y/3.PNG\)"),
        ("small", "note", r"1 picture smaller than 32 px \(y/3.PNG\)"),
    ],
)
def test_each_odd_file_is_named(mine: Path, what: str, state: str, words: str) -> None:
    write(mine, "folders")
    spoil(mine, what)
    found = look(mine, size=32)
    rows = [row for row in found.rows[1:-1]]
    assert [row.state for row in rows] == ([state] if state else [])
    assert not rows or re.search(words, f"{rows[0].what}: {rows[0].advice}")
    used = [name for named in found.parts.values() for name in named]
    assert ("3" in used) == (state != "wrong") and len(used) == 5 + (state != "wrong")
    made = prepare(found, 32, cache=mine.parent / "cache", progress=False)
    if what == "alpha":
        home = next(made / part for part, named in found.parts.items() if "3" in named)
        mask = np.asarray(Image.open(home / "mask" / "3.png"))
        assert (mask[:, :16] == 255).all() and (mask[:, 16:] == 0).all()


def test_a_pair_file_the_other_way_round_is_left_out(mine: Path) -> None:
    write(mine, "flat")
    pair_file(7, mine / "7.png", turned=True)
    rows = [row for row in look(mine).rows if row.state == "wrong"]
    assert [(row.what, row.advice) for row in rows] == [
        ("7.png has its halves the other way round than most of the others", "left out; turn it round")
    ]


def test_pairs_without_a_sketch_are_not_taken_for_photos_in_silence(mine: Path) -> None:
    for i in range(3):
        put(Image.new("RGB", (128, 64), (90, 60 * i, 200)), mine / f"{i}.png")
    found = look(mine)
    assert found.layout == "photos alone" and any("twice as wide as high" in row.what for row in found.rows)


def nothing(mine: Path) -> None:
    mine.mkdir()


def one(mine: Path) -> None:
    put(halves(1)[1], mine / "a.png")


def no_readable(mine: Path) -> None:
    mine.mkdir()
    for i in range(30):
        (mine / f"{i}.png").write_text("no picture")


@pytest.mark.parametrize(
    ("make", "words", "message", "lines"),
    [
        (nothing, [], "is no folder that holds pictures", 0),
        (one, [], "too few pictures to learn from, 1: give at least 3", 2),
        (no_readable, [], "too few pictures to learn from, 0", 22 + 1),
        (lambda mine: None, [], "is no folder: give the path of one", 0),
        (one, ["--size", "96"], "size=96: the networks can be built for 32, 64, 128, 256 pixels", 0),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    mine: Path, capsys: pytest.CaptureFixture, make: Callable, words: list[str], message: str, lines: int
) -> None:
    make(mine)
    for command in ("check", "train"):
        assert segin([command, str(mine), *words]) == 2
        said = capsys.readouterr()
        assert said.err.startswith("error: ") and message in said.err and said.err.count("\n") == 1
        assert len(re.findall("^(?:found|note|wrong) ", said.out, flags=re.MULTILINE)) == lines
    assert [file.name for file in mine.parent.iterdir()] == [mine.name] * mine.exists(), "nothing is written"


def test_both_networks_can_be_built_for_every_size() -> None:
    for size in SIZES:
        assert size >> Translator(8, downsamplings=size.bit_length() - 3).config["downsamplings"] == 4


def test_the_recipe_is_the_training_chapters() -> None:
    chapter = {name: each.default for name, each in declared_parameters(BOOK / "training.ipynb").items()}
    ours = {name: each.default for name, each in inspect.signature(train_pairs).parameters.items()}
    shared = ours.keys() & chapter.keys()
    assert ours.keys() - shared == {"pairs", "folder", "device", "progress"}
    assert {name: ours[name] for name in shared} == {name: chapter[name] for name in shared}


def test_train_stop_go_on_and_translate(
    mine: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    write(mine, "sides")
    command = ["train", mine.name, "--size", "32", "--steps", "3"]
    assert segin(["check", mine.name, "--size", "32"]) == 0
    assert capfd.readouterr().out.endswith(f"next:  segin train '{mine.name}' --size 32\n")
    update, calls = SEGIN.update, []

    def stopped(self: SEGIN, batch: object) -> dict:
        calls.append(batch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return update(self, batch)

    monkeypatch.setattr(SEGIN, "update", stopped)
    assert segin(command) == 130
    assert capfd.readouterr().err.endswith("stopped; the same command goes on from its last checkpoint\n")
    model = mine.parent / f"{mine.name}-segin" / "model.safetensors"
    assert not model.exists()
    assert segin(command) == 0 and len(calls) == 2 + 3
    told = capfd.readouterr().out.splitlines()[-1]
    assert (
        told == f"segin translate sketch.png picture.png -o out.png --checkpoint '{mine.name}-segin/model.safetensors'"
    )
    assert Image.open(model.parent / "contact-sheet.png").size == (2 * 132, 2 * 146)
    weights = model.read_bytes()
    assert segin(command) == 0 and len(calls) == 5 and model.read_bytes() == weights, "done: nothing is trained again"
    halves(1)[0].save("x.png")
    halves(2)[1].save("r.png")
    assert segin(["translate", "x.png", "r.png", "-o", "out.png", "--checkpoint", str(model)]) == 0
    assert Image.open("out.png").size == (64, 64)
    capfd.readouterr()
    Path("file").touch()
    for output, message in (
        (mine / "out", "which is read: choose a folder beside it"),
        ("file/out", "cannot be written"),
    ):
        assert segin([*command, "-o", str(output)]) == 2
        said = capfd.readouterr().err.splitlines()[-1]
        assert message in said and said.startswith("error: ")


@pytest.mark.skipif(not (DATA / "edges2shoes").is_dir(), reason="no real pictures beside the project")
def test_real_folders() -> None:
    shoes, bags = look(DATA / "edges2shoes"), look(DATA / "edges2handbags")
    assert (shoes.layout, shoes.order) == ("pair files", "BA") and len(shoes.parts["train"]) == 8
    assert bags.layout == "photos alone" and all("trainB" in s.y.parts for s in bags.parts["train"].values())
    assert any("not on white" in row.what for row in look(DATA / "celeba-hq").rows)
    with pytest.raises(InputError, match="no folder"):
        look(DATA / "nowhere")
