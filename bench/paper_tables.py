"""``bench table NAME [RUN ...]``: rows of runs laid beside those of a paper."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..adapters import ADAPTERS
from ..core.errors import BenchError
from ..reports.fields import Measured
from ..reports.latency import load_latency
from ..reports.latency_run import TimedRun, as_run
from ..reports.published import Published, Template
from ..reports.schema import Run, load_run
from . import stages
from .bases import base_of

if TYPE_CHECKING:
    from ..reports.grid import Table
    from ..reports.plots import Plot

R = TypeVar("R", bound=Run)
TIMES = "latency.json"


def print_paper_table(name: str, published: Published, runs: Sequence[Path], form: str | None) -> None:
    """Print a published table, with rows of ``runs`` where there are any; on the terminal where ``form`` is None.

    Raises BenchError for a folder that is no run, and for a run without a row for the table.
    """
    from ..reports.formats import FORMATS, as_json
    from ..reports.paper import published_table

    if form == "json" and not runs and name != stages.NAME:
        print(published.model_dump_json(indent=2))
        return
    if runs:
        table = _with_runs(name, published, runs)
    else:
        table = stages.stages_table(published) if name == stages.NAME else published_table(published)
    if form == "json":
        print(as_json(table, {"table": name, **published.model_dump(include={"title", "source", "url", "sure"})}))
    elif form:
        print(FORMATS[form](table), end="")
    else:
        _print_on_terminal(table)


def _print_on_terminal(table: Table) -> None:
    from rich.console import Console
    from rich.text import Text

    from ..reports.console import below, blocks

    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(Text(table.title, style="bold"))
    for block in blocks(table, console.width):
        console.print(block)
    console.print(below(table, table.notes))


def _with_runs(name: str, published: Published, paths: Sequence[Path]) -> Table:
    from ..reports.paper import paper_table

    if (template := published.measured) is None:
        raise BenchError(f"table '{name}' holds nothing that runs measure: leave out RUN")
    rows: list[Measured] = []
    notes: dict[str, None] = {}
    left_out: dict[str, None] = {}
    runs = named([(path, _load(path, template)) for path in paths])
    for run_name, run in runs:
        found = list(_rows(run_name, run))
        kept = [row for row in found if _belongs(row, template)]
        if not kept:
            raise BenchError(
                f"run '{run_name}' has no row for table '{name}', which is of {', '.join(template.methods)}"
            )
        rows += kept
        notes |= dict.fromkeys([_about(run_name, run), *run.suite.notes])
        left_out |= dict.fromkeys(row.result.method for row in found if not _belongs(row, template))
    rows = _labelled(rows)
    notes |= dict.fromkeys(f"{row.label}: {note}" for row in rows for note in row.result.notes)
    if left_out:
        notes[f"Rows of the runs that are no part of this table: {', '.join(left_out)}"] = None
    table = paper_table(published, rows, list(notes))
    return replace(table, plots=tuple(_curves(runs))) if template.curves else table


def _load(path: Path, template: Template) -> Run:
    """Read a run, or what ``bench latency`` measured; of a folder with both, what the table is made for."""
    timed = path.name == TIMES or ((path / TIMES).is_file() and not (path / "run.json").is_file())
    return as_run(load_latency(path)) if timed or template.reads == "latency" else load_run(path)


def _curves(runs: Sequence[tuple[str, Run]]) -> Iterator[Plot]:
    from ..reports.plots import distance_over_score

    for name, run in runs:
        plot = distance_over_score(run)
        if plot.choices:
            yield plot if len(runs) == 1 else plot._replace(title=f"{plot.title}: {name}")


def named(runs: Sequence[tuple[Path, R]]) -> list[tuple[str, R]]:
    """Name runs by their folders; by the whole path where two folders have one name."""
    short = [(path if path.is_dir() else path.parent).resolve().name for path, _ in runs]
    counts = Counter(short)
    return [(name if counts[name] == 1 else str(path), run) for name, (path, run) in zip(short, runs, strict=True)]


def _rows(name: str, run: Run) -> Iterator[Measured]:
    timed = run.rows if isinstance(run, TimedRun) else [None] * len(run.results)
    for result, row in zip(run.results, timed, strict=True):
        base = base_of(result, run)
        yield Measured(result, run, result.method, name, base.row, base.reason, row)


def _belongs(row: Measured, template: Template) -> bool:
    """Whether a row is of one of the table's methods, or of a method of the user's own."""
    return not template.methods or row.name in template.methods or row.name not in ADAPTERS.entries


def _labelled(rows: Sequence[Measured]) -> list[Measured]:
    """Name the run behind methods that several runs have."""
    counts = Counter(row.result.method for row in rows)
    return [replace(row, label=f"{row.label} ({row.run_name})") if counts[row.label] > 1 else row for row in rows]


def _about(name: str, run: Run) -> str:
    suite, environment = run.suite, run.environment
    if isinstance(run, TimedRun):
        devices = ", ".join(dict.fromkeys(row.about.get("accelerator") or row.device for row in run.rows))
        return f"{name}: bench latency, on {devices} ({environment.get('processor', 'an unknown processor')})"
    device = environment.get("accelerator") or environment.get("processor") or "an unknown device"
    batch = f", batches of {environment['batch_size']}" if environment.get("batch_size") else ""
    some = f"{suite.items:,}" if suite.items == suite.total else f"{suite.items:,} of {suite.total:,}"
    others = dict.fromkeys(result.dataset for result in run.results if result.dataset)
    datasets = ", ".join([f"{some} of {suite.dataset}", *(f"others of {other}" for other in others)])
    return f"{name}: suite {suite.name}, {datasets}, seed {suite.seed}, on {device}{batch}"
