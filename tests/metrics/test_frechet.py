"""The Fréchet distance against scipy and exact values; torch-fidelity's are rows of docs/parity.md."""

import functools

import numpy as np
import pytest
import scipy.linalg

from parity_features import correlated as features
from parity_features import distance, exact_distance, fid_error, fid_errors_of_few
from t2ibench.core.errors import BenchError
from t2ibench.metrics.frechet import (
    Accumulator,
    Gaussian,
    frechet_distance,
    gaussian,
    load_statistics,
    merge,
    moments,
    save_statistics,
)


def test_equals_torch_fidelity_to_1e_9_where_pictures_are_many():
    assert fid_error(200, 200, 24) < 1e-9


def test_below_as_many_pictures_as_features_torch_fidelity_is_off_the_exact_value():
    assert 1e-10 < fid_errors_of_few()[1] < 1e-3


def test_equals_the_definition_with_a_matrix_root():
    a, b = gaussian(moments(features(1))), gaussian(moments(features(2)))
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance).real
    shift = a.mean - b.mean
    expected = shift @ shift + np.trace(a.covariance + b.covariance - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_gaussians_with_a_known_distance():
    a = Gaussian(np.zeros(3), np.diag([1.0, 4.0, 9.0]))
    b = Gaussian(np.ones(3), np.diag([4.0, 4.0, 1.0]))
    assert frechet_distance(a, b) == pytest.approx(3 + 1 + 0 + 4)


@pytest.mark.parametrize("n", [10, 200])
def test_the_distance_of_a_set_from_itself_is_zero_also_far_from_the_origin(n):
    assert distance(features(3, n, offset=1e3), features(3, n, offset=1e3)) < 1e-6


def test_also_with_many_features_of_which_most_hardly_vary():
    same = features(3, 700, d=512, offset=30) * np.geomspace(1, 1e-4, 512)
    assert distance(same, same) < 1e-6


def test_features_that_are_constant_or_repeated_change_nothing_but_the_count():
    a, b = features(1), features(2)
    wide = [np.concatenate([side, np.full((len(side), 9), 3.0), side], axis=1) for side in (a, b)]
    assert distance(*wide) == pytest.approx(2 * distance(a, b), rel=1e-9)


def test_the_distance_does_not_depend_on_batches_or_the_order_of_merging():
    a, b = features(4, n=300, offset=50), features(5, n=300, offset=50)
    parts = [moments(part) for part in np.split(a, [3, 100, 101, 250])]
    other = gaussian(moments(b))
    left, right = functools.reduce(merge, parts), functools.reduce(merge, parts[::-1])
    for one in (left, right):
        assert frechet_distance(gaussian(one), other) == pytest.approx(distance(a, b), rel=1e-9)


def test_fewer_pictures_than_features_equals_the_exact_nuclear_norm():
    a, b = features(1, n=9, d=64), features(2, n=12, d=64)
    assert distance(a, b) == pytest.approx(exact_distance(a, b), rel=1e-10)
    assert distance(b, a) == pytest.approx(exact_distance(a, b), rel=1e-10)


def test_moments_do_not_depend_on_split_or_order():
    values = features(4, n=100, offset=50)
    whole, parts = moments(values), [moments(part) for part in np.split(values, [1, 30, 31, 77])]
    for order in (parts, parts[::-1]):
        total = order[0]
        for part in order[1:]:
            total = merge(total, part)
        assert total.n == whole.n
        np.testing.assert_allclose(total.mean, whole.mean, rtol=1e-12)
        np.testing.assert_allclose(total.scatter, whole.scatter, rtol=1e-9, atol=1e-9)


def test_an_accumulator_is_the_moments_of_all():
    values = features(5, n=1300, d=6)
    accumulator = Accumulator()
    for start in range(0, len(values), 7):
        accumulator.add(values[start : start + 7])
    np.testing.assert_allclose(accumulator.moments().scatter, moments(values).scatter, rtol=1e-9)


def spoilt(value: float) -> np.ndarray:
    values = features(1)
    values[17, 3] = value
    return values


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: distance(features(1), features(1, d=23)), "unlike width: 24 and 23"),
        (lambda: distance(features(1), features(1, n=1)), "at least 2 pictures, not 1"),
        (lambda: moments(spoilt(np.nan)), "row 17 are NaN"),
        (lambda: moments(spoilt(np.inf)), "row 17 are NaN or infinite"),
        (lambda: moments(np.empty((0, 4))), r"not \(0, 4\)"),
        (lambda: moments(np.ones(4)), r"not \(4,\)"),
        (lambda: merge(moments(features(1)), moments(features(1, d=5))), "unlike width"),
        (
            lambda: frechet_distance(Gaussian(np.zeros(1), np.array([[np.nan]])), Gaussian(np.zeros(1), np.eye(1))),
            "NaN",
        ),
        (lambda: Accumulator().moments(), "no features"),
    ],
)
def test_bad_input_is_an_error(make, message):
    with pytest.raises(BenchError, match=message):
        make()


def test_statistics_files_of_this_package_and_of_others_agree(tmp_path):
    ours = moments(features(1))
    save_statistics(tmp_path / "ours.npz", ours)
    np.savez(tmp_path / "theirs.npz", mu=features(1).mean(0), sigma=np.cov(features(1), rowvar=False))
    other = gaussian(moments(features(2)))
    expected = frechet_distance(gaussian(ours), other)
    for name in ("ours.npz", "theirs.npz"):
        statistics = load_statistics(tmp_path / name)
        assert frechet_distance(statistics.gaussian, other) == pytest.approx(expected, rel=1e-10)
        assert len(statistics.digest) == 8


def test_broken_statistics_files_are_named(tmp_path):
    np.savez(tmp_path / "objects.npz", mu=np.array([{}]), sigma=np.eye(1))
    np.savez(tmp_path / "others.npz", features=np.ones(3))
    np.savez(tmp_path / "shapes.npz", mu=np.ones(3), sigma=np.eye(4))
    np.savez(tmp_path / "one.npz", n=1, mean=np.ones(3), scatter=np.eye(3))
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "shapes.npz").read_bytes()[:200])
    (tmp_path / "text.npz").write_text("no archive")
    for path in [*tmp_path.iterdir(), tmp_path / "gone.npz"]:
        with pytest.raises(BenchError):
            load_statistics(path)
