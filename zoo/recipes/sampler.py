"""DDIM with guidance as recipes of few steps need it: items of a batch at steps of their own, gradients kept."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import nn
from transformers import CLIPTextModel

from .checkpoint import noise_schedule

GUIDANCE_WIDTH = 64
"""Of the embedding of the guidance scale that a conditioned UNet reads."""


class Grid:
    """A sampler's timesteps, and how much signal and noise latents have at each, and after the last step."""

    def __init__(self, steps: int, device: torch.device) -> None:
        scheduler = noise_schedule(timestep_spacing="trailing")
        scheduler.set_timesteps(steps)
        self.timesteps: torch.Tensor = scheduler.timesteps.to(device)
        kept = torch.cat([scheduler.alphas_cumprod[scheduler.timesteps], scheduler.final_alpha_cumprod.view(1)])
        self.signal, self.noise = kept.sqrt().to(device), (1 - kept).sqrt().to(device)

    def at(self, step: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return signal and noise at step numbers (B,): (B, 1, 1, 1) each."""
        return self.signal[step].view(-1, 1, 1, 1), self.noise[step].view(-1, 1, 1, 1)

    def move(self, latents: torch.Tensor, velocity: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """Return latents a step later, by a DDIM step (Song et al. 2021, eq. 12) with a predicted velocity."""
        (signal, noise), (later_signal, later_noise) = self.at(step), self.at(step + 1)
        clean, drawn = signal * latents - noise * velocity, noise * latents + signal * velocity
        return later_signal * clean + later_noise * drawn


class Predictor(nn.Module):
    """A UNet and the text encoder: predicted velocities with and without guidance."""

    empty: torch.Tensor

    def __init__(self, text: CLIPTextModel, network: nn.Module, empty: torch.Tensor) -> None:
        super().__init__()
        self.text_encoder, self.network = text.requires_grad_(False), network
        self.register_buffer("empty", empty)

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return what the UNet reads of captions' tokens (B, T): (B, T, D)."""
        hidden: torch.Tensor = self.text_encoder(tokens)[0]
        return hidden

    def plain(self, latents: torch.Tensor, timesteps: torch.Tensor, hidden: torch.Tensor, **more: Any) -> torch.Tensor:
        """Return the prediction for embedded captions (B, T, D)."""
        predicted: torch.Tensor = self.network(latents, timesteps, hidden, return_dict=False, **more)[0]
        return predicted

    def guided(
        self, latents: torch.Tensor, timesteps: torch.Tensor, hidden: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        """Return the prediction at guidance scales (B,) (Ho & Salimans 2022, eq. 6)."""
        both = torch.cat([hidden, self.embed(self.empty).expand_as(hidden)])
        predicted = self.plain(torch.cat([latents, latents]), torch.cat([timesteps, timesteps]), both)
        conditional, without = predicted.chunk(2)
        return without + scale.view(-1, 1, 1, 1) * (conditional - without)

    def reading(
        self, latents: torch.Tensor, timesteps: torch.Tensor, hidden: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        """Return what a UNet that reads the guidance scale predicts."""
        read = get_timestep_embedding(1000 * (scale - 1), GUIDANCE_WIDTH, downscale_freq_shift=1)
        return self.plain(latents, timesteps, hidden, timestep_cond=read)
