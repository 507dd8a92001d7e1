"""Methods whose authors published no weights: our networks after their papers, and any checkpoint of them."""

from __future__ import annotations

from typing import Any

from ..core.errors import BenchError
from .networks.decoder import check_latents
from .sd15 import StableDiffusion


class Unreleased(StableDiffusion):
    """A latent diffusion model that needs ``checkpoint=``: a hub id or a folder in diffusers layout.

    A checkpoint holds a whole autoencoder ``vae``, whose encoder editing methods need, and may hold a ``decoder`` that
    takes the place of the vae's. ``checkpoints.save`` writes one.
    """

    public = False
    decoder: Any
    method: str
    """What method strings call it."""

    def __init__(self, *, checkpoint: str = "", lora: str = "", until: str = "1") -> None:
        if not checkpoint:
            raise BenchError(f"{self.method} has no public weights: pass checkpoint=ID_OR_DIR")
        super().__init__(checkpoint=checkpoint, lora=lora, until=until)

    def load(self, device: str, dtype: str) -> None:
        super().load(device, dtype)
        if "decoder" in self.components:
            self._replace_decoder()
        read, made = self.unet.config.in_channels, self.vae.config.latent_channels
        if read != made:
            raise BenchError(f"the unet of '{self.checkpoint}' reads latents of {read} channels, its vae has {made}")
        self._check_timesteps()

    def _check_timesteps(self) -> None:
        """Raise BenchError where the sampler asks the UNet for another timestep than the only one that it knows."""
        if (known := self.unet.config.get("timestep")) is None:
            return
        self.scheduler.set_timesteps(self.settings.steps)
        asked = sorted({int(each) for each in self.scheduler.timesteps} - {known})
        if asked:
            raise BenchError(
                f"the unet of '{self.checkpoint}' knows timestep {known} alone, not {asked[0]}: "
                "say steps=1, or take a checkpoint for more steps"
            )

    def _replace_decoder(self) -> None:
        made = self.vae.config.latent_channels, 2 ** (len(self.vae.config.block_out_channels) - 1)
        check_latents(self.decoder, self.checkpoint, made, "its vae")
        self.vae.post_quant_conv, self.vae.decoder = self.decoder.post_quant_conv, self.decoder.decoder
