"""Bad input, said in one sentence to the book's reader: the exception, and the check of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one sentence: which file or key, what is wrong with it, and what to do.
    """


def check_pictures(*pictures: Tensor, channels: Sequence[int] = (1, 3)) -> None:
    """Pictures are b c h w in [-1, 1], floats of any precision, all of one shape; `channels` lists what c may be.

    Raises InputError for anything else, one of several in the first place: whole numbers as image files have them,
    values beyond 1.5 or not finite. Pictures in [0, 1] cannot be told from pale ones and pass.
    """
    import torch  # here, so that scripts which only report an InputError need not load it

    for picture in pictures:
        if not isinstance(picture, torch.Tensor) or not picture.is_floating_point():
            kind = getattr(picture, "dtype", type(picture).__name__)
            raise InputError(f"pictures of {kind}: give floats in [-1, 1], which are bytes / 127.5 - 1")
        if picture.ndim != 4 or not picture.numel() or picture.shape[1] not in channels:
            wanted = " or ".join(map(str, channels))
            raise InputError(f"a tensor of shape {tuple(picture.shape)} holds no pictures: give b {wanted} h w")
        low, high = (limit.item() for limit in picture.detach().aminmax())
        if not (low >= -1.5 and high <= 1.5):  # so and not turned round, since a NaN is neither below nor above
            raise InputError(f"pictures from {low:.3g} to {high:.3g} are not in [-1, 1]: scale them, or look for NaN")
        if picture.shape != pictures[0].shape:
            shapes = f"{tuple(pictures[0].shape)} and {tuple(picture.shape)}"
            raise InputError(f"pictures of shapes {shapes} do not go together: give equally many, all of one shape")
