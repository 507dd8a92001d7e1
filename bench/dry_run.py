"""``bench run --dry-run``: what would be made, how long it would take, how much disk."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .options import Options
from .plan import make_plan
from .rows import Row, latency
from .store import Record, Store

PNG_BYTES_PER_PIXEL = 1.6
"""Photographs at the store's compression; measured 1.5 to 1.8 on the Kodak photos."""


class Outlook(NamedTuple):
    """What one row still has to make."""

    method: str
    pictures: int
    finished: int
    seconds: float | None
    """None where no picture of this method has been made in this folder yet."""
    bytes: int


def describe(options: Options, directory: Path, as_json: bool) -> None:
    """Print what the run would make; nothing is written to ``directory``."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        plan = make_plan(options, Path(scratch))
    records = Store.read(directory)
    rows = [outlook(row, records) for row in plan.rows]
    if as_json:
        found = {"rows": [row._asdict() for row in rows], "skipped": [item.model_dump() for item in plan.skipped]}
        print(json.dumps(found, indent=2))
        return
    print(f"suite {options.suite.name}: {plan.items:,} of {plan.total:,} items, batches of {plan.batch_size}")
    for row in rows:
        time = (
            f"about {_duration(row.seconds)}"
            if row.seconds is not None
            else "time unknown until a first picture is made"
        )
        count = f"{row.pictures:,} pictures to make ({row.finished:,} finished)"
        print(f"  {row.method}: {count}, {time}, {row.bytes / 1e6:,.0f} MB")
    for item in plan.skipped:
        print(f"  skipped {item.method}: {item.reason}")
    for note in plan.notes:
        print(f"  {note}")
    if any(row.seconds is None for row in rows):
        print("  for an estimate of the time, make one batch first: the same command with --limit 1 (it is kept)")


def outlook(row: Row, records: dict[str, Record]) -> Outlook:
    """Say what of ``row`` is missing from ``records``; the time is from pictures of the same method made before."""
    missing = [job for job in row.jobs if job.key not in records]
    same = [record for record in records.values() if record.method == row.method]
    height, width = row.size
    size = statistics.mean(record.size for record in same) if same else height * width * PNG_BYTES_PER_PIXEL
    return Outlook(
        row.method, len(missing), len(row.jobs) - len(missing), _seconds(same, len(missing)), int(size * len(missing))
    )


def _seconds(same: Sequence[Record], count: int) -> float | None:
    if not count:
        return 0.0
    stages = latency(same, "").values()
    return sum(stage.median_s for stage in stages) * count if stages else None


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"
