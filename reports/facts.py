"""What a report says of a run beside its table, in neutral form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .schema import Run
from .text import quantity


class IdentityLine(NamedTuple):
    """An identity and the rows whose number it describes."""

    metric: str
    identity: str
    rows: list[str]


def headline(run: Run) -> str:
    """What was run: ``Suite decoders, version 1 · 12 of 24 photos of kodak · seed 0 · 2026-01-31T10:00:00Z``."""
    suite = run.suite
    noun = "photo" if suite.kind == "codec" else "prompt"
    some = f"{suite.items:,}" if suite.items == suite.total else f"{suite.items:,} of {suite.total:,}"
    pictures = f"{some} {noun}{'' if suite.total == 1 else 's'} of {suite.dataset}"
    return " · ".join([f"Suite {suite.name}, version {suite.version}", pictures, f"seed {suite.seed}", run.created])


def identities(run: Run) -> list[IdentityLine]:
    """Every identity of the run once, with its rows; ``all`` where every row has it."""
    found: dict[str, dict[str, list[str]]] = {}
    for result in run.results:
        for key, metric in result.metrics.items():
            if metric.identity:
                found.setdefault(key, {}).setdefault(metric.identity, []).append(result.method)
    return [
        IdentityLine(quantity(key).name, identity, ["all"] if len(rows) == len(run.results) else rows)
        for key, groups in found.items()
        for identity, rows in groups.items()
    ]


def environment(run: Run) -> list[tuple[str, str]]:
    """The environment as pairs; nested names are joined with dots."""
    return list(_flat(run.environment, ""))


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value))
    else:
        yield name, "–" if value is None else str(value)
