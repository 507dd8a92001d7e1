"""What plotly draws of rows: their points, lines and bars, their names, the axes of metrics."""

from __future__ import annotations

import html
import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ..metrics.value import MetricValue
from .names import short_names
from .schema import Result, Run
from .text import clean, clip, metric_text, quantity, significant

COLORS = ("#4c78d8", "#e4803a", "#2fa387", "#d1495b", "#8a63c8", "#c2941f", "#3ba3c9", "#c45b9b", "#6d8b3c", "#8a8f98")
"""They stand out from white and from black, and from each other for most who confuse red and green."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "pentagon", "star", "hexagon")
GREY = "#8a8f98"
NAME = 48
"""Characters of a name beside a plot."""


def figure(
    data: Sequence[Mapping[str, Any]],
    x_axis: Mapping[str, Any],
    y_axis: Mapping[str, Any],
    layout: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """Data and layout that plotly has checked; the page adds the colours of its scheme."""
    import plotly.graph_objects as go

    axes = {"xaxis": {"automargin": True, **x_axis}, "yaxis": {"automargin": True, **y_axis}}
    checked = go.Figure(list(data), {"template": "none", "hovermode": "closest", **axes, **(layout or {})})
    found = json.loads(checked.to_json())
    found["layout"].pop("template", None)
    return {"data": found["data"], "layout": found["layout"]}


class Names:
    """How the rows of a run are called in its plots."""

    def __init__(self, run: Run) -> None:
        self._short = short_names(row.method for row in run.results)
        self._swept = short_names(dict.fromkeys(row.swept.method for row in run.results if row.swept))

    def short(self, row: Result) -> str:
        """What tells the row from the others."""
        return self._short[row.method]

    def legend(self, row: Result) -> str:
        """The same as a plot has room for it."""
        return escaped(clip(self.short(row), NAME))

    def tick(self, row: Result) -> str:
        """The same in lines, for beside an axis on a phone."""
        return "<br>".join(map(escaped, textwrap.wrap(clip(self.short(row), NAME), 20)))

    def swept(self, method: str) -> str:
        """The name of a method with ``{}`` in place of the swept value."""
        return escaped(clip(self._swept[method], NAME))

    def hover(self, row: Result, *lines: str) -> str:
        """The whole name, then what is to be said, a line each."""
        return hover(row.method, *lines)


def hover(method: str, *lines: str) -> str:
    """The whole name of a method, then what is to be said, a line each."""
    name = "<br>".join(map(escaped, textwrap.wrap(clip(clean(method), 300), 60)))
    return "<br>".join([f"<b>{name}</b>", *map(escaped, lines)])


def point(place: int, name: str, at: tuple[float, float], said: str, hollow: bool) -> dict[str, Any]:
    """One row as a mark; ``place`` decides its colour and shape."""
    mark = _marker(place)
    return {
        "type": "scatter", "mode": "markers", "x": [at[0]], "y": [at[1]], "name": name, "hovertext": [said],
        "hoverinfo": "text", "marker": mark | ({"symbol": f"{mark['symbol']}-open"} if hollow else {}),
    }  # fmt: skip


def line(place: int, name: str, x: Sequence[float], y: Sequence[float], said: Sequence[str]) -> dict[str, Any]:
    """Rows joined by a line, each with a mark."""
    return {
        "type": "scatter", "mode": "lines+markers", "x": x, "y": y, "name": name, "hovertext": said,
        "hoverinfo": "text", "marker": _marker(place), "line": {"color": _color(place)},
    }  # fmt: skip


def level(place: int, name: str, ends: Sequence[float], value: float, said: str) -> dict[str, Any]:
    """One row as a dotted line across."""
    return {
        "type": "scatter", "mode": "lines", "x": ends, "y": [value, value], "name": name, "hovertext": [said, said],
        "hoverinfo": "text", "line": {"color": _color(place), "width": 1.5, "dash": "dot"},
    }  # fmt: skip


def steps(name: str, points: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Points joined by stairs."""
    x, y = zip(*points, strict=True)
    return {
        "type": "scatter", "mode": "lines", "x": x, "y": y, "name": name, "hoverinfo": "skip",
        "line": {"color": GREY, "width": 1.5, "dash": "dot", "shape": "hv"},
    }  # fmt: skip


