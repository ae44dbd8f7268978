"""Reading, converting and writing pictures, and a sentence for each that cannot be used."""

import os
import re

import numpy as np
import pytest
import torch
from PIL import Image

from segin_core.data.images import (
    find_pictures,
    from_bytes,
    named_files,
    read_image,
    save_image,
    to_bytes,
    to_pil,
    to_tensor,
)
from segin_core.errors import InputError

RED = (255, 0, 0)


def assert_one_sentence(error: pytest.ExceptionInfo, *parts: str) -> None:
    message = str(error.value)
    assert all(part in message for part in parts), message
    assert message.endswith(".") and "\n" not in message and len(re.findall(r"\. [A-Z]", message)) == 0, message


def test_plain_rgb_is_unchanged(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.mode == "RGB" and np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La", "RGBa"])
def test_alpha_is_laid_on_white(mode):
    clear = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    clear.putpixel((1, 0), (0, 0, 0, 255))
    through = {"PA": "P", "La": "LA", "RGBa": "RGBA"}.get(mode, mode)
    if mode == "PA":
        image = Image.new("PA", (2, 1))
        image.putpalette([0, 0, 0] * 256)
        image.putalpha(clear.getchannel("A"))
    else:
        image = clear.convert(through).convert(mode)
    assert [read_image(image).getpixel((x, 0)) for x in (0, 1)] == [(255,) * 3, (0,) * 3]


def test_half_transparent_and_palette_with_transparency(tmp_path):
    assert read_image(Image.new("RGBA", (1, 1), (255, 0, 0, 128))).getpixel((0, 0)) == (255, 127, 127)
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "p.png", transparency=1)
    image = read_image(tmp_path / "p.png")
    assert image.getpixel((0, 0)) == RED and image.getpixel((1, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr", "HSV"])
def test_other_modes_become_rgb(mode):
    image = read_image(Image.new("RGB", (3, 2), (255, 255, 255)).convert(mode))
    assert image.mode == "RGB" and image.size == (3, 2) and image.getpixel((0, 0)) == (255, 255, 255)


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (4, 2), "white")
    image.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees
    image.save(tmp_path / "turned.png", exif=exif)
    upright = read_image(tmp_path / "turned.png")
    assert upright.size == (2, 4) and upright.getpixel((1, 0)) == RED


def test_missing_folder_empty_and_no_image(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    for name, part in [("gone.png", "does not exist"), ("empty.png", "empty"), ("text.png", "not an image")]:
        with pytest.raises(InputError) as error:
            read_image(tmp_path / name)
        assert_one_sentence(error, name, part)
    with pytest.raises(InputError) as error:
        read_image(tmp_path)
    assert_one_sentence(error, str(tmp_path), "folder")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_truncated(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"whole.{suffix}")
    whole = (tmp_path / f"whole.{suffix}").read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as error:
        read_image(tmp_path / f"cut.{suffix}")
    assert_one_sentence(error, f"cut.{suffix}")


def test_pictures_in_memory(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    closed, left = Image.open(tmp_path / "whole.jpg"), Image.open(tmp_path / "whole.jpg")
    closed.close()
    with left:
        pass
    empty = Image.new("RGB", (2, 2))
    empty.close()
    given = {"cut.jpg is damaged": Image.open(tmp_path / "cut.jpg"), "whole.jpg was closed": closed}
    for words, image in (*given.items(), ("whole.jpg was closed", left), ("the given image was closed", empty)):
        with pytest.raises(InputError) as error:
            read_image(image)
        assert_one_sentence(error, words)
    for array, kind in ((pixels, "ndarray"), (torch.zeros(3, 4, 4), "Tensor"), (None, "NoneType")):
        with pytest.raises(InputError) as error:
            read_image(array)
        assert_one_sentence(error, kind, "PIL image")
    assert read_image(Image.open(tmp_path / "whole.jpg")).size == (200, 200)


def test_the_pictures_of_a_folder(tmp_path):
    wanted = ["B.JPG", "a.jpg", "e.tif", "f.bmp", "folder.jpg/d.png", "sub dir/c.webp"]
    hidden = [".ipynb_checkpoints/a-checkpoint.jpg", ".Trash/old.jpg", "sub dir/.x.png"]
    for name in (*wanted, *hidden):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    os.symlink(tmp_path / "gone.jpg", tmp_path / "broken.jpg")
    found = find_pictures(tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in found) == wanted
    assert list(named_files(found, tmp_path))[-1] == "sub dir_c" and len(named_files(found, tmp_path)) == 6
    with pytest.raises(InputError, match="is no folder that holds pictures"):
        find_pictures(tmp_path / ".Trash" / "none")


@pytest.mark.parametrize("names", [("a/b.jpg", "a_b.png"), ("a.png", "a.jpg"), ("a.png", "A.png")])
def test_two_files_of_one_name(tmp_path, names):
    with pytest.raises(InputError, match=r"would both be called (a_b|a|A): rename"):
        named_files([tmp_path / name for name in names], tmp_path)


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "CMYK"])
def test_depth_and_colour_space(tmp_path, mode):
    with pytest.raises(InputError) as error:
        read_image(Image.new(mode, (3, 3)), name="scan")
    assert_one_sentence(error, "scan", "CMYK" if mode == "CMYK" else "8 bits")
    Image.new(mode, (3, 3)).save(tmp_path / "scan.tif")
    with pytest.raises(InputError) as error:
        read_image(tmp_path / "scan.tif")
    assert_one_sentence(error, "scan.tif")


def test_16_bit_png(tmp_path):
    Image.fromarray(np.full((3, 3), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(InputError) as error:
        read_image(tmp_path / "deep.png")
    assert_one_sentence(error, "deep.png", "8 bits")


def test_zero_size():
    with pytest.raises(InputError) as error:
        read_image(Image.new("RGB", (0, 5)))
    assert_one_sentence(error, "0 x 5")


def test_tensor_range_and_round_trip():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    tensor = to_tensor(Image.fromarray(pixels))
    assert tensor.shape == (1, 16, 16) and tensor.dtype == torch.float32
    assert tensor.min() == -1 and tensor.max() == 1
    assert np.array_equal(np.asarray(to_pil(tensor)), pixels)
    colour = torch.linspace(-1.5, 1.5, 48).view(3, 4, 4)
    assert torch.allclose(to_tensor(to_pil(colour)), colour.clamp(-1, 1), atol=1 / 255)
    with pytest.raises(InputError, match="2, 3, 4, 4"):
        to_pil(torch.zeros(2, 3, 4, 4))


@pytest.mark.parametrize("wrong", [torch.full((3, 4, 4), 200, dtype=torch.uint8), torch.full((3, 4, 4), 200.0)])
def test_pictures_of_bytes_are_no_pictures(wrong):
    with pytest.raises(InputError, match=r"\[-1, 1\]"):
        to_pil(wrong)


def test_bytes_and_back():
    bytes_ = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, -1, -1)
    floats = from_bytes(bytes_)
    assert floats.dtype == torch.float32 and (floats.min(), floats.max()) == (-1, 1)
    assert torch.equal(to_bytes(floats), bytes_) and torch.equal(
        to_bytes(floats.double() * 1.2)[bytes_ == 255], bytes_[bytes_ == 255]
    )


def test_save_image_is_atomic(tmp_path, monkeypatch):
    path = save_image(torch.ones(3, 4, 4), tmp_path / "new" / "a.png")
    assert read_image(path).getpixel((0, 0)) == (255, 255, 255)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError) as error:
        save_image(-torch.ones(3, 4, 4), path)
    assert_one_sentence(error, "a.png", "No space left")
    assert read_image(path).getpixel((0, 0)) == (255, 255, 255)
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]


def test_save_image_where_no_folder_can_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as error:
        save_image(torch.ones(1, 2, 2), tmp_path / "file" / "a.png")
    assert_one_sentence(error, "a.png", "folder")
