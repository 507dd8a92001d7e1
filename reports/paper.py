"""A paper's table: measured rows in its shape, and the published ones below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..core.errors import BenchError
from ..metrics import METRICS
from .fields import FIELDS, Field, Measured, metric_field
from .grid import Column, Footnotes, Row, Table
from .published import SURE, WORDS, Published
from .table import headed, measured_row, published_row, spread_note


def published_table(published: Published) -> Table:
    """Lay out a published table by itself, as it is printed."""
    footnotes = Footnotes()
    heads = (_with_notes(_as_printed(key, published), published, footnotes) for key in published.columns)
    columns = (replace(FIELDS["method"].column, title=published.heading), *heads)
    rows = [published_row(row, list(published.columns), published, (), footnotes) for row in published.rows]
    said = f"{published.source}; {SURE[published.sure]}. {published.protocol.text}"
    return Table(columns, tuple(rows), tuple(footnotes.texts), published.title, (said,))


def paper_table(published: Published, rows: Sequence[Measured], notes: Sequence[str] = ()) -> Table:
    """Lay out measured ``rows`` in the columns that the published table has for them, and below them its own rows.

    A published quantity that is one of ours on another device stands beside it in a column of its own. ``notes`` are
    said below the table. Raises BenchError where the table has nothing that runs measure.
    """
    if published.measured is None:
        raise BenchError(f"'{published.title}' holds nothing that runs measure: leave out RUN")
    footnotes = Footnotes()
    fields = [FIELDS["method"]]
    fields += [field for key in published.measured.columns for field in _fields(key, published, rows)]
    first, *others = (headed(field, rows, published, footnotes) for field in fields)
    columns = (replace(first, title=published.heading), *others)
    keys = [field.column.key for field in fields[1:]]
    laid = [_measured(row, fields, footnotes, published) for row in rows]
    laid += [published_row(row, keys, published, rows, footnotes) for row in published.rows]
    return Table(columns, tuple(laid), tuple(footnotes.texts), published.title, tuple(notes))


def _measured(row: Measured, fields: Sequence[Field], footnotes: Footnotes, published: Published) -> Row:
    name, *cells = measured_row(row, fields, footnotes, published).cells
    return Row((replace(name, value=row.result.method), *cells), run=row.run_name)


def _fields(key: str, published: Published, rows: Sequence[Measured]) -> Iterator[Field]:
    """Our column of a quantity, where it is not empty, and the published columns that show it too."""
    own = FIELDS.get(key) or _other(key, published, rows)
    if own and (key in published.columns or own.used(rows)):
        yield own
    for other, column in published.columns.items():
        if column.shows == key:
            yield Field(_as_printed(other, published), lambda row: None)


def _other(key: str, published: Published, rows: Sequence[Measured]) -> Field | None:
    """The column of a metric, or of a quantity that only the paper has; None where neither has it."""
    better = [row.result.metrics[key].higher_is_better for row in rows if key in row.result.metrics]
    printed = published.columns.get(key)
    if printed and key in METRICS and printed.higher_is_better is not None:
        better.append(printed.higher_is_better)
    if better:
        return metric_field(key, better[0])
    return Field(_as_printed(key, published), lambda row: None) if printed else None


def _as_printed(key: str, published: Published) -> Column:
    column = published.columns[key]
    numeric = not any(row.values.get(key) in WORDS for row in published.rows)
    return Column(key, column.title, column.unit, column.higher_is_better, numeric)


def _with_notes(column: Column, published: Published, footnotes: Footnotes) -> Column:
    gap = published.columns[column.key].gap
    notes = footnotes.number(gap and f"{gap[0].upper()}{gap[1:]}")
    return replace(column, notes=notes + footnotes.number(spread_note(column.key, published)))
