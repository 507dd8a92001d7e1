"""Methods that sit on a latent diffusion base: they steer its sampling, and leave text encoder and decoder alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import BenchError
from ..datasets.request import Request
from .base import Adapter, Images, Settings, Stage
from .sd15 import StableDiffusion

if TYPE_CHECKING:
    import torch


class OnBase(Adapter):
    """A method on top of ``base``, any method string of a latent diffusion model: ``sd15``, ``snapfusion[...]``.

    Scheduler, steps and guidance are those of its own string, else of the base's string, else of the suite, else the
    base's own. A subclass overrides ``denoise``, and ``stages`` where it adds networks.
    """

    base: StableDiffusion

    def __init__(self, *, base: str = "sd15") -> None:
        from . import make_adapter

        made = make_adapter(base)
        if not isinstance(made, StableDiffusion):
            raise BenchError(f"base={base} is no latent diffusion model that other methods can sit on: try base=sd15")
        self.base = made
        self.asked = made.asked
        self.traits = replace(type(self).traits, defaults=made.traits.defaults, size_multiple=made.traits.size_multiple)
        self.checkpoint = made.checkpoint

    def decide(self, asked: Settings, suite: Settings) -> Settings:
        return self.base.decide(asked, suite.over(self.traits.defaults))

    def load(self, device: str, dtype: str) -> None:
        self.base.settings, self.base.weights = self.settings, self.weights
        self.base.load(device, dtype)

    def generate(self, requests: Sequence[Request]) -> Images:
        import torch

        with torch.inference_mode():
            return self.base.decode(self.denoise(requests, self.base.embed(requests)))

    def denoise(self, requests: Sequence[Request], embeddings: torch.Tensor) -> torch.Tensor:
        """Return the final latents (B, C, h, w), float32, from the base's text embeddings."""
        return self.base.denoise(requests, embeddings)

    def stages(self) -> dict[str, Stage]:
        return self.base.stages()

    def fingerprint(self) -> str:
        return self.base.fingerprint()

    def weight_files(self) -> list[Path]:
        return self.base.weight_files()

    def noise_digest(self, request: Request) -> str | None:
        return self.base.noise_digest(request)

    def notes(self, request: Request) -> list[str]:
        return self.base.notes(request)

    @property
    def device(self) -> torch.device:
        """Where the base's networks are, after ``load``."""
        return self.base.device

    @property
    def dtype(self) -> Any:
        """The torch type of the base's networks, after ``load``."""
        return self.base.dtype
