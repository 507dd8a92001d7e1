"""``bench plan``: from past runs, how many pictures or rounds a gate takes to find a change, or what n of them find."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from ...core.errors import BenchError
from ...core.registry import suggest
from ...metrics.frechet_interval import GROUPS
from ...metrics.paired import simultaneous_level
from ...metrics.power import POWER, Spread, needed, passing, power, visible
from ...metrics.stats import student
from ...metrics.timing import rounds_needed
from ...reports.ab import AbRun, load_ab
from .changes import Difference, Kind, differences
from .sides import Looker, Pair, Side, match, open_side
from .text import number
from .thresholds import DRIFT, SECONDS, Margin, Rule, Thresholds, margin_of

SHARE = 0.75
"""Of the change to be found, the margin that is planned for where the thresholds' is too wide: there as many harmless
changes pass as changes are found."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PlanRow(_Part):
    """One metric of one method."""

    method: str
    metric: str
    kind: Kind
    value: float
    """In the last of the runs."""
    error: float
    """Standard error of a change, in the metric's unit, at ``n`` (of seconds, as a share)."""
    n: int
    """Pictures of the runs, or rounds."""
    paired: bool
    change: float | None
    """For the worse, to be found; in the metric's unit (of seconds, as a share)."""
    margin: float
    """That the plan is for."""
    proposed: bool
    """Whether that margin is proposed here, since the thresholds' is no smaller than the change."""
    needed: int | None = None
    """Pictures (or rounds) at which the change is found with the power asked for."""
    asked_n: int | None = None
    found: float | None = None
    """How often the change is found at ``asked_n``, else at ``n``."""
    passes: float
    """How often what makes nothing worse, and scatters as these runs do, passes: at ``asked_n``, else at ``needed``,
    else at ``n``."""
    visible: float
    """The smallest change that is found with the power asked for: at ``asked_n``, else at ``n``."""
    total: int | None = None
    """Prompts that the dataset holds."""


class Plan(_Part):
    """What ``bench plan --json`` prints."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    metric: str
    power: float
    level: float
    """Over all rows of a gate together."""
    tests: int
    """Rows of a gate of such runs."""
    rows: list[PlanRow]
    notes: list[str]


@dataclass(frozen=True)
class Question:
    """What is asked of past runs."""

    metric: str
    change: Margin | None
    """For the worse: of the value, or in the metric's unit."""
    n: int | None
    power: float = POWER


def question(detect: str, n: int | None, wanted: float) -> Question:
    """Understand ``--detect METRIC[:CHANGE]``; BenchError where the change is no number above 0 or is missing."""
    metric, colon, text = detect.partition(":")
    if not colon and n is None:
        raise BenchError(f"--detect {detect}: write METRIC:CHANGE, such as fid:2%, or add --n to see what n can tell")
    change = margin_of(text, f"--detect {detect}") if colon else None
    if change is not None and not any(change):
        raise BenchError(f"--detect {detect}: a change of nothing cannot be found")
    return Question(metric.strip(), change, n, wanted)


def plan(asked: Question, paths: Sequence[Path], thresholds: Thresholds, look: Callable[[], Looker]) -> Plan:
    """Plan by past runs, baselines, or what ``bench ab`` wrote; ``look`` is asked once what is given is known to do.

    Raises BenchError where they have no such metric, or too little of it to tell how it scatters.
    """
    if asked.metric.startswith(SECONDS):
        return _plan_rounds(asked, [load_ab(path) for path in paths], thresholds)
    return _plan_pictures(asked, [open_side(path) for path in paths], thresholds, look)


# --- pictures


@dataclass(frozen=True)
class OneRun(Pair):
    """A run as if held against one of another seed."""

    @cached_property
    def unlike(self) -> str | None:
        return "there is one run alone"

    @cached_property
    def identical(self) -> bool:
        return False


class _Seen(NamedTuple):
    """A difference of past runs with what is known beside it."""

    item: Difference
    pair: Pair
    rule: Rule

    @property
    def prompts(self) -> int:
        """Prompts that its interval is over."""
        return len({place.prompt_id for place in self.pair.places})


