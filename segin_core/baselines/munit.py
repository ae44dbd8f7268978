"""MUNIT (Huang et al., ECCV 2018), compared in Section IV: unpaired translation by exchanging style codes.

Every image is a content code (a feature map) and a style code (eight numbers). X and Y have a generator each; to
translate, the content of x is decoded by Y's decoder with a style of Y: a random one, or that of a reference.

Written from facts about the method; the authors' code has a licence that forbids copying, and none of it is used.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.baselines import shared
from segin_core.data.pairs import PairBatch
from segin_core.errors import InputError

STYLE_DOUBLINGS = 2  # the style encoder's depth doubles this often and then stays
EPS = 1e-5


class Codes(NamedTuple):
    """An image taken apart."""

    content: Tensor  #: what is where, b c h w
    style: Tensor  #: how it looks, b style_dim


def convolution(channels: int, depth: int, kernel: int, *, stride: int = 1) -> nn.Conv2d:
    """A convolution with reflected borders: b channels h w -> b depth h/stride w/stride."""
    return nn.Conv2d(channels, depth, kernel, stride, (kernel - 1) // 2, padding_mode="reflect")


def halving(depths: list[int], activation: nn.Module) -> list[nn.Module]:
    """4 x 4 convolutions that halve the grid, from each depth to the next, with the activation after each."""
    return [layer for pair in pairwise(depths) for layer in (convolution(*pair, 4, stride=2), activation)]


def instance_norm(h: Tensor) -> Tensor:
    """Every channel of every image to mean 0 and variance 1, over h w: b c h w -> the same, in fp32."""
    return F.instance_norm(h.float(), eps=EPS)


def adaptive_instance_norm(h: Tensor, bias: Tensor, weight: Tensor) -> Tensor:
    """AdaIN: weight * instance_norm(h) + bias, with a weight and a bias for every channel of every image (b c)."""
    return torch.addcmul(bias.float()[..., None, None], weight.float()[..., None, None], instance_norm(h))


class LayerNorm(nn.Module):
    """Every image to mean 0 and deviation 1 over c h w together, then a learned scale and shift of each channel.

    b c h w -> the same, in fp32. The deviation is the unbiased one, and eps is added to it rather than to the variance;
    the scales start uniform in [0, 1].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, h: Tensor) -> Tensor:
        h = h.float()
        centred = h - h.mean((1, 2, 3), keepdim=True)
        # a norm rather than torch.std: several times faster here, and its gradient is finite for an even map
        std = torch.linalg.vector_norm(centred, dim=(1, 2, 3), keepdim=True) / math.sqrt(h[0].numel() - 1)
        return torch.addcmul(self.bias[:, None, None], self.weight[:, None, None] / (std + EPS), centred)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with instance normalisation, and the identity: b c h w -> the same.

    The content encoder's; given `adain` (two two b c: of each convolution the bias, then the weight), the decoder's.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (convolution(channels, channels, 3) for _ in range(2))

    def forward(self, h: Tensor, adain: Tensor | None = None) -> Tensor:
        if adain is None:
            return h + instance_norm(self.second(F.relu(instance_norm(self.first(h)))))
        inner = F.relu(adaptive_instance_norm(self.first(h), *adain[0]))
        return h + adaptive_instance_norm(self.second(inner), *adain[1])


class ContentEncoder(nn.Module):
    """b 3 h w in [-1, 1] -> content b width*2**downsamplings h/2**downsamplings w/2**downsamplings."""

    def __init__(self, width: int, downsamplings: int, blocks: int) -> None:
        super().__init__()
        depths = [width * 2**i for i in range(downsamplings + 1)]
        halving = (convolution(*pair, 4, stride=2) for pair in pairwise(depths))
        self.convolutions = nn.ModuleList([convolution(3, width, 7), *halving])
        self.blocks = nn.Sequential(*(ResidualBlock(depths[-1]) for _ in range(blocks)))

    def forward(self, h: Tensor) -> Tensor:
        for layer in self.convolutions:
            h = F.relu(instance_norm(layer(h)))
        return self.blocks(h)


