"""``bench ls``: what there is to choose from, read off the registries without importing what they name."""

from __future__ import annotations

import json
from collections.abc import Callable

from ..adapters import ADAPTERS
from ..adapters.codecs import CODECS
from ..core.errors import BenchError
from ..core.registry import suggest
from ..datasets.catalog import DATASETS
from ..metrics import METRICS
from ..reports.published import published_summaries
from .devices import DEVICES
from .latency.suites import latency_suites
from .suites import SUITES

KINDS: dict[str, Callable[[], dict[str, str]]] = {
    "suites": lambda: SUITES.summaries() | latency_suites(),
    "methods": ADAPTERS.summaries,
    "codecs": CODECS.summaries,
    "metrics": METRICS.summaries,
    "datasets": DATASETS.summaries,
    "devices": DEVICES.summaries,
    "tables": published_summaries,
}


def list_command(kind: str | None, as_json: bool) -> None:
    """Print one kind, or all of them."""
    if kind is not None and kind not in KINDS:
        raise BenchError(f"nothing to list called '{kind}'{suggest(kind, KINDS)} (known: {', '.join(KINDS)})")
    found = {name: read() for name, read in KINDS.items() if kind in (None, name)}
    if as_json:
        print(json.dumps(found[kind] if kind else found, indent=2))
        return
    for name, entries in found.items():
        if kind is None:
            print(f"{name}")
        width = max(map(len, entries), default=0)
        for entry, summary in entries.items():
            print(f"  {entry:<{width}}  {summary}")
