"""Condition maps of landmarks, uint8 (H, W, 3), RGB, on black."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .landmarks import HOLISTIC_PARTS, Points

Colour = tuple[int, int, int]

WHITE, GREEN, BLUE = (255, 255, 255), (0, 255, 0), (0, 0, 255)
FACE_PARTS: dict[str, Colour] = {
    "FACE_OVAL": WHITE,
    "LIPS": WHITE,
    "LEFT_EYE": GREEN,
    "LEFT_EYEBROW": GREEN,
    "LEFT_IRIS": GREEN,
    "RIGHT_EYE": BLUE,
    "RIGHT_EYEBROW": BLUE,
    "RIGHT_IRIS": BLUE,
}
"""In the order in which MediaPipe draws them; left and right are the person's."""

VISIBLE = 0.5
"""Least visibility of a joint that is drawn; those outside of the picture are not, as OpenPose does not see them."""
STICK, JOINT = 4, 4
"""Half the thickness of a limb and the radius of a joint, in pixels at any size, as ControlNet's annotator has them."""

OPENPOSE = (0, None, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
"""MediaPipe's point for each of OpenPose's 18 body points: nose, neck, right arm, left arm, right leg, left leg, eyes,
ears, right before left. MediaPipe has no neck; it is the middle of the shoulders."""
NECK = OPENPOSE.index(None)
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10),
    (1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""Between OpenPose's points; the n-th limb and the n-th joint have the n-th colour."""
COLOURS: tuple[Colour, ...] = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85),
)  # fmt: skip
LIMB_SHADE = 0.6
"""Of a limb's colour, so that joints stand out."""


def draw(kind: str, points: Points, height: int, width: int) -> NDArray[np.uint8]:
    """Return landmarks of a kind of condition (``landmarks``, ``pose``, ``holistic``) as a picture."""
    canvas = np.zeros((height, width, 3), np.uint8)
    {"landmarks": _draw_face, "pose": _draw_body, "holistic": _draw_person}[kind](canvas, points)
    return canvas


def _draw_face(canvas: NDArray[np.uint8], points: Points) -> None:
    """As MediaPipe's image generator does for its plugin: lines of one pixel, no dots (conditioned_image_graph.cc)."""
    from mediapipe.tasks.python.vision import FaceLandmarksConnections

    for part, colour in FACE_PARTS.items():
        _draw_lines(canvas, points, getattr(FaceLandmarksConnections, f"FACE_LANDMARKS_{part}"), colour)


def _draw_body(canvas: NDArray[np.uint8], points: Points) -> None:
    """As ControlNet's annotator draws OpenPose's 18 points: limbs as ellipses, joints as discs over them."""
    import cv2

    joints = openpose_body(points)
    inside = (joints[:, :2] >= 0) & (joints[:, :2] < canvas.shape[1::-1])
    seen = (joints[:, 2] >= VISIBLE) & inside.all(axis=1)
    for (first, second), colour in zip(LIMBS, COLOURS, strict=False):
        if seen[first] and seen[second]:
            start, end = joints[first, :2], joints[second, :2]
            along = end - start
            axes = (int(np.hypot(*along) / 2), STICK)
            middle = _pixel((start + end) / 2)
            angle = int(np.degrees(np.arctan2(along[1], along[0])))
            outline = np.asarray(cv2.ellipse2Poly(middle, axes, angle, 0, 360, 1))
            cv2.fillConvexPoly(canvas, outline, [int(value * LIMB_SHADE) for value in colour])
    for joint, colour in zip(joints[seen], np.array(COLOURS)[seen].tolist(), strict=True):
        cv2.circle(canvas, _pixel(joint), JOINT, colour, thickness=-1)


def _draw_person(canvas: NDArray[np.uint8], points: Points) -> None:
    """The body, and over it the face and the hands in the face's manner: left green, right blue."""
    from mediapipe.tasks.python.vision import HandLandmarksConnections

    parts = {name: points[where] for name, where in HOLISTIC_PARTS.items()}
    _draw_body(canvas, parts["pose"])
    if parts["face"][:, 2].any():
        _draw_face(canvas, parts["face"])
    for hand, colour in (("left", GREEN), ("right", BLUE)):
        if parts[hand][:, 2].any():
            _draw_lines(canvas, parts[hand], HandLandmarksConnections.HAND_CONNECTIONS, colour)


def openpose_body(points: Points) -> Points:
    """Return OpenPose's 18 body points (18, 3) of MediaPipe's 33; the neck is seen where both shoulders are."""
    left, right = points[11], points[12]
    neck = np.array([*(left[:2] + right[:2]) / 2, min(left[2], right[2])], np.float32)
    return np.stack([neck if source is None else points[source] for source in OPENPOSE])


def _draw_lines(canvas: NDArray[np.uint8], points: Points, connections: list, colour: Colour) -> None:  # type: ignore[type-arg]
    import cv2

    for line in connections:
        cv2.line(canvas, _pixel(points[line.start]), _pixel(points[line.end]), colour, thickness=1)


def _pixel(point: NDArray[Any]) -> tuple[int, int]:
    return int(np.floor(point[0])), int(np.floor(point[1]))
