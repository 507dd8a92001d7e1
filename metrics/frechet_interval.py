"""How far a Fréchet distance moves from sample to sample: the delete-group jackknife, without recomputing it 40 times.

The pictures of each side are dealt into 20 random groups, and the distance is needed with each group left out. Means
and traces of the remaining pictures are exact and cheap. What costs is f(Σa) = tr (Σa Σb)^½ for each downdated Σa:

- More pictures than features: f is smooth, with derivative ½ P, P = S (Sᵀ Σa S)^-½ Sᵀ and S Sᵀ = Σb (the optimal
  transport map from a to b). f is homogeneous of degree ½, so that tr P Σa = f, and to first order
  f(Σa') = ½ f + ½ tr P Σa'. With P = Wᵀ W once, each picture adds |W (x - μ)|², and a group is a sum of these.
- At most as many pictures as features: f is the sum of the roots of the eigenvalues of the n×n Gram matrix
  K = X Σb Xᵀ of the centred pictures; a group left out is its rows and columns deleted and the rest centred anew. That
  is exact, where a derivative would not be: leaving a picture out removes a dimension.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .features import FeatureSet
from .frechet import Floats
from .stats import jackknife_half_width

GROUPS = 20
"""Enough for an error of a sixth in the deviation (1/√38); more groups cost time where n is small."""

_BLOCK = 1024
"""Rows at a time: 16 MiB of 2048 features in float64."""


def half_width(generated: FeatureSet, reference: FeatureSet) -> float | None:
    """Return half the 95 % interval of the Fréchet distance of both sides, by the jackknife of each.

    It covers sampling at this n, not the bias upwards, and is wider than need be below 5 pictures per feature. A
    reference that is a statistics file counts as fixed. None where a side has fewer than 20 pictures or both are files.
    """
    sides = [(generated, reference), (reference, generated)]
    sampled = [(side, other) for side, other in sides if side.stored is not None]
    if not sampled or any(side.n < GROUPS for side, _ in sampled):
        return None
    return jackknife_half_width(*(left_out_distances(side, other) for side, other in sampled))


def left_out_distances(side: FeatureSet, other: FeatureSet, labels: NDArray[np.int64] | None = None) -> Floats:
    """Return the distance to ``other`` with each group of ``side`` left out, (20,), less the trace of ``other``.

    ``labels`` (n,) are the groups, 0 to 19, else ``group_labels``.
    """
    labels = group_labels(side.n) if labels is None else labels
    rest = _rest(side, labels)
    roots = (_exact_roots if side.n <= side.width else _first_order_roots)(side, other, labels)
    shifts = side.gaussian.mean + rest.shifts - other.gaussian.mean
    return np.asarray((shifts**2).sum(axis=1) + rest.traces - 2 * roots)


def group_labels(n: int) -> NDArray[np.int64]:
    """Return the group of each of ``n`` pictures: random, seeded, so that pictures that come sorted are dealt out."""
    return np.random.default_rng(n).permutation(n) % GROUPS


class _Rest(NamedTuple):
    """Of the pictures that remain without each group, mapped linearly or as they are."""

    shifts: Floats
    """(20, r): their mean less that of all."""
    traces: Floats
    """(20,): the trace of their covariance."""


def _rest(side: FeatureSet, labels: NDArray[np.int64], project: Floats | None = None) -> _Rest:
    """Mean and trace of the covariance without each group, exactly, after ``project`` (d, r)."""
    sums: Floats = np.zeros((GROUPS, side.width if project is None else project.shape[1]))
    squares: Floats = np.zeros(GROUPS)
    for start, centred in _blocks(side):
        mapped = centred if project is None else centred @ project
        members = (labels[start : start + len(mapped), None] == np.arange(GROUPS)).astype(np.float64).T
        sums += members @ mapped
        squares += members @ (mapped**2).sum(axis=1)
    left = side.n - np.bincount(labels, minlength=GROUPS)
    shifts = -sums / left[:, None]
    traces = (squares.sum() - squares - left * (shifts**2).sum(axis=1)) / (left - 1)
    return _Rest(shifts, traces)


def _first_order_roots(side: FeatureSet, other: FeatureSet, labels: NDArray[np.int64]) -> Floats:
    """tr (Σ' Σ_other)^½ without each group, by its derivative at the whole."""
    root = other.root
    values, vectors = np.linalg.eigh(root.T @ side.gaussian.covariance @ root)
    carried = values > len(values) * np.finfo(np.float64).eps * values[-1]
    values, vectors = values[carried], vectors[:, carried]
    project = root @ (vectors * values**-0.25)
    return np.asarray((np.sqrt(values).sum() + _rest(side, labels, project).traces) / 2)


def _exact_roots(side: FeatureSet, other: FeatureSet, labels: NDArray[np.int64]) -> Floats:
    """tr (Σ' Σ_other)^½ without each group, by the Gram matrix with its rows and columns deleted."""
    centred = np.concatenate([block for _, block in _blocks(side)])
    gram = centred @ other.gaussian.covariance @ centred.T
    return np.array([_gram_root(gram[np.ix_(kept, kept)]) for kept in (labels != g for g in range(GROUPS))])


def _gram_root(gram: Floats) -> float:
    """Σ √eigenvalues of the Gram matrix of some pictures once it is centred, over √(n - 1)."""
    means = gram.mean(axis=0)
    values = np.linalg.eigvalsh(gram - means - means[:, None] + means.mean())
    return float(np.sqrt(np.clip(values, 0, None)).sum() / np.sqrt(len(gram) - 1))


def _blocks(side: FeatureSet) -> Iterator[tuple[int, Floats]]:
    """Centred features in float64 with the number of the first."""
    for start in range(0, side.n, _BLOCK):
        yield start, side.rows[start : start + _BLOCK].astype(np.float64) - side.gaussian.mean
