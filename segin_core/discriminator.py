"""The discriminator D of Eq. 7 (Fig. 2, right): seven convolutions and four linear layers, all with spectral norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from segin_core.errors import InputError
from segin_core.translator import scaled

DEPTHS = (64, 128, 128, 256, 256, 512, 512)
LINEAR = (1024, 128, 128)


class Discriminator(nn.Module):
    """D(x, y) of Eq. 7: `model(y, x)` -> logits b 1; sigmoid of them is the probability that y is real.

    y: b 3 h w and x: b 1 h w in [-1, 1]. With `conditional=False` x is not looked at, as in the released draft.

    Paper: "seven (Conv + SpectralNorm + ReLU) blocks, then linear ones" (Fig. 2), depths not said. / Here: depths 64,
    128, 128, 256, 256, 512, 512 with 4 x 4 kernels, then 1024, 128, 128, 1: 10.51 M parameters at 256 px, the count of
    the released draft. Blocks halve the grid until it has 2 x 2 cells, as all seven do at 256 px; what is left of
    the seven at smaller sizes keeps it, with 3 x 3 kernels. In fp32 even under autocast: at the start the logits of
    eleven normalised layers differ by 1e-4, which bf16 rounds away, and D learns nothing.

    Two departures wake it in short trainings (the book's chapter on the recipe): `leak`, the slope of the activations
    below zero, since half of the deep ReLUs are dead on every picture; and `free_logit`, no spectral norm on the last
    layer, so that the logits can grow.
    Raises InputError when image_size is not 2**k with k from 3 to 8.
    """

    def __init__(
        self, width: int = 64, *, image_size: int = 256, x_channels: int = 1, conditional: bool = True,
        leak: float = 0.0, free_logit: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        halvings = image_size.bit_length() - 2
        if image_size != 2 ** (halvings + 1) or not 2 <= halvings <= len(DEPTHS):
            raise InputError(f"image_size={image_size}: the discriminator needs 8, 16, 32, 64, 128 or 256 pixels")
        self.config = {
            "width": width, "image_size": image_size, "x_channels": x_channels, "conditional": conditional,
            "leak": leak, "free_logit": free_logit,
        }  # fmt: skip
        depths, layers, channels = scaled(DEPTHS, width), [], 3 + x_channels * conditional
        for i, depth in enumerate(depths):
            kernel = {"kernel_size": 4, "stride": 2} if i < halvings else {"kernel_size": 3, "stride": 1}
            layers += [spectral_norm(nn.Conv2d(channels, depth, padding=1, **kernel)), nn.LeakyReLU(leak)]
            channels = depth
        layers.append(nn.Flatten())
        features = channels * 2 * 2
        for size in scaled(LINEAR, width):
            layers += [spectral_norm(nn.Linear(features, size)), nn.LeakyReLU(leak)]
            features = size
        last = nn.Linear(features, 1)
        self.layers = nn.Sequential(*layers, last if free_logit else spectral_norm(last))

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        seen = torch.cat([x, y], 1) if self.config["conditional"] else y
        with torch.autocast(seen.device.type, enabled=False):
            return self.layers(seen.float())
