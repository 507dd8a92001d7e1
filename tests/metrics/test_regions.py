"""Overlap of regions."""

import numpy as np
import pytest

from t2ibench.metrics.metric import CannotMeasure
from t2ibench.metrics.regions import region_iou


def columns(*ranges: tuple[int, int]) -> np.ndarray:
    masks = np.zeros((len(ranges), 4, 10), bool)
    for mask, (start, stop) in zip(masks, ranges, strict=True):
        mask[:, start:stop] = True
    return masks


def test_each_region_and_their_mean():
    found = region_iou(columns((0, 4), (6, 6), (2, 6)), columns((0, 4), (5, 10), (4, 8)))
    assert found.regions == pytest.approx((1, 0, 1 / 3))
    assert found.mean == pytest.approx(4 / 9)


@pytest.mark.parametrize(
    ("found", "wanted", "message"),
    [
        (columns((0, 4)), columns((0, 4), (5, 6)), "on both sides"),
        (columns((0, 4))[0], columns((0, 4))[0], "on both sides"),
        (columns(), columns(), "on both sides"),
        (columns((0, 4)), columns((3, 3)), "empty"),
    ],
)
def test_masks_that_cannot_be_compared(found, wanted, message):
    with pytest.raises(CannotMeasure, match=message):
        region_iou(found, wanted)
