"""``bench latency``: what it was asked, checked before anything is started, and what it prints and writes."""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...adapters import make_adapter
from ...adapters.spec import parse, split_list
from ...core.errors import BenchError, printable
from ...core.files import write_atomic
from ...core.zoo import PREFIX
from ...reports.latency import ClaimFound, Failed, LatencyRow, LatencyRun, Machine, Protocol
from ..devices import make_device
from ..places import check_precision
from ..startup import INTERRUPTED, device_of, ends_as_ctrl_c, quiet_libraries, say
from .claims import claims_found
from .results import imported_comparisons
from .suites import LatencySuite, SuiteMethod, find_latency_suite
from .worker import Order

IMPORT = "import"
FULL, MINI = 512, 64
"""Pixels a side where none are asked for: of full-size methods, of those of the mini world."""


def latency_command(methods: str | None, asked: Mapping[str, Any]) -> int:
    """Measure, print and write; return the exit status: 2 where something asked for could not be measured."""
    quiet_libraries()
    if asked["offline"]:
        os.environ["HF_HUB_OFFLINE"] = "1"
    ends_as_ctrl_c()
    plan = plan_of(methods, asked)
    try:
        run = measured(plan, asked["threads"])
    except KeyboardInterrupt:
        say("stopped: latencies are of one go, so nothing is kept")
        raise SystemExit(INTERRUPTED) from None
    _write(run, asked["out"] or Path("runs") / (run.suite or "latency"), asked["pytest_benchmark_json"])
    print_run(run, asked["json_"])
    return 2 if run.failed or not run.rows else 0


@dataclass(frozen=True)
class Plan:
    """What is to be measured, how, and what is only read."""

    protocol: Protocol
    orders: list[Order]
    imported: list[LatencyRow] = field(default_factory=list)
    suite: LatencySuite | None = None
    chosen: list[SuiteMethod] = field(default_factory=list)
    skipped: list[Failed] = field(default_factory=list)


def plan_of(methods: str | None, asked: Mapping[str, Any]) -> Plan:
    """Return what the command line asks for; BenchError for what cannot be understood, or does not go together."""
    devices = split_list(asked["device"])
    files = [name for name in devices if name.partition(":")[0] == IMPORT]
    here = ",".join(name for name in devices if name not in files)
    if asked["suite"]:
        return _suite_plan(find_latency_suite(asked["suite"]), methods, here or "auto", files, asked)
    if methods is None and (here or not files):
        raise BenchError("name a METHOD, or a --suite ('bench ls suites'); only --device import:FILE needs neither")
    imported = _imported(files, split_list(methods or ""))
    protocol = protocol_of(methods or "", asked)
    return Plan(protocol, orders_of(methods or "", protocol, {**asked, "device": here}) if here else [], imported)


def _suite_plan(
    suite: LatencySuite, methods: str | None, device: str, files: Sequence[str], asked: Mapping[str, Any]
) -> Plan:
    chosen = suite.choose(split_list(methods or ""))
    skipped = [method for method in chosen if method.lacks]
    chosen = [method for method in chosen if not method.lacks]
    if len(chosen) < 2 or (skipped and skipped[0].name == suite.methods[0].name):
        why = "; ".join(f"{method.name}: {method.lacks}" for method in skipped)
        raise BenchError(f"suite '{suite.name}' has nothing to compare here: {why}")
    first = split_list(device)[0]
    dtype = asked["dtype"] or (fastest_dtype(first) if suite.dtype == "fastest" else suite.dtype)
    whole = asked["end_to_end"]
    defaults = {
        "size": str(suite.size), "rounds": suite.rounds, "iterations": suite.iterations,
        "min_seconds": suite.min_seconds,
        "end_to_end": (suite.whole_on_cpu or not device_name(first).startswith("cpu")) if whole is None else whole,
    }  # fmt: skip
    asked = {**asked, "device": device, "dtype": dtype}
    asked |= {name: value for name, value in defaults.items() if asked[name] is None}
    texts = ",".join(method.method for method in chosen)
    protocol = protocol_of(texts, asked).model_copy(update={"in_pairs": suite.in_pairs})
    if protocol.in_pairs and protocol.sustained:
        raise BenchError(f"--sustained: suite '{suite.name}' loads one method at a time; name the methods themselves")
    failed = [Failed(method=each.name, device=first, dtype=dtype, reason=str(each.lacks)) for each in skipped]
    imported = _imported(files, [])
    return Plan(protocol, orders_of(texts, protocol, asked), imported, suite, chosen, failed)


