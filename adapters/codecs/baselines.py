"""Codecs that need no weights: what a learned codec must beat."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...core.errors import BenchError
from .base import Codec


class Jpeg(Codec):
    """JPEG by Pillow, with its default 4:2:0 chroma; the code is a list of files."""

    def __init__(self, *, quality: str = "75") -> None:
        self.quality = _whole("jpeg", "quality", quality, 1, 100)

    device = "cpu"
    dtype = "uint8"

    def load(self, device: str, dtype: str) -> None:
        """Nothing to load; it runs on the CPU whatever ``device`` is."""

    def encode(self, images: NDArray[np.uint8]) -> list[bytes]:
        """Return one JPEG file per picture."""
        return [self._compress(image) for image in images]

    def decode(self, code: list[bytes]) -> NDArray[np.float32]:
        """Return the pictures of JPEG files."""
        pictures = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in code])
        return pictures.astype(np.float32) / np.float32(255)

    def fingerprint(self) -> str:
        """Quality, and the library version, which decides the bytes."""
        from PIL import features

        return f"jpeg-q{self.quality}-{features.version('libjpeg_turbo') or features.version('jpg')}"

    def _compress(self, image: NDArray[np.uint8]) -> bytes:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=self.quality)
        return file.getvalue()


class Bicubic(Codec):
    """Antialiased bicubic down to an 8-bit thumbnail and bicubic up again; the code is the thumbnail."""

    latent_channels = 3

    def __init__(self, *, factor: str = "8") -> None:
        self.downsampling = self.factor = _whole("bicubic", "factor", factor, 2, 64)

    device = "cpu"
    dtype = "uint8"

    def load(self, device: str, dtype: str) -> None:
        """Nothing to load; it runs on the CPU whatever ``device`` is."""

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return thumbnails, uint8, (B, H / factor, W / factor, 3)."""
        height, width = images.shape[1:3]
        self.check_size(height, width)
        size = (width // self.factor, height // self.factor)
        return np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in images])

    def decode(self, code: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return thumbnails blown up in floating point."""
        return np.stack([self._enlarge(thumbnail) for thumbnail in code])

    def fingerprint(self) -> str:
        """The factor; there are no weights."""
        return f"bicubic-x{self.factor}"

    def _enlarge(self, thumbnail: NDArray[np.uint8]) -> NDArray[np.float32]:
        size = (thumbnail.shape[1] * self.factor, thumbnail.shape[0] * self.factor)
        # One float plane at a time: Pillow resizes RGB in 8 bits only.
        planes = (Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC) for plane in _planes(thumbnail))
        picture = np.stack([np.asarray(plane, np.float32) for plane in planes], axis=-1)
        clipped: NDArray[np.float32] = np.clip(picture / np.float32(255), 0, 1)
        return clipped


def _planes(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32)


def _whole(codec: str, option: str, text: str, low: int, high: int) -> int:
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise BenchError(f"codec '{codec}': {option}={text} is no whole number from {low} to {high}")
    return int(text)
