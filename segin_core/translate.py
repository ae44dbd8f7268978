"""Translate your own picture: an input and a reference, two paths, one call (Fig. 2 from left to right).

From a shell: python -m segin_core.translate x.png r.png -o out.png --checkpoint runs/quick/training/model.safetensors
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageOps
from torch import Tensor

from segin_core.data.images import read_image, save_png, to_pil, to_tensor
from segin_core.errors import InputError
from segin_core.matching import Grid, auxiliary_image
from segin_core.running.checkpoints import load_translator
from segin_core.vgg import VGGFeatures


class Result(NamedTuple):
    """What `translate` returns; the pictures have the input's size."""

    output: Image.Image  #: y^, RGB
    auxiliary: Image.Image  #: W(x, r), RGB
    mask: Image.Image | None  #: N_s, the foreground, greyscale; None from a network trained without it
    index: Tensor  #: xi of Eq. 1, rows columns: the row-major cell of r's grid for each cell of x's
    score: Tensor  #: cosine of each match, rows columns; low values warn of a reference of another kind


def translate(
    input: str | Path | Image.Image,
    reference: str | Path | Image.Image,
    *,
    checkpoint: str | Path,
    size: int | None = None,
) -> Result:
    """Colour `input` (a sketch, dark lines on white) with the colours of `reference`, part by part.

    Both are paths or PIL images of any size and kind that `images.read_image` takes. Each is fitted onto a white square
    of `size` pixels (default: the size that N was trained at), translated there, and the result is scaled
    back to the input's own size: detail finer than `size` is not to be had from N.
    Raises InputError for pictures or checkpoints that cannot be read, and for a size that N cannot take.
    """
    translator, description = load_translator(checkpoint)
    settings = description["matching"]
    size = size or description["image_size"]
    multiple = 2 ** translator.config["downsamplings"]
    if size % multiple or size < multiple:
        raise InputError(
            f"size={size}: this network takes multiples of {multiple} pixels, trained at {description['image_size']}"
        )
    x_picture, r_picture = read_image(input), read_image(reference)
    x = to_tensor(on_square(x_picture, size).convert("L"))[None]
    r = to_tensor(on_square(r_picture, size))[None]
    features = VGGFeatures(settings["source"], (settings["layer"],))
    w, index, score, grid = auxiliary_image(
        x, r, features, layer=settings["layer"], patch=settings["patch"], blend=settings["blend"]
    )
    with torch.no_grad():
        image, mask = translator(x, w)
    return Result(
        output=off_square(to_pil(image[0]), x_picture.size),
        auxiliary=off_square(to_pil(w[0]), x_picture.size),
        mask=None if mask is None else off_square(to_pil(2 * mask[0] - 1), x_picture.size),
        index=on_grid(index, grid),
        score=on_grid(score, grid),
    )


def on_grid(values: Tensor, grid: Grid) -> Tensor:
    """One value a cell, 1 n -> rows columns."""
    return values[0].view(grid)


def on_square(picture: Image.Image, size: int) -> Image.Image:
    """The whole picture, as large as it fits, centred on a white square."""
    return ImageOps.pad(picture, (size, size), method=Image.Resampling.LANCZOS, color="white")


def off_square(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The part of a square that `on_square` filled, at the size the picture had."""
    scale = picture.width / max(size)
    width, height = (max(1, round(scale * side)) for side in size)
    left, top = round((picture.width - width) / 2), round((picture.height - height) / 2)
    return picture.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)


def main(arguments: list[str] | None = None) -> int:
    """Command line: writes what is asked for; 2 and one sentence on bad input."""
    description = translate.__doc__.split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m segin_core.translate", description=description)
    parser.add_argument("input", help="the sketch")
    parser.add_argument("reference", help="the coloured picture")
    parser.add_argument("-o", "--output", required=True, type=Path, help="PNG to write")
    parser.add_argument("--checkpoint", type=Path, default=Path("runs/quick/training/model.safetensors"))
    parser.add_argument("--size", type=int, help="pixels of the square N works on (default: as trained)")
    parser.add_argument("--auxiliary", type=Path, help="also write W(x, r) to this PNG")
    parser.add_argument("--mask", type=Path, help="also write the mask to this PNG")
    chosen = parser.parse_args(arguments)
    try:
        result = translate(chosen.input, chosen.reference, checkpoint=chosen.checkpoint, size=chosen.size)
        if chosen.mask and result.mask is None:
            raise InputError(f"{chosen.checkpoint}: this network was trained without a mask decoder; leave --mask out")
        paths = (chosen.output, chosen.auxiliary, chosen.mask)
        for picture, path in zip((result.output, result.auxiliary, result.mask), paths, strict=True):
            if path:
                save_png(picture, path)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
