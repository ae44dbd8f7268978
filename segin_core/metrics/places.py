"""Where in a picture a fault is looked for: inside x's object, at its border, and where W has nothing to say."""

from torch import Tensor

from segin_core.errors import InputError, check_pictures
from segin_core.metrics.pixel import BLANK, thickened

COLOURED = 0.5  # 191 of 255: with a channel below it a pixel is plainly not white


def interior(x: Tensor, mask: Tensor) -> Tensor:
    """The object's pixels that are neither on a line of x nor beside one: b 1 h w of 0 and 1.

    x: b 1 h w in [-1, 1]; mask: b 1 h w in [0, 1], the object above one half. Lines are drawn anew from x whatever N
    has learned, so what a loss does to surfaces shows here. Raises InputError for what does not go together.
    """
    check_pictures(x, mask, channels=(1,))
    return (mask > 0.5).float() * (1 - thickened((x <= BLANK).float()))


def border(mask: Tensor, *, pixels: int = 2) -> Tensor:
    """A band of `pixels` to either side of the object's border: b 1 h w in [0, 1] -> b 1 h w of 0 and 1.

    The picture's own frame is no border. Raises InputError for a mask that is none, and for less than one pixel.
    """
    check_pictures(mask, channels=(1,))
    if pixels < 1:
        raise InputError(f"pixels={pixels}: a band is 1 pixel wide or more to either side")
    inside = (mask > 0.5).float()
    return thickened(inside, pixels) * thickened(1 - inside, pixels)


def unguided(w: Tensor, truth: Tensor, *, x: Tensor, mask: Tensor) -> Tensor:
    """Where the match pasted background into the object: b 1 h w of 0 and 1.

    That is where W is white, the right answer plainly is not, x has no line and the mask says "object". Whatever colour
    N gives there it has from elsewhere: by its non-local layers or by its convolutions. w, truth: b 3 h w, x: b 1 h w,
    in [-1, 1]; mask: b 1 h w in [0, 1]. Raises InputError for what does not go together.
    """
    check_pictures(w, truth, channels=(3,))
    check_pictures(w[:, :1], x, mask, channels=(1,))
    white, coloured = w.amin(dim=1, keepdim=True) > BLANK, truth.amin(dim=1, keepdim=True) < COLOURED
    return (white & coloured & (x > BLANK) & (mask > 0.5)).float()
