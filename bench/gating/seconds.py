"""Whether a version is slower: the gate's rule on what ``bench ab`` timed, in up to three goes where there is a doubt.

A process keeps what it was born with (where its memory lies, which cores it is given): two of one version may differ
by per cents for as long as they live, and no number of turns of the same two tells that from a slow-down. So one go
is enough only where that cannot decide. With [lo, hi] bounding the slow-down and m the margin, both as shares of
base's seconds, a row is *in doubt* where the mean of k goes is above m - ``SCATTER``/√k. Then there is another go in
fresh processes, and a third where two do not settle it. *Fail* where the mean is above m, and two goes by themselves
are surely slower (lo > 0) by more than m - ``SCATTER``, so that no single one decides. *Pass* where hi < m, and nothing
is in doubt. Else *could not measure*.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from ...metrics.paired import Change, simultaneous_level
from ...metrics.timing import MARGIN as SCATTER
from ...metrics.timing import rounds_needed, signed_rank, slowdown
from ...reports.ab import AbFailed, AbRow, AbRun
from .changes import Difference
from .thresholds import SECONDS
from .verdict import FAIL, OPEN, PASS, Judged, Verdict

GOES = 3
"""At most."""

Pairs = Sequence[tuple[float, float]]
"""Medians of turns side by side in seconds: base, head."""


class Slowdown(NamedTuple):
    """One measurement of a row: how much slower head is, as a share of base."""

    change: Change
    """With the interval of this row alone."""
    together: Change | None
    """The same with the interval of all rows together; None where there are too few turns for so many rows."""

    @property
    def sure(self) -> bool:
        """Whether head is surely slower, over all rows together."""
        return self.together is not None and self.together.low > 0


class Measured(NamedTuple):
    """A row of ``bench ab`` at the level of whoever judges it."""

    goes: Sequence[Slowdown]
    """Of each go alone; empty where there are too few turns for an interval of this row alone."""
    all: Slowdown | None
    """Of the turns of all goes together; None as above."""
    turns: int
    """Of a go."""
    needed: int
    """Turns from which so many rows can fail."""

    def settled(self, margin: float) -> Verdict | None:
        """Return the verdict, None while there is none."""
        if self.all is None:
            return None
        change = self.all.change
        if change.high < margin and not self.near(margin):
            return PASS
        surely = sum(go.sure and go.change.estimate > margin - SCATTER for go in self.goes)
        return FAIL if surely > 1 and change.estimate > margin else None

    def near(self, margin: float) -> bool:
        """Whether other processes might show more than the margin; never where turns are too few to fail."""
        found = self.all
        if found is None or found.together is None:
            return False
        return found.change.estimate > margin - SCATTER / math.sqrt(len(self.goes))

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
    together = _slowdown(_as_one(goes), levels) if len(each) == len(goes) else None
    return Measured(each, together, len(goes[0]), rounds_needed(tests, level))


def _as_one(goes: Sequence[Pairs]) -> Pairs:
    """Return the turns of all goes as if of one, that shows the mean of what they show, on the scale of logs.

    Processes of a go differ from those of another for as long as they live: pooled as they are, turns would have the
    estimate jump between the goes.
    """
    shown = [signed_rank([math.log(head / base) for base, head in go], 0.5).estimate for go in goes]
    mean = statistics.fmean(shown)
    return [(base, head * math.exp(mean - own)) for own, go in zip(shown, goes, strict=True) for base, head in go]


def _slowdown(turns: Pairs, levels: tuple[float, float]) -> Slowdown | None:
    base, head = zip(*turns, strict=True)
    own, together = (slowdown(base, head, level) for level in levels)
    return Slowdown(own, together) if own else None


def judge_seconds(found: Measured, margin: float) -> Judged:
    """Judge a row by all of its goes."""
    too_few = f"{found.turns} turns are too few for so many rows: --rounds {found.needed}"
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
    if len(goes) > 1 and found.near(margin):
        return Judged(OPEN, f"{said}: too close to {limit}, as two processes of one version differ, too")
    return Judged(OPEN, f"{said}, and {limit} is in between: {_mend(change, margin, found.turns)}")


def seconds(run: AbRun) -> Iterator[Difference]:
    """Yield what a gate compares of ``bench ab``: its rows, and what it could not measure."""
    for row in run.rows:
        yield Difference(
            row.method, f"{SECONDS}{row.what}", "time", row.base_s, row.head_s, n=len(row.turns), paired=True,
            timed=row, test=partial(_in_seconds, row),
        )  # fmt: skip
    for failed in run.failed:
        if failed.required:
            yield Difference(failed.method, f"{SECONDS}end_to_end", "time", None, None, reason=failure(failed))


def failure(failed: AbFailed) -> str:
    """Say what failed and where."""
    return f"{'both versions' if failed.version == 'both' else failed.version} failed: {failed.reason}"


def _in_seconds(row: AbRow, level: float) -> Change | None:
    base, head = zip(*_as_one(row.goes), strict=True)
    found = slowdown(base, head, level)
    return Change(*(value * row.base_s for value in found)) if found else None


def _between(change: Change) -> str:
    word = "slower" if change.estimate > 0 else "faster"
    return f"{_share(abs(change.estimate))} {word} ({_signed(change.low)} to {_signed(change.high)})"


def _mend(change: Change, margin: float, turns: int) -> str:
    """What would lead to a verdict. Intervals get narrower with the root of the number of turns."""
    half = change.high - change.estimate
    room = abs(margin - change.estimate) if change.estimate <= margin else change.estimate
    needed = turns * (half / room) ** 2 if room else math.inf
    if needed > 50 * turns:
        return "too noisy, or too close to the margin, for more turns to help: run it where less else goes on"
    enough = max(math.ceil(needed), turns + 1)
    return f"about {enough} turns in place of {turns} would tell: --rounds {enough}"


def _share(value: float) -> str:
    return f"{value:.1%}".replace(".0%", "%")


def _signed(value: float) -> str:
    return f"{value:+.1%}"
