"""What a metric is: its direction, what it needs, and the pure function that computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args

from ..core.errors import BenchError
from .stats import Interval, mean_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .features import FeatureSet

Observed = Literal["canny", "depth", "landmarks", "regions", "objects", "edited"]
"""What an observer finds in a picture, to be held against what was asked for: edges, bool (H, W); nearness, float
(H, W); points of one face (k, 2), in pixels; masks of regions, bool (regions, H, W); the same of what bears a name,
asked for with the names, an array (things,) of fields ``name`` and ``mask``; what came of an edit
(``editing.Outcome``), asked for as the true pictures before and after it, uint8 (2, H, W, 3)."""

Need = Literal["prompts", "reference", "target", "reader", "source", "edit", Observed]
"""The prompt of each picture; a set of reference pictures or its statistics; the picture each is compared with; who
reads in the pictures themselves whether they show what their prompts say; the picture that was edited, uint8 (H, W, 3);
where it was to be edited, bool (H, W)."""

OBSERVED: tuple[str, ...] = get_args(Observed)
ASKED = (*OBSERVED, "source", "edit")
"""Needs that ``Sample.asked`` holds; pictures without are left out."""


class CannotMeasure(BenchError):  # noqa: N818
    """A metric is not defined for what is there; the text becomes the reason beside its missing value."""


class CaptionReader(Protocol):
    """Tells from the pixels whether a picture shows what its caption says, as far as it checks that; handed in."""

    @property
    def label(self) -> str:
        """Name and version, as identities say it: ``scene-reader@1``."""

    def __call__(self, picture: NDArray[np.uint8], caption: str) -> float:
        """Return 1 where all that it checks of ``caption`` is right in the picture, uint8 (H, W, 3), else 0.

        Raises CannotMeasure for captions of another grammar and pictures of another size.
        """


class Observer(Protocol):
    """Finds in a picture what was asked for; handed in."""

    @property
    def label(self) -> str:
        """Name, version and parameters, as identities say it: ``opencv-canny-100-200``."""

    def __call__(self, picture: NDArray[np.uint8], asked: Any) -> Any:
        """Return what is there of the kind, in the form of ``asked``; None where there is nothing (no face).

        Raises CannotMeasure for pictures that it cannot look at.
        """


class Estimate(NamedTuple):
    """What a set metric finds."""

    value: float
    interval: tuple[float, float] | None = None
    """95 % for sampling at this n; it says nothing of bias."""
    note: str | None = None
    """What every table must say beside it."""
    protocol: str | None = None
    """In place of the protocol of the metric, where it depends on the pictures (subsets made smaller for few)."""


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
    prompts: Sequence[str] = ()
    """Of each picture."""
    network: Any = None
    """The network of the metric, where it compares pictures by itself."""
    reader: CaptionReader | None = None
    asked: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """By kind, one for each picture."""
    seen: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """By observed kind, what is in each picture; None where nothing is."""


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
    """Raises CannotMeasure where it is not defined for some of the pictures: then there is no mean either."""
    left_out: str = "identical to their target (infinite)"
    """What is said of pictures whose number is not finite, which the mean leaves out."""
    interval: Callable[[Sequence[float]], Interval | None] = mean_interval
    """Of the mean, from the numbers of all pictures."""


@dataclass(frozen=True)
class SetMetric(Metric):
    """One number of a set of pictures by their features, mostly against those of a reference set.

    ``needs`` says what the set is compared with: the ``"reference"`` of the suite (or its statistics file), the
    ``"target"`` of each picture taken together, or nothing (``()``). Over other features it is the same declaration
    with another network: ``SetMetric("fd_dinov2", …, network="dinov2", estimate=frechet, from_moments=True)``.
    """

    _: KW_ONLY
    estimate: Callable[[FeatureSet, FeatureSet | None], Estimate]
    """Of the features of the generated pictures and of the other side, None where ``needs`` is empty. Pure; raises
    CannotMeasure where it is not defined for what is there, for example for too few pictures."""
    from_moments: bool = False
    """Whether a statistics file (mean and covariance) can stand in for reference pictures."""
    left_out: Callable[[FeatureSet, FeatureSet, NDArray[np.int64]], NDArray[np.float64]] | None = None
    """What the number becomes with each group of the generated pictures left out, up to one constant, the other side as
    it is; ``labels`` (n,) says the group of each picture. From it comes how sure a change of the number is, the same
    groups being left out before and after. None where there is no such thing short of measuring 20 times."""
    needs: tuple[Need, ...] = ("reference",)
