"""From two pictures of any kind to one, and every bad input in one sentence."""

import re
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps

from segin_core.data.contact_sheet import shortened
from segin_core.data.sketches import fitted
from segin_core.errors import InputError
from segin_core.own.command import main as segin
from segin_core.running.shipped import shipped
from segin_core.translate import main, off_square, on_square, translate


@pytest.fixture
def sketch():
    image = Image.new("RGB", (90, 60), "white")
    ImageDraw.Draw(image).ellipse((20, 10, 70, 50), outline="black", width=4)
    return image


@pytest.fixture
def reference():
    image = Image.new("RGB", (48, 80), "white")
    ImageDraw.Draw(image).ellipse((8, 10, 40, 70), fill="red", outline="black", width=4)
    return image


def test_everything_has_the_size_of_the_input(sketch, reference, checkpoint):
    result = translate(sketch, reference, checkpoint=checkpoint)
    assert result.output.size == result.auxiliary.size == result.mask.size == (90, 60)
    assert result.output.mode == "RGB" and result.mask.mode == "L"
    assert result.index.shape == result.score.shape == (8, 8)
    assert result.index.min() >= 0 and result.index.max() < 64


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "1"])
def test_any_kind_of_picture_gives_what_its_rgb_twin_gives(sketch, reference, checkpoint, mode):
    grey = sketch.convert("1").convert("RGB")
    plain, other = (translate(s, reference, checkpoint=checkpoint) for s in (grey, grey.convert(mode)))
    assert plain.output.tobytes() == other.output.tobytes()


def test_exif_rotation_is_applied(sketch, reference, checkpoint, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    sketch.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.png", exif=exif)
    assert translate(tmp_path / "phone.png", reference, checkpoint=checkpoint).output.size == (90, 60)


@pytest.mark.parametrize("size", [(300, 20), (1, 1), (31, 33), (500, 400)])
def test_any_size(size, reference, checkpoint):
    assert translate(Image.new("L", size, 255), reference, checkpoint=checkpoint).output.size == size


def test_on_and_off_the_square_is_the_identity_for_smooth_pictures():
    ramp = Image.linear_gradient("L").resize((80, 40)).convert("RGB")
    back = off_square(on_square(ramp, 80), (80, 40))
    difference = torch.tensor(list(back.get_flattened_data()), dtype=torch.float) - torch.tensor(
        list(ramp.get_flattened_data()), dtype=torch.float
    )
    assert difference.abs().max() <= 2


@pytest.mark.parametrize(("width", "side"), [(1, 256), (1, 1000), (3, 64), (5, 256)])
def test_thin_lines_stay_dark_and_others_are_scaled_as_pictures_are(width, side):
    drawn = Image.new("L", (side, side - 20), 255)
    ImageDraw.Draw(drawn).ellipse((side // 8, side // 8, side // 2, side // 2), outline=0, width=width)
    found = fitted(drawn, 32)
    if width > 1:
        assert found.tobytes() == on_square(drawn, 32).tobytes()
    else:
        dark = np.asarray(found) < 128
        assert 20 < dark.sum() < 60 and not dark[8, 8] and found.size == (32, 32), "a thin ring"
        assert not (np.asarray(on_square(drawn, 32)) < 128).any(), "else it would have faded"


def test_another_working_size(sketch, reference, checkpoint):
    assert translate(sketch, reference, checkpoint=checkpoint, size=64).index.shape == (16, 16)
    for size in (50, 4, 0, -8):
        with pytest.raises(InputError, match="multiples of 8"):
            translate(sketch, reference, checkpoint=checkpoint, size=size)


def test_command_line_writes_what_is_asked_for(sketch, reference, checkpoint, tmp_path):
    sketch.save(tmp_path / "x.png")
    reference.save(tmp_path / "r.png")
    out, aux, mask = (tmp_path / "deep" / f"{n}.png" for n in ("out", "aux", "mask"))
    command = [sys.executable, "-m", "segin_core.translate", tmp_path / "x.png", tmp_path / "r.png", "-o", out]
    command += ["--checkpoint", checkpoint, "--auxiliary", aux, "--mask", mask]
    out.parent.mkdir()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert all(Image.open(path).size == (90, 60) for path in (out, aux, mask))
    assert re.fullmatch(r"mean cosine of the match: 0\.\d\d \(a low one: .*\)\n", done.stdout)


@pytest.fixture
def ask(sketch, reference, checkpoint, tmp_path, capsys):
    """The command line on x.png and r.png in tmp_path: ask(output, ...) -> exit code, what it said, what it warned."""
    sketch.save(tmp_path / "x.png")
    reference.save(tmp_path / "r.png")

    def run(*words, input="x.png"):
        pair = [str(tmp_path / name) for name in (input, "r.png")]
        code = main([*pair, "--checkpoint", str(checkpoint), "-o", *map(str, words)])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.webp", "WEBP"), ("y" * 240 + ".png", "PNG")]
)
def test_a_name_says_the_format(ask, tmp_path, name, kind):
    files = [tmp_path / folder / name for folder in ("out", "w", "mask")]
    code, _, warned = ask(files[0], "--auxiliary", files[1], "--mask", files[2])
    assert code == 0 and warned == ""
    assert [Image.open(file).format for file in files] == [kind] * 3
    assert [file.name for file in files[0].parent.iterdir()] == [name]


@pytest.mark.parametrize("option", [(), ("a.png", "--auxiliary"), ("a.png", "--mask")])
@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "is a folder"),
        (".", "is a folder"),
        ("a.xyz", "no format"),
        ("a", "no format"),
        ("a.psd", "no format"),
        ("x.png", "already"),
        ("./deep/../x.png", "already"),
        ("r.png", "already"),
        ("a.png", "already"),
    ],
)
def test_other_names_are_refused_before_anything_is_computed(ask, tmp_path, monkeypatch, option, name, word):
    if not option and name == "a.png":
        return
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("segin_core.translate.load_translator", None)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    code, said, warned = ask(*option, name)
    assert (code, said) == (2, "") and word in warned and warned.count("\n") == 1
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_light_lines_on_black_bring_a_warning(sketch, reference, checkpoint):
    inverted = ImageOps.invert(sketch)
    with pytest.warns(UserWarning, match="most of the input is dark.*try --invert"):
        translate(inverted, reference, checkpoint=checkpoint)
    with pytest.warns(UserWarning, match="leave out --invert"):
        translate(sketch, reference, checkpoint=checkpoint, invert=True)
    with warnings.catch_warnings(action="error"):
        plain = translate(sketch, reference, checkpoint=checkpoint)
        turned = translate(inverted, reference, checkpoint=checkpoint, invert=True)
    assert plain.output.tobytes() == turned.output.tobytes()


