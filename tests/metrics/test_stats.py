"""Intervals against scipy, and how often they hold the truth."""

import numpy as np
import pytest
import scipy.stats

from t2ibench.metrics.stats import (
    jackknife_half_width,
    mean_interval,
    median_interval,
    proportion_interval,
    skewed_mean_interval,
)


def test_equals_scipys_t_interval():
    values = np.random.default_rng(1).normal(3, 2, 12)
    expected = scipy.stats.t.interval(0.95, 11, loc=values.mean(), scale=scipy.stats.sem(values))
    assert mean_interval(list(values)) == pytest.approx(expected, rel=1e-12)


def test_covers_the_true_mean_as_often_as_it_says():
    draws = np.random.default_rng(2).normal(0, 1, (2000, 6))
    intervals = [mean_interval(list(row)) for row in draws]
    assert np.mean([low < 0 < high for low, high in intervals]) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("interval", [mean_interval, skewed_mean_interval])
def test_one_value_has_no_interval(interval):
    assert interval([1.0]) is None
    assert interval([]) is None


@pytest.mark.parametrize(("draw", "mean"), [
    (lambda random: random.lognormal(0, 1.5, 128), np.exp(1.5**2 / 2)),
    (lambda random: (random.random(128) < 0.05) * random.lognormal(0, 0.5, 128), 0.05 * np.exp(0.5**2 / 2)),
])  # fmt: skip
def test_of_skewed_values_far_fewer_intervals_end_below_the_true_mean_and_begin_nearer_to_it(draw, mean):
    random = np.random.default_rng(4)
    draws = [draw(random) for _ in range(1000)]
    (starts, ends), (lows, highs) = (np.transpose([interval(row) for row in draws])
                                     for interval in (mean_interval, skewed_mean_interval))  # fmt: skip
    assert (highs < mean).mean() < 0.75 * (ends < mean).mean()
    assert (starts > mean).mean() < (lows > mean).mean() < 0.03
    assert (lows > 0).mean() > (starts > 0).mean()


def test_without_skew_to_the_right_it_is_students_interval():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    assert skewed_mean_interval(-values) == mean_interval(-values)
    assert skewed_mean_interval(np.ones(5)) == (1, 1)
    assert all(moved > end for moved, end in zip(skewed_mean_interval(values), mean_interval(values), strict=True))


def test_the_interval_of_a_median_is_the_one_of_the_tables():
    values = np.random.default_rng(8).permutation(10.0 ** np.arange(10))
    assert median_interval(values) == (10, 1e8)  # the second from either end
    assert median_interval(values, 0.98) == (1, 1e9)
    assert median_interval(values[:6]) == (values[:6].min(), values[:6].max())
    assert median_interval(values[:5]) is None
    assert median_interval(values, 0.9999) is None


@pytest.mark.parametrize("n", [9, 64, 129])
def test_it_holds_the_median_at_least_as_often_as_it_says_however_skewed(n):
    draws = np.random.default_rng(9).lognormal(0, 3, (2000, n))
    held = np.mean([low <= 1 <= high for low, high in map(median_interval, draws)])
    assert 0.94 < held < 0.99


def test_proportions_equal_scipys_wilson_interval():
    for hits, n in [(0, 20), (3, 20), (20, 20), (512, 1000)]:
        expected = scipy.stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
        assert proportion_interval(hits / n, n) == pytest.approx(tuple(expected), abs=1e-12)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(3).normal(0, 2, 400)
    left_out = [np.delete(values, i).mean() for i in range(400)]
    low, high = mean_interval(values)
    assert jackknife_half_width(left_out) == pytest.approx((high - low) / 2, rel=1e-9)


def test_independent_samples_add_their_variances():
    one, other = np.random.default_rng(4).normal(0, (1, 3), (20, 2)).T
    both = jackknife_half_width(one, other + 1000)  # a constant drops out
    assert both**2 == pytest.approx(jackknife_half_width(one) ** 2 + jackknife_half_width(other) ** 2)


def test_the_jackknife_of_a_difference_covers_as_often_as_it_says():
    random, hits = np.random.default_rng(5), 0
    for _ in range(400):
        a, b = random.normal(1, 1, (20, 5)), random.normal(0, 2, (20, 5))
        rest = [[np.delete(side, g, axis=0).mean() for g in range(20)] for side in (a, b)]
        hits += abs(a.mean() - b.mean() - 1) < jackknife_half_width(*rest)
    assert hits / 400 == pytest.approx(0.95, abs=0.03)
