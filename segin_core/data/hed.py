"""Holistically-nested edge detection (Xie and Tu, 2015), and thin sketches from it (Section IV).

The trunk is VGG-16 without its last pooling, so its weights are those of `vgg.py`.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from scipy.special import logit
from skimage.morphology import remove_small_objects, thin
from torch import Tensor, nn

from segin_core.running.weights import hed_weights
from segin_core.vgg import VGG_BLOCKS, caffe_input, trunk_weights

STAGES = dict(enumerate(VGG_BLOCKS["vgg16-hed"], 1))  # number to layers


class HED(nn.Module):
    """Edge probability from five side outputs of VGG-16, frozen.

    conv1_1 ... conv5_3: 3 x 3, zero padding 1, ReLU; 2 x 2 max pooling (rounding up) before stages 2 to 5;
    score1 ... score5: 1 x 1 on the last map of each stage, upsampled bilinearly to the input's size;
    fuse: 1 x 1 over the five, then a sigmoid.
    """

    def __init__(self) -> None:
        super().__init__()
        weights = trunk_weights() | hed_weights({f"score{stage}": f"dsn{stage}" for stage in STAGES} | {"fuse": "fuse"})
        for name, kernel in weights.items():
            if name.endswith(".weight"):
                outputs, inputs, size, _ = kernel.shape
                convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, device="meta")
                self.add_module(name.removesuffix(".weight"), convolution)
        self.load_state_dict(weights, assign=True)
        self.requires_grad_(False).eval().to(memory_format=torch.channels_last)  # a third faster on a CPU

    def forward(self, images: Tensor, *, margin: int = 8) -> Tensor:
        """Images `b 3 h w` in [-1, 1], any size, to edge probability `b 1 h w` in [0, 1].

        `margin` pixels are replicated around the image first, and cut off again: with the zero padding of the
        convolutions alone, the border of the image would be found as an edge. 0 gives the published network.
        """
        x = F.pad(caffe_input(images), [margin] * 4, mode="replicate")
        x = x.contiguous(memory_format=torch.channels_last)
        size, scores = x.shape[-2:], []
        for stage, count in STAGES.items():
            x = F.max_pool2d(x, kernel_size=2, ceil_mode=True) if stage > 1 else x
            for i in range(count):
                x = F.relu(self.get_submodule(f"conv{stage}_{i + 1}")(x))
            score = self.get_submodule(f"score{stage}")(x)
            scores.append(F.interpolate(score, size=size, mode="bilinear", align_corners=False))
        return F.pad(self.fuse(torch.cat(scores, dim=1)).sigmoid(), [-margin] * 4)


def thin_edges(edges: Tensor, *, threshold: float = 0.2, min_length: int = 8) -> Tensor:
    """Edge probability `b 1 h w` in [0, 1] to one-pixel lines `b 1 h w`, 0 or 1.

    After the edges2photos data (Isola et al., 2017): non-maximum suppression across the edge, the way
    the blurred map curves down most; `threshold`; thinning; pieces of less than `min_length` pixels
    removed. Here: on the logit of the map, which still has a ridge where the probability is flat at 1.
    """
    maps = edges[:, 0].detach().float().cpu().numpy()
    lines = np.stack([_thin_one(one, threshold, min_length) for one in maps])
    return torch.from_numpy(lines).float()[:, None]


def _thin_one(edge: np.ndarray, threshold: float, min_length: int) -> np.ndarray:
    height = ndimage.gaussian_filter(logit(edge.clip(1e-6, 1 - 1e-6)), sigma=1.0, mode="nearest")
    dy, dx = np.gradient(ndimage.gaussian_filter(height, sigma=1.5, mode="nearest"))
    (dyy, dyx), (_, dxx) = np.gradient(dy), np.gradient(dx)
    angle = 0.5 * np.arctan2(2 * dyx, dxx - dyy) + np.pi / 2  # axis of the smallest second derivative: across
    across, here = np.stack([np.sin(angle), np.cos(angle)]), np.indices(edge.shape)
    beside = [ndimage.map_coordinates(height, here + step * across, order=1, mode="nearest") for step in (-1, 1)]
    ridge = (height >= np.maximum(*beside)) & (edge >= threshold)
    return remove_small_objects(thin(ridge), max_size=min_length - 1, connectivity=2)


@torch.inference_mode()
def sketch(y: Tensor, hed: HED, *, width: int = 1, scale: int = 1) -> Tensor:
    """Pictures `b 3 h w` to sketches `b 1 h*scale w*scale`, both in [-1, 1]: dark lines on white.

    The lines are `width` pixels wide. A stroke of more than about 4 pixels has two edges: to get one line of
    it, give HED a small picture and let `scale` enlarge the edge map before it is thinned.
    """
    edges = F.interpolate(hed(y), scale_factor=float(scale), mode="bilinear", align_corners=False)
    disc = np.hypot(*np.indices((width, width)) - width // 2) <= width / 2
    lines = ndimage.binary_dilation(thin_edges(edges, min_length=8 * scale).numpy() > 0, disc[None, None])
    return (1 - 2 * torch.from_numpy(lines).float()).to(y.device)
