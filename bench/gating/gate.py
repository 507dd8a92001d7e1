"""``bench gate`` and ``bench compare``: two runs side by side, and whether the second is worse.

Rows are the metrics of every method in both runs, the drift of its pictures, its counts and its seconds; ``verdict``
has the rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field

from ...metrics.paired import Change, simultaneous_level
from ...metrics.stats import Interval
from ...reports.ab import AbRun
from .changes import Difference, Kind, differences
from .seconds import judge_seconds, levels_of, measured, seconds
from .sides import Looker, Pair, Side, match
from .text import number
from .thresholds import MEDIAN_DRIFT, Rule, Thresholds
from .verdict import FAIL, OPEN, PASS, Case, Judged, Verdict, judge, judge_band, judge_drift, judge_improvement

STATUS = {PASS: 0, FAIL: 1, OPEN: 2}
"""The exit status of a verdict."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GateRow(_Part):
    """One number of one method in both runs."""

    method: str
    metric: str
    kind: Kind
    base: float | None
    head: float | None
    higher_is_better: bool
    change: float | None = None
    """Head minus base, over the pictures that both have."""
    interval: Interval | None = None
    """Of the change, for this row alone; None where nothing is left to chance, or where there is none."""
    simultaneous_interval: Interval | None = None
    """The same for all rows together (of seconds, for all of them): a fail is outside of it."""
    paired: bool = False
    """Whether the pictures of both were held against each other one by one."""
    n: int = 0
    margin: float | None = None
    """How much worse it may get; None where another rule holds."""
    band: Interval | None = None
    must_improve: bool = False
    required: bool = True
    verdict: Verdict | None = None
    """None in a comparison."""
    reason: str | None = None


class RunName(_Part):
    """Which run it is."""

    path: str
    suite: str
    created: str
    seed: int | None
    """None of what was measured elsewhere."""


