"""The interface of a codec: pixels to latents and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.errors import BenchError
from ...core.weights import KnownWeights, WeightsFinder


class CodecCost(NamedTuple):
    """What a codec costs; None where it has no such thing or it cannot be counted. 1 MAC is one multiply-add."""

    encoder_params: int | None = None
    decoder_params: int | None = None
    encoder_macs: int | None = None
    """For one picture of the size asked for, attention included."""
    decoder_macs: int | None = None
    file_bytes: int | None = None
    """All weight files together."""


class Codec(ABC):
    """An autoencoder under test.

    A subclass is constructed with the argument and options of its method string (``vae:ID_OR_DIR``,
    ``jpeg[quality=75]``), all as text.
    """

    weights: WeightsFinder = WeightsFinder()
    """Where single weight files are looked up; ``bench`` sets it before ``load``."""
    latent_space: str | None = None
    """Codecs with an equal name share latents (``sd1``, ``flux2``), up to their scale; None where it is not known."""
    latent_scale: float = 1.0
    """(latents - ``latent_shift``) * ``latent_scale`` are the latents that a diffusion model of this space works on."""
    latent_shift: float = 0.0
    latent_channels: int | None = None
    """Channels of the latents; None where there are none (JPEG)."""
    downsampling: int | None = None
    """Pixels per latent along one side; height and width must be multiples of it. None where any size will do."""
    checkpoint: str | None = None
    """Where the weights come from: a hub id, a file or folder, or None where there are none."""

    device: str | None = None
    """Where it always runs, whatever ``load`` is told; None where it follows."""
    dtype: str | None = None
    """What it always computes in; None where it follows ``load``."""
    official: bool | None = None
    """Whether all weight files are the published ones by their digests; None where none are known."""

    @abstractmethod
    def load(self, device: str, dtype: str) -> None:
        """Bring the weights to ``device`` (``cpu``, ``cuda:0``) in ``dtype`` (``fp32``, ``bf16``, ``fp16``).

        Raises BenchError where weights are missing, broken, pickled, or cannot run so.
        """

    @abstractmethod
    def encode(self, images: NDArray[np.uint8]) -> Any:
        """Return the code of uint8 pictures (B, H, W, 3), RGB.

        For a learned codec: latents, float32, (B, C, h, w), the posterior mode, in the encoder's own scale.
        Raises BenchError for sizes that are no multiple of ``downsampling``.
        """

    @abstractmethod
    def decode(self, code: Any) -> NDArray[np.float32]:
        """Return float pictures (B, H, W, 3) in [0, 1], RGB, clipped, not yet rounded to 8 bits."""

    def fingerprint(self) -> str:
        """A short text that changes when the weights do; asked for after ``load``."""
        return self.checkpoint or type(self).__qualname__

    def cost(self, height: int, width: int) -> CodecCost:
        """What one picture of ``height`` × ``width`` pixels costs; asked for after ``load``."""
        return CodecCost()

    def find_weights(self, *known: KnownWeights) -> list[Path]:
        """Return the files of ``known`` weights, in order, and set ``official``.

        Raises MissingWeights where one of them is nowhere.
        """
        found = [self.weights.find(weights) for weights in known]
        verdicts = [file.official for file in found]
        self.official = None if None in verdicts else all(verdicts)
        return [file.path for file in found]

    def check_size(self, height: int, width: int) -> None:
        """Raise BenchError unless pictures of ``height`` × ``width`` pixels divide into whole latents."""
        step = self.downsampling or 1
        if height % step or width % step or not (height and width):
            raise BenchError(
                f"pictures of {width}×{height} pixels do not fit {type(self).__name__}: "
                f"width and height must be multiples of {step}; crop or resize them"
            )


def translate(latents: NDArray[np.float32], source: Codec, target: Codec) -> NDArray[np.float32]:
    """Return latents of ``source`` in the scale of ``target``, so that ``target.decode`` can take them.

    Both are asked after ``load``. Raises BenchError where the two are not known to share a latent space.
    """
    if source is target:
        return latents
    if source.latent_space is None or source.latent_space != target.latent_space:
        ours, theirs = (codec.latent_space or "an unnamed space" for codec in (source, target))
        raise BenchError(
            f"'{source.checkpoint}' has latents of {ours}, '{target.checkpoint}' of {theirs}: choose codecs of one "
            "space (vae:ID_OR_DIR[space=...] names it)"
        )
    if (source.latent_scale, source.latent_shift) == (target.latent_scale, target.latent_shift):
        return latents  # dividing by what was multiplied would cost the last bit
    shared = (latents - source.latent_shift) * source.latent_scale
    return np.asarray(shared / target.latent_scale + target.latent_shift, np.float32)
