"""What a gate can find: how often a change of a size is called a regression, and how many pictures that takes.

The gate's rule fails a row whose change for the worse is estimated above the margin m, with the lower end of its
interval above 0. The estimate of a true change δ scatters about it with a standard error e, which the gate does not
know but estimates, as s, with f degrees of freedom. So

    power = P(estimate > max(m, q s)),   estimate ~ N(δ, e²),   f s²/e² ~ χ²_f,   q Student's quantile at the level.

A change no larger than the margin is found in half of all gates at best, however many pictures there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .stats import student

POWER = 0.8
_NODES = 400
_ENDLESS = 10**8
"""Nobody makes more pictures."""


class Spread(NamedTuple):
    """How sure a change is, by what past runs show."""

    error: float
    """Standard error of the change at ``n``."""
    n: int
    freedom: int | None = None
    """Degrees of freedom of the error, None where it has one less than there are prompts (or rounds)."""
    each: float = 1.0
    """Pictures per prompt."""

    def at(self, n: int) -> Spread:
        """The same at another n: errors fall with the root of it."""
        return self._replace(error=self.error * (self.n / n) ** 0.5, n=n)

    @property
    def degrees(self) -> float:
        """Degrees of freedom."""
        return self.freedom if self.freedom is not None else max(1.0, self.n / self.each - 1)


def power(change: float, margin: float, spread: Spread, level: float) -> float:
    """Return how often a true change for the worse is called a regression, where intervals are of ``level``."""
    from scipy.special import ndtr

    if spread.error == 0:
        return float(change > margin)
    estimated = _estimated(spread.degrees)
    bound = np.maximum(margin / spread.error, student(spread.degrees, level) * estimated)
    return float(ndtr(change / spread.error - bound).mean())


def passing(margin: float, spread: Spread, level: float = 0.95) -> float:
    """Return how often a row passes where nothing is worse: the upper end of its interval is below the margin."""
    from scipy.special import ndtr

    if spread.error == 0:
        return float(margin > 0)
    estimated = _estimated(spread.degrees)
    return float(ndtr(margin / spread.error - student(spread.degrees, level) * estimated).mean())


def needed(change: float, margin: float, spread: Spread, level: float, wanted: float = POWER) -> int | None:
    """Return the fewest pictures (or rounds) at which ``power`` is ``wanted``; None where no number of them does."""
    if change <= margin:
        return None
    return _least(lambda n: power(change, margin, spread.at(n), level) >= wanted, 2, _ENDLESS)


def visible(margin: float, spread: Spread, level: float, wanted: float = POWER) -> float:
    """Return the smallest change that is found with power ``wanted``."""
    low, high = margin, margin + spread.error
    while power(high, margin, spread, level) < wanted:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, margin, spread, level) >= wanted else (middle, high)
    return high


def _least(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """The least number from ``low`` to ``high`` that holds; what holds goes on to hold."""
    if not holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _estimated(freedom: float) -> NDArray[np.float64]:
    """Errors as estimated over the true one, at equally likely places of their distribution."""
    from scipy.special import chdtri

    tails = (np.arange(_NODES) + 0.5) / _NODES
    return np.asarray(np.sqrt(chdtri(freedom, tails) / freedom))
