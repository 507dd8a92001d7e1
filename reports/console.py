"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .grid import Cell, Column, Row, Table
from .schema import Run
from .table import tables
from .text import clean, superscript

if TYPE_CHECKING:
    import rich.table
    import rich.text

_METHOD_WIDTH = 24
"""Longer names are folded into several lines."""


def console_run(run: Run, width: int = 100) -> Iterator[rich.table.Table | rich.text.Text]:
    """The tables of a run for a terminal of ``width`` columns, each with its footnotes below, then what else is said.

    Footnotes and notes stand one a line.
    """
    from rich.text import Text

    found = tables(run)
    for table in found:
        if table.title:
            yield Text(table.title, style="bold")
        yield draw(table, width)
        if table is not found[-1]:
            yield below(table, [""])
    rows = [f"{result.method}: {note}" for result in run.results for note in result.notes]
    yield below(found[-1], [*run.suite.notes, *rows])


def draw(table: Table, width: int = 100) -> rich.table.Table:
    """A table for a terminal of ``width`` columns.

    Where it does not fit, intervals move below their values, then minor columns are left out, the last first.
    """
    draft = _Draft(table, list(range(len(table.columns))), mixed=table.mixed)
    if draft.width > width:
        draft.break_intervals = True
    while draft.width > width and (minor := [i for i in draft.shown if table.columns[i].minor]):
        draft.shown.remove(minor[-1])
    drawn = draft.draw()
    hidden = [column.title for i, column in enumerate(table.columns) if i not in draft.shown]
    if hidden:
        drawn.caption = f"a wider terminal and the reports also show: {', '.join(hidden)}"
    return drawn


def print_table(table: Table) -> None:
    """Print a table with its title, footnotes and notes."""
    import sys

    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(table.title, markup=False, style="bold")
    if table.rows:
        console.print(draw(table, console.width))
    console.print(below(table, table.notes), soft_wrap=True)


def blocks(table: Table, width: int = 100) -> list[rich.table.Table]:
    """All columns of a table for a terminal of ``width`` columns: those that do not fit, in tables below the first.

    Each has the methods, and of these only what has something there.
    """
    first, *waiting = range(len(table.columns))
    whole = _Draft(table, [first, *waiting], mixed=table.mixed)
    if whole.width <= width:
        return [whole.draw()]
    parts = [replace(whole, shown=[first], break_intervals=True)]
    for column in waiting:
        parts[-1].shown.append(column)
        if parts[-1].width > width and len(parts[-1].shown) > 2:
            parts[-1].shown.pop()
            parts.append(replace(parts[-1], shown=[first, column]))
    return [part.filled().draw() for part in parts]


def below(table: Table, notes: Sequence[str]) -> rich.text.Text:
    """The footnotes of a table, one a line, then ``notes``."""
    from rich.text import Text

    numbered = [f"{superscript((i,))} {clean(note)}" for i, note in enumerate(table.footnotes, 1)]
    return Text("\n".join([*numbered, *map(clean, notes)]), style="dim")


@dataclass
class _Draft:
    """A table with the choices that make it narrower."""

    table: Table
    shown: list[int]
    break_intervals: bool = False
    mixed: bool = True
    """Whether published rows are told from measured ones."""

    @property
    def width(self) -> int:
        """Columns of the terminal that it takes, without folding anything but the methods' names."""
        from rich.cells import cell_len

        def widest(i: int) -> int:
            texts = [_header(self.table.columns[i]), *(self._text(row, row.cells[i]) for row in self.table.rows)]
            return max(cell_len(line) for text in texts for line in text.split("\n"))

        widths = {i: widest(i) for i in self.shown}
        return 2 + min(widths.pop(0, 0), _METHOD_WIDTH) + sum(2 + width for width in widths.values())

    def filled(self) -> _Draft:
        """The same without rows that are empty but for their method."""
        columns = self.shown[1:]
        rows = tuple(row for row in self.table.rows if any(row.cells[i] != Cell(status=row.status) for i in columns))
        return replace(self, table=replace(self.table, rows=rows))

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
            drawn.add_row(*texts, style="dim" if row.status == "published" and self.mixed else "")
        return drawn

    def _text(self, row: Row, cell: Cell) -> str:
        value, marks = clean(cell.text) + cell.mark, superscript(cell.notes)
        if cell is row.cells[0] and row.status == "published" and self.mixed:
            value += " (published)"
        if not cell.spread:
            return value + marks
        return f"{value}{marks}\n±{cell.spread}" if self.break_intervals else f"{value} ±{cell.spread}{marks}"


def _header(column: Column) -> str:
    """The words of a header one below the other, so that columns stay as narrow as their numbers."""
    *words, last = column.header.split()
    return "\n".join([*words, last + superscript(column.notes)])
