"""Landmarks: how they are drawn, and where MediaPipe itself finds them in real photos."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import WeightsFinder
from t2ibench.datasets.conditions import photo_condition
from t2ibench.datasets.images import fit, load_rgb
from t2ibench.datasets.landmark_maps import COLOURS, LIMBS, draw, openpose_body
from t2ibench.datasets.landmarks import HOLISTIC_PARTS, Landmarker, Points, find_landmarker, photo_landmarks

WHITE, GREEN, BLUE = (255, 255, 255), (0, 255, 0), (0, 0, 255)
PICTURES = ("astronaut.png", "face.jpg")


def made(count: int, **at: tuple[float, float]) -> Points:
    """Points that are not seen, but for those given by number: ``p11=(x, y)``."""
    points = np.zeros((count, 3), np.float32)
    for name, place in at.items():
        points[int(name[1:])] = (*place, 1)
    return points


def colours(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.unique(picture.reshape(-1, 3), axis=0).tolist()}


BODY = made(33, p0=(50, 20), p11=(70, 40), p12=(30, 40), p13=(90, 60), p14=(10, 60), p23=(60, 80), p24=(40, 80))


def test_the_18_points_of_openpose() -> None:
    body = openpose_body(BODY)
    assert body.shape == (18, 3)
    assert body[0].tolist() == [50, 20, 1]
    assert body[1].tolist() == [50, 40, 1]  # the neck, between the shoulders
    assert body[2, :2].tolist() == [30, 40]  # right shoulder
    assert body[5, :2].tolist() == [70, 40]  # left shoulder
    assert body[8, :2].tolist() == [40, 80]  # right hip
    assert body[4, 2] == body[17, 2] == 0


def test_the_neck_needs_both_shoulders() -> None:
    assert openpose_body(made(33, p11=(70, 40)))[1, 2] == 0


def test_a_body_in_the_colours_of_openpose() -> None:
    picture = draw("pose", BODY, 100, 100)
    joints = openpose_body(BODY)
    for number, (x, y, seen) in enumerate(joints):
        if seen:
            assert tuple(picture[int(y), int(x)]) == COLOURS[number]
    between = (joints[1, :2] + joints[2, :2]) / 2
    assert tuple(picture[int(between[1]), int(between[0])]) == (153, 0, 0)  # neck to right shoulder: red at 60 %
    assert LIMBS[0] == (1, 2)
    assert not picture[0].any() and not picture[-1].any()


def test_joints_that_are_unseen_or_outside_are_not_drawn() -> None:
    points = BODY.copy()
    points[13, 2] = 0.4
    points[23, :2] = (60, 120)
    picture = draw("pose", points, 100, 100)
    found = colours(picture)
    assert COLOURS[6] not in found  # left elbow
    assert COLOURS[11] not in found  # left hip
    assert COLOURS[5] in found
    assert COLOURS[8] in found


def test_a_person_shows_the_parts_that_are_there() -> None:
    points = np.zeros((553, 3), np.float32)
    points[HOLISTIC_PARTS["pose"]] = BODY
    only_body = draw("holistic", points, 100, 100)
    assert np.array_equal(only_body, draw("pose", BODY, 100, 100))
    points[HOLISTIC_PARTS["left"]] = [(80 + n % 5 * 3, 85 + n // 5 * 3, 1) for n in range(21)]
    hands = draw("holistic", points, 100, 100)
    assert tuple(hands[85, 80]) == GREEN
    points[HOLISTIC_PARTS["right"]] = [(5 + n % 5 * 3, 85 + n // 5 * 3, 1) for n in range(21)]
    assert tuple(draw("holistic", points, 100, 100)[85, 5]) == BLUE


class Detected:
    """As a landmark of MediaPipe's."""

    def __init__(self, x: float, y: float, visibility: float | None = None) -> None:
        self.x, self.y, self.visibility = x, y, visibility


class StandIn(Landmarker):
    """Sees one point, in the middle of the square that it is shown."""

    kind = "stand-in"

    def _create(self, base: object) -> object:
        raise AssertionError

    @property
    def _task(self) -> object:  # type: ignore[override]
        return self

    def detect(self, picture: object) -> Points | None:
        return super().detect(picture) if isinstance(picture, np.ndarray) else picture  # type: ignore[return-value]

    def _points(self, result: object) -> Points | None:
        assert (result.width, result.height) == (80, 80)  # type: ignore[attr-defined]
        return np.array([[0.5, 0.25, 1]], np.float32)


def test_places_are_in_pixels_of_the_picture_however_long(tmp_path: Path) -> None:
    found = StandIn(tmp_path / "x").detect(np.zeros((40, 80, 3), np.uint8))
    assert found is not None and found.tolist() == [[40, 20, 1]]