def _plan_pictures(asked: Question, sides: Sequence[Side], thresholds: Thresholds, look: Callable[[], Looker]) -> Plan:
    if asked.metric.startswith(DRIFT):
        raise BenchError(f"{asked.metric}: its scatter depends on its size: set its margin by equal runs")
    _check_known(asked.metric, [name for side in sides for result in side.run.results for name in result.metrics])
    goes = list(_goes(sides, thresholds, look()))
    tests = max(sum(seen.item.test is not None and seen.rule.band is None for seen in go) for go in goes)
    seen = [one for go in goes for one in go if one.item.metric == asked.metric]
    reasons: dict[str, str] = {}
    rows = []
    for method in dict.fromkeys(one.item.method for one in seen):
        row = _row(asked, [one for one in seen if one.item.method == method], tests, thresholds)
        if isinstance(row, str):
            reasons[method] = row
        else:
            rows.append(row)
    if not rows:
        raise BenchError(f"{asked.metric}: {'; '.join(dict.fromkeys(reasons.values()))}")
    notes = [f"{method} is left out: {reason}" for method, reason in reasons.items()]
    return Plan(
        metric=asked.metric, power=asked.power, level=thresholds.level, tests=tests, rows=rows,
        notes=[*notes, *_notes(asked, rows, len(sides))],
    )  # fmt: skip


def _check_known(metric: str, known: Iterable[str]) -> None:
    names = list(dict.fromkeys(known))
    if metric not in names:
        listed = ", ".join(names) or "nothing"
        raise BenchError(f"these runs have no '{metric}'{suggest(metric, names)} (they have {listed})")


def _goes(sides: Sequence[Side], thresholds: Thresholds, looker: Looker) -> Iterator[list[_Seen]]:
    """All differences of each two runs that follow each other; of one run by itself."""
    for base, head in list(pairwise(sides)) or [(sides[0], sides[0])]:
        pairs = match(base, head).pairs
        if len(sides) == 1:
            pairs = [OneRun(base, head, pair.base_method, pair.method) for pair in pairs]
        suite = head.run.suite.name
        found = [(item, pair) for pair in pairs for item in differences(pair, looker)]
        ruled = (_Seen(item, pair, thresholds.of(suite, item.method, item.metric)) for item, pair in found)
        yield [seen for seen in ruled if not seen.rule.ignore]


def _row(asked: Question, seen: Sequence[_Seen], tests: int, thresholds: Thresholds) -> PlanRow | str:
    """A row of the plan, or why there is none."""
    spreads = [found for one in seen if (found := _spread(one))]
    last = seen[-1]
    if not spreads:
        return _why_not(last)
    if last.rule.band is not None:
        return "a band judges it, and an interval plays no part"
    value = last.item.head
    assert value is not None
    # The larger of few runs' spreads would be as much chance as the smaller: their mean square is the variance.
    pictures = spreads[-1].n
    error = float(np.sqrt(np.mean([spread.at(pictures).error ** 2 for spread in spreads])))
    spread = spreads[-1]._replace(error=error)
    margin = last.rule.margin.of(value) if last.rule.margin else 0.0
    change = asked.change.of(value) if asked.change else None
    return _planned(
        asked, spread, change, margin, (thresholds.level, simultaneous_level(tests, thresholds.level)),
        {"method": last.item.method, "metric": last.item.metric, "kind": last.item.kind, "value": value,
         "paired": last.item.paired and last.pair.unlike is None, "total": last.pair.head.run.suite.total},
    )  # fmt: skip


def _spread(seen: _Seen) -> Spread | None:
    """The standard error behind the interval of a difference; None where it has none."""
    item, prompts = seen.item, seen.prompts
    found = item.test(0.95) if item.test else None
    if found is None or not prompts:
        return None
    n = len(seen.pair.places)
    freedom = item.freedom if item.freedom is not None else max(1, prompts - 1)
    error = (found.high - found.low) / 2 / student(freedom, 0.95)
    return Spread(error, n, item.freedom, n / prompts) if error > 0 else None


def _why_not(seen: _Seen) -> str:
    if seen.item.exact:
        return "all pictures of these runs are equal, bit for bit: give runs that differ, or one alone"
    if seen.item.test:
        return f"too few pictures to tell how it scatters ({seen.item.n:,})"
    return seen.item.reason or "it cannot be compared"


