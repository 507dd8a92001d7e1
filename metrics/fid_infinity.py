"""FID∞: what the Fréchet distance would be with infinitely many generated pictures.

FID is biased upwards by about a constant over n, with a constant that depends on the generator, so that even at equal n
two generators cannot be ranked safely. Chong & Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find
Them", CVPR 2020: compute it for growing parts of the pictures, fit a line over 1/n, and read it off at 1/n = 0. Only
the generated side is extrapolated; the bias of the reference remains.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .features import FeatureSet
from .frechet import Accumulator, Floats, Gaussian, frechet_from_root, gaussian
from .frechet_interval import half_width
from .metric import CannotMeasure, Estimate, SetMetric

POINTS = 15
SMALLEST = 0.5
"""The smallest part of the pictures. The paper's 5,000 of 50,000 are a tenth, and 2.4 per feature; a tenth of 5,000
would be fewer than the features, where the bias is no longer a line (docs/statistics.md has the figures)."""
SEED = 2020

_BLOCK = 1024
"""Rows read at a time."""


class Line(NamedTuple):
    """A least-squares line over 1/n, as the weights of its points at 1/n = 0; they add up to 1."""

    sizes: tuple[int, ...]
    weights: Floats

    @property
    def spread(self) -> float:
        """How much more than the distance of all n pictures its end varies, as a ratio of standard errors.

        Parts are nested, so that picture i weighs Σ w_j / n_j over the parts that hold it, in place of 1/n.
        """
        steps = np.diff((0, *self.sizes))
        weights = np.cumsum((self.weights / self.sizes)[::-1])[::-1]
        return float(np.sqrt(self.sizes[-1] * (steps * weights**2).sum()))


def fit(sizes: tuple[int, ...]) -> Line:
    """Return the line through distances at these sizes."""
    design = np.stack([np.ones(len(sizes)), 1 / np.array(sizes)], axis=1)
    return Line(sizes, np.asarray(np.linalg.pinv(design)[0]))


def fid_infinity(generated: FeatureSet, reference: FeatureSet | None) -> Estimate:
    """Return the end of the line through 15 distances, of half of the pictures to all of them.

    The interval is that of the distance of all pictures, widened as the end of the line varies more. CannotMeasure
    where n is not above the number of features: the bias is no line there.
    """
    assert reference is not None
    if generated.n <= generated.width:
        raise CannotMeasure(f"needs more pictures than the {generated.width} features to fit a line, not {generated.n}")
    line = fit(tuple(int(size) for size in np.linspace(SMALLEST * generated.n, generated.n, POINTS)))
    root = reference.root
    distances = [frechet_from_root(part, reference.gaussian, root) for part in _parts(generated, line.sizes)]
    value = float(line.weights @ distances)
    half = half_width(generated, reference)
    return Estimate(value, None if half is None else (value - line.spread * half, value + line.spread * half))


def _parts(side: FeatureSet, sizes: tuple[int, ...]) -> Iterator[Gaussian]:
    """The Gaussians of growing random parts of the pictures, each within the next."""
    order = np.random.default_rng(SEED).permutation(side.n)
    accumulator = Accumulator()
    for start, stop in pairwise((0, *sizes)):
        for block in range(start, stop, _BLOCK):
            accumulator.add(side.rows[np.sort(order[block : min(block + _BLOCK, stop)])])
        yield gaussian(accumulator.moments())


FID_INFINITY = SetMetric(
    "fid_infinity",
    higher_is_better=False,
    digits=2,
    network="inception",
    protocol=f"line{POINTS}",
    estimate=fid_infinity,
    from_moments=True,
)