def test_parts_that_holistic_does_not_see_are_not_there(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from t2ibench.datasets.landmarks import HolisticLandmarks

    nothing = SimpleNamespace(face_landmarks=[], pose_landmarks=[], left_hand_landmarks=[], right_hand_landmarks=[])
    landmarker = HolisticLandmarks(tmp_path / "x")
    assert landmarker._points(nothing) is None
    nothing.left_hand_landmarks = [Detected(0.5, 0.25)] * 21
    nothing.pose_landmarks = [Detected(0.1, 0.2, 0.3)] * 33
    points = landmarker._points(nothing)
    assert points is not None and points.shape == (553, 3)
    assert points[HOLISTIC_PARTS["left"]].tolist() == [[0.5, 0.25, 1]] * 21
    assert np.allclose(points[HOLISTIC_PARTS["pose"]], [0.1, 0.2, 0.3])
    assert not points[HOLISTIC_PARTS["face"]].any() and not points[HOLISTIC_PARTS["right"]].any()


@pytest.fixture
def photos() -> list[Path]:
    return [Path(os.environ["T2IBENCH_DATA"]) / "faces" / name for name in PICTURES]


@pytest.mark.data
@pytest.mark.parametrize("number", [0, 1])
def test_a_real_face(photos: list[Path], number: int) -> None:
    points = photo_landmarks(photos[number], 512, 512, find_landmarker("landmarks", WeightsFinder(offline=True)))
    assert points is not None and points.shape == (478, 3)
    x, y = points[:, 0], points[:, 1]
    assert (points[:, :2] > 0).all() and (points[:, :2] < 512).all()
    right_eye, left_eye, nose, mouth, chin = 33, 263, 1, 13, 152
    assert y[right_eye] < y[nose] < y[mouth] < y[chin] and y[left_eye] < y[nose]
    assert x[right_eye] < x[nose] < x[left_eye]  # the person's right is on the picture's left
    face = fit(load_rgb(photos[number]), 512, 512)[int(y[nose]), int(x[nose])].astype(int)
    assert face[0] > face[2]  # skin


@pytest.mark.data
@pytest.mark.parametrize("number", [0, 1])
def test_a_real_face_is_drawn_as_the_plugin_draws_it(photos: list[Path], number: int) -> None:
    weights = WeightsFinder(offline=True)
    condition = photo_condition(photos[number], "landmarks", 512, 512, weights)
    points = photo_landmarks(photos[number], 512, 512, find_landmarker("landmarks", weights))
    assert condition is not None and points is not None
    picture = condition.read()
    assert colours(picture) == {(0, 0, 0), WHITE, GREEN, BLUE}
    for point, colour in ((152, WHITE), (61, WHITE), (263, GREEN), (33, BLUE), (474, GREEN), (469, BLUE)):
        x, y = points[point, :2].astype(int)
        assert tuple(picture[y, x]) == colour
    nose = points[1, :2].astype(int)
    assert not picture[nose[1] - 3 : nose[1] + 4, nose[0] - 3 : nose[0] + 4].any()  # no dots, and no nose
    assert picture.any(axis=2).mean() < 0.02  # lines of one pixel


@pytest.mark.data
def test_a_real_body(photos: list[Path]) -> None:
    points = photo_landmarks(photos[0], 512, 512, find_landmarker("pose", WeightsFinder(offline=True)))
    assert points is not None and points.shape == (33, 3)
    nose, left_shoulder, right_shoulder = points[0], points[11], points[12]
    assert nose[1] < left_shoulder[1] and nose[1] < right_shoulder[1]
    assert right_shoulder[0] < nose[0] < left_shoulder[0]
    assert draw("pose", points, 512, 512)[int(nose[1]), int(nose[0])].tolist() == list(COLOURS[0])


@pytest.mark.data
def test_a_long_picture_shows_the_same_face(photos: list[Path]) -> None:
    landmarker = find_landmarker("landmarks", WeightsFinder(offline=True))
    picture = load_rgb(photos[0])
    square, wide = landmarker.detect(picture), landmarker.detect(np.pad(picture, ((0, 0), (0, 200), (0, 0))))
    assert square is not None and wide is not None
    assert np.abs(square - wide)[:, :2].max() < 6


@pytest.mark.data
def test_a_photo_without_a_face_has_no_condition() -> None:
    weights = WeightsFinder(offline=True)
    photo = Path(os.environ["T2IBENCH_DATA"]) / "kodak" / "01.png"
    assert photo_condition(photo, "landmarks", 512, 512, weights) is None


@pytest.mark.data
def test_mediapipe_logs_nothing(photos: list[Path], capfd: pytest.CaptureFixture[str]) -> None:
    from t2ibench.datasets.landmarks import FACE, FaceLandmarks

    landmarker = FaceLandmarks(WeightsFinder(offline=True).find(FACE).path)
    assert landmarker.detect(load_rgb(photos[1])) is not None
    assert capfd.readouterr().err == ""
    with pytest.raises(BenchError, match="cannot read"):
        FaceLandmarks(photos[1]).detect(load_rgb(photos[1]))


@pytest.mark.data
def test_a_process_that_looked_ends_quietly(photos: list[Path], tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from t2ibench.core.weights import WeightsFinder
from t2ibench.datasets.conditions import photo_condition
kept = photo_condition(Path(sys.argv[1]), "landmarks", 64, 64, WeightsFinder(offline=True))
print(kept is not None)
"""
    environment = {**os.environ, "T2IBENCH_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code, photos[1]], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("True\n", "")
