"""``bench run``: what it was asked, checked before anything is made, and what it prints."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ..core.errors import BenchError
from ..reports.schema import Run
from .options import Options
from .startup import ends_as_ctrl_c, exact_arithmetic, finder, quiet_libraries, say
from .suites import Suite, find_suite, parse_change


def run_command(**asked: Any) -> int:
    """``bench run``; see there for the options. Returns the exit status."""
    from .gating.command import After

    quiet_libraries()
    exact_arithmetic()
    ends_as_ctrl_c()
    if asked["offline"]:
        os.environ["HF_HUB_OFFLINE"] = "1"
    suite = find_suite(asked["suite"], dict(parse_change(text) for text in asked["set_"] or []))
    options = _options(asked, suite)
    directory = asked["out"] or Path("runs") / suite.name
    after = After(asked)
    if asked["dry_run"]:
        from .dry_run import describe

        describe(options, directory, asked["json_"])
        return 0
    from .run import run_suite

    finished = run_suite(options, directory, asked["fresh"], say, asked["embed"])
    if not asked["json_"]:
        print_run(finished.run)
    elif after.base is None:
        print(finished.run.to_json(), end="")
    say(f"report: {sized(finished.html)}; also {finished.markdown.name}, run.json, scores.parquet")
    if (dashboard := asked["pytest_benchmark_json"]) is not None:
        _write_benchmarks(finished.run, directory, dashboard)
    return after(directory)


def _write_benchmarks(run: Run, directory: Path, file: Path) -> None:
    from ..core.files import write_atomic
    from ..reports.pytest_benchmark import run_benchmark_json
    from .saved import load_pictures
    from .store import Record, logged
    from .timing import samples

    # The log may hold pictures that were made in this folder with other settings.
    own = {(each.method, each.prompt_id, each.sample, each.file.stem) for each in load_pictures(directory)}
    records: dict[str, list[Record]] = {}
    for record in logged(directory):
        if (record.method, record.prompt_id, record.sample, record.image) in own:
            records.setdefault(record.method, []).append(record)
    write_atomic(file, run_benchmark_json(run, {method: samples(made) for method, made in records.items()}))
    say(f"seconds: {file}")


def sized(file: Path) -> str:
    """Return a file with its size: what a report weighs decides how it can be sent."""
    size = file.stat().st_size
    return f"{file} ({size / 1e6:.1f} MB)" if size >= 50_000 else f"{file} ({size / 1e3:.0f} kB)"


def print_run(run: Run) -> None:
    """Print the main table of a run with its footnotes."""
    from rich.console import Console

    from ..reports.console import console_run

    console = Console(width=None if sys.stdout.isatty() else 160)
    for part in console_run(run, console.width):
        console.print(part)


def _options(asked: dict[str, Any], suite: Suite) -> Options:
    from ..adapters.spec import split_list
    from ..metrics import METRICS
    from .imported import imported_of
    from .places import places_of, pytorch_device

    metrics = None if asked["metrics"] is None else tuple(split_list(asked["metrics"]))
    if metrics == ():
        raise BenchError("--metrics is empty: name a metric, such as psnr")
    for name in metrics or [*suite.metrics, *(name for row in suite.methods for name in row.metrics or ())]:
        METRICS.target(name)
    imported, methods = imported_of(asked)
    places, notes = places_of("auto" if imported else asked["device"], asked["dtype"])
    return Options(
        suite=suite,
        methods=methods,
        imported=imported,
        limit=asked["limit"],
        seed=asked["seed"],
        device=pytorch_device(places),
        dtype=next((place.dtype for place in places if place.is_pytorch), "fp32"),
        places=tuple(places),
        place_notes=tuple(notes),
        force_export=asked["force_export"],
        batch_size=asked["batch_size"],
        metrics=metrics,
        images=asked["images"],
        prompts=asked["prompts"],
        reference=asked["reference"],
        data_root=asked["data_root"],
        weights=finder(asked["weights"], asked["offline"]),
        strict=asked["strict"],
    )
