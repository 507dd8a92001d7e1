"""AutoencoderKL and AutoencoderTiny of diffusers, from a hub id or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...core.errors import BenchError
from ..checkpoints import component_patterns, fingerprint, load_component, part, resolve, weight_files
from ..networks.decoder import check_latents
from .modules import ModuleCodec

KINDS = ("AutoencoderKL", "AutoencoderTiny")


class Mode(nn.Module):
    """The mode of a diagonal Gaussian posterior."""

    def forward(self, moments: Tensor) -> Tensor:
        """Return the mean of (B, 2C, h, w) mean and log variance: (B, C, h, w)."""
        return moments.chunk(2, dim=1)[0]


class Autoencoder(ModuleCodec):
    """Any AutoencoderKL or AutoencoderTiny; a pipeline's folder will do, its ``vae`` is taken.

    ``space`` names the latent space, for codecs that are to decode each other's latents. ``decoder`` is a pipeline with
    a part of that name, a ``LatentDecoder`` of the same latents: it decodes in place of the autoencoder's own
    (SnapFusion, MobileDiffusion Lite).
    """

    narrow: str | None = None
    """The pipeline of the decoder in place of the autoencoder's own."""

    def __init__(self, argument: str | None = None, *, space: str | None = None, decoder: str | None = None) -> None:
        self.checkpoint = argument or self.checkpoint
        if not self.checkpoint:
            raise BenchError("codec 'vae' needs a hub id or a folder: vae:ID_OR_DIR")
        self.latent_space, self.narrow = space or self.latent_space, decoder

    def build(self, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
        """Load the checkpoint and cut it into its two halves."""
        place = self._find(str(self.checkpoint), "vae")
        vae: Any = load_component(KINDS, place, dtype=dtype)
        self.file_bytes = sum(file.stat().st_size for file in weight_files(place))
        self.digest = fingerprint(place)
        self._describe(vae.config)
        encoder, decoder = _halves(vae)
        return encoder, self._narrow_decoder(self.narrow, dtype) if self.narrow else decoder

    def _narrow_decoder(self, checkpoint: str, dtype: torch.dtype) -> nn.Module:
        place = self._find(checkpoint, "decoder")
        decoder: Any = load_component(("LatentDecoder",), place, dtype=dtype)
        assert self.latent_channels is not None
        assert self.downsampling is not None
        check_latents(decoder, checkpoint, (self.latent_channels, self.downsampling), f"'{self.checkpoint}'")
        self.file_bytes = (self.file_bytes or 0) + sum(file.stat().st_size for file in weight_files(place))
        self.digest += f"-{fingerprint(place)}"
        narrow: nn.Module = decoder
        return narrow

    def _find(self, checkpoint: str, name: str) -> Path:
        folder = resolve(checkpoint, offline=self.weights.offline, patterns=component_patterns("", name))
        own = part(folder, name)
        return own if own.is_dir() and not (folder / "config.json").is_file() else folder

    def _describe(self, config: Any) -> None:
        stages = config.get("encoder_block_out_channels") or config["block_out_channels"]
        self.downsampling = 2 ** (len(stages) - 1)
        self.latent_channels = config["latent_channels"]
        self.latent_scale = config.get("scaling_factor") or 1.0
        self.latent_shift = config.get("shift_factor") or 0.0


class StableDiffusionVae(Autoencoder):
    """The VAE of Stable Diffusion 1.x, with the decoder fine-tuned for squared error."""

    checkpoint = "stabilityai/sd-vae-ft-mse"
    latent_space = "sd1"
    latent_scale = 0.18215
    latent_channels = 4
    downsampling = 8

    def __init__(self) -> None:
        super().__init__()


class Taesd(Autoencoder):
    """TAESD, the tiny autoencoder of Stable Diffusion 1.x latents (https://github.com/madebyollin/taesd)."""

    checkpoint = "madebyollin/taesd"
    latent_space = "sd1"
    latent_channels = 4
    downsampling = 8

    def __init__(self) -> None:
        super().__init__()


def _halves(vae: Any) -> tuple[nn.Module, nn.Module]:
    if type(vae).__name__ == "AutoencoderTiny":
        # These two map [-1, 1] to and from [0, 1] themselves.
        return vae.encoder, vae.decoder
    encoder = nn.Sequential(vae.encoder, vae.quant_conv or nn.Identity(), Mode())
    return encoder, nn.Sequential(vae.post_quant_conv or nn.Identity(), vae.decoder)
