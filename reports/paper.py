"""A paper's table: measured rows in its shape, and the published ones below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..core.errors import BenchError
from .fields import FIELDS, Field, Measured, metric_field
from .grid import Column, Footnotes, Row, Table
from .published import SURE, WORDS, Published
from .table import headed, measured_row, published_row


def published_table(published: Published) -> Table:
    """Lay out a published table by itself, as it is printed."""
    footnotes = Footnotes()
    heads = (
        replace(_as_printed(key, published), notes=footnotes.number(_gap(key, published))) for key in published.columns
    )
    columns = (FIELDS["method"].column, *heads)
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
    columns = tuple(headed(field, rows, published, footnotes) for field in fields)
    keys = [field.column.key for field in fields[1:]]
    laid = [_measured(row, fields, footnotes) for row in rows]
    laid += [published_row(row, keys, published, rows, footnotes) for row in published.rows]
    return Table(columns, tuple(laid), tuple(footnotes.texts), published.title, tuple(notes))


def _measured(row: Measured, fields: Sequence[Field], footnotes: Footnotes) -> Row:
    name, *cells = measured_row(row, fields, footnotes).cells
    return Row((replace(name, value=row.result.method), *cells), run=row.run_name)


def _fields(key: str, published: Published, rows: Sequence[Measured]) -> Iterator[Field]:
    """Our column of a quantity, where it is not empty, and the published columns that show it too."""
    own = FIELDS[key] if key in FIELDS else _metric(key, published, rows)
    if own and (key in published.columns or own.used(rows)):
        yield own
    for other, column in published.columns.items():
        if column.shows == key:
            yield Field(_as_printed(other, published), lambda row: None)


def _metric(key: str, published: Published, rows: Sequence[Measured]) -> Field | None:
    """None where neither a row nor the paper has it."""
    better = [row.result.metrics[key].higher_is_better for row in rows if key in row.result.metrics]
    printed = published.columns.get(key)
    if printed and printed.higher_is_better is not None:
        better.append(printed.higher_is_better)
    return metric_field(key, better[0]) if better else None


def _as_printed(key: str, published: Published) -> Column:
    column = published.columns[key]
    numeric = not any(row.values.get(key) in WORDS for row in published.rows)
    return Column(key, column.title, column.unit, column.higher_is_better, numeric)


def _gap(key: str, published: Published) -> str | None:
    gap = published.columns[key].gap
    return gap and f"{gap[0].upper()}{gap[1:]}"
