"""Metrics of regional prompts: is each thing where its mask asks for it, by a segmenter that the caller ran."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .metric import CannotMeasure, Evidence, ImageMetric


class RegionOverlap(NamedTuple):
    """Intersection over union of the regions of one picture."""

    regions: tuple[float, ...]
    """Of each region, in [0, 1]."""
    mean: float


def region_iou(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> RegionOverlap:
    """Return |F ∩ W| / |F ∪ W| of each region and its mean, in [0, 1]; higher is better.

    ``found`` and ``wanted`` are masks (regions, H, W); a region of which nothing was found scores 0. Everingham et al.,
    "The Pascal Visual Object Classes Challenge", IJCV 88, 2010, as Bar-Tal et al., "MultiDiffusion", ICML 2023, take it
    of segmented outputs. Raises CannotMeasure where the shapes differ or a wanted region is empty.
    """
    if found.shape != wanted.shape or found.ndim != 3 or not len(wanted):
        raise CannotMeasure(f"masks must be (regions, H, W) on both sides, not {found.shape} and {wanted.shape}")
    if not wanted.any(axis=(1, 2)).all():
        raise CannotMeasure("a wanted region is empty")
    both = np.logical_and(found, wanted).sum(axis=(1, 2))
    either = np.logical_or(found, wanted).sum(axis=(1, 2))
    scores = both / either
    return RegionOverlap(tuple(float(score) for score in scores), float(scores.mean()))


def region_ious(evidence: Evidence) -> list[float]:
    """Return the mean ``region_iou`` of each picture."""
    return [region_iou(*pair).mean for pair in zip(evidence.seen["regions"], evidence.asked["regions"], strict=True)]


def object_ious(evidence: Evidence) -> list[float]:
    """Return the mean ``region_iou`` of each picture over the things asked for, of what bears their names alone.

    A thing that is there under another name, or nowhere, scores 0: of drawn scenes, one of another shape or colour.
    """
    pairs = zip(evidence.seen["objects"], evidence.asked["objects"], strict=True)
    return [region_iou(seen, asked["mask"]).mean for seen, asked in pairs]


OBJECT_IOU = ImageMetric("object_iou", higher_is_better=True, digits=3, needs=("objects",), scores=object_ious)
REGION_IOU = ImageMetric("region_iou", higher_is_better=True, digits=3, needs=("regions",), scores=region_ious)
