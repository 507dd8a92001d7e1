"""The rule of the gate: from a change, its interval and a threshold to a verdict, and to what is said of it.

With [lo, hi] bounding the change for the worse and m the margin: *fail* where lo > 0 and the estimate is above m;
*pass* where hi < m; else *could not measure*. So a fail is both sure and large enough to matter, a pass is sure that
nothing that matters has happened, and too few pictures give neither.

One row that fails fails the gate, so lo is of intervals that hold for all rows together (Bonferroni): else equal runs
of many rows would fail by chance. A gate passes only if every row passes, so hi is of the row's own interval: what is
claimed of all rows at once needs no correction (the intersection-union principle: Berger, "Multiparameter Hypothesis
Testing and Acceptance Sampling", Technometrics 24, 1982).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

from ...metrics.paired import Change
from .thresholds import Rule

Verdict = Literal["pass", "fail", "could-not-measure"]
Show = Callable[[float], str]

PASS: Verdict = "pass"
FAIL: Verdict = "fail"
OPEN: Verdict = "could-not-measure"


class Judged(NamedTuple):
    """A verdict with its reason in one sentence."""

    verdict: Verdict
    reason: str


class Case(NamedTuple):
    """What a row is judged by."""

    change: Change
    """Head minus base, with the interval of this row alone."""
    together: Change
    """The same with the interval of all rows together."""
    higher_is_better: bool
    margin: float
    n: int
    """Pictures."""
    total: int
    """Prompts that the dataset holds."""
    paired: bool

    @property
    def worse(self) -> Change:
        """The change for the worse."""
        return self._worse(self.change)

    @property
    def surely(self) -> float:
        """By how much it is worse at least, all rows taken together; negative where it may be better."""
        return self._worse(self.together).low

    def _worse(self, change: Change) -> Change:
        if not self.higher_is_better:
            return change
        return Change(-change.estimate, -change.high, -change.low)

    @property
    def exact(self) -> bool:
        """Whether nothing is left to chance."""
        return self.change.low == self.change.high


def judge(case: Case, show: Show) -> Judged:
    """Judge a change against its margin."""
    worse, margin = case.worse, case.margin
    if case.surely > 0 and worse.estimate > margin:
        return Judged(FAIL, f"worse by {show(worse.estimate)}, more than the margin of {show(margin)}")
    if worse.high < margin or (case.exact and worse.high <= margin):
        return Judged(PASS, _passed(case, show))
    if worse.low > 0 and worse.estimate > margin:
        return Judged(OPEN, f"{_between(worse, show)}, which one row of so many may be by chance: {_mend(case)}")
    return Judged(OPEN, f"{_between(worse, show)}, and the margin is {show(margin)}: {_mend(case)}")


def judge_improvement(case: Case, show: Show) -> Judged:
    """Judge a change that has to be one for the better."""
    worse = case.worse
    if worse.high < 0:
        return Judged(PASS, f"better by {show(-worse.estimate)}, at least {show(-worse.high)}")
    if case.surely > 0 or case.exact:
        said = f"worse by {show(worse.estimate)}" if worse.estimate > 0 else "equal"
        return Judged(FAIL, f"{said}, and had to improve")
    return Judged(OPEN, f"{_between(worse, show)}, and had to improve: {_mend(case._replace(margin=0.0))}")


def judge_drift(case: Case, show: Show, known_noise: bool, which: str = "pictures") -> Judged:
    """Judge how far pictures have moved: where other noise may be the reason, too far is no proof of a fault.

    ``which`` of them is told of.
    """
    worse, margin = case.worse, case.margin
    moved = f"the {which} moved by {show(worse.estimate)}, where 1 is to pictures of other prompts"
    if worse.estimate > margin and not known_noise:
        return Judged(
            OPEN, f"{moved}; nobody here knows their noise, and other noise would move them, too: ignore drift"
        )
    if case.surely > 0 and worse.estimate > margin:
        return Judged(FAIL, f"{moved}: more than the margin of {show(margin)}")
    if worse.high < margin:
        return Judged(PASS, f"{moved}: less than the margin of {show(margin)}")
    between = f"the {which} moved by {show(max(worse.low, 0.0))} to {show(worse.high)}"
    if worse.low > 0 and worse.estimate > margin:
        return Judged(OPEN, f"{between}, which one row of so many may by chance: {_mend(case)}")
    return Judged(OPEN, f"{between}, and the margin is {show(margin)}: {_mend(case)}")


def judge_band(value: float, rule: Rule, show: Show) -> Judged:
    """Judge a value by the band that it has to lie in: an agreement on what these prompts give, as MLPerf's."""
    assert rule.band is not None
    low, high = rule.band
    band = f"the band of {show(low)} to {show(high)}"
    return (
        Judged(PASS, f"within {band}") if low <= value <= high else Judged(FAIL, f"{show(value)} is outside of {band}")
    )


def _passed(case: Case, show: Show) -> str:
    worse = case.worse
    if case.exact:
        if not worse.estimate:
            return "equal"
        side = "better" if worse.estimate < 0 else "worse"
        return f"{side} by {show(abs(worse.estimate))}, within the margin of {show(case.margin)}"
    if worse.high < 0:
        return f"better by {show(-worse.estimate)}"
    return f"worse by {show(max(worse.high, 0.0))} at most, within the margin of {show(case.margin)}"


def _between(worse: Change, show: Show) -> str:
    """``between 0.2 better and 0.3 worse``."""
    if worse.low > 0:
        return f"worse by {show(worse.low)} to {show(worse.high)}"
    return f"between {show(-worse.low)} better and {show(worse.high)} worse"


def _mend(case: Case) -> str:
    """What would lead to a verdict. Intervals get narrower with the root of the number of pictures."""
    if not case.paired:
        return "run both from one seed on the same prompts, since pairs of pictures tell far more"
    estimate = case.worse.estimate
    if estimate > case.margin:  # it fails once it is sure to be worse at all
        half, room = estimate - case.surely, estimate
    else:
        half, room = case.worse.high - estimate, case.margin - estimate
    needed = case.n * (half / room) ** 2 if room else math.inf
    if not needed <= 1000 * case.n:
        return "it lies so close to the margin that more pictures hardly help; set another margin"
    about = _round_up(max(needed, case.n + 1))
    more = f"about {about:,} pictures in place of {case.n:,} would tell"
    return more if about <= case.total else f"{more} (the dataset holds {case.total:,} prompts)"


def _round_up(number: float) -> int:
    """Up to two digits: nobody knows it any better."""
    step = int(10 ** max(0, math.floor(math.log10(number)) - 1))
    return math.ceil(number / step) * step
