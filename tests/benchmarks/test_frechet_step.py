"""The Fréchet step at the size of FID: 2048 features, 5,000 pictures a side.

make test TEST='--benchmark-only tests/benchmarks/test_frechet_step.py -s'
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from t2ibench.metrics.features import FeatureSet, feature_set
from t2ibench.metrics.frechet import frechet, frechet_distance

WIDTH, COUNT = 2048, 5000


@pytest.fixture(scope="module")
def sides() -> tuple[FeatureSet, FeatureSet]:
    random, spectrum = np.random.default_rng(0), np.arange(1, WIDTH + 1) ** -0.5
    one, other = (random.normal(size=(COUNT, WIDTH)) * spectrum * scale for scale in (1.0, 1.1))
    return feature_set(one), feature_set(other)


def test_distance_alone(benchmark, sides: tuple[FeatureSet, FeatureSet]) -> None:
    """Seconds depend on the machine and on who shares it, so the bound is the ratio to scipy's matrix root."""
    from scipy.linalg import sqrtm

    start = time.perf_counter()
    sqrtm(sides[0].gaussian.covariance @ sides[1].gaussian.covariance)
    root = time.perf_counter() - start
    benchmark.pedantic(frechet_distance, [side.gaussian for side in sides], rounds=5, warmup_rounds=1)
    benchmark.extra_info["scipy_sqrtm_s"] = root
    assert benchmark.stats["min"] < root / 5


def test_distance_with_its_interval(benchmark, sides: tuple[FeatureSet, FeatureSet]) -> None:
    benchmark.pedantic(frechet, sides, rounds=3)