def bars(rows: Mapping[str, Mapping[str, float]]) -> Mapping[str, Any]:
    """Seconds by row and stage as one stacked bar per row; names are escaped already."""
    stages = dict.fromkeys(stage for found in rows.values() for stage in found)
    data = [
        {
            "type": "bar", "orientation": "h", "y": list(rows), "x": [found.get(stage) for found in rows.values()],
            "name": escaped(clip(stage.replace("_", " "), NAME)), "marker": {"color": _color(place)},
            "hovertext": [_share(stage, found) for found in rows.values()], "hoverinfo": "text",
        }
        for place, stage in enumerate(stages)
    ]  # fmt: skip
    layout = {"barmode": "stack", "height": 150 + 44 * len(rows), "bargap": 0.35}
    y_axis = {"autorange": "reversed", "ticklabelstandoff": 8}
    return figure(data, {"title": {"text": "s/image ↓"}, "rangemode": "tozero"}, y_axis, layout)


def boxes(rows: Mapping[str, Sequence[float]], x_axis: Mapping[str, Any]) -> Mapping[str, Any]:
    """Percentiles 5, 25, 50, 75 and 95 and the mean by row as one lying box per row; names are escaped already."""
    data = [
        {
            "type": "box", "orientation": "h", "y": [name], "name": name, "lowerfence": [low], "q1": [first],
            "median": [middle], "q3": [third], "upperfence": [high], "mean": [mean], "marker": {"color": _color(place)},
        }
        for place, (name, (low, first, middle, third, high, mean)) in enumerate(rows.items())
    ]  # fmt: skip
    layout = {"height": 110 + 44 * len(rows), "showlegend": False}
    return figure(data, x_axis, {"autorange": "reversed", "ticklabelstandoff": 8}, layout)


def intervals(key: str, rows: Sequence[Result]) -> dict[str, Any]:
    """The bars of an axis for the 95 % intervals of rows that have a value; nothing where none has one."""
    found = [row.metrics[key] for row in rows]
    if not any(one.interval for one in found):
        return {}
    ends = [(one.value or 0.0, *(one.interval or (one.value or 0.0,) * 2)) for one in found]
    above, below = [high - value for value, _, high in ends], [value - low for value, low, _ in ends]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1, "width": 3}


def axis(key: str, higher: bool) -> dict[str, Any]:
    """The axis of a metric with the arrow for better."""
    unit = f", {quantity(key).unit}" if quantity(key).unit else ""
    return {"title": {"text": escaped(f"{quantity(key).name}{unit} {arrow(higher)}")}}


def seconds_axis(title: str, seconds: Sequence[float]) -> dict[str, Any]:
    """The axis of times, logarithmic where they lie far apart."""
    if max(seconds) <= _LOGARITHMIC * min(seconds):
        return {"title": {"text": title}, "rangemode": "tozero"}
    low, high = (math.floor(math.log10(end)) for end in (min(seconds), max(seconds)))
    digits = (1, 2, 5) if high - low < 2 else (1, 3) if high - low < 4 else (1,)
    ticks = [float(f"{digit}e{power}") for power in range(low, high + 1) for digit in digits]
    return {"title": {"text": title}, "type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def value_of(row: Result, key: str) -> float | None:
    """The value of a metric, None where the row has none."""
    found: MetricValue | None = row.metrics.get(key)
    return found.value if found else None


def told(key: str, row: Result) -> str:
    """A row's value in words, with its interval."""
    found = row.metrics[key]
    ends = f" [{', '.join(metric_text(key, end) for end in found.interval)}]" if found.interval else ""
    return f"{quantity(key).name} {metric_text(key, found.value or 0.0)}{ends}"


def titled(key: str, higher: bool) -> str:
    """A metric with the arrow for better."""
    return f"{quantity(key).name} {arrow(higher)}"


def arrow(higher: bool) -> str:
    """Which way is better."""
    return "↑" if higher else "↓"


def escaped(text: str) -> str:
    """plotly takes texts for HTML."""
    return html.escape(clean(text), quote=False)


_LOGARITHMIC = 20
"""From this ratio of the longest time to the shortest on."""


def _share(stage: str, found: Mapping[str, float]) -> str:
    if stage not in found:
        return ""
    part, whole = (significant(seconds, 3) for seconds in (found[stage], sum(found.values())))
    return f"{escaped(stage.replace('_', ' '))}: {part} s of {whole} s"


def _marker(place: int) -> dict[str, Any]:
    return {"size": 10, "symbol": SYMBOLS[place % len(SYMBOLS)], "color": _color(place)}


def _color(place: int) -> str:
    return COLORS[place % len(COLORS)]
