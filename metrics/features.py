"""The features of a set of pictures as set metrics see them: their moments at hand, all of them in a mapped file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .frechet import Accumulator, Floats, Gaussian, covariance_root, gaussian, moments
from .metric import CannotMeasure


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """One side of a set metric."""

    gaussian: Gaussian
    stored: NDArray[np.float32] | None = None
    """(n, d) in the order of the pictures, mapped into memory; None where only a statistics file is there."""
    network: Any = None
    """The network that made the features, for metrics that go on from them (logits from pool3)."""

    @property
    def rows(self) -> NDArray[np.float32]:
        """All features, (n, d); CannotMeasure where only their moments are known."""
        if self.stored is None:
            raise CannotMeasure("needs the pictures of both sides: a statistics file holds only mean and covariance")
        return self.stored

    @property
    def root(self) -> Floats:
        """S (d, r) with S Sᵀ = the covariance; from the features where they are no more than the width of one.

        The centred features themselves are such an S over √(n - 1), in a fraction of the time of a decomposition. They
        add up to zero; a Householder reflection of their order, which turns that sum into the first row, drops it.
        """
        if self.stored is None or self.n > self.width:
            return covariance_root(self.gaussian)
        centred = self.stored.astype(np.float64) - self.gaussian.mean
        return np.asarray((centred[1:] + centred[0] / (self.n**0.5 - 1)).T / (self.n - 1) ** 0.5)

    @property
    def n(self) -> int:
        """Number of pictures; 0 where a statistics file leaves it out."""
        return self.gaussian.n or 0

    @property
    def width(self) -> int:
        """Features of one picture."""
        return len(self.gaussian.mean)


def feature_set(rows: NDArray[Any], network: Any = None) -> FeatureSet:
    """Return the side whose features (n, d) are at hand; BenchError for fewer than two, or where one is not finite."""
    return FeatureSet(gaussian(moments(rows)), np.asarray(rows, np.float32), network)


class FeatureFile:
    """Features that come in batches: rows go to a file at once, so that memory does not grow with their number."""

    def __init__(self, folder: Path, network: Any = None) -> None:
        self._file = NamedTemporaryFile(dir=folder, suffix=".f32", delete=False)  # noqa: SIM115
        self._accumulator = Accumulator()
        self._network = network

    def add(self, features: NDArray[np.float32]) -> None:
        """Take in features (n, d), as wide as those before; BenchError where the disk is full."""
        self._accumulator.add(features)
        try:
            self._file.write(np.ascontiguousarray(features, np.float32).tobytes())
            self._file.flush()
        except OSError as error:
            raise BenchError(
                f"cannot keep features in '{self._file.name}': {error}; set TMPDIR to a larger disk"
            ) from error

    def close(self) -> FeatureSet:
        """Return all that was added; BenchError for fewer than two pictures."""
        self._file.close()
        known = gaussian(self._accumulator.moments())
        return FeatureSet(
            known, np.memmap(self._file.name, np.float32, "r", shape=(known.n or 0, len(known.mean))), self._network
        )
