"""Samplers by their short names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import BenchError

CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    # DPM-Solver (without ++) has no step to sigma 0.
    "dpm": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"}),
    "dpm++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "euler": ("EulerDiscreteScheduler", {}),
    "lcm": ("LCMScheduler", {"clip_sample": False}),
}


def make_scheduler(name: str, config: Mapping[str, Any], steps: int) -> Any:
    """Return the diffusers scheduler called ``name`` with the noise schedule of a checkpoint's ``config``.

    Raises BenchError where it cannot take ``steps`` steps.
    """
    import diffusers

    class_name, options = CLASSES[name]
    scheduler = getattr(diffusers, class_name).from_config(dict(config), **options)
    if steps > scheduler.config.num_train_timesteps:
        raise BenchError(f"scheduler '{name}' cannot take {steps} steps of {scheduler.config.num_train_timesteps}")
    try:
        scheduler.set_timesteps(steps)
    except (ValueError, IndexError) as error:
        raise BenchError(f"scheduler '{name}' cannot take {steps} steps: {error}") from error
    return scheduler
