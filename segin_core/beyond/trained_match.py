"""The match that a network was trained with, the paper's or another, from the file that holds the network."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segin_core.beyond.learned_match import LearnedMatch, learned_auxiliary_image
from segin_core.beyond.silhouettes import Silhouettes, object_auxiliary_image
from segin_core.matching import Auxiliary, auxiliary_image
from segin_core.running.checkpoints import load_networks
from segin_core.vgg import VGGFeatures

KINDS: dict[str, type[nn.Module]] = {"match": LearnedMatch, "silhouettes": Silhouettes}


def load_match(path: str | Path, names: Iterable[str]) -> tuple[dict[str, nn.Module], dict[str, Any]]:
    """Of "match" and "silhouettes" those that are named, and the file's description; two empty ones for no names.

    Raises what `load_networks` raises.
    """
    kinds = {name: KINDS[name] for name in names}
    return load_networks(path, kinds) if kinds else ({}, {})


def trained_match(path: str | Path, about: dict[str, Any], **to: Any) -> partial[Auxiliary]:
    """(x, r) to W(x, r) as in the training of the N in `path`, whose description is `about`.

    A file that holds a match, silhouettes or both brings them along; what it lacks is the paper's. `to`: device and
    memory format of the networks behind it, as `Module.to` takes them. Raises what `load_networks` raises.
    """
    held = about.get("networks", {})
    return matcher_of(**load_match(path, [name for name in KINDS if name in held])[0], **about["matching"], **to)


def matcher_of(
    match: LearnedMatch | None = None, silhouettes: Silhouettes | None = None, *, source: str = "vgg16-hed",
    layer: str = "relu4_1", patch: int = 3, blend: str = "paste", **to: Any,
) -> partial[Auxiliary]:  # fmt: skip
    """(x, r) to W(x, r) by the match, or without one by the paper's; within `silhouettes`, if there are such.

    source, layer, patch and blend are those of the paper's match. `to` as in `trained_match`.
    """
    if match is not None and silhouettes is None:
        return partial(learned_auxiliary_image, network=match.eval().to(**to))
    if match is not None:
        return partial(object_auxiliary_image, cells=match.eval().to(**to), silhouettes=silhouettes.eval().to(**to))
    features = VGGFeatures(source, (layer,)).to(**to)
    if silhouettes is None:
        return partial(auxiliary_image, features=features, layer=layer, patch=patch, blend=blend)
    cells = partial(vgg_cells, features=features, layer=layer)
    return partial(object_auxiliary_image, cells=cells, silhouettes=silhouettes.eval().to(**to), patch=patch)


@torch.no_grad()
def vgg_cells(x: Tensor, r: Tensor, *, features: VGGFeatures, layer: str) -> tuple[Tensor, Tensor]:
    """Phi of Eq. 1 at one layer of both pictures, for `object_auxiliary_image`."""
    return features(x)[layer], features(r)[layer]
