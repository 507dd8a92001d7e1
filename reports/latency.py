"""The typed schema of ``latency.json``, a contract with other people's scripts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..metrics.timing import Verdict
from .documents import parse, read

SCHEMA = 1
END_TO_END = "end_to_end"
"""The name of a whole picture where stages are named."""
COMPOSED = "composed"
"""The name of the sum of all stages, each times its forwards per picture."""
TOTAL = "total"
"""The name of whole pictures in claims, whether they were made or composed."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Machine(_Part):
    """The machine before anything was started; None for what its platform does not tell."""

    cores: int | None = None
    usable_cores: int | None = None
    """Of them those that this process may run on."""
    cpu_limit: float | None = None
    """Cores that the container may use on average."""
    memory_limit_bytes: int | None = None
    container: str | None = None
    governors: list[str] = Field(default_factory=list)
    """How the system chooses the cores' clocks: ``performance``, ``powersave``, …"""
    megahertz: float | None = None
    """Median over the cores."""
    load_average: float | None = None
    """Over the last minute."""


class Protocol(_Part):
    """How it was measured."""

    iterations: int = 10
    """At least so many per stage, over all rounds."""
    min_seconds: float = 10.0
    """And at least so long."""
    rounds: int = 10
    seed: int = 0
    """Of the order within rounds, and of the pictures."""
    end_to_end: bool = True
    """False where only the stages were timed."""
    sustained: bool = False
    """Whether pictures were made one after the other, window by window, in place of rounds."""
    window_s: float = 60.0
    windows: int = 30
    """At most so many."""
    in_pairs: bool = False
    """Whether one row at a time was loaded beside the first, and timed in turns with it alone."""
    width: int = 512
    height: int = 512


class Timing(_Part):
    """Seconds of one call."""

    median_s: float
    """Median of the rounds' medians."""
    p90_s: float | None = None
    """Of all calls, nearest rank; None where they are not known one by one."""
    n: int | None = None
    """Calls in all."""
    interval: tuple[float, float] | None = None
    """Of the median: the ``rank``-th smallest and largest of the rounds' medians; None where they are too few."""
    rank: int | None = None
    level: float | None = None
    """What the interval covers."""
    spread: float | None = None
    """Scatter of the rounds' medians (1.4826 × median absolute deviation) as a share of the median."""
    rounds: list[list[float]] = Field(default_factory=list)
    """Every call, round by round, in the order they were made; empty where they are not known."""
    turn_calls: list[list[int]] = Field(default_factory=list)
    """How many calls each turn of a round has, where the rows took several in turn; empty where a round is one turn."""
    each: Literal["call", "median", "mean"] = "call"
    """What ``rounds`` holds: single calls, or what a device that times itself tells of all calls of a round."""


class StageFacts(_Part):
    """What one forward of a stage is."""

    params: int | None = None
    macs: int | None = None
    """Multiply-adds; None where they cannot be counted."""
    forwards: int
    """Per picture; a guided step counts as two."""


def composition(stages: Mapping[str, StageFacts]) -> str:
    """Say what a sum of stages is made of: ``1 × text encoder + 100 × unet + 1 × decoder``."""
    return " + ".join(f"{stage.forwards:,} × {name.replace('_', ' ')}" for name, stage in stages.items())


class StageResult(StageFacts):
    """A stage with its seconds per forward."""

    timing: Timing
    joules: float | None = None
    """Per forward."""


class Memory(_Part):
    """Bytes of the process that computes; None where the platform does not tell."""

    before_bytes: int | None = None
    """Resident with Python, PyTorch and this package, before the method was made."""
    loaded_bytes: int | None = None
    """Resident once it was loaded, the libraries that it imports included."""
    peak_bytes: int | None = None
    """Resident at most, from the first line to the last call."""
    accelerator_peak_bytes: int | None = None

    @property
    def beyond_before(self) -> int | None:
        """What the method took at its peak; the figure that ``run.json`` has."""
        return None if self.peak_bytes is None else max(0, self.peak_bytes - (self.before_bytes or 0))


class Energy(_Part):
    """What a picture takes; all that runs on the same chip is counted with it."""

    joules_per_image: float | None = None
    source: str | None = None
    reason: str | None = None
    """Why there is no figure."""


class Window(_Part):
    """One window of the sustained mode, a minute as a rule."""

    median_s: float
    n: int
    megahertz: float | None = None


