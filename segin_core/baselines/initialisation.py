"""How the compared methods' papers start their weights; biases start at zero, normalisation's scales near one."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def normal_(network: nn.Module, *, std: float = 0.02) -> None:
    """N(0, 0.02) (pix2pix; MUNIT's discriminators); the scales of batch normalisation N(1, 0.02)."""
    _each(network, lambda weight: nn.init.normal_(weight, 0.0, std))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, std)


def xavier_(network: nn.Module, *, gain: float = 0.02) -> None:
    """Glorot's normal initialisation (BicycleGAN)."""
    _each(network, lambda weight: nn.init.xavier_normal_(weight, gain))


def kaiming_(network: nn.Module) -> None:
    """He's normal initialisation (MUNIT's generators)."""
    _each(network, lambda weight: nn.init.kaiming_normal_(weight))


def _each(network: nn.Module, start: Callable[[Tensor], Tensor]) -> None:
    for module in network.modules():
        if isinstance(module, CONVOLUTIONS):
            start(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
