"""``bench plan``: what it was asked, and the table that it prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...core.errors import BenchError
from ...reports.console import print_table
from ...reports.grid import Cell, Column, Row, Table
from ...reports.text import MISSING, quantity
from .command import looker_of
from .planner import Plan, PlanRow, plan, question, shown
from .text import number
from .thresholds import SECONDS, load_thresholds


def plan_command(asked: Mapping[str, Any]) -> int:
    """``bench plan``: print how many pictures or rounds it takes."""
    if not 0.5 <= asked["power"] < 1:
        raise BenchError(f"--power {asked['power']:g}: a share from 0.5 to below 1")
    what = question(asked["detect"], asked["n"], asked["power"])
    found = plan(what, asked["from_"], load_thresholds(asked["thresholds"]), lambda: looker_of(asked))
    if asked["json_"]:
        print(found.model_dump_json(by_alias=True, indent=2))
    else:
        print_table(plan_table(found))
    return 0


def plan_table(found: Plan) -> Table:
    """Lay a plan out: a row per method."""
    seconds = found.metric.startswith(SECONDS)
    what = "rounds" if seconds else "pictures"
    asked = any(row.change is not None for row in found.rows)
    given = any(row.asked_n for row in found.rows)
    columns = [Column("method", "Method", numeric=False), *(Column(name.lower(), name) for name in ("Value", "Margin"))]
    columns.append(Column("visible", f"Seen with {found.power:.0%}"))
    if asked:
        columns += [Column("change", "Change"), Column("found", "Found"), Column("needed", f"Needs {what}")]
    columns.append(Column("passes", "Harmless passes"))
    rows = tuple(Row(tuple(_cells(row, asked))) for row in found.rows)
    n = sorted({row.asked_n or row.n for row in found.rows})
    at = f"{n[0]:,}" if len(n) == 1 else "their own"
    seen, passes = "" if given else ", as these runs have", "as many" if given or not asked else "those needed"
    notes = [
        f"Seen, found: with {at} {what}{seen}. Harmless passes: how often what makes nothing worse, and scatters as "
        f"these runs do, passes with {passes}.",
        f"By the gate's own rule, for gates of {found.tests} rows with an interval, {found.level:.0%} over them all.",
    ]
    title = f"bench plan, {found.metric.replace('_', ' ') if seconds else quantity(found.metric).name}"
    return Table(tuple(columns), rows, (), title, (*notes, *found.notes))


def _cells(row: PlanRow, asked: bool) -> Iterator[Cell]:
    value = number(row.metric, row.kind, row.value) + (" s" if row.kind == "time" else "")
    yield from (Cell(row.method), Cell(value), Cell(shown(row, row.margin) + ("*" if row.proposed else "")))
    yield Cell(shown(row, row.visible))
    if asked:
        yield Cell(MISSING if row.change is None else shown(row, row.change))
        yield Cell(MISSING if row.found is None else f"{row.found:.0%}")
        yield Cell(MISSING if row.needed is None else f"{row.needed:,}")
    yield Cell(f"{row.passes:.0%}")
