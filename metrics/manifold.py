"""Precision, recall, density, coverage: do the pictures lie among the real ones, and the real ones among the pictures?

Each set is taken as the union of balls around its features, as wide as the distance to the k-th nearest other feature
of the set.

- precision: the share of generated pictures within some ball of the reference; recall: the share of reference pictures
  within some ball of the generated ones (Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing
  Generative Models", NeurIPS 2019, eqs. 1 and 2), k = 3 as there and in torch-fidelity.
- density: in how many balls of the reference a generated picture lies, over k; coverage: the share of reference
  pictures with a generated one in their ball (Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative
  Models", ICML 2020, eqs. 4 and 5), k = 5 as there. Unlike precision, one outlier with a huge ball does not fill it.

All depend on n and on k, so compare only at equal ones. Intervals cover sampling of the pictures that are counted, with
the balls as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .features import FeatureSet
from .frechet import Floats
from .metric import CannotMeasure, Estimate, SetMetric
from .stats import mean_interval, proportion_interval, rest_means

NEAREST = 3
"""k of precision and recall."""
NEAREST_DENSITY = 5
"""k of density and coverage."""

_ROWS = 512
"""Pictures whose distances to all others are at hand at a time: 20 MB for 5,000 others."""


class Manifolds(NamedTuple):
    """What each picture has to do with the balls of the other side."""

    precise: NDArray[np.bool_]
    """Of generated pictures: in some ball of the reference."""
    recalled: NDArray[np.bool_]
    """Of reference pictures: in some ball of the generated ones."""
    balls: NDArray[np.int64]
    """Of generated pictures: in how many balls of the reference (k = 5)."""
    covered: NDArray[np.bool_]
    """Of reference pictures: some generated one is in their ball (k = 5)."""


@lru_cache(maxsize=1)
def manifolds(generated: FeatureSet, reference: FeatureSet) -> Manifolds:
    """Compare both sides once for all four metrics; CannotMeasure for 5 or fewer pictures on a side."""
    if min(generated.n, reference.n) <= NEAREST_DENSITY:
        raise CannotMeasure(
            f"needs more than {NEAREST_DENSITY} pictures on each side, not {generated.n} and {reference.n}"
        )
    origin = reference.gaussian.mean
    (narrow, wide), (own, _) = (_radii(side.rows, origin) for side in (reference, generated))
    precise, balls = np.zeros(generated.n, bool), np.zeros(generated.n, np.int64)
    recalled, covered = np.zeros(reference.n, bool), np.zeros(reference.n, bool)
    for part, distances in _distances(reference.rows, generated.rows, origin):
        precise |= (distances <= narrow[part, None]).any(axis=0)
        recalled[part] = (distances <= own).any(axis=1)
        within = distances <= wide[part, None]
        balls += within.sum(axis=0)
        covered[part] = within.any(axis=1)
    return Manifolds(precise, recalled, balls, covered)


def precision(generated: FeatureSet, reference: FeatureSet | None) -> Estimate:
    """Return the share of generated pictures among the real ones, in [0, 1]."""
    assert reference is not None
    return _share(manifolds(generated, reference).precise)


def precision_left_out(generated: FeatureSet, reference: FeatureSet, labels: NDArray[np.int64]) -> Floats:
    """Precision with each group of generated pictures left out."""
    return rest_means(manifolds(generated, reference).precise, labels)


def recall(generated: FeatureSet, reference: FeatureSet | None) -> Estimate:
    """Return the share of real pictures among the generated ones, in [0, 1]."""
    assert reference is not None
    return _share(manifolds(generated, reference).recalled)


def density(generated: FeatureSet, reference: FeatureSet | None) -> Estimate:
    """Return how densely real pictures surround the generated ones; at least 0, about 1 for the same distribution."""
    assert reference is not None
    values = manifolds(generated, reference).balls / NEAREST_DENSITY
    return Estimate(float(values.mean()), mean_interval(values))


def density_left_out(generated: FeatureSet, reference: FeatureSet, labels: NDArray[np.int64]) -> Floats:
    """Density with each group of generated pictures left out."""
    return rest_means(manifolds(generated, reference).balls / NEAREST_DENSITY, labels)


def coverage(generated: FeatureSet, reference: FeatureSet | None) -> Estimate:
    """Return the share of real pictures that have a generated one near, in [0, 1]."""
    assert reference is not None
    return _share(manifolds(generated, reference).covered)


def _share(hits: NDArray[np.bool_]) -> Estimate:
    share = float(hits.mean())
    return Estimate(share, proportion_interval(share, len(hits)))


def _radii(rows: NDArray[np.float32], origin: Floats) -> tuple[Floats, Floats]:
    """Squared distances (n,) of each row to its k-th nearest other one, k = 3 and 5; the row itself is the 0-th."""
    ranks = (NEAREST, NEAREST_DENSITY)
    near = np.concatenate([np.partition(block, ranks, axis=1)[:, ranks] for _, block in _distances(rows, rows, origin)])
    return near[:, 0], near[:, 1]


def _distances(a: NDArray[np.float32], b: NDArray[np.float32], origin: Floats) -> Iterator[tuple[slice, Floats]]:
    """Squared distances of some rows of ``a`` to all of ``b``, with which rows these are.

    In float64, and from ``origin``, a mean: |x|² + |y|² - 2 x·y loses digits far from 0.
    """
    for start in range(0, len(a), _ROWS):
        part = slice(start, start + _ROWS)
        x = a[part] - origin
        blocks = [_block_distances(x, b[other : other + _ROWS] - origin) for other in range(0, len(b), _ROWS)]
        yield part, np.concatenate(blocks, axis=1)


def _block_distances(x: Floats, y: Floats) -> Floats:
    return np.asarray((x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T)


PRECISION = SetMetric(
    "precision",
    higher_is_better=True,
    digits=3,
    network="inception",
    protocol=f"k{NEAREST}",
    estimate=precision,
    left_out=precision_left_out,
)
RECALL = SetMetric(
    "recall", higher_is_better=True, digits=3, network="inception", protocol=f"k{NEAREST}", estimate=recall
)
DENSITY = SetMetric(
    "density",
    higher_is_better=True,
    digits=3,
    network="inception",
    protocol=f"k{NEAREST_DENSITY}",
    estimate=density,
    left_out=density_left_out,
)
COVERAGE = SetMetric(
    "coverage", higher_is_better=True, digits=3, network="inception", protocol=f"k{NEAREST_DENSITY}", estimate=coverage
)
