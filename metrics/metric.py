"""What a metric is: its direction, what it needs, and the pure function that computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .frechet import Gaussian

Need = Literal["prompts", "reference", "target"]
"""The prompt of each picture; a set of reference pictures or its statistics; the picture each is compared with."""


@dataclass(frozen=True)
class Evidence:
    """What a metric of single pictures sees of some of them; what it does not need is empty."""

    pictures: Sequence[NDArray[np.uint8]] = ()
    """uint8 (H, W, 3), RGB."""
    targets: Sequence[NDArray[np.uint8]] = ()
    """Of the same sizes as ``pictures``."""
    features: NDArray[np.float32] | None = None
    """(n, d), a row for each picture."""
    texts: NDArray[np.float32] | None = None
    """(n, d), a row for the prompt of each picture."""
    network: Any = None
    """The network of the metric, where it compares pictures by itself."""


@dataclass(frozen=True)
class Metric:
    """The traits of a metric, which tables, plots and the gate share."""

    name: str
    """The key in ``run.json``."""
    _: KW_ONLY
    higher_is_better: bool
    digits: int
    """Decimals that tables print."""
    needs: tuple[Need, ...] = ()
    network: str | None = None
    """The name of its network in ``extractors.NETWORKS``."""
    unit: str = ""
    protocol: str = ""
    """What the identity says of the computation itself: scale, window, number format."""
    version: int = 1
    """Raised when a change of this package changes the number."""


@dataclass(frozen=True)
class ImageMetric(Metric):
    """The mean of one number per picture."""

    _: KW_ONLY
    scores: Callable[[Evidence], Sequence[float]]


@dataclass(frozen=True)
class SetMetric(Metric):
    """One number of two sets of features, by their Gaussians."""

    _: KW_ONLY
    distance: Callable[[Gaussian, Gaussian], float]
    needs: tuple[Need, ...] = ("reference",)
