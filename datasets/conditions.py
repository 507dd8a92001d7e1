"""Condition maps of photos: what controlled methods are given beside a prompt (``scene_conditions``: of drawn scenes).

Each is a picture, uint8 (H, W, 3), RGB, of the photo cut to the size of the picture that is asked for:

``canny``
    edges, white on black, with the thresholds of MediaPipe's image generator and of ControlNet;
``depth``
    near bright, far dark, from the picture's least to its greatest (see ``depth``);
``landmarks``
    the outlines of a face by 478 points, as MediaPipe draws them for its plugin (see ``landmark_maps``);
``pose``
    a body as OpenPose's skeleton, of MediaPipe's 33 points;
``holistic``
    a body, a face and hands in one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..core.files import sha256_file
from ..core.weights import WeightsFinder
from .depth import DEPTH, find_depth_model, photo_depth
from .images import fit, load_rgb
from .keeping import digest
from .landmarks import FACE, HOLISTIC, LANDMARKERS, POSE, find_landmarker, photo_landmarks
from .request import Pixels

KINDS = ("canny", "depth", *LANDMARKERS)
WEIGHTS = (FACE, POSE, HOLISTIC, DEPTH)
"""The models that conditions are made by."""

CANNY_LOW, CANNY_HIGH = 100, 200
"""Thresholds on the gradient of grey, 0 to 255."""
CANNY_APERTURE = 3
"""Side of the Sobel filter."""
CANNY_L2 = False
"""Whether the gradient's size is the root of the sum of squares, or the sum of absolute values."""
DRAWING = 1
"""To be raised with every change in how maps are drawn."""


def canny(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the edges (H, W) of a picture (H, W, 3), of its grey, by OpenCV's Canny."""
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    edges = cv2.Canny(grey, CANNY_LOW, CANNY_HIGH, apertureSize=CANNY_APERTURE, L2gradient=CANNY_L2)
    return np.asarray(edges > 0)


def photo_pixels(photo: Path, height: int, width: int) -> Pixels:
    """Return a photo cut to a size (``images.fit``), read when needed."""
    return _pixels(photo, height, width, ["photo"], lambda: fit(load_rgb(photo), height, width))


def photo_condition(photo: Path, kind: str, height: int, width: int, weights: WeightsFinder) -> Pixels | None:
    """Return the condition map of a photo, made when needed; None where it shows no face, no body, nobody.

    Raises BenchError for another kind, a photo that cannot be read, and a model file that is not at hand.
    """
    truth = photo_truth(photo, kind, height, width, weights)
    if truth is None:
        return None

    def picture() -> NDArray[np.uint8]:
        found = truth.read()
        if kind in LANDMARKERS:
            from .landmark_maps import draw

            return draw(kind, found, height, width)
        return np.repeat((found * np.uint8(255) if kind == "canny" else found)[..., None], 3, axis=2)

    return Pixels(digest([truth.digest, "drawn", DRAWING]), picture)


def photo_truth(photo: Path, kind: str, height: int, width: int, weights: WeightsFinder) -> Pixels | None:
    """Return what a condition map of a photo is drawn from, read when needed; None and errors as ``photo_condition``.

    ``canny``: edges, bool (H, W). ``depth``: nearness, uint8 (H, W). The others: points (n, 3) of x, y and visibility.
    """
    if kind == "canny":
        import cv2

        parameters = ["canny", CANNY_LOW, CANNY_HIGH, CANNY_APERTURE, CANNY_L2, cv2.__version__]
        return _pixels(photo, height, width, parameters, lambda: canny(fit(load_rgb(photo), height, width)))
    if kind == "depth":
        model = find_depth_model(weights)
        return _pixels(photo, height, width, [model.identity], lambda: photo_depth(photo, height, width, model))
    if kind not in LANDMARKERS:
        raise BenchError(f"no {kind} condition can be made of photos (known: {', '.join(KINDS)})")
    landmarker = find_landmarker(kind, weights)
    if photo_landmarks(photo, height, width, landmarker) is None:
        return None

    def points() -> NDArray[Any]:
        found = photo_landmarks(photo, height, width, landmarker)
        assert found is not None
        return found

    return _pixels(photo, height, width, [landmarker.identity], points)


def _pixels(photo: Path, height: int, width: int, made_by: list[Any], read: Callable[[], NDArray[Any]]) -> Pixels:
    return Pixels(digest([sha256_file(photo), height, width, *made_by]), read)
