"""What the compared methods share: how weights start, checks, PatchGAN, the least-squares GAN, a step of Adam."""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import repeat
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.errors import InputError, check_pictures

Norm = Callable[[int], nn.Module]


def start_(network: nn.Module, weights: Callable[[Tensor], Tensor]) -> None:
    """Start the `weights` of all convolutions and linear layers as a paper says, their biases at zero.

    The scales of batch normalisation start from N(1, 0.02), as in pix2pix, the one method here that has it.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            weights(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


def check_settings(what: str, least: int = 1, **settings: int) -> dict[str, int]:
    """The settings, of which none may be below `least`: else InputError for the first; `what` names the network."""
    for name, value in settings.items():
        if value < least:
            raise InputError(f"{what}: {name}={value} must be at least {least}")
    return settings


def check_sides(images: Tensor, what: str, *, multiple: int = 1, least: int = 1) -> None:
    """Raise InputError unless both sides of images b c h w are such multiples and at least so long; `what` as above."""
    if any(side % multiple or side < least for side in images.shape[2:]):
        raise InputError(
            f"images of {images.shape[2]} x {images.shape[3]} pixels do not fit {what}: "
            f"both sides must be multiples of {multiple} and at least {max(multiple, least)}"
        )


def check_pair(x: Tensor, r: Tensor, *, one_size: bool = False) -> None:
    """Raise InputError unless x: b 1|3 h w and r: b 3 h' w' are as many pictures, of `one_size` or of any."""
    check_pictures(x)
    check_pictures(r, channels=(3,))
    if len(x) != len(r) or (one_size and x.shape[2:] != r.shape[2:]):
        raise InputError(
            f"x of shape {tuple(x.shape)} and r of shape {tuple(r.shape)} do not go together: "
            f"give a reference for each x{', scaled to its height and width' if one_size else ''}"
        )


def as_rgb(x: Tensor) -> Tensor:
    """b 1|3 h w -> b 3 h w; these methods' own loaders give them sketches of three equal channels."""
    return x.expand(-1, 3, -1, -1)


def beside(h: Tensor, z: Tensor) -> Tensor:
    """The map b c h w with the code z, b n, tiled to it as n further channels."""
    return torch.cat([h, repeat(z, "b n -> b n h w", h=h.shape[2], w=h.shape[3]).to(h.dtype)], 1)


def halved(y: Tensor) -> Tensor:
    """Pictures b c h w at half their size, for a discriminator of the next scale; a border is not made greyer."""
    return F.avg_pool2d(y, 3, 2, 1, count_include_pad=False)


def patch_layers(channels: int, width: int, layers: int, *, norm: Norm, bias: bool) -> nn.Sequential:
    """PatchGAN: `layers` convolutions that halve the grid, one that does not, one to a logit; b c h w -> b 1 h' w'.

    4 x 4 kernels, LeakyReLU; `norm` after all but the first and the last, which have a bias in any case. Images need
    sides of at least 3 * 2**layers. Raises InputError for a width or a number of layers below 1.
    """
    check_settings("a discriminator", width=width, layers=layers)
    depths = [width * min(2**i, 8) for i in range(layers + 1)]
    made: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for i in range(layers):
        stride = 2 if i < layers - 1 else 1
        made += [nn.Conv2d(depths[i], depths[i + 1], 4, stride, 1, bias=bias), norm(depths[i + 1]), nn.LeakyReLU(0.2)]
    return nn.Sequential(*made, nn.Conv2d(depths[-1], 1, 4, 1, 1))


def least_squares(maps: list[Tensor], target: float) -> Tensor:
    """LSGAN: mean (score - target)^2, summed over the scales' maps. D wants 1 for real and 0 for made, G wants 1."""
    return sum((scores.float() - target).square().mean() for scores in maps)


def judged(discriminator: nn.Module, real: Tensor, made: Tensor) -> Tensor:
    """LSGAN for a D that looks at pictures alone: both halves of its loss, b 3 h w each; `made` gets no gradient."""
    return least_squares(discriminator(real), 1.0) + least_squares(discriminator(made.detach()), 0.0)


def descend(loss: Tensor, *optimisers: torch.optim.Optimizer) -> None:
    """One step of each optimiser, down the gradient of one scalar loss."""
    for optimiser in optimisers:
        optimiser.zero_grad()
    loss.backward()
    for optimiser in optimisers:
        optimiser.step()
