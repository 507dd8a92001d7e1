"""Landmarks of people in photos by MediaPipe's Tasks API: of a face, a body, or a face, a body and both hands.

A model is loaded when it is first used and then kept; one picture is looked at at a time, whatever the threads.
"""

from __future__ import annotations

import atexit
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..core.files import sha256_file
from ..core.weights import KnownWeights, WeightsFinder
from .images import fit, load_rgb
from .keeping import keep

HOST = "https://storage.googleapis.com/mediapipe-models"

FACE = KnownWeights(
    "face_landmarker",
    "face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    url=f"{HOST}/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
)
POSE = KnownWeights(
    "pose_landmarker",
    "pose_landmarker_lite.task",
    sha256="59929e1d1ee95287735ddd833b19cf4ac46d29bc7afddbbf6753c459690d574a",
    url=f"{HOST}/pose_landmarker/pose_landmarker_lite/float16/1/pose_landmarker_lite.task",
)
HOLISTIC = KnownWeights(
    "holistic_landmarker",
    "holistic_landmarker.task",
    sha256="e2dab61191e2dcd0a15f943d8e3ed1dce13c82dfa597b9dd39f562975a50c3f8",
    url=f"{HOST}/holistic_landmarker/holistic_landmarker/float16/1/holistic_landmarker.task",
)

CONFIDENCE = 0.5
"""Least confidence that something was detected, and that its landmarks are there; MediaPipe's own default."""

FACE_POINTS, POSE_POINTS, HAND_POINTS = 478, 33, 21
HOLISTIC_PARTS = {
    "face": slice(0, FACE_POINTS),
    "pose": slice(FACE_POINTS, FACE_POINTS + POSE_POINTS),
    "left": slice(FACE_POINTS + POSE_POINTS, FACE_POINTS + POSE_POINTS + HAND_POINTS),
    "right": slice(FACE_POINTS + POSE_POINTS + HAND_POINTS, FACE_POINTS + POSE_POINTS + 2 * HAND_POINTS),
}
"""Where the landmarks of each part stand; those of a part that is not seen have visibility 0."""

Points = NDArray[np.float32]
"""Landmarks (n, 3): x and y in pixels from the upper left corner, and visibility, 0 to 1."""


class Landmarker(ABC):
    """A MediaPipe task on a model file; of several people the one that the detector is surest of counts."""

    kind: ClassVar[str]
    weights: ClassVar[KnownWeights]

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._has_found = False

    @property
    def identity(self) -> str:
        """Changes with all that decides where landmarks are found."""
        return f"mediapipe-{version('mediapipe')}:{self.kind}:{CONFIDENCE}:{sha256_file(self.path)[:16]}"

    def detect(self, picture: NDArray[np.uint8]) -> Points | None:
        """Return the landmarks found in a picture (H, W, 3), RGB, or None where nobody is."""
        # MediaPipe projects landmarks well only from a square picture.
        side = max(picture.shape[:2])
        square = np.zeros((side, side, 3), np.uint8)
        square[: picture.shape[0], : picture.shape[1]] = picture
        with self._lock, nullcontext() if self._has_found else _no_native_log():
            points = self._points(self._task.detect(_image(square)))
            self._has_found = self._has_found or points is not None
        return None if points is None else points * np.array([side, side, 1], np.float32)

    @abstractmethod
    def _create(self, base: Any) -> Any:
        """Return the task on MediaPipe's base options."""

    @abstractmethod
    def _points(self, result: Any) -> Points | None:
        """Return the landmarks, x and y as shares of the picture's sides."""

    @cached_property
    def _task(self) -> Any:
        from mediapipe.tasks.python import BaseOptions

        try:
            task = self._create(BaseOptions(model_asset_path=str(self.path)))
        except (RuntimeError, ValueError, OSError) as error:
            raise BenchError(
                f"weights '{self.weights.name}': MediaPipe cannot read '{self.path}' ({str(error)[:200]}); get it again"
            ) from error
        # It closes itself when it is collected, which fails once the interpreter ends: then nothing is left to close.
        atexit.register(setattr, task, "_handle", None)
        return task


