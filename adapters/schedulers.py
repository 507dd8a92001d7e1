"""Samplers by their short names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import BenchError
from ..core.registry import import_target

CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("diffusers:DDIMScheduler", {"clip_sample": False}),
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