class StyleEncoder(nn.Sequential):
    """b 3 h w in [-1, 1] -> style b style_dim: convolutions and the mean over all places, so no place is remembered.

    No normalisation, which would take the channels' means and deviations away, and these are the style.
    """

    def __init__(self, width: int, downsamplings: int, style_dim: int) -> None:
        depths = [width * 2 ** min(i, STYLE_DOUBLINGS) for i in range(downsamplings + 1)]
        layers = [convolution(3, width, 7), nn.ReLU(), *halving(depths, nn.ReLU())]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(depths[-1], style_dim))


class Decoder(nn.Module):
    """Content and AdaIN's numbers -> image b 3 h w in [-1, 1]: AdaIN residual blocks, up-sampling, tanh."""

    def __init__(self, width: int, upsamplings: int, blocks: int) -> None:
        super().__init__()
        depths = [width * 2**i for i in range(upsamplings, -1, -1)]
        self.blocks = nn.ModuleList(ResidualBlock(depths[0]) for _ in range(blocks))
        self.upsampling = nn.Sequential(*(
            nn.Sequential(nn.Upsample(scale_factor=2), convolution(*pair, 5), LayerNorm(pair[1]), nn.ReLU())
            for pair in pairwise(depths)
        ))  # fmt: skip
        self.image = convolution(width, 3, 7)

    def forward(self, h: Tensor, adain: Tensor) -> Tensor:
        for block, parameters in zip(self.blocks, adain, strict=True):
            h = block(h, parameters)
        # in bf16 a nearly white output would be exactly 1, without gradient
        return torch.tanh(self.image(self.upsampling(h)).float())


