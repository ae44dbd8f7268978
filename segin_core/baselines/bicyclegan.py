"""BicycleGAN (Zhu et al. 2017): pix2pix with a code z that must change the picture and be readable from it again."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.baselines import shared
from segin_core.baselines.pix2pix import UNet
from segin_core.data.pairs import PairBatch
from segin_core.errors import InputError

GLOROT = partial(nn.init.xavier_normal_, gain=0.02)  # how the weights start


class Generator(UNet):
    """G of BicycleGAN (Section 4), a U-Net: `generator(x, z)` -> b 3 h w in [-1, 1].

    x: b 1|3 h w in [-1, 1], sides 2**depth; z: b nz, tiled and laid beside the input of every down-convolution.
    Instance normalisation without scales, convolutions with bias: 54,794,627 parameters by default.
    Raises InputError for images or a code of another shape.
    """

    def __init__(self, width: int = 64, depth: int = 8, nz: int = 8) -> None:
        super().__init__(width, depth, norm=nn.InstanceNorm2d, bias=True, codes=[nz] * depth)
        self.config = {"width": width, "depth": depth, "nz": nz}
        shared.start_(self, GLOROT)


class EncoderBlock(nn.Module):
    """Two pre-activated 3 x 3 convolutions beside a 1 x 1 shortcut, both averaged: b c h w -> b depth h/2 w/2."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        residual: list[nn.Module] = []
        for out in (channels, depth):
            residual += [nn.InstanceNorm2d(channels), nn.LeakyReLU(0.2), nn.Conv2d(channels, out, 3, padding=1)]
        self.residual = nn.Sequential(*residual, nn.AvgPool2d(2))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, depth, 1))

    def forward(self, h: Tensor) -> Tensor:
        return self.residual(h) + self.shortcut(h)


class Encoder(nn.Module):
    """E of BicycleGAN (Section 4), a small ResNet: `encoder(y)` -> (mu, logvar), each b nz, of the code of y.

    y: b 3 h w in [-1, 1] with sides divisible by 2**(blocks + 1). The last map is averaged whole, which at the paper's
    256 px is its pooling of 8 x 8 cells; the count, 2,590,032 parameters, does not depend on the image size.
    Raises InputError for settings below 1 and for images whose sides do not fit.
    """

    def __init__(self, width: int = 64, blocks: int = 4, nz: int = 8) -> None:
        super().__init__()
        self.config = shared.check_settings("BicycleGAN's encoder", width=width, blocks=blocks, nz=nz)
        depths = [width * min(i + 1, 4) for i in range(blocks + 1)]
        self.first = nn.Conv2d(3, width, 4, 2, 1)
        self.blocks = nn.Sequential(*(EncoderBlock(depths[i], depths[i + 1]) for i in range(blocks)))
        self.mu, self.logvar = (nn.Linear(depths[-1], nz) for _ in range(2))
        shared.start_(self, GLOROT)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        shared.check_sides(y, "BicycleGAN's encoder", multiple=2 ** (self.config["blocks"] + 1))
        h = F.leaky_relu(self.blocks(self.first(y)), 0.2).mean((2, 3))
        return self.mu(h).float(), self.logvar(h).float()


