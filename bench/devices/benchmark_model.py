"""LiteRT's ``benchmark_model``: the flags it is called with, and what it prints.

The program is TensorFlow Lite's old one or LiteRT's newer one; both log the same lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...core.errors import BenchError, printable

NUMBER = r"[-+.\deE]+"
FLAGS: Mapping[str | None, Mapping[str, str]] = {
    None: {"use_xnnpack": "true"},
    "gpu": {"use_gpu": "true"},
    "nnapi": {"use_nnapi": "true"},
    "no-xnnpack": {"use_xnnpack": "false"},
}
"""What chooses each delegate."""

_TIMINGS = re.compile(rf"Inference timings in us: (.*Inference \(avg\): {NUMBER})")
_COUNT = re.compile(rf"count=\d+ .*?curr={NUMBER}.*")
_PAIR = re.compile(rf"(\w+)=({NUMBER})")
_NAMED = re.compile(rf"([\w ()]+): ({NUMBER})")
_PEAK = re.compile(rf"Overall peak memory footprint \(MB\) via periodic monitoring: ({NUMBER})")
_DELTA = re.compile(rf"emory footprint(?: delta from the start of the tool)? \(MB\): init={NUMBER} overall=({NUMBER})")
_PARTLY = re.compile(r"partially executed by the delegate w/ (\d+) delegate kernels")
_REPLACED = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate \((\w+)\)")
_REFUSED = re.compile(
    r"(?:not supported by (?:GPU|NNAPI) delegate:)(.*?)(?:\d+ operations will run|ERROR:|$)", re.DOTALL
)
_PREFIX = re.compile(r"^(?:INFO|WARNING|ERROR): ", re.MULTILINE)
"""The older program writes it on standard error, LiteRT's own messages carry it anywhere."""

_FAILURES: tuple[tuple[str, str], ...] = (
    (r"Encountered unresolved custom op: (\S+)", "it holds the custom op {0}, which benchmark_model does not know"),
    (
        r"Didn't find op for builtin opcode '(\w+)' version '?(\d+)'?",
        "benchmark_model does not know op {0} in version {1}: take a newer one, or export for an older runtime",
    ),
    (r"Failed to apply (\S+) delegate", "the {0} delegate refuses it{refused}; without +{variant} it may run"),
    (r"Failed to load model|not a valid Flatbuffer|Failed to mmap|Could not open", "it is no readable .tflite file"),
    (r"Failed to allocate tensors", "there is no memory for its tensors, or their shapes do not fit"),
    (r"(?:std::bad_alloc|Out of memory|Killed|Aborted)", "its process ended, as it does where memory runs out"),
    (r"(?:Signature not specified)", "the file has several signatures: export one"),
    (r"(?:not executable|cannot execute|Exec format error|CANNOT LINK EXECUTABLE|syntax error)",
     "benchmark_model does not run on this phone: take the one for its processor (arm64 on all newer ones)"),
)  # fmt: skip


def command(binary: str, graph: str, flags: Mapping[str, object]) -> str:
    """Return the command of the phone's shell, both outputs together."""
    given = " ".join(f"--{name}={value}" for name, value in flags.items())
    return f"{binary} --graph={graph} {given} 2>&1"


@dataclass(frozen=True)
class Report:
    """What it printed of one model; times in seconds, None for what it did not print."""

    init_s: float
    first_s: float
    mean_s: float
    count: int
    median_s: float | None = None
    """Older programs print no percentiles."""
    least_s: float | None = None
    most_s: float | None = None
    deviation_s: float | None = None
    p5_s: float | None = None
    p95_s: float | None = None
    memory_bytes: int | None = None
    """What the process took more than at its start, at the end; approximate, as it says itself."""
    peak_bytes: int | None = None
    """At its peak, where it was asked to watch."""
    delegation: str | None = None
    """How much of the graph runs on the delegate, where that is not all."""


def read_report(text: str, what: str, variant: str | None) -> Report:
    """Read what was printed; ``what`` names the model in messages, ``variant`` the delegate that was asked for.

    Raises BenchError, saying why in one line, where it holds no timings.
    """
    text = _PREFIX.sub("", text)
    timings, statistics = _TIMINGS.search(text), list(_COUNT.finditer(text))
    if not timings or not statistics:
        raise BenchError(f"'{what}' cannot be timed: {_why(text, variant)}")
    named = {name.strip(): float(value) / 1e6 for name, value in _NAMED.findall(timings[1])}
    runs = {name: float(value) for name, value in _PAIR.findall(statistics[-1][0])}
    return Report(
        init_s=named["Init"],
        first_s=named["First inference"],
        mean_s=named["Inference (avg)"],
        count=int(runs["count"]),
        median_s=_seconds(runs, "median"),
        least_s=_seconds(runs, "min"),
        most_s=_seconds(runs, "max"),
        deviation_s=_seconds(runs, "std"),
        p5_s=_seconds(runs, "p5"),
        p95_s=_seconds(runs, "p95"),
        memory_bytes=_megabytes(_DELTA.search(text)),
        peak_bytes=_megabytes(_PEAK.search(text)),
        delegation=_delegation(text),
    )


def _seconds(runs: Mapping[str, float], name: str) -> float | None:
    return runs[name] / 1e6 if name in runs else None


def _megabytes(found: re.Match[str] | None) -> int | None:
    return round(float(found[1]) * 2**20) if found else None


def _delegation(text: str) -> str | None:
    parts = list(_parts(text))
    return "; ".join(dict.fromkeys(parts)) or None


def _parts(text: str) -> Iterator[str]:
    for done, nodes, delegate in _REPLACED.findall(text):
        if done != nodes:
            yield f"{done} of {nodes} nodes run on {delegate}, the others on the processor's plain kernels"
    if found := _PARTLY.search(text):
        yield f"the delegate takes part of the graph ({found[1]} kernels), the processor the rest"
    if "will not be executed by the delegate" in text:
        yield "the delegate takes nothing of the graph: all of it runs on the processor"


def _why(text: str, variant: str | None) -> str:
    refused = [line.strip() for found in _REFUSED.findall(text) for line in found.splitlines() if line.strip()]
    listed = f" (not supported: {', '.join(refused[:3])}{', …' if len(refused) > 3 else ''})" if refused else ""
    for pattern, message in _FAILURES:
        if found := re.search(pattern, text):
            return message.format(*found.groups(), refused=listed, variant=variant)
    lines = [line for line in map(str.strip, text.splitlines()) if line and line != "Benchmarking failed."]
    said = printable(lines[-1])[:200] if lines else "nothing"
    return f"benchmark_model printed no timings; the last it said was: {said}"
