"""The jackknife of Fréchet distances: against the whole recomputation, and against what repeated samples do."""

import numpy as np
import pytest
from scipy.special import stdtrit

from t2ibench.metrics.features import FeatureSet, feature_set
from t2ibench.metrics.frechet import frechet, frechet_distance, gaussian, moments
from t2ibench.metrics.frechet_interval import GROUPS, group_labels, half_width, left_out_distances
from t2ibench.metrics.stats import jackknife_half_width

SPECTRUM = np.arange(1, 49) ** -0.7
"""Deviations of 48 features; those of networks fall off like this."""


def draw(seed: int, n: int, scale: float = 1.0, shift: float = 0.0) -> FeatureSet:
    return feature_set(np.random.default_rng(seed).normal(size=(n, len(SPECTRUM))) * SPECTRUM * scale + shift)


def recomputed(side: FeatureSet, other: FeatureSet) -> np.ndarray:
    """The distance with each group left out, from the pictures that remain."""
    labels = group_labels(side.n)
    kept = (gaussian(moments(side.rows[labels != group])) for group in range(GROUPS))
    return np.array([frechet_distance(one, other.gaussian) for one in kept]) - np.trace(other.gaussian.covariance)


@pytest.mark.parametrize("offset", [0.0, 50.0])
@pytest.mark.parametrize("m", [30, 400])
@pytest.mark.parametrize("n", [23, 40, 48])
def test_up_to_as_many_pictures_as_features_it_is_exact(n, m, offset):
    side, other = draw(1, n, shift=offset), draw(2, m, 1.1, offset + 0.05)
    np.testing.assert_allclose(left_out_distances(side, other), recomputed(side, other), rtol=1e-5)


@pytest.mark.parametrize(("n", "within"), [(120, 0.12), (240, 0.05), (960, 0.03)])
def test_above_the_first_order_form_agrees_with_the_whole_recomputation(n, within):
    side, other = draw(1, n), draw(2, 500, 1.1, 0.05)
    ours, full = left_out_distances(side, other), recomputed(side, other)
    assert np.std(ours) == pytest.approx(np.std(full), rel=within)
    assert np.corrcoef(ours, full)[0, 1] > 0.97
    np.testing.assert_allclose(ours, full, atol=0.05 * SPECTRUM @ SPECTRUM)


@pytest.mark.parametrize(("n", "low", "high"), [(36, 1.0, 1.7), (72, 0.95, 1.6), (120, 0.95, 1.5), (960, 0.85, 1.2)])
def test_it_is_as_wide_as_repeated_samples_vary_or_wider(n, low, high):
    """Conservative where pictures are few for their features, right where they are many."""
    pairs = [(draw(2 * i, n), draw(2 * i + 1, n, 1.1, 0.05)) for i in range(100)]
    deviation = np.std([frechet_distance(a.gaussian, b.gaussian) for a, b in pairs])
    said = np.mean([half_width(a, b) for a, b in pairs[:30]]) / stdtrit(GROUPS - 1, 0.975)
    assert low < said / deviation < high


def test_features_that_never_vary_change_nothing():
    side, other = draw(1, 200), draw(2, 200, 1.1)
    wide = [
        feature_set(np.concatenate([one.rows, np.zeros((200, 9)), one.rows[:, :3]], axis=1)) for one in (side, other)
    ]
    found = left_out_distances(*wide)
    np.testing.assert_allclose(np.std(found), np.std(recomputed(*wide)), rtol=0.05)


def test_a_statistics_file_counts_as_fixed():
    side, other = draw(1, 100), draw(2, 100, 1.1)
    fixed = FeatureSet(other.gaussian)
    assert half_width(side, fixed) == pytest.approx(jackknife_half_width(left_out_distances(side, other)))
    assert half_width(side, fixed) < half_width(side, other)


def test_the_estimate_holds_its_value_and_never_goes_below_zero():
    found = frechet(draw(1, 300), draw(2, 300))
    assert 0 <= found.interval[0] < found.value < found.interval[1]
    same = draw(1, 60)
    assert frechet(same, same).interval[0] == 0


def test_below_a_picture_per_group_there_is_none():
    assert half_width(draw(1, 19), draw(2, 100)) is None
    assert half_width(draw(1, 100), draw(2, 19)) is None


def test_groups_are_even_and_do_not_follow_the_order():
    labels = group_labels(1003)
    assert set(np.bincount(labels)) == {50, 51}
    assert abs(np.corrcoef(labels, np.arange(1003))[0, 1]) < 0.1
