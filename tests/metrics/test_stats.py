"""Intervals of means against scipy, and their coverage."""

import numpy as np
import pytest
import scipy.stats

from t2ibench.metrics.stats import mean_interval


def test_equals_scipys_t_interval():
    values = np.random.default_rng(1).normal(3, 2, 12)
    expected = scipy.stats.t.interval(0.95, 11, loc=values.mean(), scale=scipy.stats.sem(values))
    assert mean_interval(list(values)) == pytest.approx(expected, rel=1e-12)


def test_covers_the_true_mean_as_often_as_it_says():
    draws = np.random.default_rng(2).normal(0, 1, (2000, 6))
    intervals = [mean_interval(list(row)) for row in draws]
    assert np.mean([low < 0 < high for low, high in intervals]) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_interval():
    assert mean_interval([1.0]) is None
    assert mean_interval([]) is None
