"""What the log of a run says of time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ..metrics.timing import p90
from ..reports.schema import Latency
from .store import Record


def latency(records: Sequence[Record], device: str | None) -> dict[str, Latency]:
    """Return the median seconds per picture of every stage over the batches, the warm ones where there are any.

    These are taken while the run is made, one batch after another; they are no protocol for ranking methods.
    """
    found = {}
    for stage, seconds in samples(records).items():
        timed = [record for record in _warm(records) if stage in record.seconds]
        found[stage] = Latency(
            median_s=statistics.median(seconds),
            p90_s=p90(seconds),
            n=len(seconds),
            device=device or "unknown",
            batch_sizes=sorted({record.batch for record in timed}),
            threads=sorted({record.threads for record in timed}),
            warm=any(record.warm for record in timed),
        )
    return found


def samples(records: Sequence[Record]) -> dict[str, list[float]]:
    """Return the seconds per picture of every stage, one of each batch, of the warm ones where there are any."""
    stages = dict.fromkeys(name for record in records for name in record.seconds)
    # The samples of a batch share one measurement.
    return {
        stage: sorted({record.seconds[stage] for record in _warm(records) if stage in record.seconds})
        for stage in stages
    }


def notes(records: Sequence[Record]) -> list[str]:
    """Return what must be said of how the pictures were made: mixed settings, and times that hold the warming up."""
    found = []
    made = sorted({(record.batch, record.threads) for record in records if record.batch})
    if len(made) > 1:
        listed = ", ".join(f"batches of {batch} on {threads} threads" for batch, threads in made)
        found.append(f"made with {listed}: pictures may differ by rounding from those of one setting")
    if any(record.seconds for record in records) and not any(record.warm for record in records):
        found.append("seconds are of the first batch alone, warming up included")
    return found


def _warm(records: Sequence[Record]) -> Sequence[Record]:
    return [record for record in records if record.warm] or records
