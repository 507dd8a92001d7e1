"""What makes folders of weights a checkpoint: the index, the noise schedule, and from whom parts are borrowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers import DDIMScheduler

from ...core.files import write_atomic

SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
BASE = {
    "scheduler": ("diffusers", "DDIMScheduler"),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "unet": ("diffusers", "UNet2DConditionModel"),
    "vae": ("diffusers", "AutoencoderKL"),
}
"""Where the class of each part of the base comes from."""
NETWORKS = "t2ibench.adapters.networks"
DECODER = (f"{NETWORKS}.decoder", "LatentDecoder")
SNAPFUSION = BASE | {"unet": (f"{NETWORKS}.efficient_unet", "EfficientUNet"), "decoder": DECODER}
MOBILEDIFFUSION = BASE | {"unet": (f"{NETWORKS}.mobile_unet", "MobileUNet"), "decoder": DECODER}


def noise_schedule(**more: str) -> DDIMScheduler:
    """Return the noise schedule that all of the mini world is trained on, SD's; ``more`` as DDIMScheduler takes it."""
    return DDIMScheduler(**SCHEDULE, **more)


def remade(network: Any, **changes: Any) -> Any:
    """Return an untrained network of the same class and configuration, but for ``changes``."""
    config = {name: value for name, value in network.config.items() if not name.startswith("_")}
    return type(network)(**config | changes)


def assemble(
    folder: Path,
    parts: Mapping[str, tuple[str, str]],
    *,
    shared: Mapping[str, str] | None = None,
    spacing: str = "leading",
) -> None:
    """Write what makes the parts in ``folder`` a checkpoint: index, noise schedule, lenders of the parts not there.

    ``shared`` are the names of checkpoints beside it by part; ``spacing`` is how few steps are laid over the schedule.
    """
    kind = "StableDiffusionPipeline" if parts == BASE else "DiffusionPipeline"
    missing = {name: [None, None] for name in ("feature_extractor", "safety_checker")} if parts == BASE else {}
    index = {"_class_name": kind, "_diffusers_version": "0.35.0", "requires_safety_checker": False} | missing
    listed = index | {name: list(where) for name, where in parts.items()}
    write_atomic(folder / "model_index.json", json.dumps(dict(sorted(listed.items())), indent=1) + "\n")
    noise_schedule(timestep_spacing=spacing).save_pretrained(folder / "scheduler")
    if shared:
        write_atomic(folder / "shared.json", json.dumps(dict(shared), indent=1) + "\n")
