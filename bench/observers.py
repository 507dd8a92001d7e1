"""Who finds in pictures what they were asked to show: edges, faces, objects; so far in drawn scenes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets.dataset import Dataset
from ..metrics.metric import CannotMeasure, Observer

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Looking:
    """An observer that calls a function."""

    label: str
    look: Callable[[Picture, Any], Any]

    def __call__(self, picture: Picture, asked: Any) -> Any:
        return self.look(picture, asked)


def observers_of(dataset: Dataset) -> Mapping[str, Observer]:
    """Return who looks at pictures of a dataset, by kind (``metrics.metric.Observed``)."""
    if dataset.name == "scenes":
        from ..datasets.scene_reader import VERSION

        reader = f"scene-reader@{VERSION}"
        return {
            "canny": Looking("skimage-canny-rgb", _scene_edges),
            "landmarks": Looking(reader, _scene_landmarks),
            "regions": Looking(reader, _scene_regions),
        }
    return {}


def _scene_edges(picture: Picture, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from ..datasets.scene_conditions import canny

    return canny(picture)


def _scene_landmarks(picture: Picture, asked: NDArray[np.float64]) -> NDArray[np.float64] | None:
    from ..datasets.scene_reader import read_picture

    face = read_picture(_of_scene_size(picture)).face
    return face.landmarks if face else None


def _scene_regions(picture: Picture, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The seen mask, of an object or a head, that overlaps most with each one asked for; empty where none does."""
    from ..datasets.scene_reader import read_picture

    reading = read_picture(_of_scene_size(picture))
    seen = [thing.mask for thing in reading.objects]
    if reading.face:
        seen.append(reading.face.head)
    nothing = np.zeros_like(asked[0])
    return np.array([max((nothing, *seen), key=lambda mask: int((mask & each).sum())) for each in asked])


def _of_scene_size(picture: Picture) -> Picture:
    from ..datasets.scenes import SIZE

    height, width = picture.shape[:2]
    if (height, width) != (SIZE, SIZE):
        raise CannotMeasure(f"needs pictures of {SIZE}×{SIZE}, not {width}×{height}")
    return picture
