"""Drift: how far pictures have moved from those of another device."""

import numpy as np
import pytest

from t2ibench.metrics import METRICS
from t2ibench.metrics.drift import feature_drifts, picture_drifts
from t2ibench.metrics.features import feature_set
from t2ibench.metrics.metric import CannotMeasure, Evidence

RANDOM = np.random.default_rng(0)


def test_the_drift_of_a_picture_is_a_mean_difference_in_levels():
    dark, light = np.zeros((2, 4, 3), np.uint8), np.full((2, 4, 3), 255, np.uint8)
    half = dark.copy()
    half[:, :2] = 6
    evidence = Evidence(pictures=[dark, light, half], targets=[dark, dark, dark])
    assert picture_drifts(evidence) == [0, 255, 3]


def test_the_drift_of_features_is_that_of_pairs():
    base, noise = RANDOM.normal(size=(40, 8)), RANDOM.normal(size=(40, 8))
    found = feature_drifts(feature_set(base + 0.1 * noise), feature_set(base))
    apart = 2 * base.var(axis=0, ddof=1).sum()
    assert found.value == pytest.approx(0.01 * (noise**2).sum(axis=1).mean() / apart, rel=1e-4)
    assert found.interval and found.interval[0] < found.value < found.interval[1]
    turned = feature_drifts(feature_set(base[::-1].copy()), feature_set(base))
    assert turned.value == pytest.approx(1, abs=0.1)  # the same set, and every picture another one
    with pytest.raises(CannotMeasure, match="all alike"):
        feature_drifts(feature_set(base), feature_set(np.ones((40, 8))))


def test_less_drift_is_better_and_targets_are_needed():
    for name in ("picture_drift", "mini_drift", "inception_drift"):
        metric = METRICS.get(name)
        assert (metric.higher_is_better, metric.needs) == (False, ("target",))
