"""Pictures in and out: any file a user may have, to and from tensors `c h w` in [-1, 1]."""

import warnings
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from segin_core.errors import InputError
from segin_core.running.files import written_whole

_EIGHT_BIT = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "HSV", "LAB"}


def read_image(source: str | Path | Image.Image, name: str | None = None) -> Image.Image:
    """Read a picture as upright 8-bit RGB on a white background.

    `source` is a path or a PIL image, `name` what to call it in an error message. EXIF orientation is
    applied, transparency is laid on white, palette and greyscale pictures become RGB.
    Raises InputError for a file that is missing, a folder, truncated or no image, and for a picture of zero
    size, of 16 bits or more, or in CMYK.
    """
    if isinstance(source, Image.Image):
        return _on_white(source, name or getattr(source, "filename", "") or "the given image")
    path = Path(source)
    name = name or str(path)
    if path.is_dir():
        raise InputError(f"{name} is a folder, not an image: give the path of one picture in it.")
    if not path.exists():
        raise InputError(f"{name} does not exist: check the path (relative ones start at {Path.cwd()}).")
    if path.stat().st_size == 0:
        raise InputError(f"{name} is an empty file: copy or export the picture again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _on_white(image, name)
    except UnidentifiedImageError:
        raise InputError(f"{name} is not an image that Pillow can read: give a PNG, JPEG or WebP.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"{name} has too many pixels to be read safely: give a smaller copy of it.") from None
    except PermissionError:
        raise InputError(f"{name} may not be read by this user: change the file's permissions.") from None
    except (OSError, SyntaxError, EOFError) as problem:  # what Pillow's decoders raise half-way
        raise InputError(f"{name} is damaged or cut short ({problem}): copy or export it again.") from problem


def _on_white(image: Image.Image, name: str) -> Image.Image:
    if 0 in image.size:
        raise InputError(f"{name} is {image.width} x {image.height} pixels: give a picture with at least one pixel.")
    if image.mode == "CMYK":
        raise InputError(f"{name} is in CMYK, a colour space for print: convert it to RGB and try again.")
    if image.mode not in _EIGHT_BIT:
        raise InputError(f"{name} has more than 8 bits a channel (mode {image.mode}): save it as an 8-bit picture.")
    image = ImageOps.exif_transpose(image)
    if "transparency" not in image.info and image.mode not in {"LA", "La", "PA", "RGBA", "RGBa"}:
        return image.convert("RGB")
    if image.mode in {"PA", "La"}:  # neither converts to RGBA in one step
        image = image.convert("RGBA" if image.mode == "PA" else "LA")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def to_tensor(image: Image.Image) -> Tensor:
    """PIL to float32 `c h w` in [-1, 1]: three channels for RGB, one for a greyscale ("L") picture."""
    pixels = np.array(image if image.mode in {"L", "RGB"} else read_image(image))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return rearrange(torch.from_numpy(pixels).float() / 127.5 - 1, "h w c -> c h w").contiguous()


def to_pil(image: Tensor) -> Image.Image:
    """Tensor `c h w` (or `1 c h w`) in [-1, 1], c = 1 or 3, to PIL; values outside the range are clamped."""
    image = image[0] if image.ndim == 4 and len(image) == 1 else image
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise InputError(f"A tensor of shape {tuple(image.shape)} is no picture: give one of 1 or 3 x h x w.")
    pixels = rearrange(to_bytes(image).cpu(), "c h w -> h w c").numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def to_bytes(pictures: Tensor) -> Tensor:
    """Stacks `... c h w` in [-1, 1] as uint8, as a PNG holds them; values outside the range are clamped."""
    return ((pictures.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def from_bytes(pictures: Tensor) -> Tensor:
    """uint8 stacks `... c h w` back to float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def save_png(image: Tensor | Image.Image, path: str | Path) -> Path:
    """Write a picture as PNG under a temporary name, then rename it: the file is whole or not there.

    Folders on the way are made. Raises InputError if they cannot be, or cannot be written to.
    """
    path = Path(path)
    image = to_pil(image) if isinstance(image, Tensor) else image
    try:
        with written_whole(path) as partial:
            image.save(partial, format="PNG")
    except OSError as problem:
        raise InputError(
            f"{path} cannot be written ({problem.strerror}): choose a folder you may write to."
        ) from problem
    return path
