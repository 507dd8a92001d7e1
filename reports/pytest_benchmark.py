"""Seconds in pytest-benchmark's JSON: read by github-action-benchmark, Bencher, ``pytest-benchmark compare``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .latency import END_TO_END, LatencyRow, LatencyRun, Timing
from .schema import Run


def pytest_benchmark_json(run: LatencyRun) -> str:
    """Return a benchmark per stage and per whole picture: its calls in seconds, all raw samples among them.

    What was measured elsewhere and tells no single calls is left out. Its median is that of all calls, not of the
    rounds' medians as in ``latency.json``.
    """
    return _document([bench for row in run.rows for bench in _benchmarks(run, row)], run.created, run.environment)


def run_benchmark_json(run: Run, samples: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return a benchmark per method and stage of a run: seconds per picture, one of each batch.

    ``samples`` has them by method and stage. They were taken one method after the other, while pictures were made.
    """
    found = [
        _benchmark("run", Place(row.method, row.settings.device, row.settings.dtype, stage), [seconds], {}, {})
        for row in run.results
        for stage, seconds in samples.get(row.method, {}).items()
    ]
    return _document(found, run.created, run.environment)


def _document(benchmarks: Sequence[Mapping[str, Any]], created: str, environment: Mapping[str, Any]) -> str:
    import pytest_benchmark
    from pytest_benchmark.utils import get_commit_info

    found = {
        "machine_info": _machine(environment),
        "commit_info": get_commit_info(),
        "benchmarks": benchmarks,
        "datetime": created,
        "version": pytest_benchmark.__version__,
    }
    return json.dumps(found, indent=2, default=str) + "\n"


def _machine(environment: Mapping[str, Any]) -> dict[str, Any]:
    import platform

    return {
        "node": platform.node(),
        "machine": platform.machine(),
        "system": platform.system(),
        "release": platform.release(),
        "python_version": environment.get("python"),
        "python_implementation": platform.python_implementation(),
        "cpu": {"brand_raw": environment.get("processor"), "count": os.cpu_count()},
    }


def _benchmarks(run: LatencyRun, row: LatencyRow) -> Iterator[dict[str, Any]]:
    parts: Mapping[str, Timing] = {name: stage.timing for name, stage in row.stages.items()}
    found = [*parts.items(), *([(END_TO_END, row.end_to_end)] if row.end_to_end else [])]
    extra = {"width": run.protocol.width, "height": run.protocol.height, **row.about}
    options = {
        "disable_gc": True, "timer": "perf_counter", "min_rounds": run.protocol.iterations,
        "max_time": run.protocol.min_seconds, "min_time": 0.0, "warmup": True,
    }  # fmt: skip
    for name, timing in (part for part in found if part[1].rounds):
        yield _benchmark("latency", Place(row.method, row.device, row.dtype, name), timing.rounds, extra, options)


class Place(NamedTuple):
    """What was timed, and where."""

    method: str
    device: str | None
    dtype: str | None
    stage: str


def _benchmark(
    kind: str, place: Place, rounds: Sequence[Sequence[float]], extra: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    row = "-".join(filter(None, place[:3]))
    return {
        "group": place.stage,
        "name": f"{place.stage}[{row}]",
        "fullname": f"{kind}::{place.stage}[{row}]",
        "params": place._asdict(),
        "param": row,
        "extra_info": extra,
        "options": options,
        "stats": _stats(rounds),
    }


def _stats(rounds: Sequence[Sequence[float]]) -> dict[str, Any]:
    from pytest_benchmark.stats import Stats

    stats = Stats()
    for seconds in (value for each in rounds for value in each):
        stats.update(seconds)
    return {**stats.as_dict(), "data": stats.data, "iterations": 1}
