"""What ``bench latency`` measured, as rows of a run: what papers' tables take."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import NamedTuple

from ..metrics.timing import judged_ratio
from .latency import END_TO_END, LatencyRow, LatencyRun, StageFacts, StageResult, Timing
from .schema import CodecFacts, Cost, Latency, Result, Run, RunSettings, SuiteInfo

CONTROL = "control"
"""The stage that a method adds to its base."""


class Added(NamedTuple):
    """What a control network adds to a picture's time."""

    how: str
    ratio: float
    """All stages over those without it."""
    interval: tuple[float, float] | None = None


class TimedRun(Run):
    """A run of no pictures; its results have times alone."""

    rows: list[LatencyRow]
    """Behind the results, in their order."""


def as_run(found: LatencyRun) -> TimedRun:
    """Return the rows of a latency run as those of a run, with whole pictures composed where they were not made."""
    suite = found.suite or "latency"
    return TimedRun(
        suite=SuiteInfo(
            name=suite, version=1, kind="latency", summary="", seed=found.protocol.seed, dataset="no pictures", items=0,
            total=0, notes=found.notes,
        ),
        created=found.created,
        environment=found.environment,
        results=[_result(found, row) for row in found.rows],
        rows=found.rows,
    )  # fmt: skip


def added(row: LatencyRow) -> Added | None:
    """Return the sum of a row's stages over that without its control network, per picture; None where it has none.

    Both are of one process: timed anew, the base would only add its noise. Rounds are compared where there are any.
    """
    others = [stage for name, stage in row.stages.items() if name != CONTROL]
    if CONTROL not in row.stages or not others:
        return None
    control = row.stages[CONTROL]
    if not all(stage.timing.rounds for stage in (control, *others)):
        whole = sum(stage.timing.median_s * stage.forwards for stage in others)
        return Added("composed", 1 + control.timing.median_s * control.forwards / whole)
    without = [sum(values) for values in zip(*map(_per_picture, others), strict=True)]
    found = judged_ratio([1 + ours / rest for ours, rest in zip(_per_picture(control), without, strict=True)])
    return Added("composed", found.ratio, None if found.low is None or found.high is None else (found.low, found.high))


def whole(row: LatencyRow) -> Timing | None:
    """The time of a picture: as it was made, else composed."""
    return row.end_to_end or row.composed


def _per_picture(stage: StageResult) -> list[float]:
    return [statistics.median(each) * stage.forwards for each in stage.timing.rounds]


def _result(found: LatencyRun, row: LatencyRow) -> Result:
    unet, decoder = (row.stages.get(name, StageFacts(forwards=0)) for name in ("unet", "decoder"))
    size = row.about.get("size") or f"{found.protocol.width}x{found.protocol.height}"
    sampling = {name: row.settings.get(name) for name in ("scheduler", "steps", "guidance")}
    return Result(
        method=row.method,
        checkpoint=row.checkpoint,
        n=0,
        settings=RunSettings(**sampling, size=size, dtype=row.dtype, device=row.device),
        metrics={},
        latency=dict(_latency(row)),
        cost=Cost(
            params=row.params,
            denoiser_params=unet.params,
            macs_per_forward=unet.macs,
            forwards_per_image=unet.forwards or None,
            forwards={name: float(stage.forwards) for name, stage in row.stages.items()},
            macs_per_image=row.macs_per_image,
            peak_memory_bytes=row.memory.accelerator_peak_bytes or row.memory.beyond_before,
        ),
        codec=CodecFacts(decoder_params=decoder.params) if decoder.params else None,
        device=row.about.get("accelerator"),
        imported=row.imported,
        notes=[*([] if row.end_to_end or not row.composition else [f"composed: {row.composition}"]), *row.notes],
    )


def _latency(row: LatencyRow) -> Iterator[tuple[str, Latency]]:
    threads = [row.about["threads"]] if isinstance(row.about.get("threads"), int) else []
    for name, stage in row.stages.items():
        median = stage.timing.median_s * stage.forwards
        yield name, Latency(median_s=median, n=stage.timing.n or 0, device=row.device, batch_sizes=[1], threads=threads)
    if total := whole(row):
        yield (
            END_TO_END,
            Latency(
                median_s=total.median_s, p90_s=total.p90_s, n=total.n or 0, device=row.device, batch_sizes=[1],
                threads=threads,
            ),
        )  # fmt: skip
