"""From two pictures of any kind to one, and every bad input in one sentence."""

import subprocess
import sys

import pytest
import torch
from PIL import Image, ImageDraw

from segin_core.errors import InputError
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
    with pytest.raises(InputError, match="multiples of 8"):
        translate(sketch, reference, checkpoint=checkpoint, size=50)


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


def test_missing_checkpoint_and_unwritable_output(sketch, reference, checkpoint, tmp_path, capsys):
    sketch.save(tmp_path / "x.png")
    paths = [str(tmp_path / "x.png")] * 2
    assert main([*paths, "-o", str(tmp_path / "o.png"), "--checkpoint", str(tmp_path / "none.safetensors")]) == 2
    assert "none.safetensors" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main([*paths, "-o", str(tmp_path / "file" / "o.png"), "--checkpoint", str(checkpoint)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
