"""A whole test set, translated or measured: a slice at a time in floats, everything that is kept in bytes."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from segin_core.data.images import from_bytes, to_bytes
from segin_core.errors import InputError
from segin_core.matching import Matcher
from segin_core.translator import Translator

Progress = Callable[[range], Iterable[int]]


@torch.no_grad()
def translate_batches(
    translate: Callable[..., dict[str, Tensor]], *stacks: Tensor, batch_size: int = 20,
    device: str | torch.device = "cpu", progress: Progress = iter,
) -> dict[str, Tensor]:  # fmt: skip
    """Translate n inputs, `batch_size` of them at a time on `device`; the results are kept on the CPU.

    stacks: n rows each, of pictures (n c h w in [-1, 1], or bytes, which become that on the device) or anything else
    (noise, say). `translate` takes a slice of each stack and returns tensors by name. Pictures among them (floats with
    1 or 3 channels), masks too, come back as bytes for `from_bytes`, an index or a score as they are. `progress` wraps
    the range of the slices' first rows, as tqdm does. Raises InputError for stacks of unlike lengths or without rows.
    """
    made: dict[str, list[Tensor]] = {}
    for part in _slices(stacks, batch_size, device, progress):
        for name, found in translate(*part).items():
            is_picture = found.is_floating_point() and found.ndim >= 4 and found.shape[-3] in (1, 3)
            made.setdefault(name, []).append((to_bytes(found) if is_picture else found).cpu())
    return {name: torch.cat(parts) for name, parts in made.items()}


@torch.no_grad()
def in_batches(
    measure: Callable[..., Tensor], *stacks: Tensor, batch_size: int = 50, device: str | torch.device = "cpu",
    progress: Progress = iter,
) -> Tensor:  # fmt: skip
    """`measure` (a distance, or features) of n rows, a slice at a time as `translate_batches`: n numbers, or n d."""
    return torch.cat([measure(*part).cpu() for part in _slices(stacks, batch_size, device, progress)])


def segin(translator: Translator, matcher: Matcher) -> Callable[..., dict[str, Tensor]]:
    """Section III for `translate_batches`: (x, r) to W(x, r) by the matcher, and N(x, W).

    matcher: a partial of `auxiliary_image`, or what `trained_match` makes of a network's file.
    """
    feed = fed(translator)

    def translate(x: Tensor, r: Tensor) -> dict[str, Tensor]:
        w = matcher(x, r)
        return {**feed(x, w.image), "auxiliary": w.image, "index": w.index, "score": w.score}

    return translate


def fed(translator: Translator) -> Callable[..., dict[str, Tensor]]:
    """N alone for `translate_batches`: (x, W) to N(x, W), "image", and, where N has one, its "mask" in [0, 1]."""
    return lambda x, w: {name: found for name, found in translator(x, w)._asdict().items() if found is not None}


def _slices(
    stacks: tuple[Tensor, ...], batch_size: int, device: str | torch.device, progress: Progress
) -> Iterator[list[Tensor]]:
    lengths = {len(stack) for stack in stacks}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(f"stacks of {[len(stack) for stack in stacks]} rows: give as many rows of each, at least one")
    for begin in progress(range(0, *lengths, batch_size)):
        parts = [stack[begin : begin + batch_size].to(device) for stack in stacks]
        yield [from_bytes(part) if part.dtype == torch.uint8 else part for part in parts]
