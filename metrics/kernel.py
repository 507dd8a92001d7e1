"""Kernel distance between two sets of features: the squared maximum mean discrepancy under a polynomial kernel.

    MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y),   k(x, y) = (x·y / d + 1)³

Bińkowski et al., "Demystifying MMD GANs", ICLR 2018: unbiased (no picture is paired with itself), the mean over random
subsets; over Inception pool3 it is KID. Unlike a Fréchet distance it has no bias that depends on n, so that it can be
compared across sample counts, and it may come out slightly below 0 where both sides are alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .features import FeatureSet
from .frechet import Floats
from .metric import CannotMeasure, Estimate, SetMetric
from .stats import rest_means

SUBSETS = 100
SUBSET_SIZE = 1000
SEED = 2020
"""These three are torch-fidelity's, and so are the draws they lead to."""


class Discrepancy(NamedTuple):
    """MMD² of two subsets of s pictures each, as the mean of one term per picture of either."""

    x: Floats
    """(s,): mean kernel with the others of its own side, less that with the other side."""
    y: Floats

    @property
    def value(self) -> float:
        """MMD², unbiased."""
        return float(self.x.mean() + self.y.mean())


def discrepancy(x: NDArray[np.float32], y: NDArray[np.float32]) -> Discrepancy:
    """Return the terms of the unbiased MMD² (Gretton et al. 2012, eq. 3) of features (s, d) and (s, d), s above 1."""
    crossed = _kernel(x, y)
    return Discrepancy(
        _others(_kernel(x, x)) - crossed.mean(axis=1, dtype=np.float64),
        _others(_kernel(y, y)) - crossed.mean(axis=0, dtype=np.float64),
    )


def kernel_distance(generated: FeatureSet, reference: FeatureSet | None) -> Estimate:
    """Return the mean MMD² over 100 seeded random subsets of 1,000 pictures, as torch-fidelity draws them.

    With fewer pictures on a side, subsets are as large as the smaller side; the estimate stays unbiased, and the
    identity names the size. CannotMeasure for fewer than two pictures, or where a side is a statistics file.
    """
    assert reference is not None
    size = min(SUBSET_SIZE, generated.n, reference.n)
    if size < 2:
        raise CannotMeasure(f"needs at least 2 pictures on each side, not {size}")
    value, deviation = _over_subsets(generated.rows, reference.rows, size)
    half = 1.96 * deviation
    few = f"subsets of {size}, since there are no {SUBSET_SIZE:,} pictures on each side" if size < SUBSET_SIZE else None
    return Estimate(value, (value - half, value + half), few, protocol(size))


def kernel_left_out(generated: FeatureSet, reference: FeatureSet, labels: NDArray[np.int64]) -> Floats:
    """The distance with each group of generated pictures left out, to first order and up to a constant.

    MMD² is a mean over pairs, so that it moves with the weight of a picture by twice its own term (see the intervals).
    """
    size = min(SUBSET_SIZE, generated.n, reference.n)
    terms, _ = _subset_terms(generated.rows, reference.rows, size)
    drawn = terms[0].drawn
    return 2 * rest_means(terms[0].means, labels[drawn])


def protocol(size: int = SUBSET_SIZE) -> str:
    """What identities say: ``poly3-100x1000-seed2020``."""
    return f"poly3-{SUBSETS}x{size}-seed{SEED}"


def _over_subsets(x: NDArray[np.float32], y: NDArray[np.float32], size: int) -> tuple[float, float]:
    """Mean MMD² over the subsets, and its standard error.

    To first order MMD² moves with each picture by twice its own term less the mean of these (its Hájek projection,
    Hoeffding 1948), so that its variance is 4 Var(terms)/n of either side. Terms are means over the subsets that a
    picture is in. What the choice of subsets adds is the variance among these over their number.
    """
    terms, values = _subset_terms(x, y, size)
    variance = sum(side.variance() for side in terms) + float(np.var(values)) / len(values)
    return float(np.mean(values)), variance**0.5


def _subset_terms(
    x: NDArray[np.float32], y: NDArray[np.float32], size: int
) -> tuple[tuple[_Terms, _Terms], list[float]]:
    """The terms of each picture of both sides, and MMD² of each subset."""
    random = np.random.RandomState(SEED)
    terms = (_Terms(len(x)), _Terms(len(y)))
    values = []
    # Where both sides fit into a subset, all subsets are the same.
    for _ in range(1 if len(x) == len(y) == size else SUBSETS):
        chosen = [random.choice(len(side), size, replace=False) for side in (x, y)]
        found = discrepancy(x[chosen[0]], y[chosen[1]])
        for side, indices, subset_terms in zip(terms, chosen, found, strict=True):
            side.add(indices, subset_terms)
        values.append(found.value)
    return terms, values


class _Terms:
    """Means of the terms of each picture over the subsets it was drawn into."""

    def __init__(self, n: int) -> None:
        self._sums = np.zeros(n)
        self._counts = np.zeros(n)

    def add(self, indices: NDArray[np.intp], terms: Floats) -> None:
        self._sums[indices] += terms
        self._counts[indices] += 1

    @property
    def drawn(self) -> NDArray[np.bool_]:
        """Which pictures are in some subset."""
        return self._counts > 0

    @property
    def means(self) -> Floats:
        """Of those."""
        return np.asarray(self._sums[self.drawn] / self._counts[self.drawn])

    def variance(self) -> float:
        return 4 * float(np.var(self.means, ddof=1)) / len(self.means)


def _kernel(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    base = x @ y.T / np.float32(x.shape[1]) + np.float32(1)
    return np.asarray(base * base * base)


def _others(kernel: NDArray[np.float32]) -> Floats:
    """Mean of each row without its own entry."""
    return np.asarray((kernel.sum(axis=1, dtype=np.float64) - np.diag(kernel)) / (len(kernel) - 1))


KID = SetMetric(
    "kid",
    higher_is_better=False,
    digits=5,
    network="inception",
    protocol=protocol(),
    estimate=kernel_distance,
    left_out=kernel_left_out,
)
