"""Pictures in and out: any file a user may have, to and from tensors `c h w` in [-1, 1]."""

import os
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from segin_core.errors import InputError, check_pictures
from segin_core.running.files import written_whole

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")  # of a folder's pictures, in any case
_EIGHT_BIT = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "HSV", "LAB"}


def find_pictures(folder: str | Path) -> list[Path]:
    """Every picture file below a folder, nested or flat, sorted by path; hidden files and folders are passed over.

    Raises InputError if there is none.
    """
    paths = (path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
    seen = (path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    if found := sorted(path for path in seen if path.is_file()):
        return found
    raise InputError(f"{folder} is no folder that holds pictures ({', '.join(SUFFIXES)}): put some there.")


def named_files(files: Iterable[Path], root: Path) -> dict[str, Path]:
    """Flat names for files that may lie in nested folders: Boots/Ankle/1.2.jpg is Boots_Ankle_1.2.

    Raises InputError for two files of one name; large and small letters do not tell names apart on every system.
    """
    named: dict[str, tuple[str, Path]] = {}  # by the name in small letters
    for file in files:
        name = "_".join(file.relative_to(root).with_suffix("").parts)
        if (other := named.setdefault(name.lower(), (name, file))[1]) != file:
            raise InputError(f"{file} and {other} would both be called {name}: rename one of them.")
    return dict(named.values())


def read_image(source: str | Path | Image.Image, name: str | None = None) -> Image.Image:
    """Read a picture as upright 8-bit RGB on a white background.

    `source` is a path or a PIL image, `name` what to call it in an error message. EXIF orientation is
    applied, transparency is laid on white, palette and greyscale pictures become RGB.
    Raises InputError for a file that is missing, a folder or no image, for a picture, in a file or in memory, that is
    cut short, closed, of zero size, of 16 bits or more, or in CMYK, and for anything else, such as an array.
    """
    if not isinstance(source, str | Path | Image.Image):
        kind = type(source).__name__
        raise InputError(f"{name or 'The given picture'} is of type {kind}: give a path or a PIL image.")
    opened = nullcontext if isinstance(source, Image.Image) else Image.open
    name = name or getattr(source, "filename", "") or ("the given image" if opened is nullcontext else str(source))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with opened(source) as image:
                return _on_white(image, name)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{name} does not exist: check the path (relative ones start at {Path.cwd()}).") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder, not an image: give the path of one picture in it.") from None
    except UnidentifiedImageError:
        raise InputError(f"{name} is empty, or not an image that Pillow can read: give a PNG, JPEG or WebP.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"{name} has too many pixels to be read safely: give a smaller copy of it.") from None
    except PermissionError:
        raise InputError(f"{name} may not be read by this user: change the file's permissions.") from None
    except (OSError, SyntaxError, EOFError) as problem:  # what Pillow's decoders raise half-way
        raise InputError(f"{name} is damaged or cut short ({problem}): copy or export it again.") from problem
    except (ValueError, AssertionError) as problem:  # what they raise without their file
        raise InputError(f"{name} was closed before it was read: open it again, or give its path.") from problem


def _on_white(image: Image.Image, name: str) -> Image.Image:
    if 0 in image.size:
        raise InputError(f"{name} is {image.width} x {image.height} pixels: give a picture with at least one pixel.")
    if image.mode == "CMYK":
        raise InputError(f"{name} is in CMYK, a colour space for print: convert it to RGB and try again.")
    if image.mode not in _EIGHT_BIT:
        raise InputError(f"{name} has more than 8 bits a channel (mode {image.mode}): save it as an 8-bit picture.")
    image = ImageOps.exif_transpose(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")  # La does not in one step
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def to_bytes(pictures: Tensor) -> Tensor:
    """Stacks `... c h w` in [-1, 1] as uint8, as a PNG holds them; values outside the range are clamped."""
    return ((pictures.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def from_bytes(pictures: Tensor) -> Tensor:
    """uint8 stacks `... c h w` back to float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def to_tensor(image: Image.Image) -> Tensor:
    """PIL to float32 `c h w` in [-1, 1]: three channels for RGB, one for a greyscale ("L") picture."""
    pixels = np.atleast_3d(image if image.mode in {"L", "RGB"} else read_image(image))
    return from_bytes(rearrange(torch.tensor(pixels), "h w c -> c h w")).contiguous()


def to_pil(image: Tensor) -> Image.Image:
    """Tensor `c h w` (or `1 c h w`) in [-1, 1], c = 1 or 3, to PIL; InputError for anything else.

    Values a little outside the range, as resampling leaves them, are clamped.
    """
    image = image[0] if image.ndim == 4 and len(image) == 1 else image
    check_pictures(image[None])
    pixels = rearrange(to_bytes(image).cpu(), "c h w -> h w c").numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def save_image(image: Tensor | Image.Image, path: str | Path) -> Path:
    """Write a picture in the format that its name ends in, such as PNG for .png: all of it or nothing.

    Folders on the way are made. Raises InputError as `picture_format` does, and where no file can be written.
    """
    path, kind = Path(path), picture_format(path)
    image = to_pil(image) if isinstance(image, Tensor) else image
    try:
        with written_whole(path) as partial:
            image.save(partial, format=kind)
    except OSError as problem:
        reason = problem.strerror or problem
        raise InputError(f"{path} cannot be written ({reason}): choose a folder you may write to.") from problem
    return path


def picture_format(path: str | Path) -> str:
    """Pillow's name of the format in which a picture of this name is written; InputError if there is none."""
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder: give the name of a file in it.")
    kind = Image.registered_extensions().get(Path(path).suffix.lower())
    if kind not in Image.SAVE:
        raise InputError(f"{path} ends in no format that pictures are written in: call it .png, .jpg or .webp.")
    return kind
