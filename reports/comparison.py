"""Two or more runs of the same prompts: the first is the base that the others are held against, picture by picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, NamedTuple

from .facts import Judged
from .grid import Table
from .identity import mismatch
from .schema import Picture, Result, Run
from .text import clean, clip, metric_text, quantity

if TYPE_CHECKING:
    import pandas as pd

NAME = 32
"""Characters of a run's name at most."""


class Member(NamedTuple):
    """A run of a comparison."""

    name: str
    path: str
    run: Run
    pictures: Sequence[Picture]
    """None of them where only its numbers are kept."""
    scores: pd.DataFrame
    """method, prompt_id, sample, metric, value."""
    row: str | None = None
    """What it is called where it is a row of a run, not all of it."""


class Change(NamedTuple):
    """How a number has changed from the base to another run, with its interval of 95 %."""

    method: str
    """In the base."""
    head: int
    """The place of the run among the members."""
    metric: str
    higher_is_better: bool
    change: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """All that a report says of runs side by side."""

    members: Sequence[Member]
    """The base, then the others."""
    rows: Sequence[Sequence[str | None]]
    """Of each method its name in every member; None where one has not run it."""
    table: Table
    """The numbers of all members and their changes."""
    changes: Sequence[Change]
    notes: Sequence[str] = ()
    judged: Judged | None = None
    """What a gate found, of two runs."""

    @property
    def base(self) -> Run:
        """The run that the others are held against."""
        return self.members[0].run

    @property
    def title(self) -> str:
        """``guidance6 and steps4 against main``; the folders' names."""
        names = [member.row or clip(_stem(member.path), NAME) for member in self.members]
        *first, last = names[1:]
        return f"{', '.join(first)} and {last} against {names[0]}" if first else f"{last} against {names[0]}"

    @property
    def equal(self) -> list[int]:
        """The rows whose pictures are equal in all members, bit for bit: files are named by their content."""
        found = [
            [self._files(str(name), member) for name, member in zip(names, self.members, strict=True)]
            for names in self.rows
        ]
        return [row for row, files in enumerate(found) if files[0] and all(one == files[0] for one in files)]

    @staticmethod
    def _files(method: str, member: Member) -> dict[tuple[str, int], str]:
        return {(p.prompt_id, p.sample): p.file.name for p in member.pictures if p.method == method}

    def result(self, row: int, place: int) -> Result | None:
        """The numbers of a method in the member at ``place``."""
        method = self.rows[row][place]
        found = self.members[place].run.results
        return next((result for result in found if result.method == method), None)


def member_names(paths: Sequence[str]) -> list[str]:
    """What runs are called side by side: base and head; of more than two, base and the names of their folders."""
    if len(paths) == 2:
        return ["base", "head"]
    stems = [clip(_stem(path), NAME) for path in paths]
    return ["base", *(stem if stems.count(stem) == 1 and stem != "base" else f"head {place}: {stem}"
                      for place, stem in enumerate(stems[1:], 1))]  # fmt: skip


class Move(NamedTuple):
    """The change of one picture."""

    prompt_id: str
    sample: int
    base: float
    head: float
    worse: float
    """By how much it got worse; negative where it got better."""

    @property
    def change(self) -> float:
        """Head minus base."""
        return self.head - self.base


class Moves(NamedTuple):
    """How a method's pictures have changed by one metric, from the base to another member."""

    row: int
    head: int
    metric: str
    higher_is_better: bool
    moves: Sequence[Move]
    """Of every picture that both have, the worst first."""

    @property
    def worse(self) -> list[Move]:
        """Those that got worse, the worst first."""
        return [move for move in self.moves if move.worse > 0]

    @property
    def better(self) -> list[Move]:
        """Those that got better, the best first."""
        return [move for move in reversed(self.moves) if move.worse < 0]

    @property
    def equal(self) -> int:
        """How many have not changed."""
        return sum(move.worse == 0 for move in self.moves)


def all_moves(comparison: Comparison) -> list[Moves]:
    """The changes of single pictures, by metric, for all that both sides have scores of one identity of."""
    found = [
        moves
        for head in range(1, len(comparison.members))
        for row in range(len(comparison.rows))
        for moves in _of_row(comparison, row, head)
    ]
    metrics = list(dict.fromkeys(moves.metric for moves in found))
    return sorted(found, key=lambda moves: metrics.index(moves.metric))


def ranked(moves: Sequence[Moves], side: Literal["worse", "better"], count: int) -> list[tuple[Moves, Move]]:
    """The ``count`` pictures of all ``moves`` that changed most to one side, the most of each method first."""
    found = [(place, each, move) for each in moves for place, move in enumerate(getattr(each, side)[:count])]
    found.sort(key=lambda entry: (entry[0], -abs(entry[2].worse)))
    return [(each, move) for _, each, move in found[:count]]


def signed(metric: str, value: float) -> str:
    """Write a change of a metric with its sign."""
    text = metric_text(metric, abs(value))
    return f"{'-' if value < 0 else '+'}{text}" if value else text


def better_words(higher_is_better: bool, metric: str) -> str:
    """A metric with the arrow for better."""
    return f"{quantity(metric).name} {'↑' if higher_is_better else '↓'}"


def _of_row(comparison: Comparison, row: int, head: int) -> Iterator[Moves]:
    ours, theirs = comparison.result(row, 0), comparison.result(row, head)
    if ours is None or theirs is None:
        return
    scores = [
        _scores(member.scores, result.method)
        for member, result in ((comparison.members[0], ours), (comparison.members[head], theirs))
    ]
    for metric, value in ours.metrics.items():
        other = theirs.metrics.get(metric)
        if other is None or mismatch({"base": value.identity, "head": other.identity}):
            continue
        base, changed = (side.get(metric, {}) for side in scores)
        higher = value.higher_is_better
        moves = [_move(place, base[place], changed[place], higher) for place in base if place in changed]
        if moves:
            yield Moves(row, head, metric, higher, sorted(moves, key=lambda move: -move.worse))


def _move(place: tuple[str, int], base: float, head: float, higher_is_better: bool) -> Move:
    return Move(*place, base, head, base - head if higher_is_better else head - base)


def _scores(frame: pd.DataFrame, method: str) -> Mapping[str, Mapping[tuple[str, int], float]]:
    """The finite scores of a method by metric, prompt and sample."""
    import numpy as np

    mine = frame[frame["method"] == method]
    mine = mine[np.isfinite(mine["value"].to_numpy(float))]
    found: dict[str, dict[tuple[str, int], float]] = {}
    columns = (mine[name] for name in ("metric", "prompt_id", "sample", "value"))
    for metric, prompt, sample, value in zip(*columns, strict=True):
        found.setdefault(str(metric), {})[str(prompt), int(sample)] = float(value)
    return found


def _stem(path: str) -> str:
    """The last name of a path that says something: ``main`` of ``runs/main/run.json``."""
    names = [name for name in PurePath(path).parts if name not in ("run.json", ".", "..", "/")]
    return clean(names[-1]) if names else "run"
