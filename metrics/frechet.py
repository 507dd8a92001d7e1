"""Fréchet distance between the Gaussians of two sets of features.

    d²(a, b) = |μa - μb|² + tr Σa + tr Σb - 2 tr (Σa Σb)^½

FID is this distance over the 2048 pool3 features of the 2015 Inception network (Heusel et al., "GANs Trained by a
Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017); over other features it is another
number and is never called FID. Statistics are (n, mean, centred scatter) in float64 and merge exactly, so pictures
can come in any order and split (Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
variances", Stanford STAN-CS-79-773, 1979).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .metric import Estimate, SetMetric

if TYPE_CHECKING:
    from .features import FeatureSet

Floats = NDArray[np.float64]

_SINGULAR = 1e-10
"""A smaller pivot, relative to the largest, means that rounding may have made it up."""


class Moments(NamedTuple):
    """Count, mean (d,) and centred scatter Σ(x - μ)(x - μ)ᵀ (d, d) of a set of features, float64."""

    n: int
    mean: Floats
    scatter: Floats


class Gaussian(NamedTuple):
    """Mean (d,) and unbiased covariance (d, d) of a set of features; n is None where a file leaves it out."""

    mean: Floats
    covariance: Floats
    n: int | None = None


def moments(features: NDArray[Any]) -> Moments:
    """Return the moments of features (n, d), n at least 1.

    Raises BenchError for another shape, or where a feature is NaN or infinite.
    """
    values = np.asarray(features, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise BenchError(f"features must be (n, d) with n and d at least 1, not {values.shape}")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise BenchError(f"features of row {row} are NaN or infinite")
    mean = values.mean(axis=0)
    centred = values - mean
    return Moments(len(values), mean, centred.T @ centred)


def merge(a: Moments, b: Moments) -> Moments:
    """Return the moments of both sets together (Chan et al. 1979, eq. 2.1): exact, whatever the split."""
    _same_width(a.mean, b.mean)
    n = a.n + b.n
    shift = b.mean - a.mean
    mean = a.mean + shift * (b.n / n)
    return Moments(n, mean, a.scatter + b.scatter + np.outer(shift, shift) * (a.n * b.n / n))


def gaussian(statistics: Moments) -> Gaussian:
    """Return the Gaussian of a set of features; BenchError for fewer than two of them."""
    if statistics.n < 2:
        raise BenchError(f"a covariance needs at least 2 pictures, not {statistics.n}")
    return Gaussian(statistics.mean, statistics.scatter / (statistics.n - 1), statistics.n)


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Return the squared Fréchet distance, at least 0; BenchError where the widths differ or a value is not finite.

    tr (Σa Σb)^½ is the sum of the roots of the eigenvalues of S^½ Σb S^½, which is symmetric: no matrix root, no
    imaginary part. Any S with S Sᵀ = Σa will do in place of S^½; see ``covariance_root``.
    """
    _same_width(a.mean, b.mean)
    if not all(np.isfinite(part).all() for part in (*a[:2], *b[:2])):
        raise BenchError("feature statistics hold NaN or infinite values")
    few, many = (a, b) if _count(a) <= _count(b) else (b, a)
    return frechet_from_root(many, few, covariance_root(few))


def frechet_from_root(side: Gaussian, other: Gaussian, root: Floats) -> float:
    """Return the same distance where S (``root``) of ``other`` is at hand."""
    crossed = np.linalg.eigvalsh(root.T @ side.covariance @ root)
    trace = float(np.sqrt(np.clip(crossed, 0, None)).sum())
    shift = side.mean - other.mean
    distance = float(shift @ shift + np.trace(side.covariance) + np.trace(other.covariance) - 2 * trace)
    return max(distance, 0.0)


def covariance_root(side: Gaussian) -> Floats:
    """Return S (d, r) with S Sᵀ = the covariance of ``side``.

    Cholesky's factor where the covariance is of full rank, in a fifth of the time of its eigenvectors. Else the
    eigenvectors that carry any variance (r of them), so that the zeros stay out of later sums of roots, where rounding
    would add up to about 1e-8 each.
    """
    if side.n is None or side.n > len(side.mean):
        try:
            factor = np.linalg.cholesky(side.covariance)
        except np.linalg.LinAlgError:
            pass
        else:
            pivots = np.diag(factor) ** 2
            if pivots.min() > _SINGULAR * pivots.max():
                return np.asarray(factor)
    values, vectors = np.linalg.eigh(side.covariance)
    carried = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)
    return np.asarray(vectors[:, carried] * np.sqrt(values[carried]))


