"""TAEF2, the tiny autoencoder of FLUX.2 latents, from its two published files."""

from __future__ import annotations

import torch
from torch import nn

from ...core.weights import KnownWeights
from ..checkpoints import digest, load_pth
from ..networks import taef2
from .modules import ModuleCodec

SOURCE = "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978"
ENCODER = KnownWeights(
    name="taef2-encoder",
    filename="taef2_encoder.pth",
    sha256="10a4e1021e89d7551eaf161352da8dbd0b1aa83872ae28b150c1df1ce2f147b6",
    url=f"{SOURCE}/taef2_encoder.pth",
)
DECODER = KnownWeights(
    name="taef2-decoder",
    filename="taef2_decoder.pth",
    sha256="0a44a31e1ae59eb9dbf9359d24942fd3ef5928162c1800d97a28c61d51be0ab5",
    url=f"{SOURCE}/taef2_decoder.pth",
)


class Taef2(ModuleCodec):
    """TAEF2; its latents are those of FLUX.2 after batch normalisation, not patchified."""

    pixel_range = (0.0, 1.0)
    checkpoint = "madebyollin/taesd (taef2)"
    latent_space = "flux2"
    latent_channels = taef2.LATENT_CHANNELS
    downsampling = 8

    def build(self, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
        """Load both files, every key as expected."""
        files = self.find_weights(ENCODER, DECODER)
        halves = taef2.encoder(), taef2.decoder()
        for half, file in zip(halves, files, strict=True):
            load_pth(half, file)
        self.file_bytes = sum(file.stat().st_size for file in files)
        self.digest = digest(dict(zip(("encoder", "decoder"), files, strict=True)))
        return halves
