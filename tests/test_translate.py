"""From two pictures of any kind to one, and every bad input in one sentence."""

import re
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps

from segin_core.errors import InputError
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
    assert code == 0 and warned.startswith("warning: most of the input is dark") and warned.count("\n") == 1
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
