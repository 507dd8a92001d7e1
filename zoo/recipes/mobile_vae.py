"""Train MobileDiffusion's VAE in miniature: 8 latent channels (Zhao et al. 2023), as the mini VAE of 4 is trained."""

from __future__ import annotations

import torch

from . import vae
from .training import options

CHANNELS = 8
WIDTHS = (16, 32, 48, 64)


def main() -> None:
    """Train and save."""
    given = options("Train the mini VAE of 8 latent channels.", steps=8000, scenes=20_000)
    torch.manual_seed(given.seed)
    vae.train("mobile_vae", vae.build(CHANNELS, WIDTHS), given, given.out / "mini-mobilediffusion" / "vae")


if __name__ == "__main__":
    main()
