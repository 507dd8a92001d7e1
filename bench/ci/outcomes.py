"""A verdict as continuous integration counts it: cases that passed, failed, could not be judged or were skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from ..gating.gate import Gate, GateRow

Outcome = Literal["passed", "failed", "error", "skipped"]

WHOLE = "bench gate", "verdict"
"""The method and metric of the case that stands for the gate as a whole."""

_REASON = "what is needed was not judged: see the notes of the gate"


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
    made = [_case(row) for row in found.rows if row.kind != "time" or row.required or row.verdict == "fail"]
    return [*made, *_whole(found, made)]


def _case(row: GateRow) -> Case:
    from ..gating.text import change_text, number

    sides = [f"{name} {number(row.metric, row.kind, value)}" for name, value in (("base", row.base), ("head", row.head))
             if value is not None]  # fmt: skip
    change = [f"change {text}"] if (text := change_text(row)) else []
    return Case(row.method, row.metric, _outcome(row), row.reason or "", ", ".join([*sides, *change]))


def _outcome(row: GateRow) -> Outcome:
    if row.verdict == "could-not-measure":
        return "error" if row.required else "skipped"
    return "failed" if row.verdict == "fail" else "passed"


def _whole(found: Gate, made: Sequence[Case]) -> Iterator[Case]:
    said = {case.outcome for case in made}
    if found.verdict == "could-not-measure" and "error" not in said:
        notes = "; ".join(found.notes)
        yield Case(*WHOLE, "error", f"{_REASON}: {notes}" if notes else _REASON)
