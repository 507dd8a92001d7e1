"""Per-image values: those that belong to a picture, and the worst of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Key(NamedTuple):
    """Which picture."""

    method: str
    prompt_id: str
    sample: int


class Worst(NamedTuple):
    """A picture that did badly."""

    key: Key
    value: float


def worst(scores: pd.DataFrame, directions: Mapping[str, bool], count: int) -> dict[str, list[Worst]]:
    """The ``count`` worst pictures by every metric that has per-image values, the worst first.

    The worst picture of each method comes before the second worst of any, lest one bad method fill the list. Pictures
    that are as good as the best are left out, unless there is but one.
    """
    found = {key: _worst(scores[scores["metric"] == key], better, count) for key, better in directions.items()}
    return {key: samples for key, samples in found.items() if samples}


def _worst(scores: pd.DataFrame, higher_is_better: bool, count: int) -> list[Worst]:
    known = scores.dropna(subset=["value"])
    best = known["value"].max() if higher_is_better else known["value"].min()
    if len(known) > 1:
        known = known[known["value"] != best]
    ranked = known.sort_values("value", ascending=higher_is_better, kind="stable")
    place = ranked.groupby("method").cumcount()
    first = ranked.assign(place=place).sort_values("place", kind="stable").head(count)
    rows = zip(first["method"], first["prompt_id"], first["sample"], first["value"], strict=True)
    return [Worst(Key(str(m), str(p), int(s)), float(v)) for m, p, s, v in rows]


def values_of(scores: pd.DataFrame, keys: Iterable[Key]) -> dict[Key, dict[str, float]]:
    """The per-image values of some pictures, by metric."""
    wanted = set(keys)
    near = scores[scores["prompt_id"].isin({key.prompt_id for key in wanted})]
    found: dict[Key, dict[str, float]] = {}
    columns = (near[name] for name in ("method", "prompt_id", "sample", "metric", "value"))
    for method, prompt, sample, metric, value in zip(*columns, strict=True):
        if (key := Key(str(method), str(prompt), int(sample))) in wanted:
            found.setdefault(key, {})[str(metric)] = float(value)
    return found
