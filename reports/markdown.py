"""GitHub's Markdown: the report of a run as it fits into a comment on a pull request, and single tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ..core.errors import BenchError
from .facts import Judged, environment, headline, identities, row_notes
from .grid import Cell, Column, Row, Table
from .schema import Picture, Run
from .table import directions, tables
from .text import clean, clip, metric_text, quantity
from .worst import Key, worst

if TYPE_CHECKING:
    import pandas as pd

LIMIT = 65_000
"""Characters; GitHub takes 65,536 in a comment."""
WORST = 5
"""Pictures per metric in the table of the worst."""

_CELL = 300
_NOTE = 1200
_LEFT_OUT = 400
"""Characters kept for saying which sections are left out."""
_PLAIN = re.compile(r"[\w .,:;=()\[\]@+/-]+", re.ASCII)
_BREAK = "\0"
"""Stands for an empty comment until the rest is escaped; no text that was cleaned has it."""
_ESCAPES = {char: f"\\{char}" for char in "|`*_[]~$#"}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\\": "&#92;", _BREAK: "<!-- -->"}
_ESCAPE = str.maketrans(_ESCAPES | _ENTITIES)
# GitHub looks for these in the text that it shows, where no backslash is left: names to call, numbers of issues,
# addresses, emoji. An empty comment within keeps them from being found.
_LIVE = re.compile(r"@(?=\w)|#(?=\d)|\bGH-(?=\d)|:(?=//)|\bwww(?=\.)|:(?=[\w+-]+:)", re.ASCII | re.IGNORECASE)


def markdown(
    run: Run,
    pictures: Sequence[Picture],
    scores: pd.DataFrame,
    *,
    judged: Judged | None = None,
    link: str | None = None,
) -> str:
    """The report of a run as GitHub's Markdown, never longer than ``LIMIT``.

    ``scores`` has the columns method, prompt_id, sample, metric, value; ``link`` is where the HTML report is found.
    What does not fit is cut from the end of its section, and the text says what is missing and where all of it is.
    Raises BenchError for a link that is none.
    """
    return fit(_sections(run, pictures, scores, judged, link), LIMIT, whole(link))


def table_markdown(table: Table) -> str:
    """A table by itself, with its title, footnotes and notes."""
    grid = table_section(table)
    notes = [f"> {escape(note, _NOTE)}  " for note in table.notes]
    parts = [[f"### {escape(table.title)}"], [*grid.head, *grid.items], numbered(table), notes]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def escape(text: str, length: int = _CELL) -> str:
    """Text from strangers on one line that Markdown shows as it is, and that calls nobody and links to nothing."""
    return _LIVE.sub(rf"\g<0>{_BREAK}", clip(clean(text), length)).translate(_ESCAPE)


def code(text: str, length: int = _CELL) -> str:
    """A name in fixed width; between backticks where nothing in it could break out of them."""
    short = clip(clean(text), length)
    return f"`{short}`" if _PLAIN.fullmatch(short) else f"<code>{escape(short)}</code>"


def address(link: str) -> str:
    """An address as it may stand in Markdown's brackets. Raises BenchError where it is none of the web, and no path."""
    link = link.strip()
    try:
        scheme = urlsplit(link).scheme if link else "none"
    except ValueError:
        scheme = "none"
    if scheme not in ("", "http", "https"):
        raise BenchError(f"--link '{link}': give an address that begins with https:// or http://, or a path")
    return quote(link, safe=":/?#@!$&'*+,;=%~[]")


def whole(link: str | None) -> str:
    """Where all of a report is, in words."""
    return f"the [whole report](<{address(link)}>)" if link else "`report.html` and `scores.parquet`"


