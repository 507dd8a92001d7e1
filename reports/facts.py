"""What a report says of a run beside its table, in neutral form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from .grid import Table
from .schema import Run
from .text import MISSING, quantity


class Judged(NamedTuple):
    """What a gate found of a run."""

    status: Literal["pass", "fail", "could-not-measure"]
    table: Table
    """Its rows; the title says what was compared."""

    @property
    def word(self) -> str:
        """The verdict as a headline."""
        return self.status.replace("-", " ").capitalize()


class IdentityLine(NamedTuple):
    """An identity and the rows whose number it describes."""

    metric: str
    identity: str
    rows: list[str]


def headline(run: Run) -> str:
    """What was run: ``Suite decoders, version 1 · 12 of 24 photos of kodak · seed 0 · 31 January 2026, 10:00 UTC``."""
    suite = run.suite
    named = f"Suite {suite.name}, version {suite.version}"
    return " · ".join([named, items(run), f"seed {suite.seed}", made(run)])


def items(run: Run) -> str:
    """How many prompts or photos of how many: ``12 of 24 photos of kodak``."""
    suite = run.suite
    noun = "photo" if suite.kind == "codec" else "prompt"
    some = f"{suite.items:,}" if suite.items == suite.total else f"{suite.items:,} of {suite.total:,}"
    return f"{some} {noun}{'' if suite.total == 1 else 's'} of {suite.dataset}"


def made(run: Run) -> str:
    """When a run was finished, as people write it; as it stands where it is no time."""
    try:
        time = datetime.fromisoformat(run.created).astimezone(UTC)
    except ValueError:
        return run.created
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def row_notes(run: Run) -> list[tuple[list[str], str]]:
    """What is to be known of rows, each text once with its methods; ``all`` where it is said of every row."""
    found: dict[str, list[str]] = {}
    for result in run.results:
        for note in result.notes:
            found.setdefault(note, []).append(result.method)
    every = len(run.results)
    return [(["all"] if every > 1 and len(methods) == every else methods, note) for note, methods in found.items()]


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


def differing(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """The parts of the environment in which runs differ, with what each has."""
    found = [dict(environment(run)) for run in runs]
    names = dict.fromkeys(name for one in found for name in one)
    rows = ((name, [one.get(name, MISSING) for one in found]) for name in names)
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value))
    else:
        yield name, MISSING if value is None else str(value)
