"""Metrics of how well a picture keeps to its condition: edges, face landmarks, depth.

They take maps that were already extracted from the picture, by the same extractor as the condition; the metrics with a
key have them from the observers that were handed in (``Setup.observers``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .metric import CannotMeasure, Evidence, ImageMetric
from .pairwise import ssim
from .stats import share_interval

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MEDIAPIPE_EYES = (33, 263)
"""The outer corners of the eyes among MediaPipe's 478 face landmarks."""


class EdgeScore(NamedTuple):
    """How two edge maps agree, each in [0, 1]."""

    f1: float
    precision: float
    """Share of the edge pixels found that lie near a wanted one."""
    recall: float
    """Share of the wanted edge pixels that lie near one found."""


class LandmarkError(NamedTuple):
    """Two numbers that belong together: the error says nothing of the faces that were not found."""

    error: float | None
    """Mean over the faces found, in distances between the eyes; None where none was found."""
    detection_rate: float
    """Share of the faces that were found, in [0, 1]."""
    faces: int
    """Of the condition, found or missed."""


def edge_f1(edges: Mask, wanted: Mask, tolerance: float | None = None) -> EdgeScore:
    """Return how well edge maps (H, W) agree, an edge pixel being right within ``tolerance`` pixels; higher is better.

    F₁ = 2PR / (P + R), precision P and recall R by distance to the nearest edge pixel of the other map (Martin,
    Fowlkes, Malik, "Learning to detect natural image boundaries", PAMI 26(5), 2004, without one-to-one matching). The
    tolerance is ``edge_tolerance`` unless given. Two empty maps agree (1); one empty map scores 0. Raises CannotMeasure
    where the sizes differ.
    """
    _same_size(edges, wanted)
    if not edges.any() and not wanted.any():
        return EdgeScore(1.0, 1.0, 1.0)
    reach = edge_tolerance(*edges.shape) if tolerance is None else tolerance
    precision, recall = _share_near(edges, wanted, reach), _share_near(wanted, edges, reach)
    total = precision + recall
    return EdgeScore(2 * precision * recall / total if total else 0.0, precision, recall)


def edge_tolerance(height: int, width: int) -> float:
    """Return how many pixels an edge may be off: 1 at 64×64, 4 at 512×512, (√(H·W) / 64)^⅔ between and beyond."""
    return float((np.sqrt(height * width) / 64) ** (2 / 3))


def edge_ssim(edges: Mask, wanted: Mask) -> float:
    """Return SSIM of two edge maps (H, W) as black and white pictures, in [-1, 1]; higher is better.

    Wang et al., "Image Quality Assessment", IEEE TIP 13(4), 2004. Raises CannotMeasure where the sizes differ,
    BenchError below 11 pixels.
    """
    _same_size(edges, wanted)
    return ssim(_as_picture(edges), _as_picture(wanted))


def landmark_error(
    found: Sequence[Floats | None], wanted: Sequence[Floats], eyes: tuple[int, int] = MEDIAPIPE_EYES
) -> LandmarkError:
    """Return the normalised mean error of face landmarks with the rate of detection; lower and higher is better.

    NME = mean over points of |p - q| / |q_left eye - q_right eye|, then the mean over faces (Sagonas et al., "300 Faces
    in-the-Wild Challenge", ICCV Workshops 2013). ``found`` holds the points (k, 2) in pixels for each wanted face, None
    where no face was found; ``eyes`` are two points of the k. Raises CannotMeasure without a wanted face, or where the
    numbers of points differ.
    """
    if not wanted:
        raise CannotMeasure("no face to be found in the conditions")
    errors = [_face_error(own, other, eyes) for own, other in zip(found, wanted, strict=True) if own is not None]
    return LandmarkError(float(np.mean(errors)) if errors else None, len(errors) / len(wanted), len(wanted))