def test_the_command_line_warns_in_one_line(ask, sketch, tmp_path):
    ImageOps.invert(sketch).save(tmp_path / "dark.png")
    code, _, warned = ask(tmp_path / "a.png", input="dark.png")
    assert code == 0 and re.match("warning: most of .*dark.png is dark", warned) and warned.count("\n") == 1
    assert ask(tmp_path / "a.png", "--invert", input="dark.png")[2] == ""


def bad_inputs(tmp_path):
    Image.new("CMYK", (20, 20)).save(tmp_path / "cmyk.jpg")
    Image.new("I;16", (20, 20)).save(tmp_path / "deep.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    Image.effect_noise((64, 64), 50).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:1500])
    (tmp_path / "folder.png").mkdir()
    return ["missing.png", "cmyk.jpg", "deep.png", "empty.png", "text.png", "cut.png", "folder.png"]


def test_bad_pictures_get_one_sentence_and_nothing_is_written(reference, checkpoint, tmp_path, capsys):
    reference.save(tmp_path / "r.png")
    for name in bad_inputs(tmp_path):
        for pair in ([tmp_path / name, tmp_path / "r.png"], [tmp_path / "r.png", tmp_path / name]):
            code = main([*map(str, pair), "-o", str(tmp_path / "out.png"), "--checkpoint", str(checkpoint)])
            said = capsys.readouterr().err
            assert code == 2 and said.count("\n") == 1 and name in said, (name, said)
            assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("place", [0, 1])
def test_pictures_in_memory_that_cannot_be_read(sketch, checkpoint, tmp_path, place):
    Image.effect_noise((200, 200), 80).convert("RGB").save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:9000])
    closed = Image.open(tmp_path / "cut.jpg")
    closed.close()
    for given in (Image.open(tmp_path / "cut.jpg"), closed, np.asarray(sketch)):
        pair = [sketch, sketch]
        pair[place] = given
        with pytest.raises(InputError) as caught:
            translate(*pair, checkpoint=checkpoint)
        assert "\n" not in str(caught.value)


