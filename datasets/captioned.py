"""Datasets whose prompts are captions of photos: the photos supply conditions, and pictures to edit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..core.weights import WeightsFinder
from .conditions import photo_condition, photo_pixels, photo_truth
from .dataset import Dataset, Source
from .keeping import digest
from .landmarks import LANDMARKERS
from .prompts import Prompt
from .request import Pixels


@dataclass(frozen=True)
class CaptionedPhotos(Dataset):
    """Prompts with a photo each; conditions and sources are the photo's, cut as suites cut the reference's photos."""

    kind = "prompts"
    weights: WeightsFinder = field(default_factory=WeightsFinder, kw_only=True, compare=False, repr=False)

    @abstractmethod
    def photo(self, root: Path, prompt: Prompt) -> Path:
        """Return the photo of one of this dataset's prompts; raises BenchError where it is not at hand."""

    def using(self, weights: WeightsFinder) -> Self:
        return replace(self, weights=weights)

    def condition(self, root: Path, prompt: Prompt, kind: str, height: int, width: int) -> Pixels | None:
        """Return a condition map of the prompt's photo (``conditions``), or None where it shows nothing of the kind."""
        return photo_condition(self.photo(root, prompt), kind, height, width, self.weights)

    def source(self, root: Path, prompt: Prompt, height: int, width: int) -> Source | None:
        """Return the prompt's photo and its caption."""
        return Source(photo_pixels(self.photo(root, prompt), height, width), prompt.text)

    def asked(self, root: Path, prompt: Prompt, kind: str, height: int, width: int) -> Pixels | None:
        """Return what was seen in the prompt's photo, the photo itself, or the prompt's regions."""
        if kind in ("source", "edit"):
            source = self.source(root, prompt, height, width)
            return source and (source.picture if kind == "source" else source.edit)
        if kind == "regions":
            masks = [region.mask for region in self.regions(root, prompt, height, width)]
            return Pixels(digest([mask.digest for mask in masks]), lambda: _stacked(masks)) if masks else None
        truth = photo_truth(self.photo(root, prompt), kind, height, width, self.weights)
        return truth and Pixels(truth.digest, lambda: _plain(truth.read(), kind))


def _stacked(masks: Sequence[Pixels]) -> NDArray[np.bool_]:
    return np.stack([mask.read() for mask in masks])


def _plain(truth: NDArray[Any], kind: str) -> NDArray[Any]:
    """In the form in which metrics want it: places without visibility, nearness from 0 to 1."""
    if kind == "depth":
        return truth / 255
    return truth[:, :2] if kind in LANDMARKERS else truth
