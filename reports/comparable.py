"""What a number is beside others: published, measured, reproduced or not comparable; the rule, and its reasons."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from ..metrics import METRICS
from ..metrics.value import MetricValue
from .fields import FIELDS, Kind, Measured
from .identity import parse
from .published import Conditions, Ours, Published, PublishedColumn, PublishedRow, entry

MINIATURE = "miniature models on drawn scenes say nothing of the full-size methods"

DECIDING: dict[Kind, tuple[str, ...]] = {
    "quality": ("dataset", "n", "identity", "weights", "size", "scheduler", "steps", "guidance"),
    "time": ("device", "dtype", "size", "scheduler", "steps", "guidance"),
    "cost": ("size",),
    "fact": (),
}
"""What must be stated before a number of each kind can be reproduced."""

_ZOO = re.compile(r"\bzoo[:/\\]")
_OTHER_WEIGHTS = "are not the official ones"
"""What the extractors note of theirs."""
_SETTINGS = ("size", "scheduler", "steps", "guidance")


class Verdict(NamedTuple):
    """What is to be said of a published number beside measured rows."""

    status: Literal["published", "not comparable"]
    reason: str | None = None
    """Why it cannot be compared with them, or with some of them."""


class Reproduction(NamedTuple):
    """What is to be said of a measured number beside published ones."""

    status: Literal["measured", "reproduced"] = "measured"
    reason: str | None = None
    """Which one it reproduces, or under the same protocol does not."""


def verdict(published: Published, key: str, rows: Sequence[Measured], ours: Ours | None = None) -> Verdict:
    """Judge the numbers of column ``key`` beside ``rows``: not comparable where none of them is.

    ``ours`` has what the number's own row states of its protocol.

    A setting, and a quantity that runs do not measure, have nothing beside them.
    """
    shown = published.columns[key].shows or key
    groups: dict[str | None, list[str]] = {}
    for row in rows if _is_result(shown) else ():
        groups.setdefault(why_not(published, key, row, ours), []).append(row.label)
    alike = groups.pop(None, [])
    if not groups:
        return Verdict("published")
    if alike:
        return Verdict("published", "; ".join(f"not with {', '.join(found)}: {why}" for why, found in groups.items()))
    (only, _), *others = groups.items()
    told = f"{only}" if not others else "; ".join(f"{why} ({', '.join(found)})" for why, found in groups.items())
    return Verdict("not comparable", told)


def reproduction(published: Published, key: str, row: Measured) -> Reproduction:
    """Judge what ``row`` has of our quantity ``key``: reproduced where a published number says the same of the same.

    The published row must name the row's method (``ours``) and be confirmed, everything in ``DECIDING`` must be stated
    and met, and the number lie in the band: that of the column, the ends of a published range, or for what is counted
    the rounding of the printed digits.
    """
    value, outside = _value(row, key), None
    if value is None:
        return Reproduction()
    for theirs, column, band in _same(published, key, row):
        said = f"'{theirs.method}', published as {entry(theirs.values[column]).text}, under the same protocol"
        if band[0] <= value <= band[1]:
            return Reproduction("reproduced", f"Reproduces {said}: within {band[0]:.10g} to {band[1]:.10g}")
        outside = outside or f"Does not reproduce {said}: outside of {band[0]:.10g} to {band[1]:.10g}"
    return Reproduction(reason=outside)


def why_not(published: Published, key: str, row: Measured, ours: Ours | None = None) -> str | None:
    """Say why the numbers of column ``key`` cannot be compared with what ``row`` has there; None where they can.

    Quality depends on the pictures, how many there are, what looks at them, and the weights that made them; time on the
    device. Both depend on size and sampling where the table states it, multiply-adds on size. Nothing of a miniature
    compares with full size.
    """
    return _why_not(published.columns[key], key, published.conditions(key, ours), row)


def is_miniature(row: Measured) -> bool:
    """Whether a row is of the mini world: of drawn scenes, or made with a checkpoint of the zoo."""
    return is_drawn(row.dataset) or bool(_ZOO.search(f"{row.result.method} {row.result.checkpoint}"))


def is_drawn(dataset: str) -> bool:
    """Whether a dataset is of the mini world: ``scenes``, ``scene-faces`` and their like."""
    return dataset == "scenes" or dataset.startswith("scene-")


def device_name(row: Measured) -> str:
    """What the device of a row calls itself."""
    if row.result.device:
        return row.result.device
    environment = row.run.environment
    on_cpu = (row.result.settings.device or "cpu").startswith("cpu")
    return str((environment.get("processor") if on_cpu else environment.get("accelerator")) or "an unknown device")


def _why_not(column: PublishedColumn, key: str, stated: Conditions, row: Measured) -> str | None:
    if is_miniature(row):
        return MINIATURE
    shown = column.shows or key
    found: list[str | None] = [column.gap]
    match _kind(shown):
        case "quality":
            found += [*_of_quality(stated, row, row.result.metrics.get(shown)), *_of_settings(stated, row, _SETTINGS)]
        case "time":
            found += [*_of_time(stated, row), *_of_settings(stated, row, _SETTINGS)]
        case "cost":
            found += _of_settings(stated, row, ("size",))
    return "; ".join(reason for reason in found if reason) or None


def _is_result(shown: str) -> bool:
    return FIELDS[shown].kind != "setting" if shown in FIELDS else shown in METRICS


def _kind(shown: str) -> Kind:
    return FIELDS[shown].kind if shown in FIELDS else "quality"


def _value(row: Measured, key: str) -> float | None:
    """The number that a row has there, unless it is a setting."""
    if key in FIELDS:
        found = FIELDS[key].read(row)
        return None if isinstance(found, str) or FIELDS[key].kind == "setting" else found
    return row.result.metrics[key].value if key in row.result.metrics else None


def _same(published: Published, key: str, row: Measured) -> Iterator[tuple[PublishedRow, str, tuple[float, float]]]:
    """The published numbers of quantity ``key`` that are of the row's method and protocol, each with its band."""
    columns = [name for name, column in published.columns.items() if (column.shows or name) == key]
    for theirs in published.rows:
        for name in columns:
            if name in theirs.values and _is_of(published, theirs, name, row):
                band = _band(theirs.values[name], published.columns[name], _kind(key))
                if band:
                    yield theirs, name, band


