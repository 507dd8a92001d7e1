"""Precision, recall, density, coverage against their definitions; torch-fidelity's are rows of docs/parity.md."""

import numpy as np
import pytest

from parity_features import scattered as draw
from t2ibench.metrics import manifold
from t2ibench.metrics.features import FeatureSet, feature_set
from t2ibench.metrics.frechet import gaussian, moments
from t2ibench.metrics.manifold import coverage, density, precision, recall
from t2ibench.metrics.metric import CannotMeasure


def test_precision_and_recall_are_not_swapped():
    real, narrow = draw(1, 300), draw(2, 300, spread=0.3)
    assert precision(feature_set(narrow), feature_set(real)).value > 0.9
    assert recall(feature_set(narrow), feature_set(real)).value < 0.3


def test_density_and_coverage_are_naeems():
    generated, real = draw(3, 90, shift=0.4), draw(4, 70)
    own = np.sort(np.linalg.norm(real[:, None] - real[None], axis=2), axis=1)[:, 5]
    within = np.linalg.norm(real[:, None] - generated[None], axis=2) <= own[:, None]
    sides = feature_set(generated), feature_set(real)
    assert density(*sides).value == pytest.approx(within.sum(axis=0).mean() / 5)
    assert coverage(*sides).value == pytest.approx(within.any(axis=1).mean())


def test_a_set_and_itself_are_within_each_other():
    same = feature_set(draw(5, 60, shift=1e3))
    assert [share(same, same).value for share in (precision, recall, coverage)] == [1, 1, 1]
    assert precision(same, same).interval[0] < 0.95  # 60 hits of 60 do not prove that all would hit


def test_blocks_change_nothing(monkeypatch):
    sides = feature_set(draw(6, 90, shift=0.3)), feature_set(draw(7, 110))
    whole = manifold.manifolds.__wrapped__(*sides)
    monkeypatch.setattr(manifold, "_ROWS", 16)
    for one, other in zip(whole, manifold.manifolds.__wrapped__(*sides), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("share", [precision, recall, density, coverage])
def test_intervals_hold_the_value(share):
    found = share(feature_set(draw(8, 100, shift=0.5)), feature_set(draw(9, 120)))
    assert found.interval[0] < found.value < found.interval[1]


def test_what_cannot_be_measured():
    few, many, file = feature_set(draw(1, 5)), feature_set(draw(1, 9)), FeatureSet(gaussian(moments(draw(1, 9))))
    with pytest.raises(CannotMeasure, match="more than 5 pictures on each side, not 9 and 5"):
        density(many, few)
    with pytest.raises(CannotMeasure, match="statistics file"):
        precision(many, file)
