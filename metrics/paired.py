"""Statistics of comparing two sets of pictures: how far a number has moved, and how sure that is.

Everything here is a change, head minus base, with an interval that covers *sampling*: what as many other prompts would
have given. Pictures of one prompt and one noise are compared with each other wherever that can be, since what a prompt
is worth drops out of their difference: on perturbed features the deviation of a paired difference of Fréchet distances
was a fourteenth to an eighteenth of an unpaired one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .stats import mean_interval, median_interval, proportion_interval, skewed_mean_interval, student

Floats = NDArray[np.float64]
Numbers = Sequence[float] | Floats


class Change(NamedTuple):
    """Head minus base, with its interval."""

    estimate: float
    low: float
    high: float


def simultaneous_level(tests: int, level: float = 0.95) -> float:
    """Return the level of each of ``tests`` intervals so that all hold at once as often as ``level`` says: Bonferroni.

    A gate of 20 rows at 95 % each would find a change in two of three pairs of equal runs. Bonferroni's 1 - (1 - level)
    / tests needs no independence, and the rows of a gate are of the same pictures. Holm's procedure is sharper for
    p-values; a verdict takes both ends of an interval, and Holm's rejections have no intervals of one common width to
    go with them.
    """
    return 1 - (1 - level) / max(tests, 1)


# --- means of per-picture scores


def paired_mean_change(base: Numbers, head: Numbers, level: float = 0.95) -> Change | None:
    """Return the mean of the differences of pairs ± t·s/√n; None for fewer than two pairs.

    It is ``mean_interval`` of the differences, so scores that vary much from prompt to prompt, and little between the
    two pictures of a prompt, give a narrow interval. Where all differences are equal it is a point, as it should be.
    """
    differences = np.asarray(head, np.float64) - np.asarray(base, np.float64)
    interval = mean_interval(differences, level)
    return Change(float(differences.mean()), *interval) if interval else None


def mean_change(base: Numbers, head: Numbers, level: float = 0.95) -> Change | None:
    """Return the difference of the means of two independent sets; None for fewer than two scores in one.

    Welch's interval: the variances of both means add, with the degrees of freedom of Welch and Satterthwaite
    (Biometrika 34, 1947), since nothing says that both sides vary alike.
    """
    sides = [np.asarray(side, np.float64) for side in (base, head)]
    if min(map(len, sides)) < 2:
        return None
    errors = [float(np.var(side, ddof=1)) / len(side) for side in sides]
    change = float(sides[1].mean() - sides[0].mean())
    if not sum(errors):
        return Change(change, change, change)
    freedom = sum(errors) ** 2 / sum(error**2 / (len(side) - 1) for error, side in zip(errors, sides, strict=True))
    half = student(freedom, level) * sum(errors) ** 0.5
    return Change(change, change - half, change + half)


# --- shares: scores that are 0 or 1


def paired_share_change(base: Numbers, head: Numbers, level: float = 0.95) -> Change | None:
    """Return the difference of two shares of the same pictures with Tango's score interval; None for no pair.

    Only pairs that disagree count. The mean of the differences ± t·s/√n is a point where none does, and a gate would
    take it for certainty; Tango's interval, which inverts the score test as Wilson's does for one share, is then ± z² /
    (n + z²), and never leaves [-1, 1].
    (Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
    Statistics in Medicine 17, 1998.)
    """
    differences = np.asarray(head, np.float64) - np.asarray(base, np.float64)
    n = len(differences)
    if not n:
        return None
    gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
    z, estimate = _normal(level), (gained - lost) / n
    low = _crossing(lambda change: _tango(change, gained, lost, n) - z, -1.0, estimate)
    high = _crossing(lambda change: _tango(change, gained, lost, n) + z, estimate, 1.0)
    return Change(estimate, low, high)


def paired_coarse_change(base: Numbers, head: Numbers, level: float = 0.95) -> Change | None:
    """Return ``paired_mean_change`` of scores from 0 to 1 that take few values, and never as a point; None as there.

    Such are shares of a picture's objects, and means of the shares of a prompt's pictures. Most of their pairs agree
    exactly, or all of them do, and what the few of another sample would do is not seen. No pair differs by more than 1,
    so the interval is made to hold that of as many pairs of shares that all agree, ± z²/(n + z²).
    """
    found, agreeing = paired_mean_change(base, head, level), _normal(level) ** 2
    least = agreeing / (len(base) + agreeing)
    if found is None:
        return None
    return Change(found.estimate, min(found.low, found.estimate - least), max(found.high, found.estimate + least))


def share_change(base: Numbers, head: Numbers, level: float = 0.95) -> Change | None:
    """Return the difference of the shares of two independent sets; None where one is empty.

    Newcombe's interval: the distances from each share to the ends of its Wilson interval, squared and added (Statistics
    in Medicine 17, 1998, method 10). It keeps a width where all pictures of both sides agree.
    """
    if not len(base) or not len(head):
        return None
    (p, p_low, p_high), (q, q_low, q_high) = (_share(side, level) for side in (base, head))
    below = ((q - q_low) ** 2 + (p_high - p) ** 2) ** 0.5
    above = ((q_high - q) ** 2 + (p - p_low) ** 2) ** 0.5
    return Change(q - p, q - p - below, q - p + above)


def are_shares(*scores: Numbers) -> bool:
    """Whether all scores are 0 or 1, so that their mean is a share."""
    return all(bool(np.isin(side, (0.0, 1.0)).all()) for side in scores)


def are_coarse(*scores: Numbers) -> bool:
    """Whether all scores are from 0 to 1 and take few values: a quarter as many as there are scores on a side."""
    values = np.unique(np.concatenate([np.asarray(side, np.float64) for side in scores]))
    few = 0 < 4 * len(values) <= min(map(len, scores))
    return bool(few and values[0] >= 0 and values[-1] <= 1)


def _share(scores: Numbers, level: float) -> tuple[float, float, float]:
    share = float(np.mean(scores))
    return share, *proportion_interval(share, len(scores), level)


def _tango(change: float, gained: int, lost: int, n: int) -> float:
    """Tango's score statistic under a true difference of ``change``: about standard normal, falling in ``change``."""
    half = (2 * n - gained + lost) * change - gained - lost
    product = -lost * change * (1 - change)
    likely = ((half**2 - 8 * n * product) ** 0.5 - half) / (4 * n)  # the share that base alone has, given the change
    variance = n * (2 * likely + change * (1 - change))
    distance = gained - lost - n * change
    if variance <= 0:
        return float(np.sign(distance)) * np.inf if distance else 0.0
    return float(distance / variance**0.5)


