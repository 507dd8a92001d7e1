"""Metrics of panoramas: do their parts look as if they belonged to one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .metric import CannotMeasure, Evidence, ImageMetric
from .transforms import Picture

Distances = Callable[[Sequence[Picture], Sequence[Picture]], Sequence[float] | NDArray[np.float64]]
"""The distance of each pair of pictures, as ``extractors.lpips`` gives it."""


def intra_lpips(crops: Sequence[Picture], distances: Distances) -> float:
    """Return the mean LPIPS over all pairs of crops of one panorama, at least 0; lower where they look alike.

    Lee et al., "SyncDiffusion: Coherent Montage via Synchronized Joint Diffusions", NeurIPS 2023, over
    crops that do not overlap (``square_crops``). Raises CannotMeasure for fewer than two crops.
    """
    if len(crops) < 2:
        raise CannotMeasure(f"Intra-LPIPS needs at least 2 crops of a panorama, not {len(crops)}")
    first, second = zip(*combinations(crops, 2), strict=True)
    return float(np.mean(distances(list(first), list(second))))


def square_crops(panorama: Picture) -> list[Picture]:
    """Return the squares side by side along the longer side of a panorama; what is left over at its end is out."""
    height, width = panorama.shape[:2]
    side = min(height, width)
    if width >= height:
        return [panorama[:, left : left + side] for left in range(0, width - side + 1, side)]
    return [panorama[top : top + side] for top in range(0, height - side + 1, side)]


def seam_ratio(panorama: Picture) -> float:
    """Return how steep a panorama is where its squares meet, over how steep it is elsewhere; at least 0, 1 is seamless.

    Steepness is the mean over pixels and colours of |I(x + 1) - I(x)| along the longer side, the squares being those of
    ``square_crops``: where tiles that know nothing of each other stand side by side. Lower is better. Raises
    CannotMeasure for fewer than two squares; infinite where it is flat elsewhere and not there.
    """
    side, steps = _steps(panorama)
    seams = np.arange(side, len(steps) + 1, side) - 1
    return _over(float(steps[seams].mean()), np.delete(steps, seams))


def wrap_seam_ratio(panorama: Picture) -> float:
    """Return how steep a panorama is from its end to its beginning, over how steep it is right beside; at least 0.

    As ``seam_ratio``, of the picture put behind itself: 1 on average where it goes on in itself, whatever lies there.
    Elsewhere is the step before and the one after, as one line alone is steep where an object happens to end.
    """
    along = _along(panorama)
    before, over, after = abs(np.diff(np.concatenate([along[-2:], along[:2]]), axis=0)).mean((1, 2))
    return _over(float(over), np.array([before, after]))


def _along(panorama: Picture) -> NDArray[np.float64]:
    """The panorama with its longer side first."""
    height, width = panorama.shape[:2]
    if max(height, width) < 2 * min(height, width):
        raise CannotMeasure(f"a picture of {width}×{height} has no two squares side by side")
    return (panorama.swapaxes(0, 1) if width >= height else panorama).astype(np.float64)


def _steps(panorama: Picture) -> tuple[int, NDArray[np.float64]]:
    """The side of the squares, and the mean difference of each line across the longer side from the one before."""
    along = _along(panorama)
    return along.shape[1], abs(np.diff(along, axis=0)).mean((1, 2))


def _over(there: float, elsewhere: NDArray[np.float64]) -> float:
    usual = float(elsewhere.mean())
    return there / usual if usual else np.inf if there else 1.0


def seam_ratios(evidence: Evidence) -> list[float]:
    """Return ``seam_ratio`` of each picture."""
    return [seam_ratio(picture) for picture in evidence.pictures]


def wrap_seam_ratios(evidence: Evidence) -> list[float]:
    """Return ``wrap_seam_ratio`` of each picture."""
    return [wrap_seam_ratio(picture) for picture in evidence.pictures]


def intra_lpips_scores(evidence: Evidence) -> list[float]:
    """Return ``intra_lpips`` over the squares side by side in each picture."""
    return [intra_lpips(square_crops(picture), evidence.network.distances) for picture in evidence.pictures]


INTRA_LPIPS = ImageMetric(
    "intra_lpips", higher_is_better=False, digits=4, network="lpips", protocol="squares", scores=intra_lpips_scores
)

SEAM_RATIO = ImageMetric(
    "seam_ratio", higher_is_better=False, digits=3, left_out="flat but for their seams", scores=seam_ratios
)
WRAP_SEAM_RATIO = ImageMetric(
    "wrap_seam_ratio", higher_is_better=False, digits=3, left_out="flat but for their ends", scores=wrap_seam_ratios
)
