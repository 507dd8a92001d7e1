"""The measuring models of the mini world: they know its drawn scenes and nothing else, and ship with this package.

Both see 64×64 pixels scaled to [-1, 1]. What they measure is never called FID, KID or CLIP score.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.errors import BenchError
from ...core.files import sha256_file
from ...core.weights import KnownWeights, load_tensors, reading
from ..setup import Setup
from ..transforms import Picture, parse_transform
from .base import Extractor, TextExtractor, file_digest

CLIP = KnownWeights("mini-clip", "mini-clip/model.safetensors", shipped=True)
"""``config.json`` and the tokenizer lie beside it."""
FEATURES = KnownWeights("mini-features", "mini-features/model.safetensors", shipped=True)
"""``config.json`` lies beside it."""

SIDE = 64


class _Mini(Extractor):
    """A small network of transformers that sees 64×64 pixels; others are resized (bicubic, Pillow, antialiased)."""

    preprocess = "bicubic64"
    known: KnownWeights
    beside: tuple[str, ...] = ("config.json",)
    """Files in the folder of the weights that decide what it computes, where they are there."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        found = setup.weights.find(self.known)
        self._path = found.path
        self.label = f"{self.known.name}@{self._digest(file_digest(setup, self.known))}"
        if not found.official:
            self.note = f"{self.known.name} weights {found.path.name} are not those that ship with t2ibench"

    @classmethod
    def weights(cls, setup: Setup) -> KnownWeights:
        return cls.known

    def _digest(self, tensors: str) -> str:
        """Return 8 hex digits that change with the tensors and with each file of ``beside``."""
        files = [file for name in self.beside if (file := self._path.with_name(name)).is_file()]
        parts = [tensors, *(f"{file.name} {sha256_file(file)}" for file in files)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]

    def prepare(self, picture: Picture) -> NDArray[np.float32]:
        small = parse_transform(f"square{SIDE}")(picture).astype(np.float32)
        return np.ascontiguousarray((small / np.float32(127.5) - 1).transpose(2, 0, 1))

    def features(self, prepared: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        import torch

        with self.running():
            encoded = self._encode(torch.from_numpy(np.stack(list(prepared))).to(self.device))
        return np.asarray(encoded.float().cpu().numpy())

    @abstractmethod
    def _encode(self, pixels: Any) -> Any:
        """Return features (n, d) of pixels (n, 3, 64, 64) in [-1, 1]."""


class MiniFeatures(_Mini):
    """64 pooled features of a small ResNet that was trained to tell what scenes show."""

    known = FEATURES

    def _encode(self, pixels: Any) -> Any:
        return self._network.resnet(pixels).pooler_output.flatten(1)

    @cached_property
    def _network(self) -> Any:
        return _load("ResNetForImageClassification", self._path, self.device)


class _Clip(NamedTuple):
    model: Any
    tokenizer: Any
    limit: int
    """Tokens that the text encoder reads, begin and end included."""


class MiniClip(_Mini, TextExtractor):
    """A small CLIP of scenes and their captions that shares nothing with the methods it measures."""

    known = CLIP
    beside = (
        "config.json", "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    )  # fmt: skip

    def _encode(self, pixels: Any) -> Any:
        model = self._loaded.model
        return model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)

    def texts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        model, tokenizer, limit = self._loaded
        tokens = tokenizer(list(prompts), padding=True, truncation=True, max_length=limit, return_tensors="pt")
        with self.running():
            encoded = model.text_projection(model.text_model(**tokens.to(self.device)).pooler_output)
        return np.asarray(encoded.float().cpu().numpy())

    def cut(self, prompts: Sequence[str]) -> str | None:
        _, tokenizer, limit = self._loaded
        long = sum(len(ids) > limit for ids in tokenizer(list(prompts), verbose=False).input_ids)
        return f"{long} of {len(prompts)} prompts are longer than {limit} tokens and were cut" if long else None

    @cached_property
    def _loaded(self) -> _Clip:
        from transformers import CLIPTokenizer

        model = _load("CLIPModel", self._path, self.device)
        with reading(self._path):
            tokenizer = CLIPTokenizer.from_pretrained(self._path.parent, local_files_only=True)
        return _Clip(model, tokenizer, int(model.config.text_config.max_position_embeddings))


def _load(kind: str, path: Path, device: str) -> Any:
    """Load a class of transformers from a weights file, by the ``config.json`` beside it; BenchError unless whole."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    network = getattr(transformers, kind)
    with reading(path):
        config = network.config_class.from_json_file(path.with_name("config.json"))
        model, report = network.from_pretrained(
            None, config=config, state_dict=load_tensors(path), dtype=torch.float32, output_loading_info=True
        )
    if wrong := sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]])):
        raise BenchError(f"weights file '{path}' does not fit the network: it lacks {', '.join(wrong[:3])}")
    return model.eval().requires_grad_(False).to(device)