def _crossing(falling: Any, low: float, high: float) -> float:
    """Where a falling function crosses 0 between ``low`` and ``high``, by halving; the end it never crosses before."""
    if falling(low) <= 0:
        return low
    if falling(high) >= 0:
        return high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


# --- features


def feature_drift(
    base: NDArray[Any], head: NDArray[Any], level: float = 0.95, prompts: NDArray[np.int64] | None = None
) -> Change | None:
    """Return how far pictures have moved: 0 where none has, 1 where they are as far off as pictures of other prompts.

    With b and h the features (n, d) of the pictures of one prompt and noise,

        drift = mean |h - b|² / mean |b - b'|²,   b' the picture of another prompt

    the denominator being twice the trace of base's covariance. It tells no direction: a fault may well bring pictures
    nearer to a reference, and a distance that improves for a wrong reason is found here. Since it cannot be negative,
    its interval says how large the drift is, not whether there is one; where too few pictures tell, its lower end is
    below 0. The interval is that of a ratio of means linearised (Cochran, Sampling Techniques, 1977, section 6.4) and
    for skewed values, since few pictures move most, over prompts where ``prompts`` (n,) numbers those of pictures. None
    for fewer than two of them, or where all of base's pictures are alike.
    """
    found = _movements(base, head)
    if found is None:
        return None
    moved, apart = found
    drift = float(moved.mean() / apart.mean())
    rest = _of_prompts((moved - drift * apart) / apart.mean(), prompts)
    interval = skewed_mean_interval(rest, level)
    return Change(drift, drift + interval[0], drift + interval[1]) if interval else None


def median_drift(
    base: NDArray[Any], head: NDArray[Any], level: float = 0.95, prompts: NDArray[np.int64] | None = None
) -> Change | None:
    """Return how far the picture in the middle has moved, in the units of ``feature_drift``.

        median of |h - b|² / mean |b - b'|²

    Rounding turns a few pictures into others and leaves the rest where they are, so that the mean is theirs; a fault
    moves all a little. The interval is that of a median (``stats.median_interval``), over the means of prompts where
    ``prompts`` (n,) numbers those of pictures; the mean distance that it is a share of is taken as it is. Where a level
    takes more pictures than there are, the ends are 0, below which nothing moves, and the farthest movement. None for
    fewer than 6 prompts, who do not tell it at 95 %, and where all of base's pictures are alike.
    """
    found = _movements(base, head)
    if found is None:
        return None
    moved, apart = found
    shares = _of_prompts(moved / apart.mean(), prompts)
    if median_interval(shares) is None:
        return None
    low, high = median_interval(shares, level) or (0.0, float(shares.max()))
    return Change(float(np.median(shares)), low, high)


def _movements(base: NDArray[Any], head: NDArray[Any]) -> tuple[Floats, Floats] | None:
    """Squared distances (n,) of pictures from base's, and of base's from others; None where they tell nothing."""
    b, h = (np.asarray(side, np.float64) for side in (base, head))
    n = len(b)
    if n < 2:
        return None
    apart = ((b - b.mean(axis=0)) ** 2).sum(axis=1) * 2 * n / (n - 1)
    return (((h - b) ** 2).sum(axis=1), apart) if apart.any() else None


def _of_prompts(values: Floats, prompts: NDArray[np.int64] | None) -> Floats:
    """The means of prompts, where pictures are of fewer."""
    return values if prompts is None else np.bincount(prompts, values) / np.bincount(prompts)


def _normal(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))
