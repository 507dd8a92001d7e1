"""Intra-LPIPS of panoramas."""

import numpy as np
import pytest

from t2ibench.metrics.metric import CannotMeasure
from t2ibench.metrics.panorama import intra_lpips, square_crops


def difference(pictures, targets):
    return [float(np.abs(a.astype(float) - b).mean()) for a, b in zip(pictures, targets, strict=True)]


def grey(*values: int) -> list[np.ndarray]:
    return [np.full((8, 8, 3), value, np.uint8) for value in values]


def test_it_is_the_mean_over_all_pairs_of_crops():
    assert intra_lpips(grey(0, 10, 40), difference) == pytest.approx((10 + 40 + 30) / 3)
    assert intra_lpips(grey(7, 7), difference) == 0
    with pytest.raises(CannotMeasure, match="at least 2 crops"):
        intra_lpips(grey(7), difference)


def test_crops_are_squares_side_by_side():
    wide = np.concatenate([*grey(1, 2, 3), np.zeros((8, 5, 3), np.uint8)], axis=1)
    for panorama in (wide, wide.transpose(1, 0, 2)):
        crops = square_crops(panorama)
        assert [(crop.shape, int(crop.mean())) for crop in crops] == [((8, 8, 3), value) for value in (1, 2, 3)]
