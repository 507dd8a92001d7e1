"""``bench history``: metrics over the runs of a folder, with the steps that the gate's statistics see."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import is_zipfile

from ..core.errors import BenchError
from ..core.registry import suggest
from ..metrics.paired import Change, simultaneous_level
from ..metrics.value import MetricValue
from ..reports.history import History, Line, MetricHistory, Point, Step
from ..reports.text import metric_text
from .gating.changes import metric_difference
from .gating.sides import Looker, Pair, Side, open_side
from .gating.thresholds import Thresholds


def history(folder: Path, metric: str | None, thresholds: Thresholds, look: Callable[[], Looker]) -> History:
    """Return a metric, else all there are, over the runs and baselines in ``folder``; ``look`` is asked once.

    Raises BenchError where there is no run, or none that has the metric.
    """
    sides, notes = _sides(folder)
    known = dict.fromkeys(
        name for side in sides for result in side.run.results for name, value in result.metrics.items()
        if value.value is not None
    )  # fmt: skip
    if metric is not None and metric not in known:
        raise BenchError(f"no run in '{folder}' has metric '{metric}'{suggest(metric, list(known))} (they have "
                         f"{', '.join(known) or 'none'})")  # fmt: skip
    looker = look()
    found = [_Over(name, sides, thresholds, looker).history() for name in ([metric] if metric else known)]
    return History(folder=str(folder), runs=len(sides), metrics=found, notes=notes)


def _sides(folder: Path) -> tuple[list[Side], list[str]]:
    """The runs and baselines of a folder by time, each once, and what was left out."""
    if not folder.is_dir():
        raise BenchError(f"'{folder}' is no folder: name one that holds runs or baselines")
    found: dict[str, Side] = {}
    notes = []
    for path in _places(folder):
        try:
            side = open_side(path)
            # A run and its own baseline are one.
            found.setdefault(side.run.model_dump_json(), side)
        except BenchError as error:
            notes.append(f"left out: {error}")
    if not found:
        raise BenchError(f"no finished run in '{folder}'{f' ({notes[0]})' if notes else ''}")
    return sorted(found.values(), key=lambda side: (side.run.created, side.name)), notes


def _places(folder: Path) -> Iterator[Path]:
    """Folders of runs and files of baselines; what lies within a run is its own."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        if "run.json" in files:
            folders.clear()
            yield Path(place)
        else:
            yield from (
                path for name in sorted(files) if name.endswith(".zip") and is_zipfile(path := Path(place) / name)
            )


class _Place(NamedTuple):
    """Where a number comes from."""

    side: Side
    value: MetricValue


class _Over:
    """One metric over all runs."""

    def __init__(self, metric: str, sides: Sequence[Side], thresholds: Thresholds, looker: Looker) -> None:
        self.metric, self.thresholds, self.looker = metric, thresholds, looker
        self.notes: dict[str, None] = {}
        self.lines: dict[tuple[str, str, str], list[_Place]] = {}
        for side in sides:
            for result in side.run.results:
                value = result.metrics.get(metric)
                if value is not None and value.value is not None:
                    key = (result.method, side.run.suite.name, value.identity)
                    self.lines.setdefault(key, []).append(_Place(side, value))
        self.comparisons = sum(len(places) - 1 for places in self.lines.values())
        self.level = simultaneous_level(self.comparisons, thresholds.level)

    def history(self) -> MetricHistory:
        """All lines with their steps."""
        lines = [
            Line(method=method, suite=suite, identity=identity, points=list(self._points(method, places)))
            for (method, suite, identity), places in self.lines.items()
        ]
        higher = next(place.value.higher_is_better for places in self.lines.values() for place in places)
        return MetricHistory(
            metric=self.metric,
            higher_is_better=higher,
            lines=lines,
            comparisons=self.comparisons,
            notes=list(self.notes),
        )

    def _points(self, method: str, places: Sequence[_Place]) -> Iterator[Point]:
        first = places[0]
        for place in places:
            step = self._step(method, first, place) if place is not first else None
            first = place if step else first
            yield _point(place, step)

    def _step(self, method: str, first: _Place, place: _Place) -> Step | None:
        """What has changed since ``first``; compared with it and not with the run before, lest a creep go unseen."""
        item = metric_difference(Pair(first.side, place.side, method, method), self.looker, self.metric)
        change = item.change(self.level)
        if change is None:
            self.notes[f"no steps are told of {method}: {item.reason or 'too few pictures for an interval'}"] = None
            return None
        assert first.value.value is not None
        rule = self.thresholds.of(place.side.run.suite.name, method, self.metric)
        margin = rule.margin.of(first.value.value) if rule.margin else 0.0
        if abs(change.estimate) <= margin or change.low <= 0 <= change.high:
            return None
        return self._told(change, first, place)

    def _told(self, change: Change, first: _Place, place: _Place) -> Step:
        better = (change.estimate > 0) == place.value.higher_is_better
        exact = change.low == change.high
        run, said = first.side.run, metric_text(self.metric, abs(change.estimate))
        ends = "" if exact else f" [{', '.join(metric_text(self.metric, end) for end in (change.low, change.high))}]"
        sure = "" if exact else f", sure at {self.thresholds.level:.0%} over {self.comparisons} comparisons"
        commit = _commit(run.environment)
        since = f"{run.created}{f' ({commit})' if commit else ''}"
        return Step(
            kind="better" if better else "worse",
            change=change.estimate,
            interval=None if exact else (change.low, change.high),
            since=run.created,
            reason=f"{said} {'better' if better else 'worse'} than at {since}{ends}{sure}",
        )


def _point(place: _Place, step: Step | None) -> Point:
    run, value = place.side.run, place.value
    assert value.value is not None
    return Point(
        run=place.side.name, created=run.created, commit=_commit(run.environment), value=value.value,
        interval=value.interval, step=step,
    )  # fmt: skip


def _commit(environment: Mapping[str, object]) -> str | None:
    commit = environment.get("commit")
    return str(commit) if commit else None
