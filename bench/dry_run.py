"""``bench run --dry-run``: what would be made, how long it would take, how much disk."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .options import Options
from .plan import make_plan
from .rows import Row
from .store import Record, Store
from .timing import latency

PNG_BYTES_PER_PIXEL = 1.6
"""Photographs at the store's compression; measured 1.5 to 1.8 on the Kodak photos."""


class Outlook(NamedTuple):
    """What one row still has to make."""

    method: str
    pictures: int
    finished: int
    seconds: float | None
    """None where nothing tells."""
    bytes: int


def describe(options: Options, directory: Path, as_json: bool) -> None:
    """Print what the run would make; nothing is written to ``directory``."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        plan = make_plan(options, Path(scratch))
    records = Store.read(directory)
    rows = [outlook(row, records) for row in plan.rows]
    if as_json:
        found = {
            "suite": options.suite.name,
            "items": plan.items,
            "total": plan.total,
            "rows": [row._asdict() for row in rows],
            "skipped": [item.model_dump() for item in plan.skipped],
            "notes": plan.notes,
        }
        print(json.dumps(found, indent=2))
        return
    print(f"suite {options.suite.name}: {plan.items:,} of {plan.total:,} items, batches of {plan.batch_size}")
    for row in rows:
        count = f"{row.pictures:,} pictures to make ({row.finished:,} finished)"
        print(f"  {row.method}: {count}, {_duration(row.seconds)}, {row.bytes / 1e6:,.0f} MB")
    for item in plan.skipped:
        print(f"  skipped {item.method}: {item.reason}")
    for note in plan.notes:
        print(f"  {note}")


def outlook(row: Row, records: dict[str, Record]) -> Outlook:
    """Say what of ``row`` is missing from ``records``.

    The time is that of pictures of the same method made before; else of one call of each of the method's parts.
    """
    missing = [job for job in row.jobs if job.key not in records]
    same = [record for record in records.values() if record.method == row.method]
    height, width = row.size
    size = statistics.mean(record.size for record in same) if same else height * width * PNG_BYTES_PER_PIXEL
    seconds = (_measured(same) or _tried(row)) if missing else 0.0
    total = None if seconds is None else seconds * len(missing)
    return Outlook(row.method, len(missing), len(row.jobs) - len(missing), total, int(size * len(missing)))


def _measured(same: Sequence[Record]) -> float | None:
    return sum(stage.median_s for stage in latency(same, None).values()) or None


def _tried(row: Row) -> float | None:
    row.load()
    seconds = row.trial()
    row.unload()
    return seconds


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "time not known"
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"about {seconds / length:.1f} {unit}"
    return f"about {seconds:.0f} seconds"
