"""The kernel distance against torch-fidelity and exact values."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric

from t2ibench.core.errors import BenchError
from t2ibench.metrics import kernel
from t2ibench.metrics.features import FeatureSet, feature_set
from t2ibench.metrics.frechet import gaussian, moments
from t2ibench.metrics.kernel import discrepancy, kernel_distance


def draw(seed: int, n: int, d: int = 64, shift: float = 0.0) -> np.ndarray:
    """Features that are at least 0 and skewed, as those after a rectifier are."""
    return (np.random.default_rng(seed).gamma(0.5, 0.8, (n, d)) + shift).astype(np.float32)


def torch_fidelity(a: np.ndarray, b: np.ndarray, size: int) -> float:
    options = {"kid_subsets": 100, "kid_subset_size": size, "rng_seed": 2020, "verbose": False}
    found = kid_features_to_metric(torch.from_numpy(a), torch.from_numpy(b), **options)
    return found["kernel_inception_distance_mean"]


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_equals_torch_fidelity_with_its_seed(shift):
    a, b = draw(1, 1200, shift=shift), draw(2, 1500)
    found = kernel_distance(feature_set(a), feature_set(b))
    theirs = torch_fidelity(a, b, 1000)
    assert found.value == pytest.approx(theirs, abs=1e-5, rel=0)
    assert found.note is None
    assert found.protocol == kernel.KID.protocol == "poly3-100x1000-seed2020"


@pytest.mark.parametrize(("n", "m"), [(60, 60), (60, 90), (90, 60)])
def test_few_pictures_make_smaller_subsets(n, m):
    a, b = draw(1, n, shift=0.1), draw(2, m)
    found = kernel_distance(feature_set(a), feature_set(b))
    assert found.value == pytest.approx(torch_fidelity(a, b, 60), abs=1e-5)
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