class Generator(nn.Module):
    """One domain's auto-encoder: content encoder, style encoder, MLP and AdaIN decoder.

    `width` scales all depths (64: the paper's, 15.03 M parameters); content is on a grid `downsamplings` times halved.
    The MLP turns a style into the biases and weights of all the decoder's instance normalisations.
    Raises InputError for a setting below 1 and for images whose sides do not fit.
    """

    def __init__(
        self, width: int = 64, *, style_dim: int = 8, downsamplings: int = 2, style_downsamplings: int = 4,
        blocks: int = 4, mlp_width: int = 256,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = shared.check_settings(
            "MUNIT's generator", width=width, style_dim=style_dim, downsamplings=downsamplings,
            style_downsamplings=style_downsamplings, blocks=blocks, mlp_width=mlp_width,
        )  # fmt: skip
        self.content_encoder = ContentEncoder(width, downsamplings, blocks)
        self.style_encoder = StyleEncoder(width, style_downsamplings, style_dim)
        numbers = blocks * 2 * 2 * width * 2**downsamplings
        self.mlp = nn.Sequential(
            nn.Linear(style_dim, mlp_width), nn.ReLU(), nn.Linear(mlp_width, mlp_width), nn.ReLU(),
            nn.Linear(mlp_width, numbers),
        )  # fmt: skip
        self.decoder = Decoder(width, downsamplings, blocks)
        shared.start_(self, nn.init.kaiming_normal_)

    def encode(self, images: Tensor) -> Codes:
        """b 3 h w in [-1, 1] -> its content and its style."""
        return Codes(self.encode_content(images), self.encode_style(images))

    def encode_content(self, images: Tensor) -> Tensor:
        """b 3 h w in [-1, 1] -> b c h w, on the coarse grid."""
        multiple = 2 ** self.config["downsamplings"]
        # a reflected border needs two cells, the first convolution's four
        shared.check_sides(images, "MUNIT's content encoder", multiple=multiple, least=max(2 * multiple, 4))
        return self.content_encoder(images)

    def encode_style(self, images: Tensor) -> Tensor:
        """b 3 h w in [-1, 1] -> b style_dim."""
        shared.check_sides(images, "MUNIT's style encoder", least=max(2 ** self.config["style_downsamplings"], 4))
        return self.style_encoder(images).float()

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Content b c h w and style b style_dim -> image b 3 h w in [-1, 1], in fp32."""
        blocks = self.config["blocks"]
        pattern = "b (block convolution kind c) -> block convolution kind b c"
        return self.decoder(content, rearrange(self.mlp(style), pattern, block=blocks, convolution=2, kind=2))

    def forward(self, images: Tensor) -> Tensor:
        """The image from its own two codes."""
        return self.decode(*self.encode(images))


class Discriminator(nn.Module):
    """`model(images)` -> a map of scores b 1 h' w' for each scale: b 3 h w in [-1, 1] at full size, at half, ...

    Each scale has weights of its own: `layers` convolutions that halve the grid, then a 1 x 1 one.
    Raises InputError for a setting below 1 and for images of which the smallest scale leaves no cell.
    """

    def __init__(self, width: int = 64, *, layers: int = 4, scales: int = 3) -> None:
        super().__init__()
        self.config = shared.check_settings("MUNIT's discriminator", width=width, layers=layers, scales=scales)
        depths = [3, *(width * 2**i for i in range(layers))]
        self.scales = nn.ModuleList(
            nn.Sequential(*halving(depths, nn.LeakyReLU(0.2)), nn.Conv2d(depths[-1], 1, 1)) for _ in range(scales)
        )
        shared.start_(self, partial(nn.init.normal_, std=0.02))

    def forward(self, images: Tensor) -> list[Tensor]:
        least = (2 ** self.config["layers"] - 1) * 2 ** (self.config["scales"] - 1) + 1  # of cells at the last scale
        shared.check_sides(images, "MUNIT's discriminator", least=least)
        maps = []
        for scale in self.scales:
            maps.append(scale(images).float())
            images = shared.halved(images)
        return maps


def exchange(source: Generator, target: Generator, images: Tensor) -> tuple[Codes, Tensor, Tensor]:
    """Images b 3 h w of the domain of `source` taken apart, random styles of `target`, the translation with these."""
    codes, style = source.encode(images), random_style(target, images)
    return codes, style, target.decode(codes.content, style)


def generator_terms(
    source: Generator, target: Generator, discriminator: Discriminator, images: Tensor,
    exchanged: tuple[Codes, Tensor, Tensor], weights: dict[str, float],
) -> dict[str, Tensor]:  # fmt: skip
    """The losses of one direction, by the names of `weights`; those of weight 0 are left out.

    recon_x: images from their own codes. recon_s and recon_c: the random style and the content found again in the
    translation. gan: `discriminator`, the target's, takes the translation for real. recon_x_cyc: images from the
    content found again and their own style.
    """
    codes, style, made = exchanged
    content = target.encode_content(made)
    terms = {
        "gan": lambda: shared.least_squares(discriminator(made), 1.0),
        "recon_x": lambda: F.l1_loss(source.decode(*codes), images),
        "recon_s": lambda: F.l1_loss(target.encode_style(made), style),
        "recon_c": lambda: F.l1_loss(content, codes.content),
        "recon_x_cyc": lambda: F.l1_loss(source.decode(content, codes.style), images),
    }
    return {name: term() for name, term in terms.items() if weights[name]}


class MUNIT:
    """Two generators against two discriminators. `update(batch)` is one training step of all four.

    `networks` and `optimisers` are what `loop.train` saves and resumes. Loss terms with weight 0 are not computed.
    Unpaired: no term compares an x with its y, and y is rolled by one so that the two do not even share a row (in a
    batch of one there is nothing to roll).

    Paper: the discriminators' step and the generators' each draw styles. / Here: one translation serves both steps.
    """

    def __init__(
        self, generator_x: Generator, generator_y: Generator, discriminator_x: Discriminator,
        discriminator_y: Discriminator, *, lr: float = 1e-4, betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-4, recon_x: float = 10.0, recon_s: float = 1.0, recon_c: float = 1.0,
        gan: float = 1.0, recon_x_cyc: float = 0.0,
    ) -> None:  # fmt: skip
        self.weights = {
            "gan": gan, "recon_x": recon_x, "recon_s": recon_s, "recon_c": recon_c, "recon_x_cyc": recon_x_cyc,
        }  # fmt: skip
        self.networks: dict[str, nn.Module] = {
            "generator_x": generator_x, "generator_y": generator_y,
            "discriminator_x": discriminator_x, "discriminator_y": discriminator_y,
        }  # fmt: skip
        pairs = {"generators": (generator_x, generator_y), "discriminators": (discriminator_x, discriminator_y)}
        adam = partial(torch.optim.Adam, lr=lr, betas=betas, weight_decay=weight_decay)
        self.optimisers = {kind: adam([*x.parameters(), *y.parameters()]) for kind, (x, y) in pairs.items()}

    def update(self, batch: PairBatch) -> dict[str, Tensor]:
        """One step of the discriminators, then one of the generators; returns the loss terms, unweighted.

        batch: x b 1 h w (or b 3 h w) and y b 3 h w on the networks' device. Each term is the sum over both domains.
        """
        gx, gy, dx, dy = self.networks.values()
        x, y = shared.as_rgb(batch.x), batch.y.roll(1, 0)
        to_y, to_x = exchange(gx, gy, x), exchange(gy, gx, y)
        found, both = {}, nn.ModuleList([dx, dy]).requires_grad_(True)
        if self.weights["gan"]:
            found["discriminator"] = shared.judged(dx, x, to_x[-1]) + shared.judged(dy, y, to_y[-1])
            shared.descend(found["discriminator"], self.optimisers["discriminators"])
        # frozen for the generators' step; autocast would also give it the weights it cast before this one
        both.requires_grad_(False)
        one = generator_terms(gx, gy, dy, x, to_y, self.weights)
        other = generator_terms(gy, gx, dx, y, to_x, self.weights)
        terms = {name: one[name] + other[name] for name in one}
        shared.descend(sum(self.weights[name] * term for name, term in terms.items()), self.optimisers["generators"])
        return {name: term.detach() for name, term in (found | terms).items()}


def translate(
    generator_x: Generator, generator_y: Generator, x: Tensor, *, style: Tensor | None = None,
    reference: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """x in Y: its content decoded with a style, with that of a reference, or (neither given) with random ones.

    x: b 1 h w or b 3 h w; style: b style_dim; reference: b 3 h' w', of any size that fits. One style or reference
    serves all of x. Returns b 3 h w in [-1, 1]. Raises InputError when both are given or are not as many as x.
    """
    if style is not None and reference is not None:
        raise InputError("MUNIT: a style and a reference were both given; a reference is there for its style, give one")
    images = shared.as_rgb(x)
    if reference is not None:
        style = generator_y.encode_style(reference)
    elif style is None:
        style = random_style(generator_y, images)
    if len(style) not in (1, len(images)):
        raise InputError(f"MUNIT: {len(style)} styles for {len(images)} images; give one for each, or one for all")
    return generator_y.decode(generator_x.encode_content(images), style.expand(len(images), -1))


def style_distance(s: Tensor, t: Tensor) -> Tensor:
    """Mean |s - t| over the eight numbers of two style codes: b style_dim each, returns b values.

    Paper: Section IV speaks of the style distance without a formula. / Here: the L1 distance, by which MUNIT's own loss
    compares styles (recon_s).
    """
    return (s - t).abs().mean(-1)


def random_style(generator: Generator, images: Tensor) -> Tensor:
    """z ~ N(0, I), b style_dim, one for each of the images; drawn on the CPU, whose state the loop saves."""
    return torch.randn(len(images), generator.config["style_dim"]).to(images.device)
