"""Samplers by their short names."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import TYPE_CHECKING, Any

from ..core.errors import BenchError
from ..core.registry import import_target

if TYPE_CHECKING:
    import torch

CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("diffusers:DDIMScheduler", {"clip_sample": False}),
    "ddpm": ("diffusers:DDPMScheduler", {"clip_sample": False}),
    "pndm": ("diffusers:PNDMScheduler", {"skip_prk_steps": True}),
    # DPM-Solver (without ++) has no step to sigma 0.
    "dpm": ("diffusers:DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"}),
    "dpm++": ("diffusers:DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "euler": ("diffusers:EulerDiscreteScheduler", {}),
    "lcm": ("diffusers:LCMScheduler", {"clip_sample": False}),
    "ufogen": (".adapters.ufogen:UFOGenScheduler", {"clip_sample": False, "timestep_spacing": "trailing"}),
}
"""Where the class of each is, and what it is made with beside the checkpoint's noise schedule."""


def make_scheduler(name: str, config: Mapping[str, Any], steps: int) -> Any:
    """Return the diffusers scheduler called ``name`` with the noise schedule of a checkpoint's ``config``.

    Raises BenchError where it cannot take ``steps`` steps.
    """
    target, options = CLASSES[name]
    scheduler = import_target(target).from_config(dict(config), **options)
    if steps > scheduler.config.num_train_timesteps:
        raise BenchError(f"scheduler '{name}' cannot take {steps} steps of {scheduler.config.num_train_timesteps}")
    try:
        scheduler.set_timesteps(steps)
    except (ValueError, IndexError) as error:
        raise BenchError(f"scheduler '{name}' cannot take {steps} steps: {error}") from error
    return scheduler


PREDICTIONS = ("epsilon", "v_prediction", "sample")
"""What a UNet may predict for ``clean`` to tell the picture from it."""


def clean(scheduler: Any, predicted: torch.Tensor, step: int, latents: torch.Tensor) -> torch.Tensor:
    """Return the clean latents x0 (B, C, h, w) that a prediction at step number ``step`` from ``latents`` stands for.

    ``latents`` are the sampler's own, not scaled for the UNet. The prediction is of what the sampler's configuration
    says: noise (Ho et al. 2020, eq. 15), velocity (Salimans & Ho 2022, appendix D) or x0 itself.
    """
    timestep = scheduler.timesteps[step]
    sigmas = getattr(scheduler, "sigmas", None)  # those who have them may step between the timesteps of training
    kept = float(scheduler.alphas_cumprod[int(timestep)] if sigmas is None else 1 / (1 + sigmas[step] ** 2))
    signal, noise = sqrt(kept), sqrt(1 - kept)
    noisy = scheduler.scale_model_input(latents, timestep)
    match scheduler.config.prediction_type:
        case "epsilon":
            return (noisy - noise * predicted) / signal  # type: ignore[no-any-return]
        case "v_prediction":
            return signal * noisy - noise * predicted  # type: ignore[no-any-return]
        case _:
            return predicted
