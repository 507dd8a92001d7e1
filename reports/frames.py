"""A run as frames of pandas, for notebooks and other tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .comparable import is_miniature
from .fields import Measured
from .schema import Result, Run

if TYPE_CHECKING:
    import pandas as pd

_WHOLE = ("steps", "n", "seed", "params", "macs_per_image", "forwards_per_image", "peak_memory_bytes")
"""Numbers that stay whole where some are missing."""
_COSTS = ("params", "macs_per_image", "forwards_per_image", "peak_memory_bytes")


def long_frame(run: Run) -> pd.DataFrame:
    """A row per method and metric.

    ``value`` with the ends of its 95 % interval (``low``, ``high``), or the ``reason`` why there is none; what the
    number is (``identity``, ``n``, ``higher_is_better``, ``note``); how the pictures were made. ``mini_world`` marks
    what says nothing of full-size methods.
    """
    return _frame([{**_about(run, result), **metric} for result in run.results for metric in _metrics(result)])


def wide_frame(run: Run) -> pd.DataFrame:
    """A row per method: for each metric its value and ``_low``, ``_high``, ``_identity``; medians of stages in ``_s``.

    Costs follow, and for codecs their facts. Values of unequal identity are not one quantity.
    """
    return _frame([{**_about(run, result), **_columns(run, result)} for result in run.results])


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows)
    whole = {name: "Int64" for name in _WHOLE if name in frame}
    return frame.astype(whole)


def _about(run: Run, result: Result) -> dict[str, Any]:
    suite, swept = run.suite, result.swept
    return {
        "suite": suite.name,
        "dataset": result.dataset or suite.dataset,
        "seed": suite.seed,
        "method": result.method,
        "checkpoint": result.checkpoint,
        **result.settings.model_dump(),
        **({"swept": swept.setting, "swept_value": swept.value} if swept else {}),
        "mini_world": is_miniature(Measured(result, run, result.method)),
    }


def _metrics(result: Result) -> Iterator[dict[str, Any]]:
    for key, found in result.metrics.items():
        low, high = found.interval or (None, None)
        about = found.model_dump(include={"n", "higher_is_better", "identity", "reason", "note"})
        yield {"metric": key, "value": found.value, "low": low, "high": high, **about}


def _columns(run: Run, result: Result) -> Mapping[str, Any]:
    columns: dict[str, Any] = {"n": result.n}
    for key in dict.fromkeys(key for other in run.results for key in other.metrics):
        found = result.metrics.get(key)
        low, high = (found and found.interval) or (None, None)
        columns |= {key: found and found.value, f"{key}_low": low, f"{key}_high": high}
        columns[f"{key}_identity"] = found.identity if found else None
    columns |= {f"{stage}_s": time.median_s for stage, time in result.latency.items()}
    columns |= {name: getattr(result.cost, name) for name in _COSTS}
    return columns | (result.codec.model_dump() if result.codec else {})
