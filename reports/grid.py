"""A table before it is drawn: what console, Markdown, HTML and pandas have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .text import MISSING

if TYPE_CHECKING:
    import pandas as pd

    from .plots import Plot

Status = Literal["measured", "published"]
CellStatus = Literal["measured", "reproduced", "published", "not comparable"]

SIGNS: dict[str, str] = {"not comparable": "≠", "reproduced": "≈"}
UNCONFIRMED = "?"


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
    """Why there is no value, why a published one cannot be compared, or which one a measured one reproduces."""
    unconfirmed: bool = False
    """Whether a published number is only recalled."""
    tone: Literal["", "better", "worse"] = ""
    """Of a change: which way it goes, where its interval leaves no doubt."""

    @property
    def empty(self) -> bool:
        """Whether there is neither a value nor a range."""
        return self.value is None and self.interval is None

    @property
    def full(self) -> str:
        """The text with its spread: ``26.70 ±0.12``."""
        return f"{self.text} ±{self.spread}" if self.spread else self.text

    @property
    def mark(self) -> str:
        """Signs behind what cannot be compared, is reproduced, or is not confirmed; footnotes say more."""
        signs = SIGNS.get(self.status, "") + (UNCONFIRMED if self.unconfirmed else "")
        return f" {signs}" if signs else ""


STATES: Mapping[str, Callable[[Cell], bool]] = {
    "not comparable": lambda cell: cell.status == "not comparable",
    "reproduced": lambda cell: cell.status == "reproduced",
    "unconfirmed": lambda cell: cell.unconfirmed,
}
"""What plain numbers say of their cells in columns of their own."""


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
    plots: tuple[Plot, ...] = ()
    """What a page draws of it."""

    @property
    def mixed(self) -> bool:
        """Whether measured and published rows stand together."""
        return len({row.status for row in self.rows}) > 1

    def to_frame(self) -> pd.DataFrame:
        """The numbers, a column per column, then what they are; the footnotes are in ``attrs["footnotes"]``.

        ``status`` is of a row; ``not comparable``, ``reproduced`` and ``unconfirmed`` name its columns that are. Of a
        range there is no number.
        """
        import pandas as pd

        frame = pd.DataFrame({c.header: [row.cells[i].value for row in self.rows] for i, c in enumerate(self.columns)})
        for column in self.columns:
            if column.numeric:
                frame[column.header] = pd.to_numeric(frame[column.header])
        frame["status"] = [row.status for row in self.rows]
        for name, has in STATES.items():
            found = ([c for c, cell in zip(self.columns, row.cells, strict=True) if has(cell)] for row in self.rows)
            frame[name] = ["; ".join(column.header for column in columns) for columns in found]
        frame.attrs["footnotes"] = list(self.footnotes)
        return frame
