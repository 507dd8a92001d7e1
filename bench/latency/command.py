"""``bench latency``: what it was asked, checked before anything is started, and what it prints and writes."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...adapters import make_adapter
from ...adapters.spec import split_list
from ...core.errors import BenchError, printable
from ...core.files import write_atomic
from ...core.zoo import PREFIX
from ...reports.latency import LatencyRun, Protocol
from ..devices import make_device
from .worker import Order

INTERRUPTED = 130
FULL, MINI = 512, 64
"""Pixels a side where none are asked for: of full-size methods, of those of the mini world."""


def latency_command(methods: str, asked: Mapping[str, Any]) -> int:
    """Measure, print and write; return the exit status: 2 where something asked for could not be measured."""
    from ..commands import quiet_libraries
    from .protocol import measure

    quiet_libraries()
    if asked["offline"]:
        os.environ["HF_HUB_OFFLINE"] = "1"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the workers, too
    protocol = protocol_of(methods, asked)
    orders = orders_of(methods, protocol, asked)
    try:
        run = measure(orders, protocol, asked["threads"], _say)
    except KeyboardInterrupt:
        _say("stopped: latencies are of one go, so nothing is kept")
        raise SystemExit(INTERRUPTED) from None
    _write(run, asked["out"] or Path("runs") / "latency", asked["pytest_benchmark_json"])
    print_run(run, asked["json_"])
    return 2 if run.failed else 0


def protocol_of(methods: str, asked: Mapping[str, Any]) -> Protocol:
    """Return how to measure; BenchError for options that do not go together."""
    if asked["sustained"] and not asked["end_to_end"]:
        raise BenchError("--sustained makes whole pictures: leave out --no-end-to-end")
    width, height = size_of(asked["size"], methods)
    return Protocol(
        iterations=asked["iterations"],
        min_seconds=asked["min_seconds"],
        rounds=asked["rounds"],
        seed=asked["seed"],
        end_to_end=asked["end_to_end"],
        sustained=asked["sustained"],
        windows=asked["minutes"],
        width=width,
        height=height,
    )


def orders_of(methods: str, protocol: Protocol, asked: Mapping[str, Any]) -> list[Order]:
    """Return every method on every device in every precision; BenchError for what cannot be understood."""
    texts = [split_list(methods), split_list(asked["device"]), split_list(asked["dtype"])]
    for what, found in zip(("METHOD", "--device", "--dtype"), texts, strict=True):
        if not found:
            raise BenchError(f"{what} is empty: name one, such as 'bench latency sd15 --device cpu --dtype fp32'")
        if len(set(found)) < len(found):
            raise BenchError(f"{what} names one of '{', '.join(found)}' twice: once is enough")
    for method in texts[0]:
        _check_size(method, make_adapter(method).traits.size_multiple, protocol)
    devices = [device_name(name) for name in texts[1]]
    for name in devices:
        make_device(name)
    for dtype in texts[2]:
        _check_dtype(dtype)
    return [
        Order(
            method=method, device=device, dtype=dtype, width=protocol.width, height=protocol.height, seed=protocol.seed,
            end_to_end=protocol.end_to_end, offline=asked["offline"],
        )
        for method, device, dtype in itertools.product(texts[0], devices, texts[2])
    ]  # fmt: skip


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
    _say(f"latencies: {folder / 'latency.json'}  (also latency.md{f', {benchmark_file}' if benchmark_file else ''})")


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
    from ..commands import device_of

    return device_of(name) if name == "auto" else name


def _check_dtype(name: str) -> None:
    from ..commands import dtype_of

    dtype_of(name)


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)
