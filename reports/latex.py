"""Tables for papers: LaTeX with the packages booktabs and threeparttable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .grid import Cell, Column, Row, Table
from .text import clean

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
} | {char: f"\\{char}" for char in "&%$#_{}"}
_SIGNS = {
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$", "≠": r"$\neq$", "≈": r"$\approx$", "×": r"$\times$",
    "∞": r"$\infty$", "’": "'", "“": "``", "”": "''", "≥": r"$\geq$", "≤": r"$\leq$", "·": r"$\cdot$",
    "–": r"\textendash{}", "—": r"\textemdash{}", "…": r"\ldots{}",
}  # fmt: skip
_RAISED = {char: rf"\textsuperscript{{{plain}}}" for char, plain in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True)}
_LATEX = str.maketrans(_ESCAPES | _SIGNS | _RAISED)


def latex(table: Table) -> str:
    """A table as a ``table`` environment with its footnotes; of other text nothing is read as a command.

    Letters that pdfTeX does not know need XeTeX or LuaTeX.
    """
    return "\n".join(_lines(table)) + "\n"


def escape(text: str) -> str:
    """Text from strangers on one line that LaTeX prints as it is."""
    safe = clean(text).translate(_LATEX).replace("--", "-{}-")  # two hyphens would become a dash
    return (
        f"{{}}{safe}" if safe.startswith(("[", "*")) else safe
    )  # behind a line's end or an item it would be an option


def _lines(table: Table) -> Iterator[str]:
    yield r"% \usepackage{booktabs,threeparttable}"
    yield from (r"\begin{table}", r"\centering", rf"\caption{{{escape(table.title)}}}", r"\begin{threeparttable}")
    yield rf"\begin{{tabular}}{{@{{}}{''.join('r' if column.numeric else 'l' for column in table.columns)}@{{}}}}"
    yield r"\toprule"
    yield _line(_head(column) for column in table.columns)
    yield r"\midrule"
    before = None
    for row in table.rows:
        if before is not None and row.status != before:
            yield r"\midrule"
        before = row.status
        yield _line(_cells(row, table.mixed))
    yield from (r"\bottomrule", r"\end{tabular}")
    if table.footnotes or table.notes:
        yield r"\begin{tablenotes}\footnotesize"
        yield from (rf"\item[{i}] {escape(note)}" for i, note in enumerate(table.footnotes, 1))
        yield from (rf"\item {escape(note)}" for note in table.notes)
        yield r"\end{tablenotes}"
    yield from (r"\end{threeparttable}", r"\end{table}")


def _line(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _head(column: Column) -> str:
    return escape(column.header) + _marks(column.notes)


def _cells(row: Row, mixed: bool) -> Iterator[str]:
    for cell in row.cells:
        said = " (published)" if cell is row.cells[0] and mixed and row.status == "published" else ""
        yield _cell(cell, said)


def _cell(cell: Cell, said: str) -> str:
    return escape(cell.full + cell.mark) + said + _marks(cell.notes)


def _marks(notes: Sequence[int]) -> str:
    return rf"\tnote{{{','.join(map(str, notes))}}}" if notes else ""
