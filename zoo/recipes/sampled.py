"""What a trained network paints, to learn from: latents, and the noise that each came from, made once and kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from ...adapters import make_adapter
from ...core.files import replacing
from ...datasets.request import Request
from .training import folder_digest

TOGETHER = 100
"""Pictures made at once."""


class Sampled(NamedTuple):
    """Latents of N pictures and the noise that the sampler started from, both (N, C, h, w), fp16."""

    noise: torch.Tensor
    latents: torch.Tensor


def sample(method: str, checkpoint: Path, options: str, captions: list[str], work: Path) -> Sampled:
    """Return what a method makes of captions with the UNet of a checkpoint, kept in ``work``.

    ``options`` are those of its method string: scheduler, steps and guidance scale.
    """
    told = hashlib.sha256("\n".join([options, *captions]).encode()).hexdigest()[:16]
    file = work / f"sampled-{folder_digest(checkpoint / 'unet')}-{told}.pt"
    if not file.exists():
        adapter: Any = make_adapter(f"{method}[checkpoint={checkpoint},{options}]")
        adapter.load("cpu", "fp32")
        requests = [Request(str(place), caption, height=64, width=64) for place, caption in enumerate(captions)]
        starts, ends = [], []
        with torch.inference_mode():
            for start in tqdm(range(0, len(requests), TOGETHER), desc=f"{method} paints", mininterval=5):
                batch = requests[start : start + TOGETHER]
                noise = adapter.noise(batch)
                starts.append(noise.half())
                ends.append(adapter.denoise(batch, adapter.embed(batch), latents=noise).half())
        with replacing(file) as temporary:
            torch.save({"noise": torch.cat(starts), "latents": torch.cat(ends)}, temporary)
    return Sampled(**torch.load(file, weights_only=True))
