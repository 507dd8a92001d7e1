"""How a picture becomes the input of Inception, by the name of who does it so; the name is part of a number's identity.

``tf-bilinear``
    TensorFlow 1's bilinear resize, corners neither aligned nor pixels centred, no antialiasing; (x - 128) / 128. What
    the first FID had (Heusel et al. 2017), and what torch-fidelity and ADM have.
``clean-fid``
    Pillow's bicubic filter, antialiased, on each channel in float, cut to [0, 255]; (x - 128) / 128
    (Parmar et al. 2022).
``pytorch-fid``
    PyTorch's bilinear resize with centred pixels, no antialiasing; x / 127.5 - 1.
``torchmetrics``
    PyTorch's bilinear resize with antialiasing; (x - 128) / 128. torchmetrics' default since 1.6.

The same pictures give other numbers under another name, by whole units of FID where pictures are shrunk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .transforms import Picture

Pixels = NDArray[np.float32]
"""float32 (H, W, 3)."""


class _Taps(NamedTuple):
    """For each new pixel along one axis: its two neighbours, and how far it lies from the first, in [0, 1)."""

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    share: NDArray[np.float32]


class Resizer(NamedTuple):
    """A resize and the scaling after it."""

    resize: Callable[[Picture, int], Pixels]
    """To side×side pixels, in levels of 0 to 255."""
    middle: float = 128.0
    """The level that becomes 0."""

    def __call__(self, picture: Picture, side: int) -> Pixels:
        """Return what the network sees of a picture uint8 (H, W, 3): float32 (side, side, 3) in [-1, 1]."""
        pixels = self.resize(picture, side)
        pixels -= np.float32(self.middle)
        pixels *= np.float32(1 / self.middle)
        return pixels


def find_resizer(name: str) -> Resizer:
    """Return the resizer called ``name``; BenchError for an unknown name."""
    if name not in RESIZERS:
        raise BenchError(f"unknown resize '{name}' for Inception: expected {', '.join(RESIZERS)}")
    return RESIZERS[name]


def tf_bilinear(picture: Picture, side: int) -> Pixels:
    """Resize as TensorFlow 1 does: new pixel i lies at i·old/new."""
    return _bilinear(picture, *(_taps(old, side, 0.0) for old in picture.shape[:2]))


def centred_bilinear(picture: Picture, side: int) -> Pixels:
    """Resize as PyTorch does without antialiasing: new pixel i lies at (i + ½)·old/new - ½."""
    return _bilinear(picture, *(_taps(old, side, 0.5) for old in picture.shape[:2]))


def pil_bicubic(picture: Picture, side: int) -> Pixels:
    """Resize by Pillow's antialiased bicubic filter in float, cut to [0, 255]."""
    return _pil(picture, side, "BICUBIC").clip(0, 255)


def antialiased_bilinear(picture: Picture, side: int) -> Pixels:
    """Resize by a triangle as wide as the scale, as PyTorch and Pillow both do with antialiasing."""
    return _pil(picture, side, "BILINEAR")


@lru_cache(maxsize=256)
def _taps(old: int, new: int, centre: float) -> _Taps:
    # In float32, as both libraries have it: in float64 a pixel can fall on the other side of its neighbour.
    scale = np.float32(old / new)
    places = np.maximum((np.arange(new, dtype=np.float32) + np.float32(centre)) * scale - np.float32(centre), 0)
    low = places.astype(np.intp)
    return _Taps(low, np.minimum(low + 1, old - 1), places - low.astype(np.float32))


def _bilinear(picture: Picture, rows: _Taps, columns: _Taps) -> Pixels:
    """Weigh rows, then columns: both together are bilinear, at half the work of four neighbours each."""
    between = _weigh(picture[rows.low], picture[rows.high], rows.share[:, None, None])
    return _weigh(between[:, columns.low], between[:, columns.high], columns.share[:, None])


def _weigh(low: Picture | Pixels, high: Picture | Pixels, share: Pixels) -> Pixels:
    start = low.astype(np.float32, copy=False)
    step: Pixels = np.subtract(high, start, dtype=np.float32)
    step *= share
    step += start
    return step


def _pil(picture: Picture, side: int, filter_name: str) -> Pixels:
    from PIL import Image

    channels = (Image.fromarray(np.ascontiguousarray(picture[..., i], np.float32)) for i in range(picture.shape[2]))
    resized = [channel.resize((side, side), Image.Resampling[filter_name]) for channel in channels]
    return np.stack([np.asarray(channel) for channel in resized], axis=-1)


RESIZERS: Final = {
    "tf-bilinear": Resizer(tf_bilinear),
    "clean-fid": Resizer(pil_bicubic),
    "pytorch-fid": Resizer(centred_bilinear, middle=127.5),
    "torchmetrics": Resizer(antialiased_bilinear),
}
