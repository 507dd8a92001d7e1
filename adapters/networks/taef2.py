"""TAEF2, the tiny autoencoder of FLUX.2 latents.

The layout of TAESD (https://github.com/madebyollin/taesd) with 32 latent channels and, in the three blocks at latent
resolution, a second path through a wider, normalised bottleneck. Pictures are in [0, 1]. Keys are those of
the published files.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

LATENT_CHANNELS = 32
WIDTH = 64


def _conv(inputs: int, outputs: int, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


class SoftClamp(nn.Module):
    """Bring latents smoothly into (-3, 3)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return 3 tanh(x / 3)."""
        return torch.tanh(x / 3) * 3


class Block(nn.Module):
    """A residual block of three convolutions; with ``pooled``, the path ``x + pool(x)`` comes first."""

    def __init__(self, pooled: bool = False) -> None:
        super().__init__()
        first, second, third = (_conv(WIDTH, WIDTH) for _ in range(3))
        self.conv = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
        self.pool = _pool() if pooled else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 64, h, w) to the same shape."""
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


def _pool() -> nn.Sequential:
    wide = 4 * WIDTH
    return nn.Sequential(
        nn.Conv2d(WIDTH, wide, 1, bias=False), nn.GroupNorm(4, wide), nn.ReLU(), nn.Conv2d(wide, WIDTH, 1, bias=False)
    )


def _blocks(count: int, pooled: bool = False) -> list[nn.Module]:
    return [Block(pooled) for _ in range(count)]


def _down() -> list[nn.Module]:
    return [_conv(WIDTH, WIDTH, stride=2, bias=False)]


def _up() -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2), _conv(WIDTH, WIDTH, bias=False)]


def encoder() -> nn.Sequential:
    """Pictures (B, 3, H, W) in [0, 1] to latents (B, 32, H/8, W/8)."""
    layers = [
        _conv(3, WIDTH),
        Block(),
        *_down(),
        *_blocks(3),
        *_down(),
        *_blocks(3),
        *_down(),
        *_blocks(3, pooled=True),
    ]
    return nn.Sequential(*layers, _conv(WIDTH, LATENT_CHANNELS))


def decoder() -> nn.Sequential:
    """Latents (B, 32, h, w) to pictures (B, 3, 8h, 8w), about [0, 1], not clipped."""
    head = [SoftClamp(), _conv(LATENT_CHANNELS, WIDTH), nn.ReLU(), *_blocks(3, pooled=True)]
    return nn.Sequential(*head, *_up(), *_blocks(3), *_up(), *_blocks(3), *_up(), Block(), _conv(WIDTH, 3))
