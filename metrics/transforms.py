"""Named transforms of a picture before an extractor sees it; the name is part of a number's identity.

``as-is``
    the picture unchanged;
``shortN-cropM``
    the short side resized to N, then the centre M×M (``short512-crop512``);
``randomN``
    N×N at a place that the picture's own bytes decide, the same each time (``random512``);
``squareN``
    both sides resized to N, whatever the aspect ratio (``square256``).

Resizing is Pillow's bicubic filter, which is antialiased; sizes and offsets are rounded as torchvision rounds them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError

Picture = NDArray[np.uint8]
"""uint8, (H, W, 3), RGB."""
Transform = Callable[[Picture], Picture]


def parse_transform(name: str) -> Transform:
    """Return the transform called ``name``, uint8 (H, W, 3) to uint8 (H', W', 3); BenchError for an unknown name."""
    if name == "as-is":
        return _as_is
    if match := re.fullmatch(r"square([1-9]\d{0,4})", name):
        side = int(match[1])
        return lambda picture: _resize(picture, side, side)
    if match := re.fullmatch(r"random([1-9]\d{0,4})", name):
        crop = int(match[1])
        return lambda picture: _anywhere(picture, crop)
    if (match := re.fullmatch(r"short([1-9]\d{0,4})-crop([1-9]\d{0,4})", name)) and int(match[2]) <= int(match[1]):
        short, crop = int(match[1]), int(match[2])
        return lambda picture: _centre(_resize_short(picture, short), crop)
    raise BenchError(f"unknown transform '{name}': expected as-is, squareN, randomN, or shortN-cropM with M at most N")


def _as_is(picture: Picture) -> Picture:
    return picture


def _resize(picture: Picture, height: int, width: int) -> Picture:
    from PIL import Image

    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def _resize_short(picture: Picture, short: int) -> Picture:
    height, width = picture.shape[:2]
    return _resize(
        picture, *((short, short * width // height) if height <= width else (short * height // width, short))
    )


def _anywhere(picture: Picture, side: int) -> Picture:
    height, width = picture.shape[:2]
    if min(height, width) < side:
        raise BenchError(f"a picture of {width}×{height} has no crop of {side}×{side}: choose a smaller transform")
    draw = int.from_bytes(hashlib.sha256(np.ascontiguousarray(picture).tobytes()).digest()[:8], "little")
    top, left = draw % (height - side + 1), (draw >> 32) % (width - side + 1)
    return picture[top : top + side, left : left + side]


def _centre(picture: Picture, side: int) -> Picture:
    top, left = (round((size - side) / 2) for size in picture.shape[:2])
    return picture[top : top + side, left : left + side]
