"""Seconds that pytest-benchmark measured, side by side; never judged, since nobody knows whether they took turns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...core.errors import BenchError
from .gate import Gate, GateRow, RunName
from .verdict import OPEN

METRIC = "median_seconds"
SUITE = "pytest-benchmark"

_WHY = (
    "these are two files of pytest-benchmark: whether they took turns on one machine is unknown, and seconds that did "
    "not differ by what else the machine did; 'bench ab' times two versions in turns"
)


class Timed(NamedTuple):
    """A benchmark: its median in seconds over so many rounds."""

    seconds: float
    rounds: int


class Timings(NamedTuple):
    """A file of pytest-benchmark."""

    file: Path
    created: str
    machine: str
    benchmarks: Mapping[str, Timed]


def imported(base: Path, head: Path, judged: bool = True) -> Gate | None:
    """Return two files of pytest-benchmark side by side; None where neither is one.

    Each row that is judged is needed and could not be measured. Raises BenchError where one is broken, or alone.
    """
    found = [load_timings(path) for path in (base, head)]
    if found == [None, None]:
        return None
    for path, timings in zip((base, head), found, strict=True):
        if timings is None:
            raise BenchError(f"'{path}' is no file of pytest-benchmark, and the other is: compare two of a kind")
    ours, theirs = (timings for timings in found if timings is not None)
    return Gate(
        verdict=OPEN if judged else None,
        base=_name(ours),
        head=_name(theirs),
        level=0.95,
        tests=0,
        rows=[_row(name, ours, theirs, judged) for name in ours.benchmarks if name in theirs.benchmarks],
        only_base=[name for name in ours.benchmarks if name not in theirs.benchmarks],
        only_head=[name for name in theirs.benchmarks if name not in ours.benchmarks],
        notes=list(_notes(ours, theirs)),
    )


def load_timings(path: Path) -> Timings | None:
    """Read the JSON of ``pytest --benchmark-json`` or ``--benchmark-autosave``; None for what is something else.

    Raises BenchError for a file that begins as one and is broken.
    """
    if not path.is_file() or path.suffix != ".json":
        return None
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None  # whoever reads it next says what is wrong with it
    if not isinstance(data, dict) or not {"benchmarks", "machine_info"} <= data.keys():
        return None
    try:
        benchmarks = {str(found["fullname"]): _timed(found["stats"]) for found in data["benchmarks"]}
        machine = data["machine_info"]
        names = [machine.get("node"), (machine.get("cpu") or {}).get("brand_raw"), machine.get("python_version")]
        created = str(data.get("datetime", ""))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchError(f"'{path}' is no whole file of pytest-benchmark: {type(error).__name__} {error}") from error
    return Timings(path, created, ", ".join(str(name) for name in names if name), benchmarks)


def _timed(stats: Mapping[str, Any]) -> Timed:
    return Timed(float(stats["median"]), int(stats["rounds"]))


def _name(timings: Timings) -> RunName:
    return RunName(path=str(timings.file), suite=SUITE, created=timings.created, seed=None)


def _row(name: str, base: Timings, head: Timings, judged: bool) -> GateRow:
    ours, theirs = base.benchmarks[name], head.benchmarks[name]
    return GateRow(
        method=name,
        metric=METRIC,
        kind="time",
        base=ours.seconds,
        head=theirs.seconds,
        higher_is_better=False,
        change=theirs.seconds - ours.seconds,
        n=theirs.rounds,
        required=judged,
        verdict=OPEN if judged else None,
        reason=_WHY if judged else None,
    )


def _notes(base: Timings, head: Timings) -> Iterator[str]:
    if base.machine != head.machine:
        yield f"measured on other machines: base on {base.machine}; head on {head.machine}"
    for side, one, other in (("base", base, head), ("head", head, base)):
        if alone := [name for name in one.benchmarks if name not in other.benchmarks]:
            yield f"only in {side} and not compared: {', '.join(alone)}"
