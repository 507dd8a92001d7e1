"""Latencies in pytest-benchmark's JSON: read by github-action-benchmark, Bencher, ``pytest-benchmark compare``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .latency import END_TO_END, LatencyRow, LatencyRun, Timing


def pytest_benchmark_json(run: LatencyRun) -> str:
    """Return a benchmark per stage and per whole picture: its calls in seconds, all raw samples among them.

    What was measured elsewhere and tells no single calls is left out. Its median is that of all calls, not of the
    rounds' medians as in ``latency.json``.
    """
    import pytest_benchmark
    from pytest_benchmark.utils import get_commit_info

    found = {
        "machine_info": _machine(run),
        "commit_info": get_commit_info(),
        "benchmarks": [bench for row in run.rows for bench in _benchmarks(run, row)],
        "datetime": run.created,
        "version": pytest_benchmark.__version__,
    }
    return json.dumps(found, indent=2, default=str) + "\n"


def _machine(run: LatencyRun) -> dict[str, Any]:
    import platform

    return {
        "node": platform.node(),
        "machine": platform.machine(),
        "system": platform.system(),
        "release": platform.release(),
        "python_version": run.environment.get("python"),
        "python_implementation": platform.python_implementation(),
        "cpu": {"brand_raw": run.environment.get("processor"), "count": run.machine.cores},
    }


def _benchmarks(run: LatencyRun, row: LatencyRow) -> Iterator[dict[str, Any]]:
    parts: Mapping[str, Timing] = {name: stage.timing for name, stage in row.stages.items()}
    found = [*parts.items(), *([(END_TO_END, row.end_to_end)] if row.end_to_end else [])]
    for name, timing in (part for part in found if part[1].rounds):
        params = {"method": row.method, "device": row.device, "dtype": row.dtype, "stage": name}
        yield {
            "group": name,
            "name": f"{name}[{row.method}-{row.device}-{row.dtype}]",
            "fullname": f"latency::{name}[{row.method}-{row.device}-{row.dtype}]",
            "params": params,
            "param": f"{row.method}-{row.device}-{row.dtype}",
            "extra_info": {"width": run.protocol.width, "height": run.protocol.height, **row.about},
            "options": {"disable_gc": True, "timer": "perf_counter", "min_rounds": run.protocol.iterations,
                        "max_time": run.protocol.min_seconds, "min_time": 0.0, "warmup": True},
            "stats": _stats(timing),
        }  # fmt: skip


def _stats(timing: Timing) -> dict[str, Any]:
    from pytest_benchmark.stats import Stats

    stats = Stats()
    for seconds in (value for each in timing.rounds for value in each):
        stats.update(seconds)
    return {**stats.as_dict(), "data": stats.data, "iterations": 1}