def _is_of(published: Published, theirs: PublishedRow, key: str, row: Measured) -> bool:
    """Whether a published number is of the method of ``row``, confirmed, and of one protocol with it."""
    if theirs.ours is None or theirs.ours.method != row.name or published.sureness(theirs, key) == "recalled":
        return False
    column, stated = published.columns[key], published.conditions(key, theirs.ours)
    if stated.unmet or _why_not(column, key, stated, row) or any(_of_weights(stated, row)):
        return False
    return not any(_is_open(name, stated, row) for name in DECIDING[_kind(column.shows or key)])


def _is_open(name: str, stated: Conditions, row: Measured) -> bool:
    """Whether the paper leaves open what ``row`` has: a method without steps or guidance has none to be stated."""
    return getattr(stated, name) in (None, []) and getattr(row.result.settings, name, "something") is not None


def _band(printed: str, column: PublishedColumn, kind: Kind) -> tuple[float, float] | None:
    """Between which numbers a measured one reproduces a printed one; None where nothing says so."""
    found = entry(printed)
    if found.interval:
        return found.interval
    if not isinstance(found.value, float):
        return None
    width = column.band
    if width is None and kind in ("cost", "fact"):
        width = 0.5 * 10.0 ** -len(found.text.partition(".")[2])
    return None if width is None else (found.value - width, found.value + width)


def _of_quality(stated: Conditions, row: Measured, value: MetricValue | None) -> Iterator[str | None]:
    dataset = row.dataset
    if stated.dataset is None:
        yield f"of {stated.pictures}" if stated.pictures else "which pictures were measured is not stated"
    elif stated.dataset != dataset:
        yield f"measured on {stated.dataset}, not {dataset}"
    if value is not None and value.value is not None:
        if stated.n is not None and stated.n != value.n:
            yield f"over {stated.n:,} pictures, not {value.n:,}"
        if lacking := [part for part in stated.identity if not _has(value.identity, part)]:
            yield f"by {', '.join(lacking)}, not {value.identity}"
        if _OTHER_WEIGHTS in (value.note or ""):
            yield "by a network whose weights are not the official ones"
    yield from _of_weights(stated, row)


def _has(identity: str, part: str) -> bool:
    """Whether an identity has a part, or a network of that name whatever its weights are: ``ViT-g-14``."""
    return any(found == part or found.startswith(f"{part}@") for found in parse(identity).quantity.split(":"))


def _of_weights(stated: Conditions, row: Measured) -> Iterator[str]:
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


def _of_settings(stated: Conditions, row: Measured, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        theirs, ours = getattr(stated, name), getattr(row.result.settings, name)
        if theirs is not None and theirs != ours:
            yield f"{name} {theirs}, not {ours}"
