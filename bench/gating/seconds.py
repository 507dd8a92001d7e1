"""Whether a version is slower: the gate's rule on what ``bench ab`` timed, in up to three goes where there is a doubt.

A process keeps what it was born with (where its memory lies, which cores it is given): two of one version may differ
by per cents for as long as they live, and no number of rounds of the same two tells that from a slow-down. So one go
is enough only where that cannot decide. With [lo, hi] bounding the slow-down and m the margin, both as shares of
base's seconds, a row is *in doubt* where its estimate is above m - ``SCATTER``. Then there is another go in fresh
processes, and a third where two do not settle it; the rounds of all goes are taken together. *Fail* where their
estimate is above m, and two goes by themselves are surely slower (lo > 0) by more than m - ``SCATTER``, so that no
single one decides. *Pass* where hi < m, and not in doubt after one go. Else *could not measure*.
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
from .verdict import FAIL, OPEN, PASS, Judged, Verdict

GOES = 3
"""At most."""

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


class Measured(NamedTuple):
    """A row of ``bench ab`` at the level of whoever judges it."""

    goes: Sequence[Slowdown]
    """Of each go alone; empty where there are too few rounds for an interval of this row alone."""
    all: Slowdown | None
    """Of the rounds of all goes together; None as above."""
    rounds: int
    """Of a go."""
    needed: int
    """Rounds from which so many rows can fail."""

    def settled(self, margin: float) -> Verdict | None:
        """Return the verdict, None while there is none."""
        if self.all is None:
            return None
        change = self.all.change
        if change.high < margin and not (len(self.goes) == 1 and self.near(margin)):
            return PASS
        surely = sum(go.sure and go.change.estimate > margin - SCATTER for go in self.goes)
        return FAIL if surely > 1 and change.estimate > margin else None

    def near(self, margin: float) -> bool:
        """Whether other processes might show more than the margin; never where rounds are too few to fail."""
        found = self.all
        return found is not None and found.together is not None and found.change.estimate > margin - SCATTER

    def in_doubt(self, margin: float) -> bool:
        """Whether another go is worth its time."""
        return len(self.goes) < GOES and self.near(margin) and self.settled(margin) is None


def levels_of(tests: int, level: float) -> tuple[float, float]:
    """Return the level of the interval of a row of ``bench ab`` by itself, and of each of ``tests`` that all hold.

    Rows of seconds are corrected for among themselves, in a gate, too: ``bench gate --ab`` is to say of them what
    ``bench ab`` says. Beside the rows of pictures they hardly add to false alarms, since what fails was slower twice.
    """
    return level, simultaneous_level(tests, level)


def measured(goes: Sequence[Pairs], tests: int, level: float) -> Measured:
    """Return what the goes of a row of ``bench ab`` say, as one of ``tests`` rows."""
    levels = levels_of(tests, level)
    each = [found for go in goes if (found := _slowdown(go, levels))]
    together = _slowdown([pair for go in goes for pair in go], levels) if each else None
    return Measured(each, together, len(goes[0]), rounds_needed(tests, level))


def _slowdown(rounds: Pairs, levels: tuple[float, float]) -> Slowdown | None:
    base, head = zip(*rounds, strict=True)
    own, together = (slowdown(base, head, level) for level in levels)
    return Slowdown(own, together) if own else None


def judge_seconds(found: Measured, margin: float) -> Judged:
    """Judge a row by all of its goes."""
    too_few = f"{found.rounds} rounds are too few for so many rows: --rounds {found.needed}"
    if found.all is None:
        return Judged(OPEN, too_few)
    change, limit = found.all.change, f"the margin of {_share(margin)}"
    said, goes = _between(change), [_share(go.change.estimate) for go in found.goes]
    if len(goes) > 1:
        said += f", {', '.join(goes[:-1])} and {goes[-1]} in {len(goes)} goes"
    verdict = found.settled(margin)
    if verdict == PASS:
        return Judged(PASS, f"{said}, within {limit}")
    if verdict == FAIL:
        return Judged(FAIL, f"{said}: more than {limit}")
    if found.all.together is None:
        return Judged(OPEN, f"{said}, and {limit} with {too_few}")
    if len(goes) == 1 and found.near(margin):
        return Judged(OPEN, f"{said}, {limit} in reach, but not repeated: 'bench ab --margin {_share(margin)}' does")
    if len(goes) > 1 and change.estimate > margin:
        return Judged(OPEN, f"{said}, which disagree: run it again where less else goes on")
    if len(goes) > 1:
        return Judged(OPEN, f"{said}: too close to {limit}, as two processes of one version differ, too")
    return Judged(OPEN, f"{said}, and {limit} is in between: {_mend(change, margin, found.rounds)}")


def seconds(run: AbRun) -> Iterator[Difference]:
    """Yield what a gate compares of ``bench ab``: its rows, and what it could not measure."""
    for row in run.rows:
        yield Difference(
            row.method, f"{SECONDS}{row.what}", "time", row.base_s, row.head_s, n=len(row.rounds), paired=True,
            timed=row, test=partial(_in_seconds, row),
        )  # fmt: skip
    for failed in run.failed:
        if failed.required:
            yield Difference(failed.method, f"{SECONDS}end_to_end", "time", None, None, reason=failure(failed))


def failure(failed: AbFailed) -> str:
    """Say what failed and where."""
    return f"{'both versions' if failed.version == 'both' else failed.version} failed: {failed.reason}"


def _in_seconds(row: AbRow, level: float) -> Change | None:
    base, head = zip(*row.rounds, strict=True)
    found = slowdown(base, head, level)
    return Change(*(value * row.base_s for value in found)) if found else None


def _between(change: Change) -> str:
    word = "slower" if change.estimate > 0 else "faster"
    return f"{_share(abs(change.estimate))} {word} ({_signed(change.low)} to {_signed(change.high)})"


def _mend(change: Change, margin: float, rounds: int) -> str:
    """What would lead to a verdict. Intervals get narrower with the root of the number of rounds."""
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
