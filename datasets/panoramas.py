"""Prompts of wide pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .dataset import Dataset
from .prompts import Prompt

PROMPTS = (
    "a photo of a city skyline at night",
    "a photo of a forest with a misty fog",
    "a photo of a mountain range at twilight",
    "a photo of a snowy mountain peak with skiers",
    "cartoon panorama of spring summer beautiful nature",
    "natural landscape in anime style illustration",
)
"""Those of SyncDiffusion's evaluation (Lee et al., NeurIPS 2023), which later papers share."""


@dataclass(frozen=True)
class Panoramas(Dataset):
    """Six prompts of landscapes, to be made several times each (``sampling.samples``)."""

    name = "panoramas"
    kind = "prompts"

    def prompts(self, root: Path) -> list[Prompt]:
        """Return the prompts (``root`` plays no part)."""
        return [Prompt(f"{number:05d}", text) for number, text in enumerate(PROMPTS)]


PANORAMAS = Panoramas()