def depth_rmse(depth: Floats, wanted: Floats) -> float:
    """Return the root mean squared error of depth (H, W) after the best scale and shift, in the units of ``wanted``.

    min over s, t of √(mean (s·d + t - d*)²): depth networks leave scale and shift open. Ranftl et al., "Towards Robust
    Monocular Depth Estimation: Mixing Datasets for Zero-shot Cross-dataset Transfer", PAMI 44(3), 2022. Lower is
    better. Of drawn scenes the depth is what a reader of their pixels finds, on the levels asked for (guide.md,
    "Control in the mini world"). Raises CannotMeasure where the sizes differ or a value is not finite.
    """
    _same_size(depth, wanted)
    if not (np.isfinite(depth).all() and np.isfinite(wanted).all()):
        raise CannotMeasure("depth maps hold NaN or infinite values")
    x, y = (side.astype(np.float64) - side.mean(dtype=np.float64) for side in (depth, wanted))
    variance = float(np.mean(x * x))
    scale = float(np.mean(x * y)) / variance if variance else 0.0
    return float(np.sqrt(np.mean((scale * x - y) ** 2)))


def _share_near(edges: Mask, others: Mask, reach: float) -> float:
    """Share of the pixels of ``edges`` with one of ``others`` within ``reach``; 0 where either is empty."""
    from scipy.ndimage import distance_transform_edt

    if not edges.any() or not others.any():
        return 0.0
    distances = distance_transform_edt(~others.astype(bool))
    # A hair more than the tolerance, which is no exact number where it is 4.
    return float(np.mean(distances[edges.astype(bool)] <= reach + 1e-9))


def _face_error(found: Floats, wanted: Floats, eyes: tuple[int, int]) -> float:
    if found.shape != wanted.shape:
        raise CannotMeasure(f"landmarks of unlike shape: {found.shape} and {wanted.shape}")
    left, right = eyes
    between = float(np.linalg.norm(wanted[left] - wanted[right]))
    if not between:
        raise CannotMeasure("both eyes of a wanted face are at one point")
    return float(np.linalg.norm(found - wanted, axis=1).mean()) / between


def _as_picture(edges: Mask) -> NDArray[np.uint8]:
    return edges[..., None].astype(np.uint8) * np.uint8(255)


def _same_size(a: NDArray[np.generic], b: NDArray[np.generic]) -> None:
    if a.shape != b.shape or a.ndim != 2:
        raise CannotMeasure(f"maps must be (H, W) of one size, not {a.shape} and {b.shape}")


def edge_f1_scores(evidence: Evidence) -> list[float]:
    """Return ``edge_f1`` of the edges of each picture with those asked for."""
    return [edge_f1(*pair).f1 for pair in zip(evidence.seen["canny"], evidence.asked["canny"], strict=True)]


def landmark_errors(evidence: Evidence) -> list[float]:
    """Return ``landmark_error`` of each picture; NaN where no face is found, which the mean leaves out."""
    pairs = zip(evidence.seen["landmarks"], evidence.asked["landmarks"], strict=True)
    return [np.nan if seen is None else _face_error(seen, asked, _eyes_of(asked)) for seen, asked in pairs]


def faces_found(evidence: Evidence) -> list[float]:
    """Return 1 for each picture with a face where one was asked for, else 0: the rate of detection."""
    return [float(seen is not None) for seen in evidence.seen["landmarks"]]


def depth_errors(evidence: Evidence) -> list[float]:
    """Return ``depth_rmse`` of the depth of each picture with that asked for."""
    return [depth_rmse(*pair) for pair in zip(evidence.seen["depth"], evidence.asked["depth"], strict=True)]


def _eyes_of(points: Floats) -> tuple[int, int]:
    """Return which two of the points (k, 2) tell the distance of the eyes: MediaPipe's, else the first two."""
    return MEDIAPIPE_EYES if len(points) > max(MEDIAPIPE_EYES) else (0, 1)


EDGE_F1 = ImageMetric("edge_f1", higher_is_better=True, digits=3, needs=("canny",), scores=edge_f1_scores)
LANDMARK_ERROR = ImageMetric(
    "landmark_error",
    higher_is_better=False,
    digits=3,
    unit="eye distances",
    needs=("landmarks",),
    left_out="without a face that could be found",
    scores=landmark_errors,
)
FACE_DETECTION = ImageMetric(
    "face_detection",
    higher_is_better=True,
    digits=3,
    needs=("landmarks",),
    scores=faces_found,
    interval=share_interval,
)
DEPTH_RMSE = ImageMetric("depth_rmse", higher_is_better=False, digits=4, needs=("depth",), scores=depth_errors)
