"""pix2pix (Isola et al. 2017): a U-Net against a discriminator that judges patches, both conditioned on x."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core import losses
from segin_core.baselines import shared
from segin_core.data.pairs import PairBatch
from segin_core.errors import InputError

NORMAL = partial(nn.init.normal_, std=0.02)  # how pix2pix's weights start
DROPOUTS = 3  # up-convolutions that dropout follows, from the bottleneck on


class UNet(nn.Module):
    """`depth` halvings down to 1 x 1 and as many doublings back, each fed the down map of its size too (a skip).

    `unet(x, z)` takes x: b 1|3 h w in [-1, 1] with sides 2**depth (one channel is repeated to three) and a code z:
    b n, or None for n = 0; returns b 3 h w in [-1, 1]. Depths are width times 1, 2, 4, 8, 8, ... `codes` has for each
    down-convolution how many channels of tiled z come beside its input: n or 0. `norm` follows all down-convolutions
    but the first and the innermost, whose map is a single cell, and all up-convolutions but the last, which always has
    a bias; the others have one if `bias`. `dropout` follows the first three up-convolutions, but never the last.
    Raises InputError for settings that give no such network, and for images or a code of another shape.
    """

    def __init__(
        self, width: int, depth: int, *, norm: shared.Norm, bias: bool, codes: list[int], dropout: float | None = None
    ) -> None:
        super().__init__()
        shared.check_settings("a U-Net", width=width)
        shared.check_settings("a U-Net", 2, depth=depth)
        shared.check_settings("a U-Net", 0, code=min(codes))
        self.codes, last = codes, depth - 1
        depths = [width * min(2**i, 8) for i in range(depth)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, (channels, code, out) in enumerate(zip([3, *depths[:-1]], codes, depths, strict=True)):
            convolution = nn.Conv2d(channels + code, out, 4, 2, 1, bias=bias)
            layers = nn.LeakyReLU(0.2) if i else None, convolution, norm(out) if 0 < i < last else None
            self.down.append(nn.Sequential(*filter(None, layers)))
        outs = [*depths[-2::-1], 3]
        for i, (channels, out) in enumerate(zip([depths[-1], *(2 * out for out in outs[:-1])], outs, strict=True)):
            convolution = nn.ConvTranspose2d(channels, out, 4, 2, 1, bias=bias or i == last)
            dropped = nn.Dropout(dropout) if dropout is not None and i < min(DROPOUTS, last) else None
            layers = nn.ReLU(), convolution, norm(out) if i < last else None, dropped
            self.up.append(nn.Sequential(*filter(None, layers)))

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        self._check(x, z)
        h, maps = shared.as_rgb(x), []
        for block, code in zip(self.down, self.codes, strict=True):
            h = block(shared.beside(h, z) if code else h)
            maps.append(h)
        for i, block in enumerate(self.up):
            h = block(torch.cat([h, maps[-1 - i]], 1) if i else h)
        return torch.tanh(h.float())  # in bf16 a nearly white output would be exactly 1, without a gradient

    def _check(self, x: Tensor, z: Tensor | None) -> None:
        side = 2 ** len(self.down)
        if x.shape[1] not in (1, 3) or x.shape[2:] != (side, side):
            raise InputError(
                f"x of shape {tuple(x.shape)} does not fit a U-Net of depth {len(self.down)}: it needs 1 or 3 channels "
                f"and {side} x {side} pixels (depth 8 is for 256 px, 6 for 64, 5 for 32)"
            )
        given = (len(x), 0) if z is None else tuple(z.shape)
        if given != (len(x), self.codes[0]):
            raise InputError(
                f"z of shape {given} does not fit: give {self.codes[0]} numbers for each of {len(x)} images"
            )


class Generator(UNet):
    """G of pix2pix (Section 3.2.1), the U-Net: `generator(x, z)` -> b 3 h w in [-1, 1].

    x: b 1|3 h w in [-1, 1], sides 2**depth; z: b noise, or None when `noise` is 0. Batch normalisation, and no bias
    but the last: 54,413,955 parameters by default. Raises InputError for images or a code of another shape.

    "pix2pix+noise" (SEGIN's Table I) was never released. Here it is read as `noise=8`: a random z of eight numbers,
    tiled to the image, as further input channels, which is what BicycleGAN's authors point to.
    """

    def __init__(self, width: int = 64, depth: int = 8, noise: int = 0, dropout: float = 0.5) -> None:
        codes = [noise] + [0] * (depth - 1)
        super().__init__(width, depth, norm=nn.BatchNorm2d, bias=False, codes=codes, dropout=dropout)
        self.config = {"width": width, "depth": depth, "noise": noise, "dropout": dropout}
        shared.start_(self, NORMAL)


class Discriminator(nn.Module):
    """D of pix2pix (Section 3.2.2), PatchGAN: `discriminator(x, y)` -> logits b 1 h' w', one for each patch.

    x: b 1|3 h w, y: b 3 h w in [-1, 1]. A logit sees 70 x 70 pixels with the three halving `layers` of the paper
    (30 x 30 logits at 256 px), 34 x 34 with two. Raises InputError for images that leave no patch.
    """

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.config = {"width": width, "layers": layers}
        self.layers = shared.patch_layers(6, width, layers, norm=nn.BatchNorm2d, bias=False)
        shared.start_(self, NORMAL)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        shared.check_sides(y, "pix2pix's discriminator", least=3 * 2 ** self.config["layers"])
        return self.layers(torch.cat([shared.as_rgb(x), y], 1))


class Pix2Pix:
    """pix2pix's objective (Eq. 4): binary cross-entropy of patches, and `l1` times L1. `update` is one step of both.

    `networks` and `optimisers` are what `loop.train` saves and resumes. As in Section 3.3 D steps first, its loss
    halved (Adam, which divides by the gradients' size, hardly notices), and G minimises -log D.
    """

    def __init__(
        self, generator: Generator, discriminator: Discriminator, *,
        lr: float = 2e-4, betas: tuple[float, float] = (0.5, 0.999), l1: float = 100.0,
    ) -> None:  # fmt: skip
        self.generator, self.discriminator, self.l1 = generator, discriminator, l1
        self.networks: dict[str, nn.Module] = {"generator": generator, "discriminator": discriminator}
        adam = partial(torch.optim.Adam, lr=lr, betas=betas)
        self.optimisers = {name: adam(network.parameters()) for name, network in self.networks.items()}

    def update(self, batch: PairBatch) -> dict[str, Tensor]:
        """One step of D, then one of G, on images on the networks' device; returns the loss terms, unweighted."""
        x, y = batch.x, batch.y
        # drawn on the processor, by the generator whose state `loop.train` saves
        z = torch.randn(len(x), self.generator.config["noise"]).to(x.device)
        output = self.generator(x, z)
        self.discriminator.requires_grad_(True)
        real, fake = self.discriminator(x, y), self.discriminator(x, output.detach())
        terms = {"discriminator": losses.discriminator_loss(real.float(), fake.float()) / 2}
        shared.descend(terms["discriminator"], self.optimisers["discriminator"])
        self.discriminator.requires_grad_(False)
        terms["adversarial"] = losses.adversarial_loss(self.discriminator(x, output).float())
        terms["reconstruction"] = F.l1_loss(output, y)
        shared.descend(terms["adversarial"] + self.l1 * terms["reconstruction"], self.optimisers["generator"])
        return {name: term.detach() for name, term in terms.items()}


@torch.no_grad()
def translate(generator: Generator, x: Tensor, z: Tensor | None = None) -> Tensor:
    """G(x, z) as at test time (Section 3.3): dropout stays on, so the same x and z give a little more than one picture.

    Paper: batch normalisation takes the statistics of the test batch. / Here: the running ones, so that a picture does
    not depend on which others lie beside it. Every module is left in the mode it was in. b 3 h w in [-1, 1].
    """
    modes = [(module, module.training) for module in generator.modules()]
    try:
        for module, _ in modes:
            module.training = isinstance(module, nn.Dropout)
        return generator(x, z)
    finally:
        for module, mode in modes:
            module.training = mode