class Sustained(_Part):
    """How seconds per picture change while the machine warms up."""

    curve: list[Window]
    settled: bool
    """Whether the last three windows differ by at most 2 %."""
    steady_s: float
    """Median of the last three windows."""
    slowdown: float
    """``steady_s`` over the first window's median."""


class LatencyRow(_Part):
    """One method on one device in one precision."""

    method: str
    device: str
    dtype: str
    checkpoint: str | None = None
    fingerprint: str
    """Changes when the weights do."""
    settings: dict[str, Any]
    """Scheduler, steps, guidance."""
    about: dict[str, Any]
    """What the device says of itself: threads, arithmetic, versions."""
    load_s: float | None = None
    """From the method's construction to its weights on the device, imports of its libraries included."""
    first_s: float | None = None
    """The first picture, or where none was made the first forward of every stage; compilation included."""
    memory: Memory = Memory()
    weights_bytes: int | None = None
    """Of the files; None where the method does not name them."""
    params: int | None = None
    macs_per_image: int | None = None
    stages: dict[str, StageResult] = Field(default_factory=dict)
    end_to_end: Timing | None = None
    composed: Timing | None = None
    """The stages' medians times their forwards, summed round by round."""
    composition: str | None = None
    """What that sum is made of: ``1 × text encoder + 100 × unet + 1 × decoder``."""
    energy: Energy = Energy()
    sustained: Sustained | None = None
    imported: str | None = None
    """The file that the numbers come from, where they were measured elsewhere."""
    notes: list[str] = Field(default_factory=list)

    @property
    def timings(self) -> dict[str, Timing]:
        """All that was timed: stages, then whole pictures."""
        totals = {COMPOSED: self.composed, END_TO_END: self.end_to_end}
        stages = {name: stage.timing for name, stage in self.stages.items()}
        return stages | {name: total for name, total in totals.items() if total}

    @property
    def name(self) -> str:
        """Method, device and precision."""
        return f"{self.method} · {self.device} · {self.dtype}"


class Comparison(_Part):
    """A row against the first one, in turns side by side."""

    row: int
    """Its place in ``rows``."""
    base: int
    what: str
    """A stage, ``end_to_end`` or ``composed``."""
    ratio: float
    """Above 1 the row is slower."""
    interval: tuple[float, float] | None = None
    level: float
    p: float
    verdict: Verdict
    words: str


class PublishedRatio(_Part):
    """What a paper says of a ratio, and on which device."""

    ratio: float
    device: str
    source: str


class ClaimFound(_Part):
    """A paper's claim of a ratio to the first row, beside what was measured in this run."""

    text: str
    row: int
    what: str
    """A stage, or ``total``."""
    how: str
    """``interleaved`` forwards, ``end to end``, or ``composed`` of the stages of the row itself."""
    ratio: float
    interval: tuple[float, float] | None = None
    bound: str | None = None
    """Between which ratios it holds: ``at most 1.03``."""
    holds: bool | None = None
    """None where the interval lies on both sides of the bound, or there is none of either."""
    published: list[PublishedRatio] = Field(default_factory=list)


class Failed(_Part):
    """What was asked for and could not be measured."""

    method: str
    device: str
    dtype: str
    reason: str


class Round(_Part):
    """What the machine did in a round."""

    seconds: float
    megahertz: float | None = None
    others_cores: float | None = None
    """Cores that other programs kept busy meanwhile."""


class LatencyRun(_Part):
    """``DIR/latency.json``."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: int = Field(default=SCHEMA, alias="schema")
    kind: Literal["latency"] = "latency"
    created: str
    """UTC, ISO 8601."""
    protocol: Protocol
    environment: dict[str, Any]
    machine: Machine
    rows: list[LatencyRow]
    comparisons: list[Comparison] = Field(default_factory=list)
    failed: list[Failed] = Field(default_factory=list)
    skipped: list[Failed] = Field(default_factory=list)
    """Of a suite's own set, what this machine or this installation cannot run."""
    suite: str | None = None
    claims: list[ClaimFound] = Field(default_factory=list)
    rounds: list[Round] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)

    def to_json(self) -> str:
        """The text of ``latency.json``."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


def load_latency(path: str | Path) -> LatencyRun:
    """Read what ``bench latency`` wrote, from its folder or from ``latency.json``.

    Raises BenchError for a file that is missing, broken, or of another schema.
    """
    text, file = read(path, "latency.json", f"no latencies at '{path}': expected a latency.json there")
    return parse(LatencyRun, text, file, SCHEMA, "holds no latencies")