def measured(plan: Plan, threads: int | None) -> LatencyRun:
    """Measure what is to be measured, and put what was measured elsewhere below it."""
    from .protocol import measure

    run = measure(plan.orders, plan.protocol, threads, say) if plan.orders else _nothing(plan.protocol)
    claims: list[ClaimFound] = []
    if plan.suite:
        claims = list(claims_found(plan.suite.claims, _places(plan.chosen, run.rows), run.rows, run.comparisons))
    rows = [*run.rows, *plan.imported]
    compared = [*run.comparisons, *imported_comparisons(rows)]
    notes = [*run.notes, *(plan.suite.notes if plan.suite else [])]
    return run.model_copy(
        update={
            "rows": rows, "comparisons": compared, "claims": claims, "notes": notes,
            "skipped": [*plan.skipped, *run.skipped], "suite": plan.suite and plan.suite.name,
        }
    )  # fmt: skip


def _nothing(protocol: Protocol) -> LatencyRun:
    """A run that measures nothing itself."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return LatencyRun(created=created, protocol=protocol, environment={}, machine=Machine(), rows=[])


def _places(chosen: Sequence[SuiteMethod], rows: Sequence[LatencyRow]) -> dict[str, int]:
    """Which row is which method of a suite, on the device and in the precision of the first one."""
    found = {
        row.method: index
        for index, row in enumerate(rows)
        if (row.device, row.dtype) == (rows[0].device, rows[0].dtype)
    }
    return {method.name: found[method.method] for method in chosen if method.method in found}


def _imported(files: Sequence[str], methods: Sequence[str]) -> list[LatencyRow]:
    from ..devices.imported import Imported, imported_rows

    found: list[LatencyRow] = []
    for name in files:
        device = make_device(name)
        assert isinstance(device, Imported)
        found += imported_rows(device.read(), methods)
    return found


def protocol_of(methods: str, asked: Mapping[str, Any]) -> Protocol:
    """Return how to measure; BenchError for options that do not go together."""
    whole = asked["end_to_end"] is not False
    if asked["sustained"] and not whole:
        raise BenchError("--sustained makes whole pictures: leave out --no-end-to-end")
    width, height = size_of(asked["size"], methods)
    stated = {name: asked[name] for name in ("iterations", "min_seconds", "rounds") if asked[name] is not None}
    return Protocol(
        **stated,
        seed=asked["seed"],
        end_to_end=whole,
        sustained=asked["sustained"],
        windows=asked["minutes"],
        width=width,
        height=height,
    )


def orders_of(methods: str, protocol: Protocol, asked: Mapping[str, Any]) -> list[Order]:
    """Return every method on every device in every precision; BenchError for what cannot be understood."""
    texts = [split_list(methods), split_list(asked["device"]), split_list(asked["dtype"] or "fp32")]
    for what, found in zip(("METHOD", "--device", "--dtype"), texts, strict=True):
        if not found:
            raise BenchError(f"{what} is empty: name one, such as 'bench latency sd15 --device cpu --dtype fp32'")
        if len(set(found)) < len(found):
            raise BenchError(f"{what} names one of '{', '.join(found)}' twice: once is enough")
    for method in texts[0]:
        _check_size(method, make_adapter(method).traits.size_multiple, protocol)
    devices = [device_name(name) for name in texts[1]]
    for name in devices:
        if not make_device(name).whole and protocol.sustained:
            raise BenchError(f"--sustained makes whole pictures, which device '{name}' does not")
    for dtype in texts[2]:
        check_precision(dtype)
    return [
        Order(
            method=method, device=device, dtype=dtype, width=protocol.width, height=protocol.height, seed=protocol.seed,
            end_to_end=protocol.end_to_end, offline=asked["offline"], threads=asked["threads"],
            tflite=_tflite(asked["tflite_dir"], method), benchmark_model=_text(asked["benchmark_model"]),
            force_export=asked["force_export"],
        )
        for method, (device, dtype) in itertools.product(texts[0], _places_in(devices, texts[2]))
    ]  # fmt: skip


def _places_in(devices: Sequence[str], dtypes: Sequence[str]) -> list[tuple[str, str]]:
    """Every device in every precision that it has; one that has none of them stays, to say so as a row that failed."""
    found: list[tuple[str, str]] = []
    for device in devices:
        lacking = {dtype: why for dtype in dtypes if (why := make_device(device).lacks(dtype))}
        kept = [dtype for dtype in dtypes if dtype not in lacking]
        for dtype, why in lacking.items() if kept else ():
            say(f"device '{device}' is left out in {dtype}: {why}")
        found += [(device, dtype) for dtype in kept or dtypes]
    return found


def _tflite(folder: Path | None, method: str) -> str | None:
    """The folder of a method's exported stages: the one named like it where there is one."""
    if folder is None:
        return None
    own = folder / parse(method).name
    return str(own if own.is_dir() else folder)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def fastest_dtype(device: str) -> str:
    """Return the precision that computes fastest on a device: tried on a processor, known elsewhere."""
    name = device_name(device).partition(":")[0].partition("+")[0]
    if name == "cuda":
        import torch

        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if name == "mps":
        return "fp16"
    return min(("fp32", "bf16"), key=_convolution_s) if name == "cpu" else "fp32"