@dataclass(frozen=True)
class Section:
    """Lines that stand or fall together, and lines that can be cut from the end."""

    head: Sequence[str]
    items: Sequence[str]
    foot: Sequence[str] = ()
    name: str = ""
    """What it is called where all of it is left out."""

    def within(self, room: int, where: str) -> list[str]:
        """The lines, cut to at most ``room`` characters with their line ends; none where not even the head fits."""
        left = room - _length([*self.head, *self.foot, "", "", _missing(len(self.items), where)])
        if left < 0:
            return []
        kept = 0
        while kept < len(self.items) and (left := left - len(self.items[kept]) - 1) >= 0:
            kept += 1
        cut = sum(map(bool, self.items[kept:]))
        notice = ["", _missing(cut, where)] if cut else []
        return [*self.head, *self.items[:kept], *notice, *self.foot, ""] if kept or not self.items else []


def fit(sections: Iterable[Section], limit: int, where: str = whole(None)) -> str:
    """Join ``sections`` within ``limit`` characters: each may take half of what is left, the last one all of it.

    ``where`` says where all of it is found, for what is left out.
    """
    waiting, lines, gone = list(sections), list[str](), list[str]()
    while waiting:
        room = limit - _LEFT_OUT * bool(limit > 2 * _LEFT_OUT) - _length(lines)
        section = waiting.pop(0)
        taken = section.within(room // 2 if waiting else room, where)
        lines += taken
        if not taken and section.name:
            gone.append(section.name)
    if gone:
        notice = f"*Left out: {clip(', '.join(gone), 150)}; all is in {where}.*"
        lines += [notice, ""] if _length([*lines, notice, ""]) <= limit else []
    return "\n".join(lines)


def linked(text: str, link: str | None) -> list[Section]:
    """The way to the HTML report, where there is one."""
    return [Section([f"**[{text}](<{address(link)}>)**"], [])] if link else []


def table_section(table: Table, name: str = "the table") -> Section:
    """The grid alone, its rows to be cut."""
    return Section(_heads(table.columns), [_line(*_row(table, row)) for row in table.rows], name=name)


def numbered(table: Table) -> list[str]:
    """The footnotes of a table."""
    return [f"{i}. {escape(note, _NOTE)}" for i, note in enumerate(table.footnotes, 1)]


def folded(summary: str, lines: Sequence[str], head: Sequence[str] = ()) -> Section:
    """``lines`` behind a fold; ``head`` stands or falls with them."""
    top = ["<details>", f"<summary>{summary}</summary>", "", *head]
    return Section(top, lines, ["", "</details>"], summary)


def folded_table(summary: str, table: Table) -> Section:
    """A table with its footnotes behind a fold."""
    grid = table_section(table)
    notes = numbered(table)
    return folded(summary, [*grid.items, *(["", *notes] if notes else [])], grid.head)


def folded_grid(summary: str, heads: Sequence[str], lines: Sequence[str], numeric: Sequence[str] = ()) -> Section:
    """Lines of a plain table behind a fold; the columns named ``numeric`` are set to the right."""
    rules = ("--:" if head in numeric else ":--" for head in heads)
    return folded(summary, lines, [_line(*heads), _line(*rules)])


def grid_line(*cells: str) -> str:
    """A line of a table; the cells are escaped already."""
    return _line(*cells)


def verdict(judged: Judged, below: Iterable[Section] = ()) -> list[Section]:
    """What a gate found: the verdict, ``below`` it, the rows that did not pass, the others behind a fold."""
    table = judged.table
    passed = [row for row in table.rows if row.cells[-1].text == "pass"]
    others = [row for row in table.rows if row not in passed]
    said = [f"{escape(note, _NOTE)}  " for note in table.notes]
    title = Section([f"### {escape(table.title)}"], [])
    found = [title, *below, Section([], said, name="what the gate notes")]
    if others:
        grid = table_section(Table(table.columns, tuple(others)), "rows that did not pass")
        found += [Section(grid.head, grid.items, name=grid.name)]
    if passed:
        found.append(folded_table(f"{len(passed)} passed", Table(table.columns, tuple(passed))))
    if table.footnotes:
        found.append(folded("Reasons", numbered(table)))
    return found


def _sections(
    run: Run, pictures: Sequence[Picture], scores: pd.DataFrame, judged: Judged | None, link: str | None
) -> Iterator[Section]:
    yield Section([f"## {escape(run.suite.name)}: {escape(run.suite.summary)}", "", escape(headline(run))], [])
    yield from linked("Report with pictures and plots", link)
    if judged:
        yield from verdict(judged)
    if run.suite.notes:
        yield Section([], [f"> {escape(note)}  " for note in run.suite.notes], name="notes of the suite")
    found = tables(run)
    for table in found:
        if table.title:
            yield Section([f"### {escape(table.title)}", ""], [])
        yield table_section(table)
        if notes := [*numbered(table), *(_said_of_rows(run) if table is found[-1] else [])]:
            yield folded(_counted(len(notes), "note"), notes)
    if run.skipped:
        lines = [f"- {code(skipped.method)}: {escape(skipped.reason, 500)}" for skipped in run.skipped]
        yield folded(_counted(len(lines), "method") + " skipped", lines)
    prompts = {Key(p.method, p.prompt_id, p.sample): p.prompt for p in pictures if p.prompt}
    if lines := list(_worst_lines(scores, directions(run), prompts)):
        heads = ["Metric", "Method", "Picture", "Value", *(["Prompt"] if prompts else [])]
        yield folded_grid("Worst pictures", heads, lines, ["Value"])
    yield folded_grid("Metric identities", ["Metric", "Identity", "Rows"], list(_identity_lines(run)))
    lines = [_line(code(name), escape(value)) for name, value in environment(run)]
    yield folded_grid("Environment", ["What", "Value"], lines)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _said_of_rows(run: Run) -> Iterator[str]:
    """In one list with the footnotes, whose numbers end it must not take for its own."""
    for methods, note in row_notes(run):
        yield f"- {', '.join(name if name == 'all' else code(name) for name in methods[:20])}: {escape(note, 500)}"


def _length(lines: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _missing(count: int, where: str) -> str:
    return f"*{count:,} more left out; all are in {where}.*"


def _heads(columns: Sequence[Column]) -> list[str]:
    heads = [escape(column.header) + _marks(column.notes) for column in columns]
    return [_line(*heads), _line(*("--:" if column.numeric else ":--" for column in columns))]


def _row(table: Table, row: Row) -> Iterator[str]:
    for column, cell in zip(table.columns, row.cells, strict=True):
        if column.key != "method":
            yield _text(cell)
        elif row.status == "published":
            yield f"{escape(cell.text)}{' *(published)*' if table.mixed else ''}{_marks(cell.notes)}"
        else:
            yield (code(cell.text) if cell.text else "") + _marks(cell.notes)


def _text(cell: Cell) -> str:
    shown = escape(cell.full) + cell.mark
    return (f"**{shown}**" if cell.tone else shown) + _marks(cell.notes)


def _marks(notes: tuple[int, ...]) -> str:
    return f"<sup>{', '.join(map(str, notes))}</sup>" if notes else ""


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _worst_lines(scores: pd.DataFrame, better: Mapping[str, bool], prompts: Mapping[Key, str]) -> Iterator[str]:
    for metric, samples in worst(scores, better, WORST).items():
        for key, value in samples:
            shown = [escape(quantity(metric).name), code(key.method), escape(picture_name(key.prompt_id, key.sample))]
            told = [metric_text(metric, value), *([escape(prompts.get(key, ""), 120)] if prompts else [])]
            yield _line(*shown, *told)


def picture_name(prompt_id: str, sample: int) -> str:
    """How a picture is called."""
    return f"{prompt_id} #{sample}" if sample else prompt_id


def _identity_lines(run: Run) -> Iterator[str]:
    for metric, identity, rows in identities(run):
        yield _line(escape(metric), code(identity), escape(", ".join(rows)))