def _planned(
    asked: Question,
    spread: Spread,
    change: float | None,
    margin: float,
    levels: tuple[float, float],
    about: Mapping[str, Any],
) -> PlanRow:
    own, level = levels
    proposed = change is not None and change <= margin
    if change is not None and proposed:
        margin = SHARE * change
    takes = needed(change, margin, spread, level, asked.power) if change is not None else None
    if takes is not None and spread.freedom is not None:  # its interval leaves out groups of prompts
        takes = max(takes, math.ceil(GROUPS * spread.each))
    at = spread.at(asked.n) if asked.n else spread
    chosen = at if asked.n or takes is None else spread.at(takes)
    return PlanRow(
        **about,
        error=spread.error,
        n=spread.n,
        change=change,
        margin=margin,
        proposed=proposed,
        needed=takes,
        asked_n=asked.n,
        found=None if change is None else power(change, margin, at, level),
        passes=passing(margin, chosen, own),
        visible=visible(margin, at, level, asked.power),
    )


# --- rounds


def _plan_rounds(asked: Question, runs: Sequence[AbRun], thresholds: Thresholds) -> Plan:
    known = dict.fromkeys(f"{SECONDS}{row.what}" for run in runs for row in run.rows)
    _check_known(asked.metric, known)
    tests, level = max(run.tests for run in runs), thresholds.level
    # A fail takes two goes that are slower; that both find all of it is more than the rule asks for.
    once = Question(asked.metric, asked.change, asked.n, asked.power**0.5)
    rows = []
    for method in dict.fromkeys(row.method for run in runs for row in run.rows):
        what = asked.metric.removeprefix(SECONDS)
        found = [row for run in runs for row in run.rows if (row.method, row.what) == (method, what)]
        if not found:
            continue
        rule = thresholds.of("", method, asked.metric)
        goes = [go for row in found for go in row.goes]
        spread = _of_rounds(goes)
        margin = rule.margin.relative if rule.margin else 0.0
        change = asked.change.relative or asked.change.absolute / found[-1].base_s if asked.change else None
        row = _planned(
            once, spread, change, margin, (level, simultaneous_level(tests, level)),
            {"method": method, "metric": asked.metric, "kind": "time", "value": found[-1].base_s, "paired": True},
        )  # fmt: skip
        takes = max(row.needed, rounds_needed(tests, level), 10) if row.needed is not None else None
        rows.append(row.model_copy(update={"needed": takes, "found": None if row.found is None else row.found**2}))
    notes = list(_notes(asked, rows, len(runs)))
    return Plan(metric=asked.metric, power=asked.power, level=level, tests=tests, rows=rows, notes=notes)


def _of_rounds(goes: Sequence[Sequence[tuple[float, float]]]) -> Spread:
    """How the logs of the rounds' ratios scatter within a go: what all of one share is a change."""
    logs = [np.diff(np.log(np.asarray(rounds, np.float64)), axis=1)[:, 0] for rounds in goes]
    rounds = len(logs[-1])
    variance = float(np.mean([np.var(values, ddof=1) for values in logs]))
    return Spread(math.sqrt(variance / rounds), rounds)


# --- words


def _notes(asked: Question, rows: Sequence[PlanRow], runs: int) -> Iterator[str]:
    unit = "rounds" if asked.metric.startswith(SECONDS) else "pictures"
    for row in rows:
        if row.proposed and row.change is not None:
            yield (
                f"{row.method}: a margin no smaller than the change finds it in half of all gates at most, so this is "
                f"for a margin of {shown(row, row.margin)} (*), which the thresholds file has to set"
            )
        if row.needed and row.total and unit == "pictures" and row.needed > row.total:
            yield f"{row.method}: the dataset holds {row.total:,} prompts, so take several pictures of each"
    if not all(row.paired for row in rows):
        yield (
            "Planned as if the runs were not paired (other seeds): pairs take far fewer. Give two runs of one seed "
            "that differ as a change would make them."
        )
    elif unit == "pictures":
        yield "The spread is that between the runs given: a change that stirs the pictures more takes more of them."
    if unit == "rounds":
        yield "Planned as if both goes of a fail had to find all; two processes may differ by more than rounds say."
    if runs > 2 and unit == "pictures":
        yield f"The spread is the mean of {runs - 1} pairs of runs."


def shown(row: PlanRow, value: float) -> str:
    """Write a value of a row; of seconds it is a share."""
    return f"{value:.1%}" if row.kind == "time" else number(row.metric, row.kind, value)
