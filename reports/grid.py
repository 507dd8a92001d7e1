"""A table before it is drawn: what console, Markdown, HTML and pandas have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .text import MISSING

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["measured", "published"]
CellStatus = Literal["measured", "published", "not comparable"]


@dataclass(frozen=True)
class Cell:
    """One entry: its text, the number behind it, and the footnotes that belong to it."""

    text: str = MISSING
    value: float | str | None = None
    spread: str = ""
    """Half the width of the 95 % interval, written like the value."""
    notes: tuple[int, ...] = ()
    status: CellStatus = "measured"
    interval: tuple[float, float] | None = None
    reason: str | None = None
    """Why there is no value, or why a published one cannot be compared."""

    @property
    def full(self) -> str:
        """The text with its spread: ``26.70 ±0.12``."""
        return f"{self.text} ±{self.spread}" if self.spread else self.text

    @property
    def mark(self) -> str:
        """A sign behind what cannot be compared; the reason is in a footnote."""
        return " ≠" if self.status == "not comparable" else ""


@dataclass(frozen=True)
class Column:
    """What a column shows."""

    key: str
    title: str
    unit: str = ""
    higher_is_better: bool | None = None
    """None for what is neither good nor bad in itself."""
    numeric: bool = True
    minor: bool = False
    """Left out first where there is little room."""
    notes: tuple[int, ...] = ()

    @property
    def arrow(self) -> str:
        """Which way is better: ``↑``, ``↓`` or nothing."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]

    @property
    def header(self) -> str:
        """Title, unit and arrow: ``PSNR (dB) ↑``."""
        return " ".join(part for part in (self.title, f"({self.unit})" if self.unit else "", self.arrow) if part)


@dataclass(frozen=True)
class Row:
    """One method; ``cells`` in the order of the columns."""

    cells: tuple[Cell, ...]
    status: Status = "measured"
    run: str = ""
    """The name of the run that it is of, where that is known."""


@dataclass
class Footnotes:
    """Numbered from 1 in the order they are first asked for, each text once."""

    texts: list[str] = field(default_factory=list)

    def number(self, text: str | None) -> tuple[int, ...]:
        """The number of ``text`` as a cell carries it; nothing for None."""
        if text is None:
            return ()
        if text not in self.texts:
            self.texts.append(text)
        return (self.texts.index(text) + 1,)


@dataclass(frozen=True)
class Table:
    """A table with its footnotes (number 1 first)."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[str, ...] = ()
    title: str = ""
    notes: tuple[str, ...] = ()
    """What is said of all of it, below the footnotes."""

    @property
    def mixed(self) -> bool:
        """Whether measured and published rows stand together."""
        return len({row.status for row in self.rows}) > 1

    def to_frame(self) -> pd.DataFrame:
        """The numbers, a column per column, then ``status``; the footnotes are in ``attrs["footnotes"]``."""
        import pandas as pd

        frame = pd.DataFrame({c.header: [row.cells[i].value for row in self.rows] for i, c in enumerate(self.columns)})
        for column in self.columns:
            if column.numeric:
                frame[column.header] = pd.to_numeric(frame[column.header])
        frame["status"] = [row.status for row in self.rows]
        frame.attrs["footnotes"] = list(self.footnotes)
        return frame
