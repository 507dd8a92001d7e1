"""FID∞: the line, its end, and how far it lies from the truth."""

import numpy as np
import pytest

from t2ibench.metrics.features import FeatureSet, feature_set
from t2ibench.metrics.fid_infinity import fid_infinity, fit
from t2ibench.metrics.frechet import Gaussian, frechet_distance
from t2ibench.metrics.metric import CannotMeasure

SPECTRUM = np.arange(1, 33) ** -0.7
TRUE = Gaussian(np.full(32, 0.05), np.diag((1.1 * SPECTRUM) ** 2))
"""Against features of deviations SPECTRUM around 0, at a distance that is known."""
DISTANCE = 32 * 0.05**2 + 0.01 * SPECTRUM @ SPECTRUM


def draw(seed: int, n: int) -> FeatureSet:
    return feature_set(np.random.default_rng(seed).normal(size=(n, 32)) * SPECTRUM)


def test_a_line_is_read_off_at_its_end():
    sizes = (500, 700, 1000)
    line = fit(sizes)
    assert line.weights.sum() == pytest.approx(1)
    assert line.weights @ (3 + 70 / np.array(sizes)) == pytest.approx(3)


def test_its_spread_is_that_of_a_mean_over_nested_parts():
    line = fit((50, 80, 100))
    draws = np.random.default_rng(1).normal(size=(20_000, 100))
    means = np.stack([draws[:, :size].mean(axis=1) for size in line.sizes], axis=1)
    assert line.spread == pytest.approx(np.std(means @ line.weights) * np.sqrt(100), rel=0.02)


def test_it_is_nearer_the_truth_than_the_distance_and_as_uncertain_as_it_says():
    sides = [draw(seed, 160) for seed in range(60)]
    found = [fid_infinity(side, FeatureSet(TRUE)) for side in sides]
    values = np.array([one.value for one in found])
    biased = np.mean([frechet_distance(side.gaussian, TRUE) for side in sides]) - DISTANCE
    assert abs(values.mean() - DISTANCE) < biased / 4
    half = np.mean([one.interval[1] - one.value for one in found])
    assert half / 2.093 == pytest.approx(values.std(), rel=0.35)


def test_what_cannot_be_measured():
    with pytest.raises(CannotMeasure, match="more pictures than the 32 features"):
        fid_infinity(draw(1, 32), FeatureSet(TRUE))
