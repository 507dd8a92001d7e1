"""A picture of the regions that a picture was made from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .figures import COLORS

_GROUND = (96, 100, 108)


def region_map(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Draw each mask (H, W) in a colour of its own with its number, from 1 on, in its middle: uint8 (H, W, 3).

    Where masks overlap, the later one is seen.
    """
    from PIL import Image, ImageDraw, ImageFont

    drawn = np.full((*masks[0].shape, 3), _GROUND, np.uint8)
    for place, mask in enumerate(masks):
        drawn[mask] = _rgb(COLORS[place % len(COLORS)])
    picture = Image.fromarray(drawn)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(max(10, min(picture.size) // 10))
    for place, mask in enumerate(masks):
        if mask.any():
            y, x = (float(np.median(found)) for found in np.nonzero(mask))
            pen.text((x, y), str(place + 1), "white", font, anchor="mm")
    return np.asarray(picture)


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue
