"""A teacher's guided ways from noise to latents, for a student of fewer steps to learn from: made once and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from ...core.files import replacing
from .sampler import Grid, Predictor

TOGETHER = 50
"""Pictures made at once."""
PART = 10_000
"""Trajectories in one file, of draws of its own."""


class Trajectories(NamedTuple):
    """What N pictures are at each of a student's S steps, and after the last."""

    scenes: torch.Tensor
    """The numbers of the scenes whose captions were asked for: (N,)."""
    scale: torch.Tensor
    """The guidance scale of each: (N,)."""
    states: torch.Tensor
    """From noise to latents: (N, S + 1, C, h, w), fp16."""


@torch.inference_mode()
def paint(
    teacher: Predictor, noise: torch.Tensor, tokens: torch.Tensor, scale: torch.Tensor, *, steps: int, substeps: int
) -> torch.Tensor:
    """Return latents on the way from noise (B, C, h, w) to a picture: (B, S + 1, C, h, w), the noise the first.

    The teacher takes ``substeps`` steps within each of the student's S ``steps``; where these are several, all but the
    very first: it takes noise for what is at its second timestep, as samplers of leading spacing do. On SD's schedule
    there is never nothing but noise; the base's pictures are nearer to true scenes so (excess 0.77, else 0.81).
    """
    grid, guided = Grid(steps * substeps, noise.device), bool((scale != 1).any())
    state, states, hidden = noise, [noise], teacher.embed(tokens)
    for number in range(min(1, substeps - 1), steps * substeps):
        step = torch.full((len(noise),), number, device=noise.device)
        now = grid.timesteps[step]
        velocity = teacher.guided(state, now, hidden, scale) if guided else teacher.plain(state, now, hidden)
        state = grid.move(state, velocity, step)
        if (number + 1) % substeps == 0:
            states.append(state)
    return torch.stack(states, 1)


def kept_trajectories(
    teacher: Predictor,
    often: torch.Tensor,
    tokens: torch.Tensor,
    work: Path,
    *,
    count: int,
    shape: Sequence[int],
    guidance: tuple[float, float],
    steps: int,
    substeps: int,
    digest: str,
    seed: int,
) -> Trajectories:
    """Return ``count`` trajectories of scenes drawn as ``often`` (M,) says, made once and kept in ``work``.

    ``tokens`` (M, T) are of the scenes' captions, ``shape`` that of latents; guidance scales are drawn between the two
    of ``guidance``. ``digest`` tells teachers and scenes apart.
    """
    parts = []
    for part, start in enumerate(range(0, count, PART)):
        size, own_seed = min(PART, count - start), seed + part
        told = json.dumps([digest, size, list(guidance), steps, substeps, own_seed])
        file = work / f"trajectories-{hashlib.sha256(told.encode()).hexdigest()[:16]}.pt"
        if not file.exists():
            generator = torch.Generator().manual_seed(own_seed)
            scenes = torch.multinomial(often, size, replacement=True, generator=generator)
            noise = torch.randn((size, *shape), generator=generator)
            low, high = guidance
            scale = low + (high - low) * torch.rand(size, generator=generator)
            made = _painted(teacher, noise, tokens[scenes], scale, steps, substeps)
            with replacing(file) as temporary:
                torch.save({"scenes": scenes, "scale": scale, "states": made}, temporary)
        parts.append(Trajectories(**torch.load(file, weights_only=True)))
    return Trajectories(*map(torch.cat, zip(*parts, strict=True)))


def _painted(
    teacher: Predictor, noise: torch.Tensor, tokens: torch.Tensor, scale: torch.Tensor, steps: int, substeps: int
) -> torch.Tensor:
    """Return what ``paint`` makes of many, batch by batch: (N, S + 1, C, h, w), fp16."""
    device, parts = teacher.empty.device, []
    for start in tqdm(range(0, len(noise), TOGETHER), desc="the teacher paints", mininterval=5):
        begun, said, scales = (each[start : start + TOGETHER].to(device) for each in (noise, tokens, scale))
        parts.append(paint(teacher, begun, said, scales, steps=steps, substeps=substeps).half().cpu())
    return torch.cat(parts)
