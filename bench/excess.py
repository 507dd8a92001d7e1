"""The excess of a distance over that of a row of real pictures.

A Fréchet distance between two sets of n real pictures is not 0 but the bias that n leaves. What a method's distance has
beyond that, at the same n and to the same reference, is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..metrics.value import MetricValue
from ..reports.identity import mismatch
from ..reports.schema import Result

SUFFIX = "_excess"


def add_excess(results: Sequence[Result], over: str, metrics: Iterable[str]) -> None:
    """Add ``NAME_excess`` for each of ``metrics`` to all rows: the value less that of the row called ``over``.

    It has a reason and no value in that row itself, where there is no such row, and where the two numbers are not of as
    many pictures against the same reference. There is no interval: the reference that both share ties them together.
    """
    base = next((result for result in results if result.method == over), None)
    for result in results:
        for name in metrics:
            if name in result.metrics:
                result.metrics[name + SUFFIX] = _excess(name, result, base, over)


def _excess(name: str, result: Result, base: Result | None, over: str) -> MetricValue:
    value = result.metrics[name]
    found = MetricValue(value=None, n=value.n, higher_is_better=value.higher_is_better)
    if base is None:
        return found.model_copy(update={"reason": f"needs a row '{over}', and this run has none"})
    below = base.metrics[name]
    if value.value is None or below.value is None:
        return found.model_copy(update={"reason": value.reason or f"'{over}' has none: {below.reason}"})
    if result is base:
        return found.model_copy(update={"reason": "the excess of the other rows is over this one"})
    if why := mismatch({result.method: value.identity, over: below.identity}):
        return found.model_copy(update={"reason": why})
    identity = f"{name}{SUFFIX}:over-{over}{value.identity.removeprefix(name)}"
    return found.model_copy(update={"value": value.value - below.value, "identity": identity})
