"""The interface of a codec: pixels to latents and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


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

    latent_space: str | None = None
    """Codecs with an equal name share latents (``sd1``, ``flux2``); None where it is not known."""
    latent_channels: int | None = None
    """Channels of the latents; None where there are none (JPEG)."""
    downsampling: int | None = None
    """Pixels per latent along one side."""
    checkpoint: str | None = None
    """Where the weights come from: a hub id, a file or folder, or None where there are none."""

    @abstractmethod
    def load(self, device: str, dtype: str) -> None:
        """Bring the weights to ``device`` (``cpu``, ``cuda:0``) in ``dtype`` (``fp32``, ``bf16``, ``fp16``).

        Raises BenchError where weights are missing, broken, pickled, or cannot run so.
        """

    @abstractmethod
    def encode(self, images: NDArray[np.uint8]) -> Any:
        """Return the code of uint8 pictures (B, H, W, 3), RGB.

        For a learned codec: latents, float32, (B, C, h, w), the posterior mode, in the encoder's own scale.
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
