"""Statistics of repeated timings: how sure a median is, and whether of two methods one is faster.

Timings come in *rounds*, and in each of them methods take short *turns*. Calls within a round resemble each other (one
clock rate, one neighbour on the machine), so they are no independent draws: an interval of a median made of them would
be too narrow by any factor, and rounds are counted. The ratio of two turns side by side is another matter: what both
have in common drops out of it, and what is left varies from turn to turn without memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .paired import Change, simultaneous_level

Numbers = Sequence[float] | NDArray[np.float64]

LEVEL = 0.95
"""Of the interval of a median."""
RANKING_LEVEL = 0.99
"""Of the interval of a ratio: at 0.95 one in twenty pairs of equal methods would be ranked, and tables have many."""
MARGIN = 0.02
"""Less is not ranked, however sure: two processes of one method may differ by so much, by where their memory lies."""
NOISY = 0.05
"""Spread of the rounds above which a number is said to be noisy."""
STEADY_WINDOWS = 3
STEADY_WITHIN = 0.02
MOST_VALUES = 500
"""That the signed-rank test takes one by one: it looks at all pairs of them."""

Verdict = Literal["slower", "faster", "alike", "not ranked"]


class MedianInterval(NamedTuple):
    """An interval between two order statistics."""

    low: float
    high: float
    rank: int
    """It lies between the ``rank``-th smallest and the ``rank``-th largest value."""
    level: float
    """What it really covers, at least what was asked for."""


class PairedRatio(NamedTuple):
    """How much slower head is than base: above 1 slower."""

    ratio: float
    """Of the ratios side by side: the logs' Hodges-Lehmann estimate."""
    low: float | None
    """None where there are too few ratios for an interval of this level."""
    high: float | None
    level: float
    p: float
    """Two-sided, of the signed-rank test."""
    verdict: Verdict


def median_interval(values: Numbers, level: float = LEVEL) -> MedianInterval | None:
    """Return the interval of the median of independent values between order statistics; None where they are too few.

    Each value lies below the true median with probability one half, whatever their distribution, so the number of those
    below is binomial, and between the k-th smallest and the k-th largest of n the median lies with probability
    1 - 2 P(Binomial(n, 1/2) < k) (Thompson, Annals of Mathematical Statistics 7, 1936). k is the largest that keeps at
    least ``level``: 2 of 10 (0.979). Below 6 values there is none at 0.95.
    """
    n, outside, rank = len(values), 0.0, 0
    while rank < n // 2 and 2 * (grown := outside + math.comb(n, rank) / 2**n) <= 1 - level:
        outside, rank = grown, rank + 1
    if not rank:
        return None
    ordered = sorted(map(float, values))
    return MedianInterval(ordered[rank - 1], ordered[n - rank], rank, 1 - 2 * outside)


def p90(values: Numbers) -> float:
    """Return the smallest value that at least nine in ten do not exceed (nearest rank)."""
    return sorted(map(float, values))[math.ceil(0.9 * len(values)) - 1]


def spread(medians: Numbers) -> float:
    """Return how much the rounds' medians scatter, as a share of their median: 1.4826 × median absolute deviation.

    For normal scatter it is the coefficient of variation, and a single round that was disturbed does not move it.
    """
    found = np.asarray(medians, np.float64)
    middle = float(np.median(found))
    return 1.4826 * float(np.median(np.abs(found - middle))) / middle if middle else 0.0


def judged_ratio(ratios: Numbers, level: float = RANKING_LEVEL, margin: float = MARGIN) -> PairedRatio:
    """Compare two methods by what one took over the other each time that they were timed side by side, all above 0.

    Head is slower or faster where the signed-rank test of the log ratios finds p ≤ 1 - ``level`` and the ratio is
    farther than ``margin`` from 1; alike where the whole interval is within it; else not ranked. The interval is the
    test's own, turned round: all ratios that it would not reject.
    """
    found = signed_rank(np.log(np.asarray(ratios, np.float64)), level)
    estimate = math.exp(found.estimate)
    low, high = (None if end is None else math.exp(end) for end in (found.low, found.high))
    return PairedRatio(estimate, low, high, level, found.p, _verdict(estimate, low, high, found.p <= 1 - level, margin))


