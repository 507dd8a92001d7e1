"""A metric over many runs: its lines with their steps, as a table and as a page with a plot of each metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..metrics.stats import Interval
from .figures import arrow, axis, escaped, figure, line
from .grid import Cell, Column, Footnotes, Row, Table
from .html import templates
from .names import short_names
from .plots import Choice, Plot, plotly_js
from .text import MISSING, clean, clip, metric_text, quantity


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Step(_Part):
    """A change that is surely there and larger than the margin."""

    kind: Literal["better", "worse"]
    change: float
    """From the first run since the step before, over the pictures that both have."""
    interval: Interval | None
    """That holds for all comparisons of the metric together; None where nothing is left to chance."""
    since: str
    """When that run was made."""
    reason: str


class Point(_Part):
    """A number of one run."""

    run: str
    created: str
    commit: str | None
    value: float
    interval: Interval | None
    step: Step | None = None


class Line(_Part):
    """One method of one suite under one identity, by time: only such numbers are of one quantity."""

    method: str
    suite: str
    identity: str
    points: list[Point]


class MetricHistory(_Part):
    """One metric over all runs that have it."""

    metric: str
    higher_is_better: bool
    lines: list[Line]
    comparisons: int
    """That the steps are corrected for."""
    notes: list[str] = Field(default_factory=list)


class History(_Part):
    """What ``bench history --json`` prints."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: int = Field(default=1, alias="schema")
    folder: str
    runs: int
    metrics: list[MetricHistory]
    notes: list[str]
    """What was left out and why."""


EXPLAINED = (
    "A step is where a run differs from the first one since the step before by more than the gate's margin, and surely "
    "so: the 95% interval over all comparisons of the metric leaves out 0. So what creeps is seen, too."
)


_TIME = {
    "type": "date",
    # On one line: what stands on a second one would be cut off.
    "tickformatstops": [
        {"dtickrange": [None, 86_399_999], "value": "%b %-d, %H:%M"},
        {"dtickrange": [86_400_000, None], "value": "%Y-%m-%d"},
    ],
}


def history_table(found: MetricHistory) -> Table:
    """Lay a metric out: a row per run and line."""
    footnotes = Footnotes()
    labels = _labels(found.lines)
    columns = (
        Column("method", "Method", numeric=False),
        Column("created", "Created", numeric=False),
        Column("commit", "Commit", numeric=False),
        Column("run", "Run", numeric=False, minor=True),
        Column("value", quantity(found.metric).name, quantity(found.metric).unit, found.higher_is_better),
        Column("step", "Step", numeric=False),
    )
    rows = [
        _row(found, label, point, footnotes)
        for label, one in zip(labels, found.lines, strict=True)
        for point in one.points
    ]
    notes = [f"{label}: {one.identity}" for label, one in zip(labels, found.lines, strict=True)]
    title = f"{quantity(found.metric).name} {arrow(found.higher_is_better)}"
    return Table(columns, tuple(rows), tuple(footnotes.texts), title, (*notes, *found.notes))


def _row(found: MetricHistory, label: str, point: Point, footnotes: Footnotes) -> Row:
    spread = metric_text(found.metric, _half(point)) if point.interval else ""
    step = Cell(point.step.kind, notes=footnotes.number(point.step.reason)) if point.step else Cell("")
    return Row(
        (
            Cell(label),
            Cell(point.created[:16].replace("T", " ")),
            Cell(clip(point.commit or MISSING, 13)),
            Cell(clean(point.run)),
            Cell(metric_text(found.metric, point.value), point.value, spread, interval=point.interval),
            step,
        )
    )


def history_html(found: History) -> str:
    """All metrics as one HTML page that asks the network for nothing."""
    plots = [_plot(metric) for metric in found.metrics]
    return templates().get_template("history.html.j2").render(
        history=found,
        about=EXPLAINED,
        plots=plots,
        tables=[history_table(metric) for metric in found.metrics],
        figures=[[{**choice.figure, "notes": choice.notes} for choice in plot.choices] for plot in plots],
        plotly=plotly_js(),
    )  # fmt: skip


def _plot(found: MetricHistory) -> Plot:
    name = f"{quantity(found.metric).name} {arrow(found.higher_is_better)}"
    labels = _labels(found.lines)
    data = [
        trace for place, one in enumerate(found.lines) for trace in _traces(found.metric, place, labels[place], one)
    ]
    drawn = figure(data, _TIME, axis(found.metric, found.higher_is_better))
    about = "A line per method and identity, with 95 % intervals; triangles are steps, pointing where the number went."
    return Plot(name, about, [Choice(name, drawn, found.notes)])


def _traces(metric: str, place: int, label: str, one: Line) -> Iterator[dict[str, Any]]:
    points = one.points
    x, y = [point.created for point in points], [point.value for point in points]
    drawn = line(place, escaped(clip(label, 48)), [], y, [_said(metric, label, point) for point in points]) | {"x": x}
    if any(point.interval for point in points):
        ends = [(point.value, *(point.interval or (point.value, point.value))) for point in points]
        drawn["error_y"] = {
            "type": "data", "symmetric": False, "array": [high - value for value, _, high in ends],
            "arrayminus": [value - low for value, low, _ in ends], "thickness": 1, "width": 3,
        }  # fmt: skip
    yield drawn
    for kind, color in (("worse", "#d1495b"), ("better", "#2fa387")):
        marked = [point for point in points if point.step and point.step.kind == kind]
        if marked:
            turned = ["triangle-up" if point.step and point.step.change > 0 else "triangle-down" for point in marked]
            yield {
                "type": "scatter", "mode": "markers", "x": [point.created for point in marked],
                "y": [point.value for point in marked], "name": f"{drawn['name']}: {kind}", "hoverinfo": "text",
                "hovertext": [_said(metric, label, point) for point in marked],
                "marker": {"symbol": turned, "size": 19, "color": color, "line": {"width": 1.5, "color": "#fff"}},
            }  # fmt: skip


def _said(metric: str, label: str, point: Point) -> str:
    ends = f" [{', '.join(metric_text(metric, end) for end in point.interval)}]" if point.interval else ""
    lines = [
        f"{quantity(metric).name} {metric_text(metric, point.value)}{ends}",
        f"{point.created}{f', {point.commit}' if point.commit else ''}",
        clip(point.run, 80),
        *([point.step.kind, *_wrapped(point.step.reason)] if point.step else []),
    ]
    return "<br>".join([f"<b>{escaped(clip(label, 60))}</b>", *map(escaped, lines)])


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 70)


def _labels(lines: Sequence[Line]) -> list[str]:
    """Short names of methods; where one has several lines, numbered."""
    short = short_names(dict.fromkeys(one.method for one in lines))
    names = [short[one.method] for one in lines]
    if len({one.suite for one in lines}) > 1:
        names = [f"{name} ({one.suite})" for name, one in zip(names, lines, strict=True)]
    return [f"{name} #{names[: place + 1].count(name)}" if names.count(name) > 1 else name
            for place, name in enumerate(names)]  # fmt: skip


def _half(point: Point) -> float:
    low, high = point.interval or (point.value, point.value)
    return (high - low) / 2
