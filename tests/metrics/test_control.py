"""Metrics of control: extremes, tolerances, misses."""

import numpy as np
import pytest

from t2ibench.metrics.control import depth_rmse, edge_f1, edge_ssim, edge_tolerance, landmark_error
from t2ibench.metrics.metric import CannotMeasure


def line(column: int, side: int = 64) -> np.ndarray:
    edges = np.zeros((side, side), bool)
    edges[:, column] = True
    return edges


def test_the_tolerance_is_1_pixel_at_64_and_4_at_512():
    assert edge_tolerance(64, 64) == pytest.approx(1)
    assert edge_tolerance(512, 512) == pytest.approx(4)
    assert edge_tolerance(256, 1024) == pytest.approx(4)
    assert edge_tolerance(64, 64) < edge_tolerance(256, 256) < edge_tolerance(512, 512)


@pytest.mark.parametrize(("side", "near"), [(64, 1), (512, 4)])
def test_edges_within_the_tolerance_are_right_and_beyond_it_wrong(side, near):
    assert edge_f1(line(20, side), line(20, side)).f1 == 1
    assert edge_f1(line(20, side), line(20 + near, side)).f1 == 1
    assert edge_f1(line(20, side), line(21 + near, side)).f1 == 0


def test_precision_falls_with_false_edges_and_recall_with_missed_ones():
    assert edge_f1(line(20) | line(40), line(20)) == pytest.approx((2 / 3, 0.5, 1))
    assert edge_f1(line(20), line(20) | line(40)) == pytest.approx((2 / 3, 1, 0.5))
    assert edge_f1(line(20), line(30), tolerance=10).f1 == 1


def test_maps_without_edges():
    empty = np.zeros((64, 64), bool)
    assert edge_f1(empty, empty).f1 == 1
    assert edge_f1(empty, line(3)) == edge_f1(line(3), empty) == (0, 0, 0)


def test_ssim_of_edges():
    assert edge_ssim(line(20), line(20)) == pytest.approx(1)
    assert edge_ssim(line(20), line(22)) < edge_ssim(line(20), line(21)) < 1


FACE = np.array([[10.0, 20.0], [50.0, 20.0], [30.0, 50.0]])
"""Two eyes, 40 pixels apart, and a mouth."""
RIGHT = FACE + np.array([4, 0])


def test_landmarks_are_measured_in_distances_between_the_eyes():
    found = landmark_error([RIGHT, FACE + np.array([0, 8])], [FACE, FACE], eyes=(0, 1))
    assert found == (pytest.approx((0.1 + 0.2) / 2), 1, 2)


def test_faces_that_were_missed_stay_in_the_detection_rate():
    found = landmark_error([RIGHT, None, None, RIGHT], [FACE] * 4, eyes=(0, 1))
    assert found == (pytest.approx(0.1), 0.5, 4)
    assert landmark_error([None, None], [FACE] * 2, eyes=(0, 1)) == (None, 0, 2)


@pytest.mark.parametrize(
    ("found", "wanted", "message"),
    [
        ([], [], "no face"),
        ([FACE[:2]], [FACE], "unlike shape"),
        ([FACE], [np.ones((3, 2))], "at one point"),
    ],
)
def test_landmarks_that_cannot_be_compared(found, wanted, message):
    with pytest.raises(CannotMeasure, match=message):
        landmark_error(found, wanted, eyes=(0, 1))


def test_depth_is_compared_after_the_best_scale_and_shift():
    random = np.random.default_rng(3)
    depth, noise = random.normal(size=(2, 20, 30))
    assert depth_rmse(depth, 5 * depth - 3) == pytest.approx(0, abs=1e-12)
    wanted = 2 * depth + noise
    design = np.stack([depth.ravel(), np.ones(depth.size)], 1)
    residual = np.linalg.lstsq(design, wanted.ravel(), rcond=None)[1][0]
    assert depth_rmse(depth, wanted) == pytest.approx((residual / depth.size) ** 0.5, rel=1e-12)
    assert depth_rmse(np.full((20, 30), 7.0), wanted) == pytest.approx(wanted.std())


@pytest.mark.parametrize(
    ("depth", "message"), [(np.ones((2, 3)), "of one size"), (np.full((3, 3), np.inf), "NaN or infinite")]
)
def test_depth_that_cannot_be_compared(depth, message):
    with pytest.raises(CannotMeasure, match=message):
        depth_rmse(depth, np.ones((3, 3)))
