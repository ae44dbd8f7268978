"""Translate your own pictures: an input and a reference, two paths, one call (Fig. 2 from left to right).

From a shell: segin translate x.png r.png -o out.png, or python -m segin_core.translate
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from segin_core.beyond.trained_match import trained_match
from segin_core.data.contact_sheet import contact_sheet, side_of
from segin_core.data.images import (
    SUFFIXES,
    find_pictures,
    named_files,
    picture_format,
    read_image,
    save_image,
    to_pil,
    to_tensor,
)
from segin_core.data.sketches import fitted
from segin_core.errors import InputError
from segin_core.matching import Reference, prepare_reference
from segin_core.running.checkpoints import load_translator
from segin_core.running.shipped import shipped

SHEET = "contact-sheet.png"  # of `translate_folders`


class Result(NamedTuple):
    """What `translate` returns; the pictures have the input's size."""

    output: Image.Image  #: y^, RGB
    auxiliary: Image.Image  #: W(x, r), RGB
    mask: Image.Image | None  #: N_s, the foreground, greyscale; None from a network trained without it
    index: Tensor  #: xi of Eq. 1, rows columns: the row-major cell of r's grid for each cell of x's
    score: Tensor  #: cosine of each match, rows columns; low values warn of a reference of another kind


class Network:
    """N with the match it was trained with, loaded once for any number of pictures.

    checkpoint: the weights of a training, model.safetensors; without it the network that comes with the project
    (`running.shipped`). size: pixels of the square that it works on, by default the size that N was trained at.
    Raises InputError for a checkpoint that cannot be read, and for a size that N cannot take.
    """

    def __init__(self, checkpoint: str | Path | None = None, *, size: int | None = None) -> None:
        path = shipped() if checkpoint is None else checkpoint
        self.translator, description = load_translator(path)
        self.size = description["image_size"] if size is None else size
        multiple = 2 ** self.translator.config["downsamplings"]
        if self.size % multiple or self.size < multiple:
            trained = description["image_size"]
            raise InputError(f"size={size}: this network takes multiples of {multiple} pixels, trained at {trained}")
        self.matcher = trained_match(path, description)

    def reference(self, picture: Image.Image) -> Tensor | Reference:
        """A coloured picture for any number of inputs; what the paper's match needs of it is made ready once."""
        r, how = to_tensor(on_square(picture, self.size))[None], self.matcher.keywords
        return prepare_reference(r, how["features"], layer=how["layer"]) if "features" in how else r

    @torch.no_grad()
    def __call__(self, x_picture: Image.Image, r: Tensor | Reference) -> Result:
        """What N makes of a sketch ("L", dark lines on white) and a reference."""
        x = to_tensor(fitted(x_picture, self.size))[None]
        w, index, score, grid = self.matcher(x, r)
        image, mask = self.translator(x, w)
        return Result(
            output=off_square(to_pil(image[0]), x_picture.size),
            auxiliary=off_square(to_pil(w[0]), x_picture.size),
            mask=None if mask is None else off_square(to_pil(2 * mask[0] - 1), x_picture.size),
            index=index.view(grid),
            score=score.view(grid),
        )


def translate(
    input: str | Path | Image.Image, reference: str | Path | Image.Image, *, checkpoint: str | Path | None = None,
    size: int | None = None, invert: bool = False,
) -> Result:  # fmt: skip
    """Colour `input` (a sketch, dark lines on white) with the colours of `reference`, part by part.

    Both are paths or PIL images of any size and kind that `images.read_image` takes. Each is fitted onto a white square
    of `size` pixels (default: the size that N was trained at), translated there, and the result is scaled
    back to the input's own size: detail finer than `size` is not to be had from N, but lines one pixel wide, as edge
    detectors draw them, stay lines. `checkpoint`: see `Network`. `invert` turns a sketch of light lines on black into
    one of dark lines on white; an input that is mostly dark without it brings a warning.
    Raises InputError for pictures or checkpoints that cannot be read, and for a size that N cannot take.
    """
    network = Network(checkpoint, size=size)
    return network(read_sketch(input, invert=invert), network.reference(read_image(reference)))


