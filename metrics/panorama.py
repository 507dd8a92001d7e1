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


def intra_lpips_scores(evidence: Evidence) -> list[float]:
    """Return ``intra_lpips`` over the squares side by side in each picture."""
    return [intra_lpips(square_crops(picture), evidence.network.distances) for picture in evidence.pictures]


INTRA_LPIPS = ImageMetric(
    "intra_lpips", higher_is_better=False, digits=4, network="lpips", protocol="squares", scores=intra_lpips_scores
)
