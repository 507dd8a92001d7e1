"""Condition maps of drawn scenes, from their exact truth; ``conditions`` has those of photos.

Each is a picture, uint8 (H, W, 3), RGB: edges white on black, near bright and far dark, landmarks in colours on black.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .scenes import Scene

Condition: TypeAlias = Literal["canny", "depth", "landmarks"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)

CANNY_SIGMA = 1.0
CANNY_LOW, CANNY_HIGH = 0.1, 0.2
"""Thresholds on the gradient of brightness, 0 to 1: objects and stripes of scenes have edges, shaded grounds none."""

LANDMARK_RGB = {
    "eyes": (0, 255, 255),
    "pupils": (255, 255, 0),
    "nose": (0, 255, 0),
    "mouth": (255, 0, 0),
    "chin": (255, 255, 255),
}
DOT, HALF_EYE = 1.5, 3.0
"""Radius of a landmark's dot and half the length of an eye's line, in pixels."""


def canny(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the edges of a picture (H, W, 3): (H, W).

    Canny, "A Computational Approach to Edge Detection", PAMI 8(6), 1986, in each colour channel: on grey alone red on
    green would have no edge.
    """
    from skimage.feature import canny as edges

    channels = (pixels[..., channel] / 255.0 for channel in range(3))
    found = [edges(each, sigma=CANNY_SIGMA, low_threshold=CANNY_LOW, high_threshold=CANNY_HIGH) for each in channels]
    return np.asarray(np.any(found, axis=0))


def draw_edges(edges: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return edges (H, W) as a picture."""
    return np.repeat(edges[..., None], 3, axis=2).astype(np.uint8) * np.uint8(255)


def draw_depth(nearness: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return nearness (H, W), 0 to 1, as a picture."""
    return np.repeat(np.round(nearness * 255)[..., None], 3, axis=2).astype(np.uint8)


def draw_landmarks(landmarks: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Return positions (10, 2) of ``scenes.LANDMARKS`` as a picture of ``size`` × ``size``."""
    canvas = np.zeros((size, size, 3))
    y, x = np.mgrid[0:size, 0:size].astype(np.float64)

    def paint(part: str, points: NDArray[np.float64]) -> None:
        nearest = _distance(x, y, points)
        cover = np.clip(DOT + 0.5 - nearest, 0, 1)[..., None]
        canvas[:] = canvas + cover * (np.array(LANDMARK_RGB[part]) - canvas)

    across = np.array([HALF_EYE, 0.0])
    left, right, left_pupil, right_pupil, nose, mouth_left, mouth_right, top, bottom, chin = landmarks
    paint("mouth", np.array([mouth_left, top, mouth_right, bottom, mouth_left]))
    paint("chin", np.array([chin, chin]))
    paint("nose", np.array([nose, nose]))
    for eye, pupil in ((left, left_pupil), (right, right_pupil)):
        paint("eyes", np.array([eye - across, eye + across]))
        paint("pupils", np.array([pupil, pupil]))
    return np.round(canvas).astype(np.uint8)


def _distance(x: NDArray[np.float64], y: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each (x, y) is from a line through points (n, 2), n at least 2."""
    nearest = np.full(x.shape, np.inf)
    for start, end in pairwise(points):
        along = end - start
        share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(float(along @ along), 1e-9)
        share = np.clip(share, 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1]))
    return nearest


def condition_map(scene: Scene, kind: Condition) -> NDArray[np.uint8]:
    """Return the condition map of a scene: uint8 (64, 64, 3), from its exact truth, edges from its picture.

    Raises BenchError for another kind, and for landmarks of a scene without a face.
    """
    if kind == "canny":
        return draw_edges(canny(scene.image))
    if kind == "depth":
        return draw_depth(scene.depth)
    if kind != "landmarks":
        raise BenchError(f"unknown condition '{kind}' (known: {', '.join(CONDITIONS)})")
    if scene.landmarks is None:
        raise BenchError(f"scene '{scene.caption}' has no face, and so no landmarks")
    return draw_landmarks(scene.landmarks, len(scene.image))
