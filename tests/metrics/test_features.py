"""Features of a set of pictures: moments, rows in a file, errors."""

from pathlib import Path

import numpy as np
import pytest

from t2ibench.core.errors import BenchError
from t2ibench.metrics.features import FeatureFile, FeatureSet, feature_set
from t2ibench.metrics.frechet import Gaussian
from t2ibench.metrics.metric import CannotMeasure


def rows(n: int, d: int = 5) -> np.ndarray:
    return np.random.default_rng(n).normal(7, 2, (n, d)).astype(np.float32)


def test_batches_in_a_file_are_the_set(tmp_path):
    whole = rows(1300)
    found, expected = written(tmp_path, np.split(whole, [1, 600, 601])), feature_set(whole)
    assert (found.n, found.width) == (1300, 5)
    np.testing.assert_array_equal(found.rows, whole)
    np.testing.assert_allclose(found.gaussian.mean, expected.gaussian.mean, rtol=1e-12)
    np.testing.assert_allclose(found.gaussian.covariance, expected.gaussian.covariance, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5, 6, 40])
def test_its_root_is_one_of_the_covariance(n):
    side = feature_set(rows(n))
    assert side.root.shape == (5, min(n - 1, 5))
    np.testing.assert_allclose(side.root @ side.root.T, side.gaussian.covariance, atol=1e-9)


def test_a_statistics_file_has_no_rows():
    side = FeatureSet(Gaussian(np.zeros(3), np.eye(3)))
    assert (side.n, side.width) == (0, 3)
    with pytest.raises(CannotMeasure, match="statistics file"):
        _ = side.rows


def written(folder: Path, parts: list[np.ndarray]) -> FeatureSet:
    file = FeatureFile(folder)
    for part in parts:
        file.add(part)
    return file.close()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([rows(3), rows(3, 4)], "unlike width: 5 and 4"),
        ([rows(600), rows(3, 4)], "unlike width: 5 and 4"),
        ([rows(1)], "at least 2 pictures, not 1"),
        ([], "no features"),
        ([rows(3) * np.nan], "NaN or infinite"),
    ],
)
def test_bad_features_are_errors(tmp_path, parts, message):
    with pytest.raises(BenchError, match=message):
        written(tmp_path, parts)


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    file = FeatureFile(tmp_path)

    def full(_: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file, "_file", type("Full", (), {"name": "x.f32", "write": staticmethod(full)}))
    with pytest.raises(BenchError, match=r"x\.f32.*No space left.*TMPDIR"):
        file.add(rows(3))
