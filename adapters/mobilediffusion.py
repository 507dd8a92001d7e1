"""MobileDiffusion: a small UNet on 8-channel latents, in 1, 8 or 50 steps (Zhao et al. 2023, arXiv:2311.16567)."""

from __future__ import annotations

from ..core.errors import BenchError
from ..core.registry import suggest
from .base import Settings, Traits
from .unreleased import Unreleased

DECODERS = ("lite", "full")
MOST_JUMPS = 4
"""With at most so many steps, UFOGen's sampler is the default: its authors report 1 to 4."""


class MobileDiffusion(Unreleased):
    """MobileDiffusion or MobileDiffusion-Lite, as the checkpoint's UNet is; ``decoder`` is ``lite`` or ``full``.

    The default is one step. With up to 4 steps it samples by ``ufogen`` without guidance, as a UNet that was fine-tuned
    adversarially (DiffusionGAN) expects; with more by ``ddim`` with guidance 7.5. Where the method string states the
    steps, a scheduler and a guidance scale of the suite do not reach it: they are meant for the suite's own steps.
    """

    traits = Traits(defaults=Settings(steps=1))
    components = {"text_encoder": "CLIPTextModel", "unet": "MobileUNet", "vae": "AutoencoderKL"}
    family = "MobileDiffusion"
    method = "mobilediffusion"

    def __init__(self, *, checkpoint: str = "", decoder: str = "lite", lora: str = "", until: str = "1") -> None:
        super().__init__(checkpoint=checkpoint, lora=lora, until=until)
        if decoder not in DECODERS:
            raise BenchError(f"unknown decoder '{decoder}'{suggest(decoder, DECODERS)} (known: {', '.join(DECODERS)})")
        if decoder == "lite":
            self.components = {**self.components, "decoder": "LatentDecoder"}
            self.family = "MobileDiffusion with a Lite decoder (decoder=full takes that of its vae)"

    def decide(self, asked: Settings, suite: Settings) -> Settings:
        found = (asked if asked.steps else asked.over(suite)).over(self.traits.defaults)
        jumps = found.steps is not None and found.steps <= MOST_JUMPS
        scheduler = found.scheduler or ("ufogen" if jumps else "ddim")
        return found.over(Settings(scheduler, found.steps, 1.0 if scheduler == "ufogen" else 7.5))
