"""The report of two or more runs as one HTML page: differences, what got worse and better, pictures side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import facts
from .comparison import Change, Comparison, Move, Moves, all_moves, better_words, ranked, signed
from .figures import COLORS, NAME, SYMBOLS, arrow, escaped, figure, hover
from .gallery import MOST, ROWS, Chosen, Embed, Strips, hang, in_strips
from .grid import Cell, Column, Row, Table
from .html import Titles, of_pictures, of_plots, page_data, templates
from .names import short_names
from .plots import Choice, Plot
from .schema import Picture
from .text import clip, metric_text, quantity
from .worst import Key

SHOWN = 3
"""Pictures per metric and run that got worse, and as many that got better."""
_CHANGE = "change "
"""Before the key of a metric: how it has changed. The templates know it, too."""


def comparison_html(
    comparison: Comparison, *, rows: int = ROWS, beside: Path | None = None, embed: Embed = "thumbnails"
) -> str:
    """The report of ``comparison`` as one HTML page that needs nothing else.

    The gallery opens with the first ``rows`` prompts or photos. Pictures below the folder ``beside``, where the page
    will lie, are found there in full size. ``embed`` decides which have small copies inside. Raises BenchError where
    there would be none to see.
    """
    page = _Page(comparison)
    runs = [member.run for member in comparison.members]
    shown = hang(page.chosen(rows), page.pictures, page.texts, rows=rows, beside=beside, embed=embed)
    return templates().get_template("comparison.html.j2").render(
        title=comparison.title,
        base=comparison.base,
        members=comparison.members,
        names=[member.name for member in comparison.members],
        items=facts.items,
        made=facts.made,
        said=[*([] if comparison.judged else comparison.notes), *page.equal()],
        judged=comparison.judged,
        table=comparison.table,
        remarks=[([], note) for note in comparison.table.notes],
        counts=page.counts(),
        differing=[[name, *values] for name, values in facts.differing(runs)],
        identities=[(member.name, *line) for member in comparison.members for line in facts.identities(member.run)],
        environment=facts.environment(comparison.base),
        **of_pictures(runs, shown),
        **of_plots(page.plots()),
        short=page.short,
        titles=Titles(page.titles),
        changes=page.directions,
        against=page.against,
        data=page_data(page.short, page.metrics, shown, page.directions, page.against),
    )  # fmt: skip


class _Page:
    """A comparison as the page lays it out: each method of each run has a label of its own."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.left_out = comparison.equal if len(comparison.equal) < len(comparison.rows) else []
        self.moves = [moves for moves in all_moves(comparison) if moves.row not in self.left_out]
        self.heads = len(comparison.members) - 1
        short = short_names(str(names[0]) for names in comparison.rows)
        self.methods = [short[str(names[0])] for names in comparison.rows]
        self.labels = [
            [member.row or f"{names[0]} · {member.name}" for member in comparison.members] for names in comparison.rows
        ]
        self.short = {
            label: member.row or f"{name} · {member.name}"
            for name, labels in zip(self.methods, self.labels, strict=True)
            for label, member in zip(labels, comparison.members, strict=True)
        }
        self.against = {
            label: labels[0 if place else 1] for labels in self.labels for place, label in enumerate(labels)
        }
        known = {moves.metric: moves.higher_is_better for moves in self.moves}
        self.metrics: dict[str, tuple[str, bool]] = {}
        for key, higher in known.items():
            self.metrics |= {key: (quantity(key).name, higher)}
            self.metrics |= {_CHANGE + key: (f"Change of {quantity(key).name}", higher)}
        self.titles = {key: name for key, (name, _) in self.metrics.items()}
        self.directions = {key: higher for key, (_, higher) in self.metrics.items() if key.startswith(_CHANGE)}
        self.texts: dict[Key, dict[str, str]] = {}
        for moves in self.moves:
            self._tell(moves)
        self.pictures = list(self._pictures())

    def _tell(self, moves: Moves) -> None:
        labels = self.labels[moves.row]
        for move in moves.moves:
            base, head = (self.texts.setdefault(key, {}) for key in self._pair(labels, moves.head, move))
            base[moves.metric] = metric_text(moves.metric, move.base)
            head[moves.metric] = metric_text(moves.metric, move.head)
            head[_CHANGE + moves.metric] = signed(moves.metric, move.change)

    @staticmethod
    def _pair(labels: Sequence[str], head: int, move: Move) -> tuple[Key, Key]:
        return Key(labels[0], move.prompt_id, move.sample), Key(labels[head], move.prompt_id, move.sample)

    def _pictures(self) -> Iterator[Picture]:
        """The pictures of all runs under their labels; what they were made from stands once, before the first."""
        given = set[tuple[int, str, int]]()
        for place, member in enumerate(self.comparison.members):
            rows = {names[place]: row for row, names in enumerate(self.comparison.rows) if names[place] is not None}
            for picture in member.pictures:
                if (row := rows.get(picture.method)) is None or row in self.left_out:
                    continue
                at = (row, picture.prompt_id, picture.sample)
                known: dict[str, Any] = {"reference": None, "conditions": {}} if at in given else {}
                given.add(at)
                yield picture.model_copy(update={"method": self.labels[row][place], **known})

    # --- what is shown

    def equal(self) -> Iterator[str]:
        """Which methods have nothing to show, and why."""
        if self.left_out:
            names = ", ".join(str(self.comparison.rows[row][0]) for row in self.left_out)
            yield f"{names}: all pictures are equal, bit for bit, and are left out below"

    def chosen(self, rows: int) -> Chosen:
        """The pictures of every prompt, and those that changed most."""
        strips = {
            name: labels
            for row, (name, labels) in enumerate(zip(self.methods, self.labels, strict=True))
            if row not in self.left_out
        }
        lines, total = in_strips(strips, self.pictures, max(rows, MOST))
        captions = {
            label: member.name
            for labels in self.labels
            for label, member in zip(labels, self.comparison.members, strict=True)
        }
        return Chosen(lines, self._ranked(), total, captions)

    def _ranked(self) -> Mapping[str, Sequence[Strips]]:
        found: dict[str, list[Strips]] = {}
        for head in range(1, self.heads + 1):
            here = [moves for moves in self.moves if moves.head == head]
            for metric in dict.fromkeys(moves.metric for moves in here):
                of = [moves for moves in here if moves.metric == metric]
                title = better_words(of[0].higher_is_better, metric)
                run = f" · {self.comparison.members[head].name}" if self.heads > 1 else ""
                for side in ("worse", "better"):
                    found[f"{title}{run}: got {side}"] = [
                        {self.methods[each.row]: self._pair(self.labels[each.row], head, move)}
                        for each, move in ranked(of, side, SHOWN)  # type: ignore[arg-type]
                    ]
        return found

    def counts(self) -> Table:
        """How many pictures of a method got worse and better, by metric."""
        columns = [Column("method", "Method", numeric=False), Column("metric", "Metric", numeric=False)]
        if self.heads > 1:
            columns.append(Column("run", "Run", numeric=False))
        columns += [Column(name.lower(), name) for name in ("Worse", "Better", "Equal", "Pictures")]
        return Table(tuple(columns), tuple(map(self._count, self.moves)))

    def _count(self, moves: Moves) -> Row:
        counts = [len(moves.worse), len(moves.better), moves.equal, len(moves.moves)]
        cells = [Cell(str(self.comparison.rows[moves.row][0]))]
        cells.append(Cell(better_words(moves.higher_is_better, moves.metric)))
        if self.heads > 1:
            cells.append(Cell(self.comparison.members[moves.head].name))
        return Row((*cells, *(Cell(f"{count:,}", count) for count in counts)))

    # --- plots

    def plots(self) -> list[Plot]:
        """The changes with their intervals, a figure per metric."""
        metrics = dict.fromkeys(change.metric for change in self.comparison.changes)
        choices = [
            self._changes(metric, [change for change in self.comparison.changes if change.metric == metric])
            for metric in metrics
        ]
        about = "Head minus base with its 95 % interval; what lies on the line may be no change at all."
        return [Plot("Changes", about, choices)] if choices else []

    def _changes(self, metric: str, changes: Sequence[Change]) -> Choice:
        higher = changes[0].higher_is_better
        short = short_names(change.method for change in changes)
        methods = list(dict.fromkeys(change.method for change in changes))
        data = [
            _points(
                head - 1,
                self.comparison.members[head].name,
                [change for change in changes if change.head == head],
                {
                    method: f"{escaped(clip(short[method], NAME))}{chr(0x200B) * place}"
                    for place, method in enumerate(methods)
                },
            )
            for head in dict.fromkeys(change.head for change in changes)
        ]
        x_axis = {"title": {"text": escaped(f"Change of {quantity(metric).name} {arrow(higher)}")}, "zeroline": True,
                  "zerolinewidth": 2}  # fmt: skip
        layout = {"height": 130 + 46 * len(methods) + 14 * len(data), "scattermode": "group", "scattergap": 0.6}
        y_axis = {"autorange": "reversed", "ticklabelstandoff": 8, "type": "category"}
        return Choice(better_words(higher, metric), figure(data, x_axis, y_axis, layout), [])


def _points(place: int, name: str, changes: Sequence[Change], labels: Mapping[str, str]) -> dict[str, Any]:
    above = [change.interval[1] - change.change for change in changes]
    below = [change.change - change.interval[0] for change in changes]
    return {
        "type": "scatter", "mode": "markers", "x": [change.change for change in changes],
        "y": [labels[change.method] for change in changes], "name": escaped(name), "hoverinfo": "text",
        "orientation": "h", "hovertext": [_said(name, change) for change in changes],
        "marker": {"size": 10, "symbol": SYMBOLS[place % len(SYMBOLS)], "color": COLORS[place % len(COLORS)]},
        "error_x": {
            "type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.5, "width": 5,
        },
    }  # fmt: skip


def _said(name: str, change: Change) -> str:
    ends = ", ".join(signed(change.metric, end) for end in change.interval)
    return hover(change.method, f"{name}: {signed(change.metric, change.change)} [{ends}]")