class Accumulator:
    """Moments of features that come in batches; memory does not grow with their number."""

    _BLOCK = 512
    """Rows gathered before a merge, which passes over d² values however few rows it adds."""

    def __init__(self) -> None:
        self._rows: list[NDArray[Any]] = []
        self._total: Moments | None = None

    def add(self, features: NDArray[Any]) -> None:
        """Take in features (n, d); BenchError where they are not as wide as those before."""
        if self._rows:
            _same_width(self._rows[-1][0], features[0])
        self._rows.append(features)
        if sum(map(len, self._rows)) >= self._BLOCK:
            self._fold()

    def moments(self) -> Moments:
        """Return the moments of all that was added; BenchError where nothing was."""
        self._fold()
        if self._total is None:
            raise BenchError("no features to take moments of")
        return self._total

    def _fold(self) -> None:
        if self._rows:
            block = moments(np.concatenate(self._rows))
            self._total = block if self._total is None else merge(self._total, block)
            self._rows.clear()


class Statistics(NamedTuple):
    """What a statistics file holds, and the first 8 hex digits of the sha256 of its values."""

    gaussian: Gaussian
    digest: str


def load_statistics(path: Path) -> Statistics:
    """Read an ``.npz`` of this package (n, mean, scatter), or of pytorch-fid, clean-fid or ADM (mu, sigma).

    Raises BenchError for a file that is missing, broken, holds pickled objects, or other arrays than these.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in ("n", "mean", "scatter", "mu", "sigma") if name in file}
    except (OSError, ValueError, EOFError, TypeError, AttributeError, BadZipFile) as error:
        raise BenchError(f"cannot read statistics '{path}': {error}") from error
    found = _as_gaussian(arrays, path)
    if found.covariance.shape != (len(found.mean),) * 2:
        raise BenchError(
            f"statistics '{path}': covariance {found.covariance.shape} does not fit mean {found.mean.shape}"
        )
    digest = hashlib.sha256(found.mean.tobytes() + found.covariance.tobytes()).hexdigest()
    return Statistics(found, digest[:8])


def save_statistics(path: Path, statistics: Moments) -> None:
    """Write the moments as ``.npz`` (n, mean, scatter), whole or not at all."""
    from io import BytesIO

    from ..core.files import write_atomic

    buffer = BytesIO()
    np.savez(buffer, n=statistics.n, mean=statistics.mean, scatter=statistics.scatter)
    write_atomic(path, buffer.getvalue())


def _as_gaussian(arrays: dict[str, NDArray[Any]], path: Path) -> Gaussian:
    if {"n", "mean", "scatter"} <= arrays.keys():
        mean, scatter = (np.asarray(arrays[name], np.float64) for name in ("mean", "scatter"))
        return gaussian(Moments(int(arrays["n"]), mean.ravel(), scatter))
    if {"mu", "sigma"} <= arrays.keys():
        return Gaussian(np.asarray(arrays["mu"], np.float64).ravel(), np.asarray(arrays["sigma"], np.float64))
    raise BenchError(f"statistics '{path}' must hold mu and sigma, or n, mean and scatter; it holds {sorted(arrays)}")


def _count(side: Gaussian) -> float:
    return float("inf") if side.n is None else side.n


def _same_width(a: Floats, b: Floats) -> None:
    if a.shape != b.shape:
        raise BenchError(f"features of unlike width: {len(a)} and {len(b)}; both sides need the same extractor")


def frechet(generated: FeatureSet, reference: FeatureSet | None) -> Estimate:
    """The Fréchet distance of both sides with its jackknife interval; a statistics file counts as fixed."""
    from .frechet_interval import half_width

    assert reference is not None
    _same_width(generated.gaussian.mean, reference.gaussian.mean)
    few, many = sorted((generated, reference), key=lambda side: _count(side.gaussian))
    value = frechet_from_root(many.gaussian, few.gaussian, few.root)
    half = half_width(generated, reference)
    return Estimate(value, None if half is None else (max(value - half, 0.0), value + half), _few(generated))


def frechet_left_out(generated: FeatureSet, reference: FeatureSet, labels: NDArray[np.int64]) -> Floats:
    """The distance with each of the 20 groups of generated pictures left out, up to a constant."""
    from .frechet_interval import left_out_distances

    return left_out_distances(generated, reference, labels)


def _few(side: FeatureSet) -> str | None:
    if side.n <= side.width:
        return f"n = {side.n} is not above the {side.width} features: biased upwards, compare only at equal n"
    if side.n < 5 * side.width:
        return f"n = {side.n} is below 5 times the {side.width} features: its interval is wider than need be"
    return None


FID = SetMetric(
    "fid",
    higher_is_better=False,
    digits=2,
    network="inception",
    estimate=frechet,
    left_out=frechet_left_out,
    from_moments=True,
)

RFID = SetMetric(
    "rfid",
    higher_is_better=False,
    digits=2,
    needs=("target",),
    network="inception",
    estimate=frechet,
    left_out=frechet_left_out,
)
"""FID of reconstructions against their sources (Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion
Models", CVPR 2022, Table 8): the two sides are paired, so an independent interval is wider than need be."""
