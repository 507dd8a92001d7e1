"""UFOGen's sampler: few jumps, each straight to a clean picture (Xu et al. 2023, arXiv:2311.09257)."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DDIMScheduler
from diffusers.utils.torch_utils import randn_tensor


class UFOGenScheduler(DDIMScheduler):  # type: ignore[misc]
    """From the last timestep of training, predict x0 and put the noise of the next timestep on it, steps times.

    With one step that is one prediction from pure noise, and nothing is drawn. The prediction may be of noise, of the
    sample or of velocity, as the checkpoint's configuration says.
    """

    def step(  # type: ignore[override]
        self,
        model_output: torch.Tensor,
        timestep: torch.Tensor,
        sample: torch.Tensor,
        generator: list[torch.Generator] | None = None,
        return_dict: bool = False,
    ) -> tuple[torch.Tensor, ...]:
        """Return the latents (B, C, h, w) at the next timestep, and the prediction of x0."""
        _, clean = super().step(model_output, timestep, sample, return_dict=False)
        later: Any = self.timesteps[self.timesteps < timestep]
        if len(later) == 0:
            return clean, clean
        noise = randn_tensor(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
        return self.add_noise(clean, noise, later[:1]), clean
