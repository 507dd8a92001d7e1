"""CMMD by its definition over all pairs."""

import numpy as np
import pytest

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics.cmmd import cmmd, estimate_cmmd
from t2ibench.metrics.engine import Engine
from t2ibench.metrics.extractors.clip import ClipViTL14At336
from t2ibench.metrics.features import feature_set
from t2ibench.metrics.setup import Setup


def embeddings(seed: int, n: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 12)) + shift).astype(np.float32)


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Gretton et al. 2012, equation 5, pair by pair."""
    x, y = (side.astype(np.float64) / np.linalg.norm(side.astype(np.float64), axis=1)[:, None] for side in (x, y))

    def mean(a, b):
        return np.mean([np.exp(-np.sum((p - q) ** 2) / (2 * 10**2)) for p in a for q in b])

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


def test_it_is_the_biased_estimate_times_1000():
    x, y = embeddings(1, 30), embeddings(2, 20, 0.5)
    assert cmmd(x, y) == pytest.approx(by_definition(x, y), abs=1e-9)
    assert cmmd(x, y) == pytest.approx(cmmd(y, x), abs=1e-12)
    assert cmmd(x, 7 * y) == pytest.approx(cmmd(x, y), abs=1e-6)


def test_blocks_change_nothing(monkeypatch):
    x, y = embeddings(1, 30), embeddings(2, 20, 0.5)
    whole = cmmd(x, y)
    monkeypatch.setattr("t2ibench.metrics.cmmd._BLOCK", 7)
    assert cmmd(x, y) == pytest.approx(whole, abs=1e-12)


def test_equal_sets_are_at_0_and_opposite_ones_below_40():
    x = embeddings(1, 30)
    assert cmmd(x, x[::-1]) == pytest.approx(0, abs=1e-12)
    one = np.ones((5, 4), np.float32)
    assert cmmd(one, -one) == pytest.approx(2000 * (1 - np.exp(-0.02)), abs=1e-9)


def test_its_interval_covers_other_draws():
    """95 % intervals hold the value of a large draw nearly always; the biased estimate lies above it."""
    truth = cmmd(embeddings(1000, 2000), embeddings(2000, 2000, 0.3))
    found = [
        estimate_cmmd(feature_set(embeddings(seed, 100)), feature_set(embeddings(500 + seed, 100, 0.3)))
        for seed in range(60)
    ]
    bias = np.mean([estimate.value for estimate in found]) - truth
    inside = sum(low - bias <= truth <= high - bias for _, (low, high), *_ in found)
    assert 53 <= inside <= 60
    assert bias > 0


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((3, 4)), np.ones((3, 5)), "unlike width: 4 and 5"),
        (np.zeros((3, 4)), np.ones((3, 4)), "zero, NaN or infinite"),
        (np.ones((3, 4)), np.full((3, 4), np.nan), "zero, NaN or infinite"),
    ],
)
def test_broken_embeddings_are_an_error(x, y, message):
    with pytest.raises(BenchError, match=message):
        cmmd(x, y)


def test_through_the_engine(tiny_clip, tiny_choice, sample, picture):
    tiny_choice(ClipViTL14At336)
    setup = Setup(weights=WeightsFinder({"clip-vit-l-14-336": tiny_clip}, offline=True))
    groups = [[sample(f"{start}-{i}", picture(start + i)) for i in range(4)] for start in (0, 50)]
    value = Engine(setup).measure(groups[0], ["cmmd"], groups[1])["cmmd"]
    network = ClipViTL14At336(setup)
    sides = [network.features([network.prepare(each.load()) for each in group]) for group in groups]
    assert value.value == pytest.approx(cmmd(*sides), abs=1e-6)
    assert ":rbf-sigma10-biased-x1000:" in value.identity
