"""The objectives of Section III-B3, Eq. 5 to 11: pure functions of tensors, each a scalar.

The paper writes sums where its released draft takes means. Here every norm over pixels is a mean, so that the weights
do not depend on the image size; the one exception is Eq. 6, see `feature_loss`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import reduce
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Weights:
    """w1 ... w6 of Eq. 11. Paper: "w1 = w4 = 100, w2 = 5e-6, w4 = 1.0, w5 = w6 = 10". / Here: the second w4 is w3."""

    reconstruction: float = 100.0  #: w1
    feature: float = 5e-6  #: w2
    adversarial: float = 1.0  #: w3
    segmentation: float = 100.0  #: w4
    attention: float = 10.0  #: w5
    total_variation: float = 10.0  #: w6


def reconstruction_loss(output: Tensor, y: Tensor) -> Tensor:
    """Eq. 5, L_recon: mean |y - N(x, W)| over b 3 h w in [-1, 1]."""
    return F.l1_loss(output, y)


def feature_loss(features_output: Tensor, features_y: Tensor) -> Tensor:
    """Eq. 6, L_F: |Phi(N(x, W)) - Phi(y)|_1 on relu3_2 features b c h w, summed over c h w, mean over b.

    Paper: the L1 norm, a sum. / Here: that sum. As a mean the term would weigh about 1e-6 with the paper's w2 = 5e-6
    and teach nothing (the book's chapter on the losses shows both); the released draft takes the mean square.
    """
    return reduce((features_output - features_y).abs(), "b c h w -> b", "sum").mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Eq. 7 as D minimises it, its sign turned: -log D(x, y) - log(1 - D(x, N(x, W))), from logits b 1."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def adversarial_loss(fake: Tensor) -> Tensor:
    """L_GAN as N minimises it, from logits b 1: -log D(x, N(x, W)).

    Paper: log(1 - D), Eq. 7. / Here: Goodfellow's non-saturating form, as binary cross-entropy code has it and the
    released draft does: log(1 - D) has no gradient left once D is sure.
    """
    return F.softplus(-fake).mean()


def total_variation_loss(output: Tensor) -> Tensor:
    """Eq. 8, L_tv: sqrt(|d/dy|^2 + |d/dx|^2) of b c h w, mean over pixels.

    The sum of squares runs over the channels too, so each pixel counts once. Where a pixel does not change, the slope
    of the root is infinite; it starts at 1e-12, which bounds it.
    """
    down = output[:, :, 1:, :-1] - output[:, :, :-1, :-1]
    right = output[:, :, :-1, 1:] - output[:, :, :-1, :-1]
    squares = reduce(down**2 + right**2, "b c h w -> b h w", "sum")
    return torch.sqrt(squares + 1e-12).mean()


def segmentation_loss(mask: Tensor, mask_y: Tensor) -> Tensor:
    """Eq. 9, L_seg: mean |N_s - y_seg| over b 1 h w in [0, 1]."""
    return F.l1_loss(mask, mask_y)


def attention_loss(mask: Tensor, output: Tensor, mask_y: Tensor, y: Tensor) -> Tensor:
    """Eq. 10, L_segAtt: mean |N_s * N - y_seg * y| over b 3 h w."""
    return F.l1_loss(mask * output, mask_y * y)


def total_loss(
    weights: Weights, *, reconstruction: Tensor | float = 0.0, feature: Tensor | float = 0.0,
    adversarial: Tensor | float = 0.0, segmentation: Tensor | float = 0.0, attention: Tensor | float = 0.0,
    total_variation: Tensor | float = 0.0,
) -> Tensor:  # fmt: skip
    """Eq. 11, L_total: the weighted sum of the six terms. A term left out (an ablation) counts nothing."""
    return (
        weights.reconstruction * reconstruction
        + weights.feature * feature
        + weights.adversarial * adversarial
        + weights.segmentation * segmentation
        + weights.attention * attention
        + weights.total_variation * total_variation
    )
