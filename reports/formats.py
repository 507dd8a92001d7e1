"""The forms in which a table leaves: Markdown, CSV, LaTeX, HTML, JSON."""

from __future__ import annotations

import csv as comma
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from .grid import STATES, Cell, Column, Row, Table
from .html import of_plots, templates
from .latex import latex
from .markdown import table_markdown


def csv(table: Table) -> str:
    """Plain numbers under plain headers: two more columns for an interval, three that name cells of a status."""
    text = io.StringIO()
    writer = comma.DictWriter(text, list(_heads(table)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_plain(row, table.columns) for row in table.rows)
    return text.getvalue()


def html(table: Table) -> str:
    """A page of its own that needs nothing else and asks the network for nothing."""
    return templates().get_template("table.html.j2").render(table=table, **of_plots(table.plots))


def as_json(table: Table, about: Mapping[str, Any]) -> str:
    """Columns, rows, cells with value, interval, status and reason; ``about`` first."""
    columns = [_column(column, table) for column in table.columns[1:]]
    rows = [_row(row, table) for row in table.rows]
    return json.dumps(
        {**about, "columns": columns, "rows": rows, "notes": list(table.notes)}, indent=2, ensure_ascii=False
    )


FORMATS: Mapping[str, Callable[[Table], str]] = {
    "markdown": table_markdown,
    "csv": csv,
    "latex": latex,
    "html": html,
}
"""By the option of the command line."""


def _heads(table: Table) -> dict[str, None]:
    found: dict[str, None] = {"run": None}
    for index, column in enumerate(table.columns):
        head = _head(column)
        ends = ("", " low", " high") if any(row.cells[index].interval for row in table.rows) else ("",)
        found |= dict.fromkeys(head + end for end in ends)
    return found | dict.fromkeys(("status", *STATES))


def _head(column: Column) -> str:
    return f"{column.title} ({column.unit})" if column.unit else column.title


def _plain(row: Row, columns: tuple[Column, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {"run": row.run, "status": row.status}
    for column, cell in zip(columns, row.cells, strict=True):
        head = _head(column)
        found[head] = cell.value
        if cell.interval:
            found[f"{head} low"], found[f"{head} high"] = cell.interval
    pairs = list(zip(columns, row.cells, strict=True))
    return found | {
        name: "; ".join(_head(column) for column, cell in pairs if has(cell)) for name, has in STATES.items()
    }


def _column(column: Column, table: Table) -> dict[str, Any]:
    return {
        "key": column.key,
        "title": column.title,
        "unit": column.unit,
        "higher_is_better": column.higher_is_better,
        "notes": _notes(column, table),
    }


def _row(row: Row, table: Table) -> dict[str, Any]:
    name, *cells = row.cells
    keys = [column.key for column in table.columns[1:]]
    return {
        "method": name.value,
        "run": row.run or None,
        "status": row.status,
        "notes": _notes(name, table),
        "cells": {key: _cell(cell, table) for key, cell in zip(keys, cells, strict=True)},
    }


def _cell(cell: Cell, table: Table) -> dict[str, Any]:
    return {
        "value": cell.value,
        "text": None if cell.empty else cell.full,
        "interval": cell.interval,
        "status": None if cell.empty else cell.status,
        "unconfirmed": cell.unconfirmed,
        "reason": cell.reason,
        "notes": [note for note in _notes(cell, table) if not (cell.reason and note.endswith(cell.reason))],
    }


def _notes(part: Cell | Column, table: Table) -> list[str]:
    return [table.footnotes[number - 1] for number in part.notes]
