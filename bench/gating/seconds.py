"""Whether a version is slower: the gate's rule on what ``bench ab`` timed, with a repeat where that leaves a doubt.

A process keeps what it was born with (where its memory lies, which cores it is given): two of one version may differ
by per cents for as long as they live, and no number of rounds of the same two tells that from a slow-down. So one go
is enough only where that cannot decide. With [lo, hi] bounding the slow-down and m the margin, both as shares of
base's seconds, a row is *in doubt* where lo > 0 and hi comes within ``SCATTER`` of m, or above it. Then there is
another go, in fresh processes, and the rounds of both are taken together: *fail* where lo > 0 in each go and the
estimate of both is above m; *pass* where hi of both is below m. Without doubt: *pass* where hi < m. Else *could not
measure*.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from ...metrics.paired import Change, simultaneous_level
from ...metrics.timing import MARGIN as SCATTER
from ...metrics.timing import rounds_needed, slowdown
from ...reports.ab import AbFailed, AbRow, AbRun
from .changes import Difference
from .thresholds import SECONDS
from .verdict import FAIL, OPEN, PASS, Judged

Pairs = Sequence[tuple[float, float]]
"""Medians of the rounds in seconds: base, head."""


class Slowdown(NamedTuple):
    """One measurement of a row: how much slower head is, as a share of base."""

    change: Change
    """With the interval of this row alone."""
    together: Change | None
    """The same with the interval of all rows together; None where there are too few rounds for so many rows."""

    @property
    def sure(self) -> bool:
        """Whether head is surely slower, over all rows together."""
        return self.together is not None and self.together.low > 0

    def in_doubt(self, margin: float) -> bool:
        """Whether it is surely slower, and other processes might show more than the margin."""
        return self.sure and self.change.high + SCATTER > margin


class Measured(NamedTuple):
    """A row of ``bench ab`` at the level of whoever judges it."""

    first: Slowdown | None
    """None where there are too few rounds for an interval of this row alone."""
    repeat: Slowdown | None
    """None where it was not repeated, too."""
    both: Slowdown | None
    """Of all rounds of both goes; the first alone where it was not repeated."""
    rounds: int
    """Of a go."""
    needed: int
    """Rounds from which so many rows can fail."""


def levels_of(tests: int, level: float) -> tuple[float, float]:
    """Return the level of the interval of a row of ``bench ab`` by itself, and of each of ``tests`` that all hold.

    Rows of seconds are corrected for among themselves, in a gate, too: ``bench gate --ab`` is to say of them what
    ``bench ab`` says. Beside the rows of pictures they hardly add to false alarms, since what fails was slower twice.
    """
    return level, simultaneous_level(tests, level)


def measured(row: AbRow, tests: int, level: float) -> Measured:
    """Return what a row of ``bench ab`` says, as one of ``tests`` rows."""
    levels = levels_of(tests, level)
    first = slowdown_of(row.rounds, levels)
    repeat = slowdown_of(row.repeat, levels) if row.repeat else None
    both = slowdown_of(row.all_rounds, levels) if repeat else first
    return Measured(first, repeat, both, len(row.rounds), rounds_needed(tests, level))


def slowdown_of(rounds: Pairs, levels: tuple[float, float]) -> Slowdown | None:
    """Return the slow-down that rounds show, None where they are too few for an interval."""
    base, head = zip(*rounds, strict=True)
    own, together = (slowdown(base, head, level) for level in levels)
    return Slowdown(own, together) if own else None


def judge_seconds(found: Measured, margin: float) -> Judged:
    """Judge a row by its first go, and where that left it in doubt, by both."""
    first, repeat, both = found.first, found.repeat, found.both
    too_few = f"{found.rounds} rounds are too few for so many rows: --rounds {found.needed}"
    if first is None or both is None:
        return Judged(OPEN, too_few)
    limit = f"the margin of {_share(margin)}"
    if repeat is None:
        said = _between(first.change)
        if first.in_doubt(margin):
            return Judged(
                OPEN, f"{said}, {limit} in reach, but not repeated: 'bench ab --margin {_share(margin)}' does"
            )
        if first.change.high < margin:
            return Judged(PASS, f"{said}, within {limit}")
        if first.together is None:
            return Judged(OPEN, f"{said}, and the margin is {_share(margin)}: {too_few}")
        return Judged(OPEN, f"{said}, and the margin is {_share(margin)}: {_mend(first, margin, found.rounds)}")
    goes = " and ".join(_share(go.change.estimate) for go in (first, repeat))
    said = f"{_between(both.change)}, {goes} in two goes"
    if both.change.high < margin:
        return Judged(PASS, f"{said}, within {limit}")
    if not (first.sure and repeat.sure):
        return Judged(OPEN, f"{said}, which disagree: run it again where less else goes on")
    if both.change.estimate > margin:
        return Judged(FAIL, f"{said}: more than {limit}")
    return Judged(OPEN, f"{said}: too close to {limit} to tell, since two processes of one version differ, too")


def seconds(run: AbRun) -> Iterator[Difference]:
    """Yield what a gate compares of ``bench ab``: its rows, and what it could not measure."""
    for row in run.rows:
        yield Difference(
            row.method, f"{SECONDS}{row.what}", "time", row.base_s, row.head_s, n=len(row.all_rounds), paired=True,
            timed=row, test=partial(_in_seconds, row),
        )  # fmt: skip
    for failed in run.failed:
        if failed.required:
            yield Difference(failed.method, f"{SECONDS}end_to_end", "time", None, None, reason=failure(failed))


def failure(failed: AbFailed) -> str:
    """Say what failed and where."""
    return f"{'both versions' if failed.version == 'both' else failed.version} failed: {failed.reason}"


def _in_seconds(row: AbRow, level: float) -> Change | None:
    base, head = zip(*row.all_rounds, strict=True)
    found = slowdown(base, head, level)
    return Change(*(value * row.base_s for value in found)) if found else None


def _between(change: Change) -> str:
    word = "slower" if change.estimate > 0 else "faster"
    return f"{_share(abs(change.estimate))} {word} ({_signed(change.low)} to {_signed(change.high)})"


def _mend(found: Slowdown, margin: float, rounds: int) -> str:
    """What would lead to a verdict. Intervals get narrower with the root of the number of rounds."""
    change = found.change
    if change.low > 0 and change.estimate > margin:
        return "one row of so many may be so by chance, more rounds would tell"
    half = change.high - change.estimate
    room = abs(margin - change.estimate) if change.estimate <= margin else change.estimate
    needed = rounds * (half / room) ** 2 if room else math.inf
    if needed > 50 * rounds:
        return "too noisy, or too close to the margin, for more rounds to help: run it where less else goes on"
    return f"about {max(math.ceil(needed), rounds + 1)} rounds in place of {rounds} would tell"


def _share(value: float) -> str:
    return f"{value:.1%}".replace(".0%", "%")


def _signed(value: float) -> str:
    return f"{value:+.1%}"