def _convolution_s(dtype: str) -> float:
    """Seconds of a convolution as a UNet has them."""
    import time

    import torch

    from ...adapters.checkpoints import torch_dtype

    kind = torch_dtype(dtype)
    weights, inputs = torch.ones(320, 320, 3, 3, dtype=kind), torch.ones(1, 320, 64, 64, dtype=kind)
    seconds = []
    with torch.inference_mode():
        for _ in range(4):
            start = time.perf_counter()
            torch.nn.functional.conv2d(inputs, weights, padding=1)
            seconds.append(time.perf_counter() - start)
    return min(seconds)


def print_run(run: LatencyRun, as_json: bool) -> None:
    """Print the tables and what must be said of them, or the whole of ``latency.json``."""
    if as_json:
        print(run.to_json(), end="")
        return
    from rich.console import Console
    from rich.text import Text

    from ...reports.console import below, blocks
    from ...reports.latency_tables import below_tables, tables

    console = Console(width=None if sys.stdout.isatty() else 160)
    for table in tables(run):
        console.print(Text(table.title, style="bold"))
        for block in blocks(table, console.width):
            console.print(block)
        console.print(below(table, []))
        console.print()
    console.print(Text("\n".join(map(printable, below_tables(run))), style="dim"))


def _write(run: LatencyRun, folder: Path, benchmark_file: Path | None) -> None:
    from ...reports.latency_tables import latency_markdown
    from ...reports.pytest_benchmark import pytest_benchmark_json

    write_atomic(folder / "latency.json", run.to_json())
    write_atomic(folder / "latency.md", latency_markdown(run))
    if benchmark_file:
        write_atomic(benchmark_file, pytest_benchmark_json(run))
    say(f"latencies: {folder / 'latency.json'}  (also latency.md{f', {benchmark_file}' if benchmark_file else ''})")


def size_of(text: str | None, methods: str) -> tuple[int, int]:
    """Width and height: those asked for, else the size that the methods were trained for."""
    if text is None:
        mini = all(PREFIX in method for method in split_list(methods))
        return (MINI, MINI) if mini else (FULL, FULL)
    found = re.fullmatch(r"(\d+)(?:[x×](\d+))?", text)
    if not found or not int(found[1]) or found[2] == "0":
        raise BenchError(f"--size {text}: write pixels, such as 512, or width x height, such as 1024x512")
    return int(found[1]), int(found[2] or found[1])


def _check_size(method: str, multiple: int, protocol: Protocol) -> None:
    for side in (protocol.width, protocol.height):
        if side % multiple:
            near = max(multiple, round(side / multiple) * multiple)
            raise BenchError(f"'{method}' makes sizes that are multiples of {multiple}, not {side}: try --size {near}")


def device_name(name: str) -> str:
    """Return the device, ``auto`` resolved to the best there is; BenchError for one that is not here."""
    return device_of(name) if name == "auto" else name
