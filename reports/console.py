"""The main table on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .grid import Cell, Column, Row, Table
from .schema import Run
from .table import build
from .text import clean, superscript

if TYPE_CHECKING:
    import rich.table
    import rich.text

_METHOD_WIDTH = 24
"""Longer names are folded into several lines."""


def console_table(run: Run, width: int = 100) -> rich.table.Table:
    """The main table for a terminal of ``width`` columns.

    Where it does not fit, intervals move below their values, then minor columns are left out, the last first.
    """
    table = build(run)
    draft = _Draft(table, list(range(len(table.columns))))
    if draft.width > width:
        draft.break_intervals = True
    while draft.width > width and (minor := [i for i in draft.shown if table.columns[i].minor]):
        draft.shown.remove(minor[-1])
    drawn = draft.draw()
    hidden = [column.title for i, column in enumerate(table.columns) if i not in draft.shown]
    if hidden:
        drawn.caption = f"a wider terminal and the reports also show: {', '.join(hidden)}"
    return drawn


def footnotes(run: Run) -> rich.text.Text:
    """The footnotes of the main table, one a line, then what is said of all numbers and of single rows."""
    from rich.text import Text

    numbered = [f"{superscript((i,))} {clean(note)}" for i, note in enumerate(build(run).footnotes, 1)]
    rows = [f"{result.method}: {note}" for result in run.results for note in result.notes]
    return Text("\n".join([*numbered, *(clean(note) for note in [*run.suite.notes, *rows])]), style="dim")


@dataclass
class _Draft:
    """A table with the choices that make it narrower."""

    table: Table
    shown: list[int]
    break_intervals: bool = False

    @property
    def width(self) -> int:
        """Columns of the terminal that it takes, without folding anything but the methods' names."""
        from rich.cells import cell_len

        def widest(i: int) -> int:
            texts = [_header(self.table.columns[i]), *(self._text(row, row.cells[i]) for row in self.table.rows)]
            return max(cell_len(line) for text in texts for line in text.split("\n"))

        widths = {i: widest(i) for i in self.shown}
        return min(widths.pop(0, 0), _METHOD_WIDTH) + sum(1 + width for width in widths.values())

    def draw(self) -> rich.table.Table:
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        drawn = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
        for column in (self.table.columns[i] for i in self.shown):
            justify = "right" if column.numeric else "left"
            drawn.add_column(Text(_header(column)), justify=justify, no_wrap=column.numeric, overflow="fold")  # type: ignore[arg-type]
        for row in self.table.rows:
            texts = (Text(self._text(row, row.cells[i])) for i in self.shown)
            drawn.add_row(*texts, style="dim" if row.status == "published" else "")
        return drawn

    def _text(self, row: Row, cell: Cell) -> str:
        value, marks = clean(cell.text), superscript(cell.notes)
        if cell is row.cells[0] and row.status == "published":
            value += " (published)"
        if not cell.spread:
            return value + marks
        return f"{value}{marks}\n±{cell.spread}" if self.break_intervals else f"{value} ±{cell.spread}{marks}"


def _header(column: Column) -> str:
    """The words of a header one below the other, so that columns stay as narrow as their numbers."""
    *words, last = column.header.split()
    return "\n".join([*words, last + superscript(column.notes)])
