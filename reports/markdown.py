"""``report.md``: what fits into a comment on a pull request; and single tables in GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .facts import environment, headline, identities
from .grid import Cell, Table
from .schema import Picture, Run
from .table import build, directions
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
_PLAIN = re.compile(r"[\w .,:;=()\[\]@+/-]+", re.ASCII)
_ESCAPES = {char: f"\\{char}" for char in "|`*_[]~$#"}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\\": "&#92;"}
# An empty comment keeps a name after an at sign from calling that person.
_ESCAPE = str.maketrans(_ESCAPES | _ENTITIES | {"@": "@<!-- -->"})


def markdown(run: Run, pictures: Sequence[Picture], scores: pd.DataFrame) -> str:
    """The report of a run as GitHub's Markdown, never longer than ``LIMIT``.

    ``scores`` has the columns method, prompt_id, sample, metric, value. What does not fit is cut from the end of its
    section, and the section says how much is missing.
    """
    return fit(_sections(run, pictures, scores), LIMIT)


def table_markdown(table: Table) -> str:
    """A table by itself, with its title, footnotes and notes."""
    grid = _main(table)
    notes = [f"> {escape(note, _NOTE)}  " for note in table.notes]
    parts = [[f"### {escape(table.title)}"], [*grid.head, *grid.items], _numbered(table), notes]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def escape(text: str, length: int = _CELL) -> str:
    """Text from strangers on one line that Markdown shows as it is."""
    return clip(clean(text), length).translate(_ESCAPE)


def code(text: str, length: int = _CELL) -> str:
    """A name in fixed width; between backticks where nothing in it could break out of them."""
    short = clip(clean(text), length)
    return f"`{short}`" if _PLAIN.fullmatch(short) else f"<code>{escape(short)}</code>"


@dataclass(frozen=True)
class Section:
    """Lines that stand or fall together, and lines that can be cut from the end."""

    head: Sequence[str]
    items: Sequence[str]
    foot: Sequence[str] = ()

    def within(self, room: int) -> list[str]:
        """The lines, cut to at most ``room`` characters with their line ends; none where not even the head fits."""
        left = room - _length([*self.head, *self.foot, "", _missing(len(self.items), "more ")])
        if left < 0:
            return []
        kept = 0
        while kept < len(self.items) and (left := left - len(self.items[kept]) - 1) >= 0:
            kept += 1
        cut = len(self.items) - kept
        notice = ["", _missing(cut, "more ")] if cut else []
        return [*self.head, *self.items[:kept], *notice, *self.foot, ""] if kept or not self.items else []


def fit(sections: Iterable[Section], limit: int) -> str:
    """Join ``sections`` within ``limit`` characters: each may take half of what is left, the last one all of it."""
    waiting, lines = list(sections), list[str]()
    while waiting:
        room = limit - _length(lines)
        section = waiting.pop(0)
        lines += section.within(room // 2 if waiting else room)
    return "\n".join(lines)


def _length(lines: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _missing(count: int, more: str) -> str:
    return f"*{count:,} {more}left out; all are in `report.html` or `scores.parquet`.*"


def _sections(run: Run, pictures: Sequence[Picture], scores: pd.DataFrame) -> Iterator[Section]:
    table = build(run)
    yield Section([f"# {escape(run.suite.name)}: {escape(run.suite.summary)}", "", escape(headline(run)), ""], [])
    if run.suite.notes:
        yield Section([], [f"> {escape(note)}  " for note in run.suite.notes])
    yield _main(table)
    if table.footnotes:
        yield Section([], _numbered(table))
    if run.skipped:
        yield _bullets("Skipped", ((skipped.method, skipped.reason) for skipped in run.skipped))
    if any(result.notes for result in run.results):
        yield _bullets("Notes", ((result.method, note) for result in run.results for note in result.notes))
    prompts = {Key(p.method, p.prompt_id, p.sample): p.prompt for p in pictures if p.prompt}
    if lines := list(_worst_lines(scores, directions(run), prompts)):
        yield _grid("Worst pictures", ["Metric", "Method", "Picture", "Value", *(["Prompt"] if prompts else [])], lines)
    yield _folded(_grid("Metric identities", ["Metric", "Identity", "Rows"], list(_identity_lines(run))))
    yield _folded(_grid("Environment", ["What", "Value"], [_line(code(k), escape(v)) for k, v in environment(run)]))


def _main(table: Table) -> Section:
    heads = [escape(column.header) + _marks(column.notes) for column in table.columns]
    rules = ["--:" if column.numeric else ":--" for column in table.columns]
    return Section([_line(*heads), _line(*rules)], [_line(*_row(table, i)) for i in range(len(table.rows))])


def _numbered(table: Table) -> list[str]:
    return [f"{i}. {escape(note, _NOTE)}" for i, note in enumerate(table.footnotes, 1)]


def _row(table: Table, index: int) -> Iterator[str]:
    row = table.rows[index]
    for column, cell in zip(table.columns, row.cells, strict=True):
        if column.key != "method":
            yield _text(cell)
        elif row.status == "published":
            yield f"{escape(cell.text)}{' *(published)*' if table.mixed else ''}{_marks(cell.notes)}"
        else:
            yield code(cell.text) + _marks(cell.notes)


def _text(cell: Cell) -> str:
    return escape(cell.full) + cell.mark + _marks(cell.notes)


def _marks(notes: tuple[int, ...]) -> str:
    return f"<sup>{', '.join(map(str, notes))}</sup>" if notes else ""


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _bullets(title: str, pairs: Iterable[tuple[str, str]]) -> Section:
    return Section([f"## {title}", ""], [f"- {code(name)}: {escape(text, 500)}" for name, text in pairs])


def _grid(title: str, heads: Sequence[str], lines: Sequence[str]) -> Section:
    return Section([f"## {title}", "", _line(*heads), _line(*("---" for _ in heads))], lines)


def _folded(section: Section) -> Section:
    title, *rest = section.head
    summary = f"<details><summary>{title.removeprefix('## ')}</summary>"
    return Section([summary, *rest], section.items, ["", "</details>"])


def _worst_lines(scores: pd.DataFrame, better: Mapping[str, bool], prompts: Mapping[Key, str]) -> Iterator[str]:
    for metric, samples in worst(scores, better, WORST).items():
        for key, value in samples:
            name = f"{key.prompt_id} #{key.sample}" if key.sample else key.prompt_id
            shown = [escape(quantity(metric).name), code(key.method), escape(name), metric_text(metric, value)]
            yield _line(*shown, *([escape(prompts.get(key, ""), 120)] if prompts else []))


def _identity_lines(run: Run) -> Iterator[str]:
    for metric, identity, rows in identities(run):
        yield _line(escape(metric), code(identity), escape(", ".join(rows)))
