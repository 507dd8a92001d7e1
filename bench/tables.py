"""``bench table``: a paper's table, published rows and what is measured beside them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import BenchError
from ..reports.published import SURE, load_published
from . import architecture
from .paper_tables import print_paper_table
from .startup import quiet_libraries

if TYPE_CHECKING:
    from rich.table import Table


def table_command(name: str, runs: Sequence[Path], forms: Sequence[str]) -> None:
    """``bench table``, in one of ``reports.formats.FORMATS`` or as JSON; BenchError where two forms are asked for."""
    if len(forms) > 1:
        raise BenchError(f"a table has one form at a time: leave out all but one of --{', --'.join(forms)}")
    quiet_libraries()
    print_table(name, runs, forms[0] if forms else None)


def print_table(name: str, runs: Sequence[Path] = (), form: str | None = None) -> None:
    """Print the table called ``name`` with the rows of ``runs``, as ``json`` or another of ``reports.formats.FORMATS``.

    Raises BenchError for an unknown table, a folder that is no run, and a run without a row for the table.
    """
    published = load_published(name)
    if name != architecture.NAME:
        print_paper_table(name, published, runs, form)
    elif runs or form not in (None, "json"):
        raise BenchError(f"table '{name}' counts networks: it takes no RUN, and no form but --json")
    else:
        _print_architecture(architecture.measure(), form == "json")


def _print_architecture(found: architecture.Architecture, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_as_json(found), indent=2, ensure_ascii=False))
        return
    sources = {each.sure for row in found.networks for each in row.figures}
    sure = "; ".join(f"{name}: {meaning}" for name, meaning in SURE.items() if name in sources)
    notes = [f"{row.network}: {note}." for row in found.networks for note in row.notes]
    _print(_network_table(found), _method_table(found), notes=[*notes, *architecture.NOTES, f"Sources are {sure}."])


def _as_json(found: architecture.Architecture) -> dict[str, Any]:
    networks = [
        {**row._asdict(), "figures": [{**each._asdict(), "deviation_percent": each.deviation} for each in row.figures]}
        for row in found.networks
    ]
    methods = [{**row._asdict(), "settings": asdict(row.settings)} for row in found.methods]
    return {"table": architecture.NAME, "networks": networks, "methods": methods, "notes": list(architecture.NOTES)}


def _network_table(found: architecture.Architecture) -> Table:
    table = _table("Network", "Params (M)", "MACs per forward (G)", "Published", "Deviation", "Source")
    for row in found.networks:
        own = [row.network, f"{row.params / 1e6:.2f}", "" if row.macs is None else f"{row.macs / 1e9:.1f}"]
        theirs = [
            [
                f"{each.quantity} {each.published:g} {each.unit}",
                f"{each.deviation:+.1f} %",
                f"{each.source} ({each.sure})",
            ]
            for each in row.figures
        ]
        first, *others = theirs or [[]]
        for cells in ([*own, *first], *(["", "", "", *each] for each in others)):
            _add(table, cells)
    return table


def _method_table(found: architecture.Architecture) -> Table:
    table = _table("Method", "Params (M)", "MACs per picture (G)", "Sampling", "Forwards per picture")
    for row in found.methods:
        ran = ", ".join(f"{part} {count:,}" for part, count in row.forwards.items())
        steps = "1 step" if row.settings.steps == 1 else f"{row.settings.steps} steps"
        sampling = f"{row.settings.scheduler}, {steps}, guidance {row.settings.guidance:g}"
        _add(table, [row.method, f"{row.params / 1e6:.1f}", f"{row.macs / 1e9:,.0f}", sampling, ran])
    return table


def _table(first: str, *others: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(first)
    for title in others:
        numeric = title.startswith(("Params", "MACs", "Deviation"))
        table.add_column(title, justify="right" if numeric else "left", no_wrap=title == "Deviation")
    return table


def _add(table: Table, cells: Sequence[str]) -> None:
    from rich.text import Text

    table.add_row(*map(Text, cells))  # as they are: brackets in a method's name are no markup


def _print(*tables: Table, notes: list[str]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 160)
    for table in tables:
        console.print(table)
    console.print(Text("\n".join(notes), style="dim"))
