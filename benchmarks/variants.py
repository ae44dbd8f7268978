"""The ways to run S, by name: what semantic_match.py times and peak_memory.py measures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from other_ways import literal_match
from torch import Tensor

from segin_core.matching import auxiliary_image, match, prepare_reference
from segin_core.running.randomness import seeded
from segin_core.vgg import VGGFeatures

# Each is measured against two passes through the VGG in the same arithmetic, the least that S can take.
FLOORS = {
    "s_fp32": "vgg_fp32", "s_fp32_cached": "vgg_fp32", "s_bf16": "vgg_bf16", "s_bf16_cached": "vgg_bf16",
    "search": "vgg_fp32", "search_literal": "vgg_fp32", "search_faiss": "vgg_fp32",
}  # fmt: skip
TIMED = ("vgg_fp32", "vgg_bf16", *FLOORS)
WEIGHED = ("vgg_fp32", "s_fp32", "s_bf16", "s_literal")  # whose memory is measured
Runs = dict[str, Callable[[], Tensor | None]]


def in_bf16(run: Callable[[], Any]) -> Callable[[], Any]:
    """The same call with the VGG's arithmetic in bf16."""

    @functools.wraps(run)
    def wrapped() -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return run()

    return wrapped


def images(size: int, seed: int) -> tuple[Tensor, Tensor]:
    """x: 1 1 h w and r: 1 3 h w of noise; time does not depend on what they show."""
    generator = seeded(seed, size)
    return tuple(2 * torch.rand(1, channels, size, size, generator=generator) - 1 for channels in (1, 3))


def variants(x: Tensor, r: Tensor, features: VGGFeatures, *, layer: str, patch: int) -> Runs:
    """Everything that runs in torch, by name; what matches returns its index, 1 n.

    vgg: two passes, of x and of r; s: all of S, from images to W; cached: with r prepared before; search: from the
    features to the index; literal: by unfolding.
    """
    how = {"features": features, "layer": layer, "patch": patch}
    prepare = functools.partial(prepare_reference, r, features, layer=layer)
    cached, cached_bf16 = prepare(), in_bf16(prepare)()
    fx, fr = features(x)[layer], cached.features
    runs: Runs = {
        "vgg_fp32": lambda: (features(x), features(r)) and None,
        "s_fp32": lambda: auxiliary_image(x, r, **how).index,
        "s_fp32_cached": lambda: auxiliary_image(x, cached, **how).index,
        "s_bf16_cached": in_bf16(lambda: auxiliary_image(x, cached_bf16, **how).index),
        "search": lambda: match(fx, fr, patch)[0],
        "search_literal": lambda: literal_match(fx, fr, patch),
        "s_literal": lambda: literal_match(features(x)[layer], features(r)[layer], patch),
    }
    return runs | {name.replace("fp32", "bf16"): in_bf16(runs[name]) for name in ("vgg_fp32", "s_fp32")}