class Gate(_Part):
    """What ``bench gate --json`` prints."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: int = Field(default=1, alias="schema")
    verdict: Verdict | None
    """Of all rows together; None in a comparison."""
    base: RunName
    head: RunName
    level: float
    """Of ``interval``, and of all of ``simultaneous_interval`` together."""
    tests: int
    """Rows of pictures with an interval; those of seconds are corrected for among themselves."""
    rows: list[GateRow]
    only_base: list[str]
    only_head: list[str]
    """Methods that are not compared."""
    notes: list[str]

    @property
    def status(self) -> int:
        """The exit status: 0 pass, 1 a regression, 2 a row that is needed could not be measured."""
        return STATUS[self.verdict] if self.verdict else 0


def gate(base: Side, head: Side, thresholds: Thresholds, looker: Looker, timed: AbRun | None = None) -> Gate:
    """Judge every row of ``head`` against ``base``, and seconds by what ``bench ab`` has timed, if it has.

    Raises BenchError where the runs have no method in common.
    """
    return _Comparison(base, head, thresholds, looker, timed).judged()


def compare(base: Side, head: Side, looker: Looker) -> Gate:
    """Return the same rows without a verdict. Raises as ``gate``."""
    return _Comparison(base, head, Thresholds(), looker).bare()


def overall(rows: Sequence[GateRow]) -> Verdict:
    """Any fail is a fail; else what is needed and could not be measured is that; else it is a pass.

    A pass takes a number of the pictures that passed: where there is none, nothing was judged.
    """
    if any(row.verdict == FAIL for row in rows):
        return FAIL
    if any(row.verdict == OPEN and row.required for row in rows):
        return OPEN
    return PASS if any(row.verdict == PASS and row.kind in ("quality", "drift") for row in rows) else OPEN


_ORDER: list[tuple[Verdict | None, bool]] = [(FAIL, True), (OPEN, True), (PASS, True), (OPEN, False)]
"""Verdicts with whether they count, the worst first."""


_OTHER_METRIC = "the pictures are equal bit for bit and the numbers are not: the metric or its device has changed"


class _Comparison:
    """Two runs, matched, with what holds for each row."""

    def __init__(
        self, base: Side, head: Side, thresholds: Thresholds, looker: Looker, timed: AbRun | None = None
    ) -> None:
        self.base, self.head, self.thresholds, self.timed = base, head, thresholds, timed
        self.matched = match(base, head)
        found: list[tuple[Pair | None, Difference]] = [(None, item) for item in self._lost()]
        found += [(pair, item) for pair in self.matched.pairs for item in differences(pair, looker)]
        if timed:
            found = [(pair, item) for pair, item in found if item.kind != "time"]
            found += [(None, item) for item in seconds(timed)]
        self.ruled = [(pair, item, self._rule(item)) for pair, item in found]
        self.kept = [entry for entry in self.ruled if not entry[2].ignore]
        tested = [item for _, item, rule in self.kept if item.test is not None and rule.band is None]
        self.tests = sum(item.timed is None for item in tested)
        self._levels = thresholds.level, simultaneous_level(self.tests, thresholds.level)
        self._timed_levels = levels_of(timed.tests if timed else 0, thresholds.level)

    def judged(self) -> Gate:
        """All rows with their verdicts, the worst first."""
        rows = [self._row(*entry) for entry in self.kept]
        rows.sort(key=lambda row: _ORDER.index((row.verdict, row.required or row.verdict != OPEN)))
        verdict = overall(rows)
        if verdict == PASS and any(rule.demands for _, rule in self._idle()):
            verdict = OPEN
        return self._gate(verdict, rows)

    def bare(self) -> Gate:
        """All rows in the order of the run, without what a verdict takes."""
        found = [(self._row(*entry), entry[1]) for entry in self.kept if entry[0]]
        for row, item in found:
            row.verdict, row.margin, row.simultaneous_interval, row.required = None, None, None, False
            row.reason = row.reason if row.change is None else item.reason
        rows = [row for row, _ in found]
        return self._gate(None, rows)

    def _gate(self, verdict: Verdict | None, rows: list[GateRow]) -> Gate:
        return Gate(
            verdict=verdict,
            base=_name(self.base),
            head=_name(self.head),
            level=self.thresholds.level,
            tests=self.tests,
            rows=rows,
            only_base=self.matched.only_base,
            only_head=self.matched.only_head,
            notes=list(self._notes()),
        )

    def _lost(self) -> Iterator[Difference]:
        """The methods that head no longer has, each as a number that it lacks."""
        skipped = {skip.method: skip.reason for skip in self.head.run.skipped}
        for method in self.matched.only_base:
            why = f": {skipped[method]}" if method in skipped else ""
            yield Difference(method, "method", "count", None, None, reason=f"head has no such row{why}")

    def _rule(self, item: Difference) -> Rule:
        return self.thresholds.of(self.head.run.suite.name, item.method, item.metric)

    def _row(self, pair: Pair | None, item: Difference, rule: Rule) -> GateRow:
        changes = self._changes(item)
        margin = rule.margin.of(item.base or 0.0) if rule.margin and item.base is not None else None
        judged = self._judge(pair, item, rule, changes, margin)
        own, together = ((change and _interval(change, item.kind)) for change in changes or (None, None))
        return GateRow(
            method=item.method,
            metric=item.metric,
            kind=item.kind,
            base=item.base,
            head=item.head,
            higher_is_better=item.higher_is_better,
            change=changes[0].estimate if changes else None,
            interval=own,
            simultaneous_interval=together,
            paired=item.paired and (pair is None or pair.unlike is None),
            n=item.n,
            margin=margin,
            band=rule.band,
            must_improve=rule.must_improve,
            required=(item.required or rule.demands) and rule.required,
            verdict=judged.verdict,
            reason=judged.reason,
        )

    def _changes(self, item: Difference) -> tuple[Change, Change | None] | None:
        """The change with the row's own interval, then with that of all rows; None where there is no change to tell.

        Without the second one a row cannot fail.
        """
        own, together = (item.change(level) for level in (self._timed_levels if item.timed else self._levels))
        return (own, together) if own else None

    def _judge(
        self,
        pair: Pair | None,
        item: Difference,
        rule: Rule,
        changes: tuple[Change, Change | None] | None,
        margin: float | None,
    ) -> Judged:
        def show(value: float) -> str:
            return number(item.metric, item.kind, value)

        if rule.band is not None and item.head is not None and (item.timed or item.kind != "time"):
            return Judged(OPEN, item.unlike) if item.unlike else judge_band(item.head, rule, show)
        if item.timed and not rule.must_improve:
            assert self.timed is not None
            found = measured(item.timed.goes, self.timed.tests, self.thresholds.level)
            return judge_seconds(found, (margin or 0.0) / item.timed.base_s)
        if (pair is None and not item.timed) or not changes or changes[1] is None:
            lacking = f"needs more than {item.n:,} {'rounds' if item.timed else 'pictures'} for an interval"
            return Judged(OPEN, item.reason or lacking)
        case = Case(
            changes[0], changes[1], item.higher_is_better, margin or 0.0, item.n, self.head.run.suite.total, item.paired
        )
        if item.kind == "quality" and item.exact and abs(case.change.estimate) > case.margin:
            return Judged(OPEN, _OTHER_METRIC)
        if rule.must_improve:
            return judge_improvement(case, show)
        if item.kind == "drift" and not item.exact:
            which = "picture in the middle" if item.metric.startswith(MEDIAN_DRIFT) else "pictures"
            return judge_drift(case, show, pair is not None and pair.known_noise, which)
        if item.exact and item.kind != "count":
            return Judged(PASS, "all pictures are equal, bit for bit")
        judged = judge(case, show)
        return judged._replace(reason=f"{judged.reason} ({item.reason})") if item.reason else judged

    def _notes(self) -> Iterator[str]:
        ours, theirs = self.base.run, self.head.run
        if (ours.suite.name, ours.suite.version) != (theirs.suite.name, theirs.suite.version):
            suites = [f"{run.suite.name} version {run.suite.version}" for run in (ours, theirs)]
            yield f"base is of suite {suites[0]}, head of {suites[1]}"
        if self.timed:
            versions = (self.timed.base, self.timed.head)
            given = [f"{version.given}{f' ({version.commit})' if version.commit else ''}" for version in versions]
            yield f"seconds are of bench ab, {self.timed.created}: base {given[0]}, head {given[1]}"
        yield from self.matched.renamed
        for side, names in (("base", self.matched.only_base), ("head", self.matched.only_head)):
            if names:
                yield f"only in {side} and not compared: {', '.join(names)}"
        yield from _grouped([(pair.method, text) for pair in self.matched.pairs for text in _said(pair)])
        yield from _grouped(
            [(f"{item.metric} of {item.method}", "ignored") for _, item, rule in self.ruled if rule.ignore]
        )
        yield from self._unused()

    def _unused(self) -> Iterator[str]:
        """Rules that no row falls under are often mistyped."""
        for index, rule in self._idle():
            needed = ", and so what it demands was not seen" if rule.demands else ""
            yield f"rule {index} of the thresholds ({rule}) is first for no row{needed}"

    def _idle(self) -> Iterator[tuple[int, Rule]]:
        """The rules that are first for no row, with their numbers."""
        for index, rule in enumerate(self.thresholds.rule, 1):
            if not any(used is rule for _, _, used in self.ruled):
                yield index, rule


def _interval(change: Change, kind: str) -> Interval | None:
    if change.low == change.high:
        return None
    return (max(change.low, 0.0) if kind == "drift" else change.low, change.high)


def _said(pair: Pair) -> Iterator[str]:
    """What to know of a method before believing its rows."""
    base, head = pair.results
    changed = [
        f"{name} {getattr(base.settings, name)} → {getattr(head.settings, name)}"
        for name in type(base.settings).model_fields
        if getattr(base.settings, name) != getattr(head.settings, name)
    ]
    if changed:
        yield f"settings differ: {', '.join(changed)}"
    if base.checkpoint != head.checkpoint:
        yield f"checkpoints differ: {base.checkpoint} → {head.checkpoint}"
    if pair.unlike:
        yield f"not paired, so intervals are wide: {pair.unlike}"


def _grouped(said: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Each text once, with the methods it holds for."""
    for text in dict.fromkeys(text for _, text in said):
        yield f"{', '.join(method for method, other in said if other == text)}: {text}"


def _name(side: Side) -> RunName:
    suite = side.run.suite
    return RunName(path=side.name, suite=suite.name, created=side.run.created, seed=suite.seed)
