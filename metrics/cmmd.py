"""CMMD: the maximum mean discrepancy of two sets of pictures over CLIP's embeddings.

Jayasumana et al., "Rethinking FID: Towards a Better Evaluation Metric for Image Generation", CVPR 2024. Unlike a
Fréchet distance it does not take the features for a Gaussian.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .features import FeatureSet
from .metric import Estimate, SetMetric
from .stats import rest_means

Floats = NDArray[np.float64]

SIGMA = 10.0
SCALE = 1000.0

_BLOCK = 1024
"""Rows whose kernel values are held at once, so that memory does not grow with the square of n."""


class Terms(NamedTuple):
    """CMMD as the mean of one term per picture of either side."""

    x: Floats
    """(n,): mean kernel with all of its own side, less that with the other side."""
    y: Floats

    @property
    def value(self) -> float:
        """1000 · MMD²."""
        return SCALE * float(self.x.mean() + self.y.mean())


def cmmd(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Return 1000 · MMD² of embeddings x (n, d) and y (m, d), brought to unit length; 0 for equal sets, at most 40.

    MMD² = mean k(x, x') + mean k(y, y') - 2 mean k(x, y), k(a, b) = exp(-|a - b|² / (2·10²)); the means are over all
    pairs, each row with itself too (the biased estimate: Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012,
    eq. 5), as in the authors' code. Raises BenchError where the widths differ or a row is zero.
    """
    return terms(x, y).value


def terms(x: NDArray[Any], y: NDArray[Any]) -> Terms:
    """Return the terms of ``cmmd``."""
    a, b = _unit(x), _unit(y)
    if a.shape[1] != b.shape[1]:
        raise BenchError(f"features of unlike width: {a.shape[1]} and {b.shape[1]}; both sides need the same extractor")
    return Terms(_mean_kernel(a, a) - _mean_kernel(a, b), _mean_kernel(b, b) - _mean_kernel(b, a))


def estimate_cmmd(generated: FeatureSet, reference: FeatureSet | None) -> Estimate:
    """Return CMMD of all pictures of both sides, with its value ± 1.96 standard errors.

    To first order MMD² moves with each picture by twice its own term less the mean of these (its Hájek projection,
    Hoeffding 1948), so that its variance is 4 Var(terms)/n of either side.
    """
    assert reference is not None
    found = terms(generated.rows, reference.rows)
    error = SCALE * sum(4 * float(np.var(side, ddof=1)) / len(side) for side in found) ** 0.5
    return Estimate(found.value, (max(found.value - 1.96 * error, 0.0), found.value + 1.96 * error))


def cmmd_left_out(generated: FeatureSet, reference: FeatureSet, labels: NDArray[np.int64]) -> Floats:
    """CMMD with each group of generated pictures left out, to first order and up to a constant."""
    return 2 * SCALE * rest_means(terms(generated.rows, reference.rows).x, labels)


def _mean_kernel(a: Floats, b: Floats) -> Floats:
    """Mean of k - 1 over ``b`` for each row of ``a``: the ones cancel in the difference, and would cost it digits."""
    means = np.empty(len(a))
    for start in range(0, len(a), _BLOCK):
        half_squares = 1 - a[start : start + _BLOCK] @ b.T
        means[start : start + _BLOCK] = np.expm1(-half_squares / SIGMA**2).mean(axis=1)
    return means


def _unit(rows: NDArray[Any]) -> Floats:
    values = np.asarray(rows, np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise BenchError("CMMD: an embedding is zero, NaN or infinite")
    return np.asarray(values / lengths)


CMMD = SetMetric(
    "cmmd",
    higher_is_better=False,
    digits=3,
    network="clip-vit-l-14-336",
    protocol="rbf-sigma10-biased-x1000",
    estimate=estimate_cmmd,
    left_out=cmmd_left_out,
)
