"""Whether a published number can be compared with a measured one: the rule, and what it says where it cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from ..metrics.value import MetricValue
from .fields import FIELDS, Measured
from .identity import parse
from .published import Conditions, Published

MINIATURE = "miniature models on drawn scenes say nothing of the full-size methods"

DRAWN = ("scenes", "scene-faces")
"""The datasets of the mini world."""

_ZOO = re.compile(r"\bzoo[:/\\]")
_OTHER_WEIGHTS = "are not the official ones"
"""What the extractors note of theirs."""
_SETTINGS = ("size", "scheduler", "steps", "guidance")


class Verdict(NamedTuple):
    """What is to be said of a published number beside measured rows."""

    status: Literal["published", "not comparable"]
    reason: str | None = None
    """Why it cannot be compared with them, or with some of them."""


def verdict(published: Published, key: str, rows: Sequence[Measured]) -> Verdict:
    """Judge the numbers of column ``key`` beside ``rows``: not comparable where none of them is."""
    groups: dict[str | None, list[str]] = {}
    for row in rows:
        groups.setdefault(why_not(published, key, row), []).append(row.label)
    alike = groups.pop(None, [])
    if not groups:
        return Verdict("published")
    if alike:
        return Verdict("published", "; ".join(f"not with {', '.join(found)}: {why}" for why, found in groups.items()))
    (only, _), *others = groups.items()
    told = f"{only}" if not others else "; ".join(f"{why} ({', '.join(found)})" for why, found in groups.items())
    return Verdict("not comparable", told)


def why_not(published: Published, key: str, row: Measured) -> str | None:
    """Say why the numbers of column ``key`` cannot be compared with what ``row`` has there; None where they can.

    Quality depends on the pictures, how many there are, what looks at them, and the weights that made them; time on the
    device. Both depend on size and sampling where the table states it. Nothing of a miniature compares with full size.
    """
    if is_miniature(row):
        return MINIATURE
    column, stated = published.columns[key], published.conditions(key)
    shown = column.shows or key
    kind = FIELDS[shown].kind if shown in FIELDS else "quality"
    if kind == "fact":
        return column.gap
    found: list[str | None] = [column.gap]
    found += _of_quality(stated, row, row.result.metrics.get(shown)) if kind == "quality" else _of_time(stated, row)
    found += _of_sampling(stated, row)
    return "; ".join(reason for reason in found if reason) or None


def is_miniature(row: Measured) -> bool:
    """Whether a row is of the mini world: of drawn scenes, or made with a checkpoint of the zoo."""
    return row.run.suite.dataset in DRAWN or bool(_ZOO.search(f"{row.result.method} {row.result.checkpoint}"))


def device_name(row: Measured) -> str:
    """What the device of a row calls itself."""
    environment = row.run.environment
    on_cpu = (row.result.settings.device or "cpu").startswith("cpu")
    return str((environment.get("processor") if on_cpu else environment.get("accelerator")) or "an unknown device")


def _of_quality(stated: Conditions, row: Measured, value: MetricValue | None) -> Iterator[str | None]:
    dataset = row.run.suite.dataset
    if stated.dataset is None:
        yield f"of {stated.pictures}" if stated.pictures else "which pictures were measured is not stated"
    elif stated.dataset != dataset:
        yield f"measured on {stated.dataset}, not {dataset}"
    if value is not None and value.value is not None:
        if stated.n is not None and stated.n != value.n:
            yield f"over {stated.n:,} pictures, not {value.n:,}"
        parts = parse(value.identity).quantity.split(":")
        if lacking := [part for part in stated.identity if part not in parts]:
            yield f"by {', '.join(lacking)}, not {value.identity}"
        if _OTHER_WEIGHTS in (value.note or ""):
            yield "by a network whose weights are not the official ones"
    base = (row.result.checkpoint or "weights that are not known").split(" + ")[0]
    if stated.weights and base not in stated.weights:
        yield f"of {stated.weights[0]}, not {base}"


def _of_time(stated: Conditions, row: Measured) -> Iterator[str | None]:
    name, dtype = device_name(row), row.result.settings.dtype
    if stated.device is None:
        yield "on which device is not stated"
    elif stated.device.casefold() not in name.casefold():
        yield f"on {stated.device}, not {name}"
    if stated.dtype is not None and stated.dtype != dtype:
        yield f"in {stated.dtype}, not {dtype}"


def _of_sampling(stated: Conditions, row: Measured) -> Iterator[str]:
    for name in _SETTINGS:
        theirs, ours = getattr(stated, name), getattr(row.result.settings, name)
        if theirs is not None and theirs != ours:
            yield f"{name} {theirs}, not {ours}"