class FaceLandmarks(Landmarker):
    """FaceLandmarker: 478 points of one face, the attention mesh with irises."""

    kind, weights = "face", FACE

    def _create(self, base: Any) -> Any:
        from mediapipe.tasks.python import vision

        return vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=base,
                num_faces=1,
                min_face_detection_confidence=CONFIDENCE,
                min_face_presence_confidence=CONFIDENCE,
            )
        )

    def _points(self, result: Any) -> Points | None:
        return _array(result.face_landmarks[0]) if result.face_landmarks else None


class PoseLandmarks(Landmarker):
    """PoseLandmarker: 33 points of one body, each with its visibility; they may lie outside of the picture."""

    kind, weights = "pose", POSE

    def _create(self, base: Any) -> Any:
        from mediapipe.tasks.python import vision

        return vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(
                base_options=base,
                num_poses=1,
                min_pose_detection_confidence=CONFIDENCE,
                min_pose_presence_confidence=CONFIDENCE,
            )
        )

    def _points(self, result: Any) -> Points | None:
        return _array(result.pose_landmarks[0]) if result.pose_landmarks else None


class HolisticLandmarks(Landmarker):
    """HolisticLandmarker: a face, a body and both hands of one person (``HOLISTIC_PARTS``), 553 points."""

    kind, weights = "holistic", HOLISTIC

    def _create(self, base: Any) -> Any:
        from mediapipe.tasks.python import vision

        return vision.HolisticLandmarker.create_from_options(
            vision.HolisticLandmarkerOptions(
                base_options=base,
                min_face_detection_confidence=CONFIDENCE,
                min_face_landmarks_confidence=CONFIDENCE,
                min_pose_detection_confidence=CONFIDENCE,
                min_pose_landmarks_confidence=CONFIDENCE,
                min_hand_landmarks_confidence=CONFIDENCE,
            )
        )

    def _points(self, result: Any) -> Points | None:
        found = {
            "face": result.face_landmarks,
            "pose": result.pose_landmarks,
            "left": result.left_hand_landmarks,
            "right": result.right_hand_landmarks,
        }
        points = np.zeros((HOLISTIC_PARTS["right"].stop, 3), np.float32)
        for part, landmarks in found.items():
            if landmarks:
                points[HOLISTIC_PARTS[part]] = _array(landmarks)
        return points if any(found.values()) else None


LANDMARKERS: dict[str, type[Landmarker]] = {
    "landmarks": FaceLandmarks,
    "pose": PoseLandmarks,
    "holistic": HolisticLandmarks,
}
"""By kind of condition."""


def find_landmarker(kind: str, weights: WeightsFinder) -> Landmarker:
    """Return what finds the landmarks of a kind of condition, one per model file and process.

    Raises MissingWeights where the model file is not at hand.
    """
    return _landmarker(kind, weights.find(LANDMARKERS[kind].weights).path)


@cache
def _landmarker(kind: str, path: Path) -> Landmarker:
    return LANDMARKERS[kind](path)


def photo_landmarks(photo: Path, height: int, width: int, landmarker: Landmarker) -> Points | None:
    """Return the landmarks in a photo that is cut to ``height`` × ``width`` (``images.fit``), or None.

    They are kept in the cache folder, and so is that there are none.
    """

    def look() -> NDArray[np.float32]:
        found = landmarker.detect(fit(load_rgb(photo), height, width))
        return np.zeros((0, 3), np.float32) if found is None else found

    points = keep("landmarks", [sha256_file(photo), height, width, landmarker.identity], look)
    return points if len(points) else None


def _image(picture: NDArray[np.uint8]) -> Any:
    import mediapipe

    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)


def _array(landmarks: Sequence[Any]) -> Points:
    """Those of faces and hands have no visibility."""
    return np.array(
        [(each.x, each.y, 1 if each.visibility is None else each.visibility) for each in landmarks], np.float32
    )


@contextmanager
def _no_native_log() -> Iterator[None]:
    """Keep standard error from native code, which logs what it likes when it starts and first finds something."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
