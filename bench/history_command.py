"""``bench history``: what it prints and writes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import printable
from ..core.files import write_atomic
from ..reports.console import print_table
from ..reports.history import EXPLAINED, history_html, history_table
from .gating.command import looker_of
from .gating.thresholds import load_thresholds
from .history import history


def history_command(folder: Path, asked: Mapping[str, Any]) -> int:
    """``bench history``: print tables, write the page."""
    found = history(folder, asked["metric"], load_thresholds(asked["thresholds"]), lambda: looker_of(asked))
    if asked["html"]:
        write_atomic(asked["html"], history_html(found))
        print(printable(f"history: {asked['html']}"), file=sys.stderr)
    if asked["json_"]:
        print(found.model_dump_json(by_alias=True, indent=2))
        return 0
    for metric in found.metrics:
        print_table(history_table(metric))
    print("\n".join(map(printable, [EXPLAINED, *found.notes])))
    return 0
