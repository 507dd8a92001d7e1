"""How well a picture obeys its condition: the truth of the scene that it was drawn from, against what is seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..datasets.conditions import CONDITIONS, Condition, canny
from ..datasets.scene_reader import Reading, read_picture
from ..datasets.scenes import LANDMARKS, Scene
from ..metrics.control import edge_f1, landmark_error
from ..metrics.metric import CannotMeasure
from ..metrics.regions import region_iou

EYES = (LANDMARKS.index("left eye"), LANDMARKS.index("right eye"))


def adherence(pixels: NDArray[np.uint8], scene: Scene, kind: Condition) -> float | None:
    """Return how well a picture (64, 64, 3) keeps to a condition map of ``scene``; None where a face is missing.

    ``canny``: F₁ of edges, 0 to 1. ``depth``: intersection over union of each object (or head) with what is seen there,
    the mean, 0 to 1. ``landmarks``: mean error in distances between the eyes; lower is better. CannotMeasure for
    landmarks of a scene without a face; BenchError for another kind.
    """
    if kind == "canny":
        return edge_f1(canny(pixels), canny(scene.image)).f1
    if kind == "depth":
        wanted = scene.masks
        return region_iou(_matched(read_picture(pixels), wanted), wanted).mean
    if kind != "landmarks":
        raise BenchError(f"unknown condition '{kind}' (known: {', '.join(CONDITIONS)})")
    if scene.landmarks is None:
        raise CannotMeasure(f"scene '{scene.caption}' has no face, and so no landmarks")
    face = read_picture(pixels).face
    return landmark_error([face.landmarks if face else None], [scene.landmarks], EYES).error


def _matched(reading: Reading, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The seen mask that overlaps most with each of ``wanted`` (objects, H, W); empty where none does."""
    seen = [thing.mask for thing in reading.objects]
    if reading.face:
        seen.append(reading.face.head)
    nothing = np.zeros_like(wanted[0])
    return np.array([max((nothing, *seen), key=lambda mask: int((mask & each).sum())) for each in wanted])
