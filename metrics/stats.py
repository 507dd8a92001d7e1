"""Statistics of uncertainty: pure functions on numbers, each with the reason why it is the right one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Return the interval of the mean of per-picture scores, mean ± t·s/√n; None for fewer than two values.

    The pictures are taken as independent draws from the prompts (or photos) that might have been asked, so it covers
    sampling at this n: a second set of n prompts would give a mean inside it about as often as ``level`` says. It does
    not cover bias, nor a change of protocol. s is the sample deviation (n - 1) and t Student's quantile with n - 1
    degrees of freedom, since at n = 12 the normal 1.96 would be 11 % too narrow (Student, Biometrika 6, 1908).
    """
    from scipy.special import stdtrit  # scipy.stats.t, without the second that scipy.stats takes to import

    n = len(values)
    if n < 2:
        return None
    mean = float(np.mean(values))
    half = float(stdtrit(n - 1, (1 + level) / 2) * np.std(values, ddof=1) / np.sqrt(n))
    return mean - half, mean + half
