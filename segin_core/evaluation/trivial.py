"""What every method must beat: rows of a table that know no part of r from another.

Two more need nothing new, r itself and W itself, which are pictures already.
"""

from collections.abc import Callable

from einops import reduce
from torch import Tensor

from segin_core.errors import check_pictures
from segin_core.evaluation.translate_batches import fed
from segin_core.metrics.pixel import BLANK
from segin_core.translator import Translator


def tint(x: Tensor, r: Tensor, mask: Tensor, r_mask: Tensor | None = None) -> Tensor:
    """x's object in one colour, the mean one of r's object, under the lines of x: b 3 h w in [-1, 1].

    x: b 1 h w and r: b 3 h w in [-1, 1]; mask: b 1 h w in [0, 1], where x's object is; r_mask: where r's is, by default
    wherever r is not white. Colour and x are multiplied (black is 0, white 1), so lines stay dark. An r without any
    object gives white. Raises InputError for pictures that do not go together.
    """
    seen = (r.amin(dim=1, keepdim=True) < BLANK).float() if r_mask is None else r_mask
    check_pictures(r, channels=(3,))
    check_pictures(x, mask, seen, r[:, :1], channels=(1,))
    ink = 1 - r  # how far from white: no object, no ink
    colour = reduce(ink * seen, "b c h w -> b c 1 1", "sum") / reduce(seen, "b 1 h w -> b 1 1 1", "sum").clamp_min(1)
    return (2 - colour * mask) * (x + 1) / 2 - 1


def without_a_method(translator: Translator) -> Callable[..., dict[str, Tensor]]:
    """For `translate_batches`: (x, r, mask) to "n_of_r", N fed with r in the place of W, and "tint"."""
    feed = fed(translator)
    return lambda x, r, mask: {"n_of_r": feed(x, r)["image"], "tint": tint(x, r, mask)}
