"""The main table of a run: one row per method, published rows below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .comparable import reproduction, verdict
from .fields import FIELDS, Field, Measured, MetricField, metric_field, swept_fields
from .grid import Cell, Column, Footnotes, Row, Table
from .parts import parts
from .published import SURE, Published, PublishedRow, entry, load_published
from .schema import Run

if TYPE_CHECKING:
    import pandas as pd

INTERVAL = "± is half a 95 % interval for other pictures of the same kind at this n; it says nothing of bias"

_BEFORE = {
    "generate": ("dataset", "scheduler", "steps", "guidance", "size", "dtype", "place"),
    "codec": ("latent_channels", "decoder_params", "decoder_macs", "file_bytes"),
}
_AFTER = {"generate": ("end_to_end", "memory", "files", "params", "n"), "codec": ("encode", "decode", "n")}
"""The columns before and after the metrics, by the kind of the suite."""


def build(run: Run) -> Table:
    """Lay out a run: its results, and below them the rows of the published table that its suite names.

    Raises BenchError where that table does not exist.
    """
    published = load_published(run.suite.table) if run.suite.table else None
    measured = [Measured(result, run, result.method) for result in run.results]
    footnotes = Footnotes()
    fields = [field for field in _fields(run, published) if _is_used(field, measured, published)]
    columns = tuple(headed(field, measured, published, footnotes) for field in fields)
    rows = [measured_row(row, fields, footnotes, published) for row in measured]
    if published:
        keys = [field.column.key for field in fields[1:]]
        rows += [published_row(row, keys, published, measured, footnotes) for row in published.rows]
    return Table(columns, tuple(rows), tuple(footnotes.texts))


def tables(run: Run) -> list[Table]:
    """Lay out a run whose rows may be of several datasets: a table of each, titled by it where it is not the suite's.

    Only rows of one dataset can be compared with each other. Raises as ``build``.
    """
    found = parts(run)
    titles = [f"Prompts of {part.suite.dataset}" for part in found]
    if len(found) == 1 and found[0].suite.dataset == run.suite.dataset:
        titles = [""]
    return [replace(build(part), title=title) for part, title in zip(found, titles, strict=True)]


def main_table(run: Run) -> pd.DataFrame:
    """The main table as numbers: readable headers, missing cells empty, ``status`` measured or published."""
    return build(run).to_frame()


def directions(run: Run) -> dict[str, bool]:
    """Whether higher is better, for every metric of the run, in the order the results name them."""
    return {key: found.higher_is_better for result in run.results for key, found in result.metrics.items()}


def headed(field: Field, rows: Sequence[Measured], published: Published | None, footnotes: Footnotes) -> Column:
    """The column of a field with what must be said of its rows."""
    notes = footnotes.number(field.remark(rows, published))
    found = [row.result.metrics.get(field.column.key) for row in rows]
    if any(value and value.interval for value in found):
        notes += footnotes.number(INTERVAL)
    return replace(field.column, notes=notes + footnotes.number(spread_note(field.column.key, published)))


def spread_note(key: str, published: Published | None) -> str | None:
    """What ± is in the published entries of a column, None where there is none."""
    column = published.columns.get(key) if published else None
    return f"Published ±: {column.spread}" if column and column.spread else None


def measured_row(
    row: Measured, fields: Sequence[Field], footnotes: Footnotes, published: Published | None = None
) -> Row:
    """The cells of a measured row, judged beside the published ones."""
    return Row(
        tuple(_judged(field.cell(row, footnotes), field.column.key, row, footnotes, published) for field in fields)
    )


def _judged(cell: Cell, key: str, row: Measured, footnotes: Footnotes, published: Published | None) -> Cell:
    if published is None or cell.empty:
        return cell
    status, reason = reproduction(published, key, row)
    return replace(cell, status=status, notes=cell.notes + footnotes.number(reason), reason=cell.reason or reason)


def published_row(
    row: PublishedRow, keys: Sequence[str], published: Published, beside: Sequence[Measured], footnotes: Footnotes
) -> Row:
    """The method and the cells of a published row in the columns ``keys``, judged beside measured rows."""
    said = f"Published: {row.source or published.source}; {SURE[published.sure]}"
    said += f". {published.protocol.text}" if beside else ""  # alone, the table says it
    notes = footnotes.number(said if beside or row.source else None) + footnotes.number(row.note)
    name = Cell(row.method, row.method, notes=notes, status="published")
    cells = (_published_cell(row, key, published, beside, footnotes) for key in keys)
    return Row((name, *cells), "published")


def _published_cell(
    row: PublishedRow, key: str, published: Published, beside: Sequence[Measured], footnotes: Footnotes
) -> Cell:
    if key not in row.values:
        return Cell(status="published")
    sure = published.sureness(row, key)
    notes = footnotes.number(f"This number: {SURE[sure]}") if sure != published.sure or sure == "recalled" else ()
    status, reason = verdict(published, key, beside, row.ours)
    if reason:
        said = "Not comparable with the measured rows" if status == "not comparable" else "Comparable with some rows"
        notes += footnotes.number(f"{said}: {reason}")
    text, value, interval, spread = entry(row.values[key])
    return Cell(text, value, spread, notes, status, interval, reason, unconfirmed=sure == "recalled")


def _fields(run: Run, published: Published | None) -> list[Field]:
    better = directions(run)
    for key, column in (published.columns if published else {}).items():
        if column.higher_is_better is not None and column.shows is None and key not in FIELDS:
            better.setdefault(key, column.higher_is_better)
    before, after = _BEFORE.get(run.suite.kind, _BEFORE["generate"]), _AFTER.get(run.suite.kind, _AFTER["generate"])
    metrics = (metric_field(key, higher) for key, higher in better.items())
    settings = [*swept_fields(run), *(FIELDS[key] for key in before)]
    return [FIELDS["method"], *settings, *metrics, *(FIELDS[key] for key in after)]


def _is_used(field: Field, rows: Sequence[Measured], published: Published | None) -> bool:
    """Metrics always have their column, to say why it is empty; a setting or cost that no row has needs none."""
    if isinstance(field, MetricField) or field.column.key == "method" or field.used(rows):
        return True
    return bool(published and any(field.column.key in row.values for row in published.rows))
