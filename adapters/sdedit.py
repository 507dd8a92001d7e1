"""SDEdit: noise a picture part of the way, and denoise it with the prompt (Meng et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

from ..core.errors import BenchError
from ..datasets.request import Request
from . import noise
from .base import Stage
from .editing import Editing
from .options import option

if TYPE_CHECKING:
    import torch

NOISE = "sdedit"
"""The name that keys the noise laid over a source."""


class SDEdit(Editing):
    """``sdedit[t0=0.5]``: the source's latents, noised to ``t0`` of the schedule and denoised with the prompt.

    Of S steps the last int(S × t0) are run, as with ``strength`` of diffusers' StableDiffusionImg2ImgPipeline. Where
    that leaves none it is a BenchError, not a round trip through the VAE. At ``t0=1`` little of the source is left:
    its mean level, as much as the first step's noise lets through. The paper finds 0.3 to 0.6 best.
    """

    def __init__(self, *, base: str = "sd15", t0: str = "0.5") -> None:
        super().__init__(base=base)
        self.t0 = option("t0", t0, float, lambda value: 0 < value <= 1, "a number above 0, at most 1")

    def load(self, device: str, dtype: str) -> None:
        steps, scheduler = self.settings.steps or 0, self.settings.scheduler
        if self.run_steps == 0:
            least = ceil(10_000 / max(steps, 1)) / 10_000  # rounded up, so that it does leave one
            raise BenchError(f"t0={self.t0:g} leaves none of {steps} steps: give t0 of at least {least:g}")
        if scheduler == "pndm" and self.run_steps < steps:
            raise BenchError("scheduler 'pndm' cannot start in the middle of its steps: use scheduler=ddim")
        super().load(device, dtype)

    @property
    def run_steps(self) -> int:
        """How many steps are run, of which the base's ``until`` may leave some out."""
        return int((self.settings.steps or 0) * self.t0)

    @property
    def first(self) -> int:
        """The number of the first step that is run."""
        return (self.settings.steps or 0) - self.run_steps

    def denoise(self, requests: Sequence[Request], embeddings: torch.Tensor) -> torch.Tensor:
        return self.edit(requests, embeddings, self.encode_sources(requests))

    def edit(self, requests: Sequence[Request], embeddings: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """Return the latents (B, C, h, w), float32, of the pictures that those of the sources become."""
        scheduler, first = self.base.scheduler, self.first
        scheduler.set_timesteps(self.settings.steps, device=self.device)
        if hasattr(scheduler, "set_begin_index"):  # some add noise by the index of the step
            scheduler.set_begin_index(first)
        draws = noise.batch(requests, sources.shape[1:], NOISE).to(sources)
        noisy = scheduler.add_noise(sources, draws, scheduler.timesteps[first : first + 1].expand(len(requests)))
        return self.base.denoise(requests, embeddings, latents=noisy, first=first)

    def noise_digest(self, request: Request) -> str:
        return noise.digest(noise.normal(request, self.base.latent_shape(request), NOISE))

    def stages(self) -> dict[str, Stage]:
        stages = super().stages()
        steps, copies = self.base.stop(self.first) - self.first, 2 if self.base.guided else 1
        return {**stages, "unet": stages["unet"]._replace(per_image=steps * copies)}
