"""Statistics of uncertainty: pure functions on numbers, each with the reason why it is the right one.

All intervals here cover *sampling*: what another set of as many pictures, made in the same way, would have given. None
covers bias (a Fréchet distance at small n is too high, and so is its whole interval) or a change of protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]


def mean_interval(values: Sequence[float] | NDArray[np.float64], level: float = 0.95) -> Interval | None:
    """Return the interval of the mean of per-picture scores, mean ± t·s/√n; None for fewer than two values.

    The pictures are taken as independent draws from the prompts (or photos) that might have been asked, so it covers
    sampling at this n: a second set of n prompts would give a mean inside it about as often as ``level`` says. It does
    not cover bias, nor a change of protocol. s is the sample deviation (n - 1) and t Student's quantile with n - 1
    degrees of freedom, since at n = 12 the normal 1.96 would be 11 % too narrow (Student, Biometrika 6, 1908).
    """
    n = len(values)
    if n < 2:
        return None
    mean = float(np.mean(values))
    half = student(n - 1, level) * float(np.std(values, ddof=1)) / n**0.5
    return mean - half, mean + half


def skewed_mean_interval(values: Sequence[float] | NDArray[np.float64], level: float = 0.95) -> Interval | None:
    """Return ``mean_interval`` with both ends moved up for values that few large ones decide; None as there.

    Squared distances have a long tail to the right: most samples lack the largest, and then the mean and the deviation
    are both too small, while a sample that has one has a deviation so large that its interval reaches far too low. Of
    lognormal values with a deviation of 2.9 times their mean, 13 % of the intervals mean ± t·s/√n at n = 128 end below
    the true mean and 0.2 % begin above it, where 2.5 % should. Hall's transformation of t (JRSS B 54, 1992),

        g(t) = t + γt²/3 + γ²t³/27 + γ/6,   γ = skewness/√n,

    is about as t would be without the skew, and leaves 7 % and 1.6 %.
    """
    found = mean_interval(values, level)
    n = len(values)
    mean = float(np.mean(values)) if found else 0.0
    centred = np.asarray(values, np.float64) - mean if found else np.zeros(1)
    spread = float(np.sqrt(np.mean(centred**2)))
    gamma = float(np.mean(centred**3)) / spread**3 / n**0.5 if spread else 0.0
    if found is None or gamma <= 0:
        return found
    error, quantile = float(np.std(values, ddof=1)) / n**0.5, student(n - 1, level)

    def unskewed(g: float) -> float:
        """The t of which g(t) is so much."""
        return 3 / gamma * (float(np.cbrt(1 + gamma * (g - gamma / 6))) - 1)

    low, high = mean - unskewed(quantile) * error, mean - unskewed(-quantile) * error
    return max(found[0], low), max(found[1], high)


def median_interval(values: Sequence[float] | NDArray[np.float64], level: float = 0.95) -> Interval | None:
    """Return two of the values that have the median between them; None where so few cannot tell at ``level``.

    How many of n values lie below the median is binomial with a half, whatever the values are: counted in from both
    ends as far as that allows, they bound it (Thompson, Annals of Mathematical Statistics 7, 1936). At 95 % it takes 6.
    """
    from scipy.special import bdtr

    n = len(values)
    inwards = int((bdtr(np.arange(n), n, 0.5) <= (1 - level) / 2).sum())
    if not inwards:
        return None
    ordered = np.sort(np.asarray(values, np.float64))
    return float(ordered[inwards - 1]), float(ordered[n - inwards])


def proportion_interval(share: float, n: int, level: float = 0.95) -> Interval:
    """Return Wilson's interval of a share in [0, 1] of ``n`` pictures that have some property.

    The mean ± t·s/√n of zeros and ones collapses to a point where all pictures agree, which is where precision and
    recall often are; Wilson's interval inverts the test instead of plugging in the estimate, stays inside [0, 1] and
    keeps a width of about 4/n at both ends (Wilson, JASA 22, 1927).
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + level) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def share_interval(scores: Sequence[float]) -> Interval:
    """Return ``proportion_interval`` of scores that are each 0 or 1."""
    return proportion_interval(sum(scores) / len(scores), len(scores))


def jackknife_half_width(*left_out: Sequence[float] | NDArray[np.float64], level: float = 0.95) -> float:
    """Return half the interval of a number made from one or more independent samples, by the delete-group jackknife.

    ``left_out`` holds, for each sample, what the number becomes when each of its G random groups is left out in turn
    (up to one constant for all groups of a sample, which cancels). The variance of a sample's part is

        (G - 1)/G · Σ (left_out_g - mean)²

    and the parts of independent samples add. The half width is Student's t with G - 1 degrees of freedom (of the
    smallest G) times the root of the sum.

    Why this and not the bootstrap: a bootstrap sample of n pictures repeats some and lacks a third, so its covariance
    has fewer effective degrees of freedom, and a Fréchet distance, whose bias grows as they shrink, comes out too high
    by about its whole bias *again*: the percentile interval then excludes the estimate itself. Leaving out a
    twentieth changes the bias by the same twentieth for every group, and what all groups share drops out of the sum.

    Why it is conservative where there are few pictures per feature: the left-out values vary as estimates from
    (G - 1)/G·n pictures do, and a Fréchet distance at n/d < 5 varies more at fewer pictures than √n would have it
    (Efron & Stein, "The Jackknife Estimate of Variance", Annals of Statistics 9, 1981: the jackknife's expected
    variance is never below that of the estimate at the smaller n). The mean of ``left_out`` corrects no bias here
    and is not used for that.
    """
    groups = min(map(len, left_out))
    variance = sum(float(np.var(sample)) * (len(sample) - 1) for sample in left_out)
    return student(groups - 1, level) * float(np.sqrt(variance))


def rest_means(values: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of ``values`` (n,) without each group; ``labels`` (n,) says which, from 0 on."""
    sums, counts = np.bincount(labels, values), np.bincount(labels)
    return np.asarray((sums.sum() - sums) / (counts.sum() - counts))


def student(freedom: float, level: float) -> float:
    """Return the quantile of Student's t that bounds the middle ``level`` of it."""
    from scipy.special import stdtrit  # scipy.stats.t, without the second that scipy.stats takes to import

    return float(stdtrit(freedom, (1 + level) / 2))
