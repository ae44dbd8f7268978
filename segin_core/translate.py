"""Translate your own picture: an input and a reference, two paths, one call (Fig. 2 from left to right).

From a shell: python -m segin_core.translate x.png r.png -o out.png
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageOps
from torch import Tensor

from segin_core.data.images import picture_format, read_image, save_image, to_pil, to_tensor
from segin_core.errors import InputError
from segin_core.matching import auxiliary_image
from segin_core.running.checkpoints import load_translator
from segin_core.running.shipped import shipped
from segin_core.vgg import VGGFeatures


class Result(NamedTuple):
    """What `translate` returns; the pictures have the input's size."""

    output: Image.Image  #: y^, RGB
    auxiliary: Image.Image  #: W(x, r), RGB
    mask: Image.Image | None  #: N_s, the foreground, greyscale; None from a network trained without it
    index: Tensor  #: xi of Eq. 1, rows columns: the row-major cell of r's grid for each cell of x's
    score: Tensor  #: cosine of each match, rows columns; low values warn of a reference of another kind


def translate(
    input: str | Path | Image.Image, reference: str | Path | Image.Image, *, checkpoint: str | Path | None = None,
    size: int | None = None, invert: bool = False,
) -> Result:  # fmt: skip
    """Colour `input` (a sketch, dark lines on white) with the colours of `reference`, part by part.

    Both are paths or PIL images of any size and kind that `images.read_image` takes. Each is fitted onto a white square
    of `size` pixels (default: the size that N was trained at), translated there, and the result is scaled
    back to the input's own size: detail finer than `size` is not to be had from N. `checkpoint`: the weights of a
    training, model.safetensors; without it the network that comes with the project (`running.shipped`). `invert` turns
    a sketch of light lines on black into one of dark lines on white; an input that is mostly dark without it brings a
    warning.
    Raises InputError for pictures or checkpoints that cannot be read, and for a size that N cannot take.
    """
    translator, description = load_translator(shipped() if checkpoint is None else checkpoint)
    settings = description["matching"]
    size = description["image_size"] if size is None else size
    multiple = 2 ** translator.config["downsamplings"]
    if size % multiple or size < multiple:
        raise InputError(
            f"size={size}: this network takes multiples of {multiple} pixels, trained at {description['image_size']}"
        )
    x_picture, r_picture = read_image(input).convert("L"), read_image(reference)
    x_picture = ImageOps.invert(x_picture) if invert else x_picture
    if 2 * sum(x_picture.histogram()[:128]) > x_picture.width * x_picture.height:
        advice = f"{'leave out' if invert else 'try'} --invert (invert=True)"
        warnings.warn(f"most of the input is dark, but a sketch has dark lines on white: {advice}", stacklevel=2)
    x, r = (to_tensor(on_square(picture, size))[None] for picture in (x_picture, r_picture))
    features = VGGFeatures(settings["source"], (settings["layer"],))
    how = {name: settings[name] for name in ("layer", "patch", "blend")}
    w, index, score, grid = auxiliary_image(x, r, features, **how)
    with torch.no_grad():
        image, mask = translator(x, w)
    return Result(
        output=off_square(to_pil(image[0]), x_picture.size),
        auxiliary=off_square(to_pil(w[0]), x_picture.size),
        mask=None if mask is None else off_square(to_pil(2 * mask[0] - 1), x_picture.size),
        index=index.view(grid),
        score=score.view(grid),
    )


def on_square(picture: Image.Image, size: int) -> Image.Image:
    """The whole picture, as large as it fits, centred on a white square."""
    return ImageOps.pad(picture, (size, size), method=Image.Resampling.LANCZOS, color="white")


def off_square(square: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The part of the square that `on_square` filled, at the size the picture had."""
    return ImageOps.fit(square, size, method=Image.Resampling.BICUBIC)


def check_outputs(inputs: list[Path], outputs: list[Path]) -> None:
    """Raises InputError unless each output can be a picture's name, and is neither an input nor another output."""
    taken = {path.resolve() for path in inputs}
    for path in outputs:
        picture_format(path)
        if path.resolve() in taken:
            raise InputError(f"{path} is an input or another output already: give each output a name of its own")
        taken.add(path.resolve())


def main(arguments: list[str] | None = None) -> int:
    """Command line: writes what is asked for and says how good the match is; 2 and one sentence on bad input."""
    description = translate.__doc__.split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m segin_core.translate", description=description)
    parser.add_argument("input", type=Path, help="the sketch")
    parser.add_argument("reference", type=Path, help="the coloured picture")
    parser.add_argument("-o", "--output", required=True, type=Path, help="picture to write: .png, .jpg, .webp, ...")
    parser.add_argument("--checkpoint", type=Path, help="a model.safetensors (default: comes with the project)")
    parser.add_argument("--size", type=int, help="pixels of the square N works on (default: as trained)")
    parser.add_argument("--invert", action="store_true", help="the sketch has light lines on black")
    parser.add_argument("--auxiliary", type=Path, help="also write W(x, r) to this file")
    parser.add_argument("--mask", type=Path, help="also write the mask to this file")
    chosen = parser.parse_args(arguments)
    outputs = [chosen.output, chosen.auxiliary, chosen.mask]
    try:
        check_outputs([chosen.input, chosen.reference], [path for path in outputs if path])
        with warnings.catch_warnings(record=True, action="always") as said:
            result = translate(
                chosen.input, chosen.reference, checkpoint=chosen.checkpoint, size=chosen.size, invert=chosen.invert
            )
        if chosen.mask and result.mask is None:
            raise InputError("--mask: this network was trained without a mask decoder; leave it out")
        for picture, path in zip((result.output, result.auxiliary, result.mask), outputs, strict=True):
            if path:
                save_image(picture, path)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for warning in said:
        print(f"warning: {warning.message}", file=sys.stderr)
    print(f"mean cosine of the match: {result.score.mean():.2f} (a low one: the reference has little like the input)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
