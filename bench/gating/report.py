"""From compared runs to the reports of a comparison: HTML with pictures side by side, and Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...core.files import write_atomic
from ...reports.comparison import NAME, Change, Comparison, Member, member_names
from ...reports.facts import Judged
from ...reports.grid import Cell, Column, Footnotes, Row, Table
from ...reports.identity import mismatch
from ...reports.text import clip
from ...reports.write import address_beside
from .gate import Gate, GateRow
from .sides import RowSide, Side, match
from .text import change_text, gate_table, is_idle, metric_title, number

if TYPE_CHECKING:
    from ...reports.gallery import Embed

TONED = "Changes whose interval leaves out 0 stand out."


class Against(NamedTuple):
    """A run held against the base."""

    side: Side
    found: Gate


def comparison(base: Side, heads: Sequence[Against]) -> Comparison:
    """Put a base and what was found of the others side by side; a verdict is shown where there is one other alone."""
    sides = [base, *(head.side for head in heads)]
    names = member_names([side.name for side in sides])
    if isinstance(base, RowSide):
        names = _apart([side.short for side in sides if isinstance(side, RowSide)])
    members = [
        Member(name, _path(side), side.run, side.listed, side.frame, name if isinstance(side, RowSide) else None)
        for name, side in zip(names, sides, strict=True)
    ]
    rows = _Rows(base, heads)
    verdict = heads[0].found.verdict if len(heads) == 1 else None
    return Comparison(
        members=members,
        rows=rows.methods,
        table=rows.table(names),
        changes=list(rows.changes()),
        notes=list(_notes(heads, names)),
        judged=Judged(verdict, gate_table(heads[0].found)) if verdict else None,
    )


def _heading(name: str) -> str:
    return name.capitalize() if name in ("base", "head") else name


def _apart(names: Sequence[str]) -> list[str]:
    """Names as headings have room for them, no two alike."""
    short = [clip(name, NAME) for name in names]
    return [name if short.count(name) == 1 else f"{place}: {name}" for place, name in enumerate(short, 1)]


def _path(side: Side) -> str:
    return side.whole.name if isinstance(side, RowSide) else side.name


def write_comparison(
    found: Comparison, html: Path | None, markdown: Path | None, embed: Embed = "thumbnails", link: str | None = None
) -> list[Path]:
    """Write the reports that a file is named for and return the files; ``link`` is where Markdown finds the other.

    Raises WriteError where one cannot be written, BenchError for a link that is none.
    """
    if markdown:
        write_atomic(markdown, comparison_text(found, link or (address_beside(html, markdown) if html else None)))
    if html:
        from ...reports.comparison_html import comparison_html

        write_atomic(html, comparison_html(found, beside=html.resolve().parent, embed=embed))
    return [file for file in (html, markdown) if file]


def comparison_text(found: Comparison, link: str | None) -> str:
    """The comparison as Markdown."""
    from ...reports.comparison_markdown import comparison_markdown

    return comparison_markdown(found, link=link)


class _Rows:
    """What was found of all heads, row by row: methods by their names in the base."""

    def __init__(self, base: Side, heads: Sequence[Against]) -> None:
        self.base, self.heads = base, heads
        self.renamed: list[Mapping[str, str]] = [
            {pair.base_method: pair.method for pair in match(base, head.side).pairs} for head in heads
        ]
        ours = [result.method for result in base.run.results]
        compared = [method for method in ours if any(method in names for names in self.renamed)]
        self.methods: list[list[str | None]] = [
            [method, *(names.get(method) for names in self.renamed)] for method in compared
        ]

    def found(self, methods: Sequence[str | None]) -> Iterator[tuple[str, list[GateRow | None]]]:
        """The numbers of a method, each with what was found of every head."""
        by_head = [
            {row.metric: row for row in head.found.rows if method is not None and row.method == method}
            for head, method in zip(self.heads, methods[1:], strict=True)
        ]
        for metric in dict.fromkeys(metric for rows in by_head for metric in rows):
            yield metric, [rows.get(metric) for rows in by_head]

    def changes(self) -> Iterator[Change]:
        """Changes with an interval, for a plot."""
        for methods in self.methods:
            for metric, rows in self.found(methods):
                for place, row in enumerate(rows, 1):
                    if row and row.kind == "quality" and row.change is not None and row.interval:
                        name = str(methods[0])
                        yield Change(name, place, metric, row.higher_is_better, row.change, row.interval)

    # --- the table

    def table(self, names: Sequence[str]) -> Table:
        """A row per number, a column per run, each followed by its change from the base.

        Numbers of one quantity with different identities stand in rows of their own.
        """
        footnotes = Footnotes()
        rows = [line for methods in self.methods for line in self._of_method(methods, footnotes)]
        many = len(self.heads) > 1
        columns = [Column("method", "Method", numeric=False), Column("metric", "Metric", numeric=False)]
        columns.append(Column("base", _heading(names[0])))
        for place, name in enumerate(names[1:], 1):
            columns.append(Column(f"head-{place}", name if many else _heading(name)))
            columns.append(Column(f"change-{place}", "Change", name if many else ""))
        notes = tuple(self._notes(rows))
        return Table(tuple(columns), tuple(rows), tuple(footnotes.texts), "Differences", notes)

    def _of_method(self, methods: Sequence[str | None], footnotes: Footnotes) -> Iterator[Row]:
        for metric, rows in self.found(methods):
            if all(is_idle(row, head.found) for row, head in zip(rows, self.heads, strict=True) if row):
                continue
            of = self._identities(methods, metric)
            known: list[str | None] = list(dict.fromkeys(one for one in of if one is not None))
            for identity in known or [None]:
                here = [one in (None, identity) for one in of]
                yield self._line(str(methods[0]), metric, rows, here, of, footnotes)

    def _identities(self, methods: Sequence[str | None], metric: str) -> list[str | None]:
        """What each run has measured; None where it has no such number, or one that needs no identity."""
        sides = [self.base, *(head.side for head in self.heads)]
        found = [
            side.result(method).metrics.get(metric) if method is not None else None
            for side, method in zip(sides, methods, strict=True)
        ]
        return [value.identity if value and value.value is not None else None for value in found]

    def _line(
        self,
        method: str,
        metric: str,
        rows: Sequence[GateRow | None],
        here: Sequence[bool],
        identities: Sequence[str | None],
        footnotes: Footnotes,
    ) -> Row:
        """One row; ``here`` says whose numbers are of its identity."""
        known = next(row for row in rows if row)
        why: tuple[int, ...] = ()
        if not all(here):
            names = ["base", *(f"head {place}" if len(rows) > 1 else "head" for place in range(1, len(rows) + 1))]
            measured = {name: one for name, one in zip(names, identities, strict=True) if one is not None}
            why = footnotes.number(mismatch(measured) or "Not one quantity")
        cells = [Cell(method, method), Cell(metric_title(known), notes=why)]
        cells.append(_value(known, known.base if here[0] else None))
        for row, shown in zip(rows, here[1:], strict=True):
            cells.append(_value(known, row.head if row and shown else None))
            cells.append(_change(row, footnotes) if row and shown and here[0] else Cell())
        return Row(tuple(cells))

    def _notes(self, rows: Sequence[Row]) -> Iterator[str]:
        level = self.heads[0].found.level
        if any(head.found.tests for head in self.heads):
            yield f"Change is head minus base with its {level:.0%} interval, for other prompts at this n."
        if any(cell.tone for row in rows for cell in row.cells):
            yield TONED
        counts = (row for head in self.heads[:1] for row in head.found.rows if row.kind == "count")
        if idle := sum(is_idle(row, self.heads[0].found) for row in counts):
            yield f"{idle} counts of parameters, multiply-adds and forwards have not changed."


def _value(row: GateRow, value: float | None) -> Cell:
    return Cell() if value is None else Cell(number(row.metric, row.kind, value), value)


def _change(row: GateRow, footnotes: Footnotes) -> Cell:
    notes = footnotes.number(row.reason)
    if row.change is None:
        return Cell(notes=notes)
    cell: dict[str, Any] = {"value": row.change, "interval": row.interval, "notes": notes}
    if row.kind == "quality" and row.interval and row.interval[0] * row.interval[1] > 0:
        cell["tone"] = "better" if (row.change > 0) == row.higher_is_better else "worse"
    return Cell(change_text(row), **cell)


def _notes(heads: Sequence[Against], names: Sequence[str]) -> Iterator[str]:
    """What to know of the runs; what holds for one of several says for which."""
    said: dict[str, list[str]] = {}
    for head, name in zip(heads, names[1:], strict=True):
        for note in head.found.notes:
            said.setdefault(note, []).append(name)
    for note, of in said.items():
        yield note if len(of) == len(heads) else f"{', '.join(of)}: {note}"