class Discriminator(nn.Module):
    """D of BicycleGAN (Section 4): `discriminator(y)` -> two maps of scores b 1 h' w', of y and of y at half its size.

    A PatchGAN for each scale, the second half as wide; x is not looked at. 3,458,978 parameters by default.
    Raises InputError for an odd width and for images that leave no patch.
    """

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        if width % 2:
            raise InputError(f"width={width} must be even: the half scale has half of it")
        self.config = {"width": width, "layers": layers}
        self.scales = nn.ModuleList(
            shared.patch_layers(3, wide, layers, norm=nn.InstanceNorm2d, bias=True) for wide in (width, width // 2)
        )
        shared.start_(self, GLOROT)

    def forward(self, y: Tensor) -> list[Tensor]:
        shared.check_sides(y, "BicycleGAN's discriminator", least=6 * 2 ** self.config["layers"] - 1)
        return [layers(image) for layers, image in zip(self.scales, (y, shared.halved(y)), strict=True)]


class BicycleGAN:
    """BicycleGAN's objective (Section 3.4): both ways between a code z and a picture. `update` is one step of all.

    cVAE-GAN: y -> z -> y. G has to give y back from x and the code that E read off y (L1, KL, and D).
    cLR-GAN: z -> y -> z. G has to paint a random z so that E can read it off the picture ("latent", and D2).
    Four networks, in `networks` and `optimisers` for `loop.train`; G and E step first, then D and D2.
    """

    def __init__(
        self, generator: Generator, encoder: Encoder, discriminator: Discriminator, discriminator_2: Discriminator, *,
        lr: float = 2e-4, betas: tuple[float, float] = (0.5, 0.999), gan: float = 1.0, gan_2: float = 1.0,
        l1: float = 10.0, latent: float = 0.5, kl: float = 0.01,
    ) -> None:  # fmt: skip
        self.generator, self.encoder = generator, encoder
        self.discriminator, self.discriminator_2 = discriminator, discriminator_2
        self.weights = {"adversarial": gan, "adversarial_2": gan_2, "reconstruction": l1, "latent": latent, "kl": kl}
        self.networks: dict[str, nn.Module] = {
            "generator": generator, "encoder": encoder,
            "discriminator": discriminator, "discriminator_2": discriminator_2,
        }  # fmt: skip
        adam = partial(torch.optim.Adam, lr=lr, betas=betas)
        self.optimisers = {name: adam(network.parameters()) for name, network in self.networks.items()}

    def update(self, batch: PairBatch) -> dict[str, Tensor]:
        """One step of G and E, then one of D and D2; returns the loss terms, unweighted.

        The first half of `batch.x` and `batch.y` is translated, with its own code and with a random one; the second
        half of `batch.y` is what D2 sees as real. Raises InputError for a batch that has no two halves.
        """
        half = len(batch.x) // 2
        if len(batch.x) != 2 * half or not half:
            raise InputError(f"a batch of {len(batch.x)} has no two equal halves; give BicycleGAN an even batch_size")
        x, y, others = batch.x[:half], batch.y[:half], batch.y[half:]
        # drawn on the processor, by the generator whose state `loop.train` saves
        z = torch.randn(half, self.encoder.config["nz"]).to(x.device)
        noise = torch.randn(z.shape).to(x.device)
        random = self.generator(x, z)
        mu, logvar = self.encoder(y)
        encoded = self.generator(x, reparameterise(mu, logvar, noise))
        # G learns through E's reading of its picture, but E does not: together they could hide z in it
        nn.ModuleList([self.encoder, self.discriminator, self.discriminator_2]).requires_grad_(False)
        terms = {
            "adversarial": shared.least_squares(self.discriminator(encoded), 1.0),
            "adversarial_2": shared.least_squares(self.discriminator_2(random), 1.0),
            "reconstruction": F.l1_loss(encoded, y),
            "latent": F.l1_loss(self.encoder(random)[0], z),
            "kl": kl_loss(mu, logvar),
        }
        self.encoder.requires_grad_(True)
        total = sum(self.weights[name] * term for name, term in terms.items())
        shared.descend(total, self.optimisers["generator"], self.optimisers["encoder"])
        for name, real, made in (("discriminator", y, encoded), ("discriminator_2", others, random)):
            terms[name] = shared.judged(self.networks[name].requires_grad_(True), real, made)
            shared.descend(terms[name], self.optimisers[name])
        return {name: term.detach() for name, term in terms.items()}


def reparameterise(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """z ~ N(mu, exp(logvar)) as a function of standard normal noise, so that E gets a gradient; all b nz."""
    return mu + torch.exp(logvar / 2) * noise


def reconstruct(generator: Generator, encoder: Encoder, x: Tensor, y: Tensor) -> Tensor:
    """G(x, E's mean code of y): the colours of y on the drawing x, b 3 h w; y may be another picture's."""
    return generator(x, encoder(y)[0])


def kl_loss(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, I)) of b nz: summed over the code, mean over the images.

    Paper: the released code sums over the images too, of which its batch of 2 translates one. / Here: their mean,
    the same there, and a weight that does not depend on the batch.
    """
    return (mu.square() + logvar.exp() - 1 - logvar).sum(1).mean() / 2