def test_missing_checkpoint_and_unwritable_output(sketch, reference, checkpoint, tmp_path, capsys):
    sketch.save(tmp_path / "x.png")
    paths = [str(tmp_path / "x.png")] * 2
    assert main([*paths, "-o", str(tmp_path / "o.png"), "--checkpoint", str(tmp_path / "none.safetensors")]) == 2
    assert "none.safetensors" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main([*paths, "-o", str(tmp_path / "file" / "o.png"), "--checkpoint", str(checkpoint)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_a_checkpoint_the_network_of_the_project_is_taken(sketch, reference, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sketch.save("x.png")
    reference.save("r.png")
    assert main(["x.png", "r.png", "-o", "out.png"]) == 0
    given = translate(sketch, reference, checkpoint=shipped())
    assert Image.open("out.png").tobytes() == given.output.tobytes()

    monkeypatch.setattr("segin_core.translate.shipped", partial(shipped, folder=tmp_path))
    assert main(["x.png", "r.png", "-o", "other.png"]) == 2
    said = capsys.readouterr().err
    assert "comes with the project is not there" in said and said.count("\n") == 1
    assert not (tmp_path / "other.png").exists()


@pytest.fixture
def folders(sketch, reference, tmp_path):
    """Two inputs and two references in folders, one of each below another folder or unreadable."""
    for name, picture in (("in/größe 1.png", sketch), ("in/more/b.JPG", sketch), ("refs/red.png", reference)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / name)
    reference.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "refs" / "flipped.webp")
    (tmp_path / "refs" / "broken.png").write_text("no picture")
    return tmp_path


def test_a_folder_of_inputs_by_a_folder_of_references(folders, sketch, reference, checkpoint, monkeypatch, capsys):
    monkeypatch.chdir(folders)
    for _ in range(2):  # a second run on the same folder is none the wiser
        assert segin(["translate", "in", "refs", "-o", "out", "--checkpoint", str(checkpoint)]) == 0
        said = capsys.readouterr()
        assert said.out == "all of them at a glance: out/contact-sheet.png\n"
        assert said.err.startswith("warning: left out: refs/broken.png is") and said.err.count("\n") == 1
    files = {f"{name}/{other}.png" for name in ("größe 1", "more_b") for other in ("flipped", "red")}
    found = {file.relative_to("out").as_posix() for file in Path("out").rglob("*.*")}
    assert found == files | {"contact-sheet.png"}
    alone = translate("in/größe 1.png", "refs/red.png", checkpoint=checkpoint).output
    assert np.abs(np.asarray(Image.open("out/größe 1/red.png"), int) - np.asarray(alone)).max() <= 1
    sheet = np.asarray(Image.open("out/contact-sheet.png"))
    assert sheet.shape == (3 * (128 + 4 + 14), 3 * (128 + 4), 3)
    cells = sheet.reshape(3, 146, 3, 132, 3).min(axis=(1, 3, 4))
    assert cells[0, 0] == 255 and np.delete(cells.flatten(), 0).max() < 128, "a picture in each cell but the corner"
    labels = sheet.reshape(3, 146, 3, 132, 3)[:, 2:15].min(axis=(1, 3, 4)) < 128
    assert labels.tolist() == [[False, True, True], [True, False, False], [True, False, False]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("in refs -o in/out", "which is read: choose"),
        ("in refs -o refs", "which is read: choose"),
        ("in refs -o out.png", "so the output must be one, too, not"),
        ("in refs/red.png -o refs/red.png", "so the output must be one, too, not"),
        ("empty refs -o out", "empty is no folder that holds pictures"),
        ("in refs/broken.png -o out", "broken.png is empty, or not an image"),
        ("in refs -o out --mask m.png", "--auxiliary and --mask go with one input"),
        ("nowhere refs -o out", "nowhere does not exist"),
    ],
)
def test_folders_that_cannot_be_used(folders, checkpoint, monkeypatch, capsys, words, message):
    monkeypatch.chdir(folders)
    (folders / "empty").mkdir()
    before = sorted(folders.rglob("*"))
    assert segin(["translate", *words.split(), "--checkpoint", str(checkpoint)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and said.count("\n") == 1
    assert sorted(folders.rglob("*")) == before


def test_a_name_too_long_for_its_cell_is_cut_in_the_middle(sketch):
    font = ImageFont.load_default(11)
    assert shortened("red", 128, font) == "red" and shortened("red", 3, font) == ""
    short = shortened("a very long name of a picture 1234", 128, font)
    assert font.getlength(short) <= 128 and re.fullmatch("a very.+….+1234", short)
