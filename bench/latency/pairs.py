"""One method at a time beside the first, where all of them together do not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...core.errors import BenchError
from ...reports.latency import Comparison, Failed, LatencyRow, Machine, Timing
from .machine import available_bytes
from .protocol import Contender, Measurement
from .results import comparisons, composed, timing
from .worker import Order

LIBRARIES_BYTES = 1e9
"""Python with PyTorch, diffusers and transformers, imported: 0.6 GB to 1 GB resident."""
ACTIVATION_BYTES = 1.5e9
"""Of SD's decoder for a picture of 512×512 in two bytes a number, measured; all other stages take less."""


class Measured(NamedTuple):
    """What became of the methods of a suite."""

    rows: list[LatencyRow]
    comparisons: list[Comparison]
    skipped: list[Failed]


class _Pair(NamedTuple):
    row: LatencyRow
    rounds: slice
    """Which of the first row's rounds were timed in turns with it."""


def measure_pairs(measurement: Measurement, found: Machine) -> Measured:
    """Time each method in turns with the first one, which stays; the others are loaded one by one and let go.

    A method that would not fit into what memory is free is skipped, with the reason. Where the first one cannot be had,
    the others are timed by themselves and compared with nothing.
    """
    skipped = list[Failed]()
    base = _start(measurement, 0, skipped)
    measurement.warn_if_busy(found)
    pairs = list[_Pair]()
    for index in range(1, len(measurement.orders)):
        before = _rounds_of(base)
        contender = _start(measurement, index, skipped)
        if contender is None:
            continue
        measurement.repeat()
        if contender in measurement.contenders and (row := measurement.finish(contender)):
            pairs.append(_Pair(row, slice(before, _rounds_of(base))))
            measurement.end(contender)
    if base and not base.rounds and base in measurement.contenders:
        measurement.repeat()
    first = measurement.finish(base) if base in measurement.contenders and base else None
    rows = [*([first] if first else []), *(pair.row for pair in pairs)]
    return Measured(rows, list(_compared(first, pairs)) if first else [], skipped)


def _start(measurement: Measurement, index: int, skipped: list[Failed]) -> Contender | None:
    """Load a method where there is room for it; None where there is not, or where it fails."""
    contender = measurement.open(index)
    order = contender.order
    if reason := _lacking(contender, "beside the first method " if index else ""):
        measurement.end(contender)
        measurement.say(f"skipped {contender.name}: {reason}")
        skipped.append(Failed(method=order.method, device=order.device, dtype=order.dtype, reason=reason))
        return None
    measurement.start(contender)
    return contender if contender in measurement.contenders else None


def _lacking(contender: Contender, beside: str) -> str | None:
    """Say what memory a method would need and is not there; None where it fits, or nobody knows."""
    order = contender.order
    if not order.device.startswith("cpu"):
        return None
    try:
        weights = contender.process.ask("weights", **order.model_dump())
    except BenchError:  # loading it will say why
        return None
    available = available_bytes()
    if weights is None or available is None or (needed := needed_bytes(order, weights)) <= available:
        return None
    return (
        f"it needs about {needed / 1e9:.1f} GB of memory {beside}and {available / 1e9:.1f} GB are free: free some, or "
        "--dtype bf16"
    )


def needed_bytes(order: Order, weights: int) -> float:
    """Return about how much memory a method takes on a processor, from the bytes of its weights."""
    size = order.width * order.height / 512**2 * (2 if order.dtype == "fp32" else 1)
    return LIBRARIES_BYTES + weights + ACTIVATION_BYTES * size


def _rounds_of(contender: Contender | None) -> int:
    return max((len(rounds) for rounds in contender.rounds.values()), default=0) if contender else 0


def _compared(first: LatencyRow, pairs: Sequence[_Pair]) -> Iterator[Comparison]:
    for index, pair in enumerate(pairs, 1):
        for found in comparisons([_restricted(first, pair.rounds), pair.row]):
            yield found.model_copy(update={"row": index})


def _restricted(row: LatencyRow, rounds: slice) -> LatencyRow:
    """A row as it was in some of its rounds."""

    def within(found: Timing) -> Timing:
        return timing(found.rounds[rounds], found.turn_calls[rounds])

    stages = {name: stage.model_copy(update={"timing": within(stage.timing)}) for name, stage in row.stages.items()}
    whole = row.end_to_end and within(row.end_to_end)
    return row.model_copy(
        update={"stages": stages, "composed": composed(stages.values()) if stages else None, "end_to_end": whole}
    )
