"""A gate or a comparison as a table: on a terminal and in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...reports.grid import Cell, Column, Footnotes, Row, Table
from ...reports.text import MISSING, fixed, metric_text, quantity, significant
from .thresholds import DRIFT, EMPTY, MEDIAN_DRIFT

if TYPE_CHECKING:
    from .changes import Kind
    from .gate import Gate, GateRow

_DRIFT_DIGITS, _MEDIAN_DIGITS = 4, 5

_SHOWN = {"pass": "pass", "fail": "FAIL", "could-not-measure": "could not measure"}
_SUMMARY = {
    "pass": "pass",
    "fail": "fail: a regression",
    "could-not-measure": "could not measure all that is needed",
}


def print_gate(found: Gate) -> None:
    """Print to the terminal: the verdict, the table, the reasons below it."""
    import sys

    from rich.console import Console

    from ...reports.console import below, draw

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    table = gate_table(found)
    console.print(table.title, markup=False, style="bold")
    console.print(draw(table, console.width))
    console.print(below(table, table.notes), soft_wrap=True)


def gate_markdown(found: Gate) -> str:
    """The same in GitHub's Markdown."""
    from ...reports.markdown import table_markdown

    return table_markdown(gate_table(found))


def gate_table(found: Gate) -> Table:
    """Lay it out: a row per number, but for those that say nothing; their reasons as footnotes."""
    footnotes = Footnotes()
    rows = [_row(row, found, footnotes) for row in found.rows if not is_idle(row, found)]
    columns = [
        _text("method", "Method"),
        _text("metric", "Metric"),
        *(_number(name) for name in ("Base", "Head", "Change")),
    ]
    if found.verdict:
        columns += [_number("Margin"), _text("verdict", "Verdict")]
    return Table(tuple(columns), tuple(rows), tuple(footnotes.texts), _title(found), tuple(_notes(found)))


def number(metric: str, kind: Kind, value: float) -> str:
    """Write a value of a row."""
    if kind == "quality":
        return metric_text(metric, value)
    if kind == "drift":
        return fixed(value, _MEDIAN_DIGITS if metric.startswith(MEDIAN_DRIFT) else _DRIFT_DIGITS)
    return f"{value:,.0f}" if kind == "count" else significant(value, 3)


def _row(row: GateRow, found: Gate, footnotes: Footnotes) -> Row:
    cells = [
        Cell(row.method),
        Cell(metric_title(row)),
        *(_value(row, value) for value in (row.base, row.head)),
        _change(row),
    ]
    if found.verdict:
        margin = _margin(row)
        cells += [Cell(margin), Cell(_verdict(row), notes=footnotes.number(row.reason))]
    elif row.reason:
        cells[-1] = Cell(cells[-1].text, notes=footnotes.number(row.reason))
    return Row(tuple(cells))


def metric_title(row: GateRow) -> str:
    """What the number of a row is called."""
    if row.metric.startswith(MEDIAN_DRIFT):
        return f"median drift ({row.metric.removeprefix(MEDIAN_DRIFT).replace('_', '-')})"
    if row.kind == "drift":
        return f"drift ({row.metric.removeprefix(DRIFT).replace('_', '-')})"
    if row.kind != "quality":
        return row.metric.replace("_", " ")
    arrow = "↑" if row.higher_is_better else "↓"
    return f"{quantity(row.metric).name} {arrow}"


def _value(row: GateRow, value: float | None) -> Cell:
    return Cell() if value is None else Cell(number(row.metric, row.kind, value), value)


def change_text(row: GateRow) -> str:
    """Write the change of a row with its interval; empty where there is none."""
    if row.change is None:
        return ""
    text = _signed(row, row.change)
    if row.interval:
        low, high = (_signed(row, end) for end in row.interval)
        text += f" [{low}, {high}]"
    return text


def _change(row: GateRow) -> Cell:
    return Cell() if row.change is None else Cell(change_text(row), row.change, interval=row.interval)


def _signed(row: GateRow, value: float) -> str:
    text = number(row.metric, row.kind, abs(value))
    return f"{'-' if value < 0 else '+'}{text}" if value else "0"


def _margin(row: GateRow) -> str:
    if row.band:
        low, high = (number(row.metric, row.kind, end) for end in row.band)
        return f"[{low}, {high}]"
    if row.must_improve:
        return "must improve"
    judged = row.margin is not None and (row.kind != "time" or row.required)
    return number(row.metric, row.kind, row.margin) if judged and row.margin is not None else MISSING


def _verdict(row: GateRow) -> str:
    assert row.verdict is not None
    return _SHOWN[row.verdict] + ("" if row.required or row.verdict != "could-not-measure" else ", not needed")


def is_idle(row: GateRow, found: Gate) -> bool:
    """Whether a row is of a count that has not changed, of seconds that are not judged, or empty as it was before."""
    if row.kind == "time":
        return found.verdict is not None and row.change is None and not row.required
    if row.kind == "quality":
        return not row.required and (row.reason or "").startswith(EMPTY)
    return row.kind == "count" and row.change == 0 and not row.band and not row.must_improve


def _title(found: Gate) -> str:
    runs = f"{found.head.path} against {found.base.path}"
    return f"bench gate, {runs}: {_SUMMARY[found.verdict]}" if found.verdict else f"bench compare, {runs}"


def _notes(found: Gate) -> Iterator[str]:
    counts = Counter(row.verdict for row in found.rows if not is_idle(row, found))
    if found.verdict:
        yield ", ".join(f"{counts[verdict]} {said}" for verdict, said in _COUNTED.items() if counts[verdict])  # type: ignore[index]
    if found.tests:
        yield f"Change is head minus base with its {found.level:.0%} interval, for other prompts at this n." + (
            f" A fail holds at {found.level:.0%} over all {found.tests} such rows together." if found.verdict else ""
        )
    idle = Counter(row.kind for row in found.rows if is_idle(row, found))
    if idle["count"]:
        yield f"{idle['count']} counts of parameters, multiply-adds and forwards have not changed."
    if idle["quality"]:
        yield f"Empty in both runs for the same reasons, and not needed: {idle['quality']}."
    if idle["time"]:
        yield "Seconds differ by what else the machine did, and are not judged; those of 'bench ab' are."
    yield from found.notes


_COUNTED = {"fail": "failed", "could-not-measure": "could not be measured", "pass": "passed"}


def _text(key: str, title: str) -> Column:
    return Column(key, title, numeric=False)


def _number(title: str) -> Column:
    return Column(title.lower(), title)
