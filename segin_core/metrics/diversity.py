"""How different the outputs of one input are (Table I, column "diversity")."""

from __future__ import annotations

from collections.abc import Callable

from einops import rearrange, reduce
from torch import Tensor

from segin_core.errors import InputError


def diversity(outputs: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Mean distance of consecutive outputs for each input: b k c h w to b numbers (Section IV-B).

    `distance` takes two tensors n c h w and returns n numbers, as `st_lpips` and `lpips_distance` do. The protocol is
    BicycleGAN's: 20 outputs, hence 19 pairs, for each of 100 inputs. Raises InputError for fewer than two outputs.
    """
    if outputs.ndim != 5 or outputs.shape[1] < 2:
        raise InputError(f"outputs of shape {tuple(outputs.shape)} hold no pairs: give b k c h w with k at least 2")
    first, second = (rearrange(part, "b k c h w -> (b k) c h w") for part in (outputs[:, :-1], outputs[:, 1:]))
    return reduce(distance(first, second), "(b k) -> b", "mean", b=len(outputs))
