"""A verdict as continuous integration counts it: cases that passed, failed, could not be judged or were skipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from ..gating.gate import Gate, GateRow

Outcome = Literal["passed", "failed", "error", "skipped"]

WHOLE = "bench gate", "verdict"
"""The method and metric of the case that stands for the gate as a whole."""

_OUTCOMES: Mapping[str, Outcome] = {"pass": "passed", "fail": "failed", "could-not-measure": "error"}


class Case(NamedTuple):
    """One row of a gate, or the gate as a whole."""

    method: str
    metric: str
    outcome: Outcome
    """``error`` where what is needed could not be measured, ``skipped`` where nobody needs it."""
    reason: str
    values: str = ""
    """Base, head and change as the table writes them."""

    @property
    def name(self) -> str:
        """Method and metric."""
        return f"{self.method}: {self.metric}"


def cases(found: Gate) -> list[Case]:
    """Return a case for every row that can be judged, as they stand in the table; seconds of two runs cannot.

    Where no row says why the verdict is what it is, a last case does.
    """
    made = [_case(row) for row in found.rows if _is_case(row)]
    explained = found.verdict == "pass" or any(case.outcome in ("failed", "error") for case in made)
    return made if explained else [*made, whole(found)]


def whole(found: Gate) -> Case:
    """Return the case that stands for the gate as a whole."""
    told = [_case(row) for row in found.rows if _is_case(row)]
    outcome: Outcome = _OUTCOMES[found.verdict] if found.verdict else "skipped"
    rows = [f"{case.name}: {case.reason}" for case in told if case.outcome == outcome != "passed"]
    return Case(*WHOLE, outcome, "; ".join(rows or (found.notes if outcome == "error" else [])))


def row_names(path: Path) -> list[tuple[str, str]]:
    """Return method and metric of the rows that a gate against a run, a baseline or a file of timings is made of.

    Told from it alone, as the rows of it beside itself. Raises BenchError where it cannot be read.
    """
    from ..gating.gate import compare
    from ..gating.imported import imported
    from ..gating.sides import Looker, open_side

    found = imported(path, path)
    if found is None:
        side = open_side(path)
        found = compare(side, side, Looker())
    return [(row.method, row.metric) for row in found.rows if _is_case(row)]


def _is_case(row: GateRow) -> bool:
    return row.kind != "time" or row.required or row.verdict == "fail"


def _case(row: GateRow) -> Case:
    from ..gating.text import change_text, number

    sides = [f"{name} {number(row.metric, row.kind, value)}" for name, value in (("base", row.base), ("head", row.head))
             if value is not None]  # fmt: skip
    change = [f"change {text}"] if (text := change_text(row)) else []
    return Case(row.method, row.metric, _outcome(row), row.reason or "", ", ".join([*sides, *change]))


def _outcome(row: GateRow) -> Outcome:
    assert row.verdict is not None
    return _OUTCOMES[row.verdict] if row.required or row.verdict != "could-not-measure" else "skipped"