def translate_folders(
    inputs: str | Path, references: str | Path, output: str | Path, *, checkpoint: str | Path | None = None,
    size: int | None = None, invert: bool = False, progress: bool = True,
) -> Path:  # fmt: skip
    """Colour every picture of a folder with every picture of another one; returns the contact sheet's path.

    Either may be one picture. Files: output/<input>/<reference>.png, and output/contact-sheet.png, a table with an
    input in each row and a reference in each column. A picture that cannot be read brings a warning and is left out.
    Other arguments as `translate`. Raises InputError as it does, for a folder without a picture that can be read or
    with two of one name, and for an `output` inside of one of the folders, where it would be taken for an input.
    """
    network, output = Network(checkpoint, size=size), Path(output)
    for folder in filter(Path.is_dir, map(Path, (inputs, references))):
        if folder.resolve() in (output.resolve(), *output.resolve().parents):
            raise InputError(f"{output} lies in {folder}, which is read: choose a folder beside it.")
        if not output.is_dir() and (output.exists() or output.suffix.lower() in SUFFIXES):
            raise InputError(f"{folder} is a folder, so the output must be one, too, not {output}.")
    sketches, painted = (named_pictures(Path(source)) for source in (inputs, references))
    side, made = side_of(len(sketches), len(painted)), {}
    rows, columns, cells = {}, {}, {}
    for name, picture in _readable(painted, read_image):
        made[name], columns[name] = network.reference(picture), _thumbnail(picture, side)
    bar = partial(tqdm, total=len(sketches), desc="inputs", disable=not progress, mininterval=2)
    for name, picture in bar(_readable(sketches, partial(read_sketch, invert=invert))):
        rows[name] = _thumbnail(picture, side)
        for other, reference in made.items():
            found = network(picture, reference).output
            save_image(found, output / name / f"{other}.png")
            cells[name, other] = _thumbnail(found, side)
    return save_image(contact_sheet(rows, columns, cells), output / SHEET)


def read_sketch(source: str | Path | Image.Image, *, invert: bool = False) -> Image.Image:
    """An input as N takes it ("L"); warns where most of it is dark. `invert`: it has light lines on black."""
    picture = read_image(source).convert("L")
    picture = ImageOps.invert(picture) if invert else picture
    if 2 * sum(picture.histogram()[:128]) > picture.width * picture.height:
        advice = f"{'leave out' if invert else 'try'} --invert (invert=True)"
        name = source if isinstance(source, str | Path) else "the input"
        warnings.warn(f"most of {name} is dark, but a sketch has dark lines on white: {advice}", stacklevel=3)
    return picture


def named_pictures(source: Path) -> dict[str, Path]:
    """A folder's picture files by name, or one file's. Raises InputError for an empty folder and for equal names."""
    return named_files(find_pictures(source), source) if source.is_dir() else {source.stem: source}


def _readable(files: dict[str, Path], read: Callable[[Path], Image.Image]) -> Iterator[tuple[str, Image.Image]]:
    """Name and picture of each file; one of a folder that cannot be read is warned of, unless none can."""
    failed = 0
    for name, file in files.items():
        try:
            picture = read(file)
        except InputError as error:
            failed += 1
            if failed == len(files):
                raise
            warnings.warn(f"left out: {error}", stacklevel=3)
        else:
            yield name, picture


def _thumbnail(picture: Image.Image, side: int) -> Image.Image:
    small = picture.copy()
    small.thumbnail((side, side))
    return small


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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's arguments."""
    parser.add_argument("input", type=Path, help="the sketch, or a folder of sketches")
    parser.add_argument("reference", type=Path, help="the coloured picture, or a folder of such")
    parser.add_argument("-o", "--output", required=True, type=Path, help="picture to write; of folders, a folder")
    parser.add_argument("--checkpoint", type=Path, help="a model.safetensors (default: comes with the project)")
    parser.add_argument("--size", type=int, help="pixels of the square N works on (default: as trained)")
    parser.add_argument("--invert", action="store_true", help="the sketch has light lines on black")
    parser.add_argument("--auxiliary", type=Path, help="also write W(x, r) to this file")
    parser.add_argument("--mask", type=Path, help="also write the mask to this file")


def run(chosen: argparse.Namespace) -> None:
    """Write what is asked for and say how good the match is, or how many pictures there are. Raises InputError."""
    how = {"checkpoint": chosen.checkpoint, "size": chosen.size, "invert": chosen.invert}
    with warnings.catch_warnings(record=True, action="always") as said:
        told = _folders(chosen, how) if chosen.input.is_dir() or chosen.reference.is_dir() else _pair(chosen, how)
    for warning in said:
        print(f"warning: {warning.message}", file=sys.stderr)
    print(told)


def _folders(chosen: argparse.Namespace, how: dict) -> str:
    if chosen.auxiliary or chosen.mask:
        raise InputError("--auxiliary and --mask go with one input and one reference: leave them out for folders.")
    sheet = translate_folders(chosen.input, chosen.reference, chosen.output, **how, progress=sys.stderr.isatty())
    return f"all of them at a glance: {sheet}"


def _pair(chosen: argparse.Namespace, how: dict) -> str:
    outputs = [chosen.output, chosen.auxiliary, chosen.mask]
    check_outputs([chosen.input, chosen.reference], [path for path in outputs if path])
    result = translate(chosen.input, chosen.reference, **how)
    if chosen.mask and result.mask is None:
        raise InputError("--mask: this network was trained without a mask decoder; leave it out")
    for picture, path in zip((result.output, result.auxiliary, result.mask), outputs, strict=True):
        if path:
            save_image(picture, path)
    return f"mean cosine of the match: {result.score.mean():.2f} (a low one: the reference has little like the input)"


def main(arguments: list[str] | None = None) -> int:
    """The command line alone; 2 and one sentence on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m segin_core.translate", description=translate.__doc__.split("\n")[0]
    )
    add_arguments(parser)
    try:
        run(parser.parse_args(arguments))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
