"""The kernel distance against exact values; torch-fidelity's are a row of docs/parity.md."""

import numpy as np
import pytest
from torch_fidelity.metric_kid import kernel_mmd

from parity_features import skewed as draw
from t2ibench.core.errors import BenchError
from t2ibench.metrics import kernel
from t2ibench.metrics.features import FeatureSet, feature_set
from t2ibench.metrics.frechet import gaussian, moments
from t2ibench.metrics.kernel import discrepancy, kernel_distance


def test_the_protocol_is_torch_fidelitys():
    found = kernel_distance(feature_set(draw(1, 1200)), feature_set(draw(2, 1500)))
    assert found.note is None
    assert found.protocol == kernel.KID.protocol == "poly3-100x1000-seed2020"


@pytest.mark.parametrize(("n", "m"), [(60, 60), (60, 90), (90, 60)])
def test_few_pictures_make_smaller_subsets(n, m):
    found = kernel_distance(feature_set(draw(1, n)), feature_set(draw(2, m)))
    assert found.protocol == "poly3-100x60-seed2020"
    assert "subsets of 60" in found.note


def test_terms_of_pictures_add_up_to_the_unbiased_estimate():
    a, b = draw(1, 40), draw(2, 40, shift=0.2)
    exact = kernel_mmd(a.astype(np.float64), b.astype(np.float64))
    assert discrepancy(a, b).value == pytest.approx(exact, rel=1e-5)


def test_the_estimate_has_no_bias_where_both_sides_are_alike():
    values = [kernel_distance(feature_set(draw(2 * i, 30)), feature_set(draw(2 * i + 1, 30))).value for i in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


@pytest.mark.parametrize(("shift", "n", "size"), [(0.1, 100, 100), (0.1, 150, 50)])
def test_its_standard_error_is_that_over_repeated_samples(monkeypatch, shift, n, size):
    monkeypatch.setattr(kernel, "SUBSET_SIZE", size)
    found = [
        kernel_distance(feature_set(draw(2 * i, n, 16, shift)), feature_set(draw(2 * i + 1, n, 16))) for i in range(120)
    ]
    said = np.mean([(one.interval[1] - one.value) / 1.96 for one in found])
    assert said == pytest.approx(np.std([one.value for one in found]), rel=0.2)


def test_what_cannot_be_measured():
    some, moments_only = feature_set(draw(1, 9)), FeatureSet(gaussian(moments(draw(2, 9))))
    with pytest.raises(BenchError, match="statistics file"):
        kernel_distance(some, moments_only)
