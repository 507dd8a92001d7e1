"""Intra-LPIPS and seams of panoramas."""

import numpy as np
import pytest

from t2ibench.metrics.engine import Engine
from t2ibench.metrics.metric import CannotMeasure
from t2ibench.metrics.panorama import intra_lpips, seam_ratio, square_crops, wrap_seam_ratio
from t2ibench.metrics.setup import Setup


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


def ramp(width: int, height: int = 8) -> np.ndarray:
    """Brighter by 2 from column to column."""
    return np.broadcast_to(2 * np.arange(width, dtype=np.uint8)[None, :, None], (height, width, 3)).copy()


def test_a_seam_is_as_steep_as_it_is_over_how_steep_it_is_elsewhere():
    seamless = ramp(32)
    assert seam_ratio(seamless) == 1
    stepped = seamless.copy()
    stepped[:, 8:] += 6  # 8 at the first of three seams
    for panorama in (stepped, stepped.transpose(1, 0, 2)):
        assert seam_ratio(panorama) == pytest.approx((8 + 2 + 2) / 3 / 2)
    elsewhere = seamless.copy()
    elsewhere[:, 12:] += 6
    assert seam_ratio(elsewhere) < 1


def test_the_ends_meet_where_the_picture_goes_on_in_itself():
    ramped = ramp(32)
    assert wrap_seam_ratio(ramped) == pytest.approx(62 / 2)
    around = np.concatenate([ramped[:, 8:24], ramped[:, 24:8:-1]], axis=1)
    assert wrap_seam_ratio(around) == 1
    assert wrap_seam_ratio(ramped.transpose(1, 0, 2)) == wrap_seam_ratio(ramped)
    around[:, 16:] = 255 - around[:, 16:]  # steeper elsewhere
    assert wrap_seam_ratio(np.roll(around, 5, axis=1)) == 1


def test_flat_panoramas_have_no_seam_or_nothing_else():
    flat = np.concatenate(grey(5, 5, 5), axis=1)
    assert seam_ratio(flat) == wrap_seam_ratio(flat) == 1
    assert seam_ratio(np.concatenate(grey(5, 6, 6), axis=1)) == np.inf


def test_a_picture_without_two_squares_has_no_seams():
    for measure in (seam_ratio, wrap_seam_ratio):
        with pytest.raises(CannotMeasure, match="15×8 has no two squares"):
            measure(ramp(15))


def test_each_panorama_is_measured(sample):
    seamless = ramp(32)
    stepped = seamless.copy()
    stepped[:, 8:] += 6
    found = Engine(Setup()).measure([sample("a", seamless), sample("b", stepped)], ["seam_ratio", "wrap_seam_ratio"])
    assert found["seam_ratio"].per_image == {"a": 1, "b": 2}
    assert found["seam_ratio"].value == 1.5
    assert found["wrap_seam_ratio"].n == 2