class Centre(NamedTuple):
    """Around what values scatter."""

    estimate: float
    low: float | None
    """None where there are too few values for an interval of this level."""
    high: float | None
    p: float
    """Two-sided, that they scatter around 0."""


def signed_rank(values: Numbers, level: float) -> Centre:
    """Return the centre of values scattered symmetrically: Wilcoxon's signed-rank test, and its interval.

    The estimate is the median of the n (n + 1)/2 means of pairs, each value paired with itself, too (Hodges & Lehmann,
    Annals of Mathematical Statistics 34, 1963). How many of them lie above the true centre has the same distribution
    whatever the values' own, so the interval lies between the k-th smallest and the k-th largest of them: exact for
    values that know nothing of each other. Up to three in ten may be disturbed without moving the estimate far, and of
    some dozens the interval. At 0.99 it needs 8 values; of more than 500, neighbours are taken together.
    """
    found = np.asarray(values, np.float64)
    if len(found) > MOST_VALUES:
        found = np.array([np.median(some) for some in np.array_split(found, MOST_VALUES)])
    first, second = np.triu_indices(len(found))
    means = np.sort((found[first] + found[second]) / 2)
    chances = _signed_rank_chances(len(found))
    above, below = int((means >= 0).sum()), int((means <= 0).sum())
    p = min(1.0, 2 * float(chances[min(above, below)]))
    k = int(np.searchsorted(2 * chances, 1 - level, side="right"))
    low, high = (float(means[k - 1]), float(means[-k])) if k else (None, None)
    return Centre(float(np.median(means)), low, high, p)


@lru_cache(maxsize=32)
def _signed_rank_chances(n: int) -> NDArray[np.float64]:
    """Chances that the signed ranks of n values add up to at most 0, 1, …, n (n + 1)/2; each counts with chance 1/2."""
    chances = np.zeros(n * (n + 1) // 2 + 1)
    chances[0] = 1
    for rank in range(1, n + 1):
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    return np.cumsum(chances)


def slowdown(base: Numbers, head: Numbers, level: float = LEVEL) -> Change | None:
    """Return how much slower head is than base as a share of base's time, from medians of turns side by side, above 0.

    0.07 is 7 % slower: estimate and interval of ``signed_rank`` of the log ratios, less 1. None where there are too few
    turns for an interval of this level: ``rounds_needed`` says how many there must be.
    """
    found = signed_rank(np.log(np.asarray(head, np.float64)) - np.log(np.asarray(base, np.float64)), level)
    if found.low is None or found.high is None:
        return None
    return Change(*map(math.expm1, (found.estimate, found.low, found.high)))


def rounds_needed(tests: int, level: float = LEVEL) -> int:
    """Return the fewest rounds in which signed-rank tests of ``tests`` rows can find anything, ``level`` over them all.

    n rounds give no p below 2/2^n, so 2^(1 - n) must reach (1 - ``level``)/``tests`` (Bonferroni): 10 rounds do for up
    to 25 rows at 0.95, 11 for 51.
    """
    return 1 + math.ceil(-math.log2(1 - simultaneous_level(tests, level)) - 1e-9)


def has_settled(medians: Numbers) -> bool:
    """Whether the last three windows differ by at most 2 %."""
    last = [float(value) for value in medians[-STEADY_WINDOWS:]]
    return len(last) == STEADY_WINDOWS and max(last) <= (1 + STEADY_WITHIN) * min(last)


def _verdict(ratio: float, low: float | None, high: float | None, differs: bool, margin: float) -> Verdict:
    edge = 1 + margin
    if low is not None and high is not None and 1 / edge <= low and high <= edge:
        return "alike"
    if differs and not 1 / edge <= ratio <= edge:
        return "slower" if ratio > 1 else "faster"
    return "not ranked"
