"""The translation network N (Section III-B2, Fig. 2): input and auxiliary image in, translation and mask out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from segin_core.errors import InputError

ENCODER_DEPTHS = (64, 128, 256, 256, 512, 512)  # ECB0 ... ECB5 of Fig. 2
DECODER_DEPTHS = (512, 256, 256, 128, 64)  # UpConv0 ... UpConv4 and TConv0 ... TConv4; the last gives the picture
BLOCKS = len(ENCODER_DEPTHS)
SKIPS = 4  # skip concatenations enter UpConv0 ... UpConv3


class Translation(NamedTuple):
    """What N gives."""

    image: Tensor  #: y^ = N(x, W), b 3 h w in [-1, 1] (sub-task 1)
    mask: Tensor  #: N_s(x, W), the foreground, b 1 h w in [0, 1] (sub-task 2)


def scaled(depths: tuple[int, ...], width: int) -> list[int]:
    """Fig. 2's depths, written for a first block of 64 channels, at another width."""
    return [depth * width // 64 for depth in depths]


class EncoderBlock(nn.Sequential):
    """ECB of Fig. 2: Conv, BatchNorm, ReLU; b c h w -> b depth h/stride w/stride."""

    def __init__(self, channels: int, depth: int, *, stride: int) -> None:
        super().__init__(nn.Conv2d(channels, depth, 3, stride, 1, bias=False), nn.BatchNorm2d(depth), nn.ReLU())


class NonLocal(nn.Module):
    """Eq. 3 and 4: the embedded-Gaussian non-local layer, with Wang et al.'s residual; b c h w -> the same.

    y_i = 1/C(x) sum_j exp(theta(x_i)^T phi(x_j)) g(x_j) with C the sum of the exponentials, which is a softmax over j.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.theta, self.phi, self.g = (nn.Conv2d(channels, inner, 1) for _ in range(3))
        self.out = nn.Conv2d(inner, channels, 1)
        nn.init.zeros_(self.out.weight)  # starts as the identity, as Wang et al. advise
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        theta, phi, g = (rearrange(f(x), "b c h w -> b (h w) c") for f in (self.theta, self.phi, self.g))
        # Eq. 4 has no 1/sqrt(c), so neither has this.
        y = F.scaled_dot_product_attention(theta, phi, g, scale=1.0)
        return x + self.out(rearrange(y, "b (h w) c -> b c h w", h=x.shape[2]))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutional blocks and the identity, between the non-local layers: b c h w -> the same.

    Paper: "two 3x3 convolutional blocks". / Here: with BatchNorm, as its other convolutional blocks have. Without it
    here and in the decoders the activations grow tenfold every few steps; after some twenty the outputs are white, the
    masks empty and all gradients zero (seen at a rate of 6e-4, and at the paper's 2e-4 in bf16 and in fp32).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            EncoderBlock(channels, channels, stride=1),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.blocks(x)


class UpConv(nn.Module):
    """UpConv of Fig. 2: nearest up-sampling, the encoder's skip if there is one, convolution.

    Paper: up-sampling and convolution against checkerboards (Odena et al.). b c h w -> b depth h*scale w*scale.
    """

    def __init__(self, channels: int, depth: int, *, scale: int, last: bool = False, norm: bool = True) -> None:
        super().__init__()
        self.scale = scale
        self.convolution = nn.Conv2d(channels, depth, 3, padding=1, bias=last or not norm)
        self.activation = nn.Identity() if last else decoder_activation(depth, norm=norm)

    def forward(self, h: Tensor, skip: Tensor | None = None) -> Tensor:
        if self.scale > 1:
            h = F.interpolate(h, scale_factor=self.scale, mode="nearest")
        return self.activation(self.convolution(h if skip is None else torch.cat([h, skip], 1)))


def decoder_activation(depth: int, *, norm: bool) -> nn.Sequential:
    """What follows a decoder's convolution: BatchNorm if `norm`, and ReLU.

    Paper: names batch normalisation for the encoder only. / Here: in the decoders too unless `decoder_norm=False`. It
    keeps their activations in bounds at learning rates above the paper's, where they overshoot in the first steps.
    """
    return nn.Sequential(nn.BatchNorm2d(depth) if norm else nn.Identity(), nn.ReLU())


class TConv(nn.Sequential):
    """TConv of Fig. 2, transposed convolution: b c h w -> b depth h*scale w*scale."""

    def __init__(self, channels: int, depth: int, *, scale: int, last: bool = False, norm: bool = True) -> None:
        kernel = 4 if scale == 2 else 3
        super().__init__(
            nn.ConvTranspose2d(channels, depth, kernel, stride=scale, padding=1, bias=last or not norm),
            nn.Identity() if last else decoder_activation(depth, norm=norm),
        )


class Translator(nn.Module):
    """N(x, W) of Fig. 2: six encoder blocks, a non-local bottleneck, an image decoder and a mask decoder.

    `model(x, w)` takes x: b 1 h w (a sketch or a luminance) and the auxiliary image w: b 3 h w, both in [-1, 1] with
    sides divisible by 2**downsamplings, and returns a `Translation`.

    `width` scales all depths (64: Fig. 2's, 31.71 M parameters). `downsamplings` of the six blocks, the deepest ones,
    halve the grid. Paper: 256 px, strides not said. / Here: all six at 256 px, one fewer for each halving of the image,
    so that the bottleneck always has 4 x 4 cells. `non_local=False` and `mask_decoder=False` are the paper's
    ablations w/o NL and w/o MT (the mask is then None). `decoder_norm=False` leaves batch normalisation out of both
    decoders, as the paper draws them. `dropout` acts in the first three UpConv blocks.
    Raises InputError for settings outside of these, or images whose sides do not fit.
    """

    def __init__(
        self, width: int = 64, *, downsamplings: int = 6, x_channels: int = 1, non_local: bool = True,
        mask_decoder: bool = True, decoder_norm: bool = True, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if width < 2 or width % 2 or not 1 <= downsamplings <= BLOCKS:
            raise InputError(
                f"width={width}, downsamplings={downsamplings}: width must be even and positive, "
                f"downsamplings from 1 to {BLOCKS}"
            )
        self.config = {
            "width": width, "downsamplings": downsamplings, "x_channels": x_channels,
            "non_local": non_local, "mask_decoder": mask_decoder, "decoder_norm": decoder_norm, "dropout": dropout,
        }  # fmt: skip
        depths = scaled(ENCODER_DEPTHS, width)
        strides = [1] * (BLOCKS - downsamplings) + [2] * downsamplings
        self.encoder = nn.ModuleList(
            EncoderBlock(channels, depth, stride=stride)
            for channels, depth, stride in zip([x_channels + 3, *depths[:-1]], depths, strides, strict=True)
        )
        c = depths[-1]
        attention = [NonLocal(c) if non_local else nn.Identity() for _ in range(3)]
        self.bottleneck = nn.Sequential(attention[0], ResidualBlock(c), attention[1], ResidualBlock(c), attention[2])
        out, scales = scaled(DECODER_DEPTHS, width), strides[::-1]
        skips = [*depths[-2 : -2 - SKIPS : -1], 0, 0]
        last = [False] * (BLOCKS - 1) + [True]
        self.image_decoder = nn.ModuleList(
            UpConv(channels + skip, depth, scale=scale, last=end, norm=decoder_norm)
            for channels, skip, depth, scale, end in zip([c, *out], skips, [*out, 3], scales, last, strict=True)
        )
        self.mask_decoder = nn.Sequential(
            *(
                TConv(channels, depth, scale=scale, last=end, norm=decoder_norm)
                for channels, depth, scale, end in zip([c, *out], [*out, 1], scales, last, strict=True)
            )
        ) if mask_decoder else None  # fmt: skip
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, w: Tensor) -> Translation:
        self._check(x, w)
        h, encoded = torch.cat([x, w], 1), []
        for block in self.encoder:
            h = block(h)
            encoded.append(h)
        h = image = self.bottleneck(h)
        for i, block in enumerate(self.image_decoder):
            image = block(image, encoded[BLOCKS - 2 - i] if i < SKIPS else None)
            if i < 3:
                image = self.dropout(image)
        mask = None if self.mask_decoder is None else torch.sigmoid(self.mask_decoder(h).float())
        # Both squashed in fp32: in bf16 a nearly white output is exactly 1, and its gradient exactly 0.
        return Translation(torch.tanh(image.float()), mask)

    def _check(self, x: Tensor, w: Tensor) -> None:
        channels, multiple = self.config["x_channels"], 2 ** self.config["downsamplings"]
        together = x.ndim == w.ndim == 4 and x.shape == (len(w), channels, *w.shape[2:]) and w.shape[1] == 3
        if not together or x.shape[2] % multiple or x.shape[3] % multiple:
            raise InputError(
                f"x of shape {tuple(x.shape)} and W of {tuple(w.shape)} do not fit N: "
                f"give b {channels} h w and b 3 h w, with h and w multiples of {multiple}"
            )
        if self.training and x.numel() == channels * multiple**2:
            raise InputError(
                "one picture with a bottleneck of 1 x 1 cells cannot be normalised as a batch: train with several "
                "pictures, larger ones, or fewer downsamplings"
            )
