"""LAION's aesthetic predictor, version 2: a linear head on CLIP ViT-L/14 that rates pictures on a scale of 1 to 10.

Schuhmann et al., "LAION-5B: An open large-scale dataset for training next generation image-text models", NeurIPS 2022
Datasets and Benchmarks, and the repository improved-aesthetic-predictor. Its file holds five linear layers with nothing
but dropout between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import BenchError
from ...core.weights import KnownWeights, MissingWeights, load_tensors
from ..setup import Setup
from ..transforms import Picture
from .base import Extractor, file_digest
from .clip import ClipViTL14

_FILE = "sac+logos+ava1-l14-linearMSE.pth"
HEAD = KnownWeights(
    "clip-aesthetic",
    _FILE,
    sha256="21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
    url=f"https://github.com/christophschuhmann/improved-aesthetic-predictor/raw/main/{_FILE.replace('+', '%2B')}",
)

LAYERS = (0, 2, 4, 6, 7)
"""Where the linear layers are in the published file; at 1, 3 and 5 there is dropout."""


class ClipAesthetic(Extractor):
    """The rating as the one feature of a picture."""

    preprocess = ClipViTL14.preprocess

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        found = setup.weights.find(HEAD)
        self._path = found.path
        self._clip = ClipViTL14(setup)
        head = HEAD.sha256[:8] if found.official else f"unofficial-{file_digest(setup, HEAD)}"
        self.label = f"laion-aesthetic-v2@{head}+{self._clip.label}"
        doubt = None if found.official else f"aesthetic weights {found.path.name} are not the official ones"
        self.note = "; ".join(note for note in (doubt, self._clip.note) if note) or None

    @classmethod
    def weights(cls, setup: Setup) -> KnownWeights:
        """CLIP's file, or that of the head where it is the one that is missing."""
        try:
            setup.weights.find(HEAD)
        except MissingWeights:
            return HEAD
        return ClipViTL14.weights(setup)

    def load(self) -> None:
        self._clip.load()

    def prepare(self, picture: Picture) -> Any:
        return self._clip.prepare(picture)

    def features(self, prepared: Sequence[Any]) -> NDArray[np.float32]:
        embeddings = self._clip.features(prepared).astype(np.float64)
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        for weight, bias in self._layers:
            if embeddings.shape[1] != weight.shape[1]:
                raise BenchError(f"weights file '{self._path}' does not fit: a layer takes {weight.shape[1]} features")
            embeddings = embeddings @ weight.T + bias
        return embeddings.astype(np.float32)

    @cached_property
    def _layers(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        tensors = load_tensors(self._path)
        names = {f"layers.{layer}.{part}" for layer in LAYERS for part in ("weight", "bias")}
        if tensors.keys() != names:
            raise BenchError(f"weights file '{self._path}' does not fit: it must hold {', '.join(sorted(names))}")
        arrays = {name: tensor.double().numpy() for name, tensor in tensors.items()}
        return [(arrays[f"layers.{layer}.weight"], arrays[f"layers.{layer}.bias"]) for layer in LAYERS]
