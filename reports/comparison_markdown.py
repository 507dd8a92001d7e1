"""The report of two or more runs as GitHub's Markdown: what fits into a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .comparison import Comparison, Moves, all_moves, better_words, ranked, signed
from .facts import differing, items, made
from .grid import Cell, Row, Table
from .markdown import (
    LIMIT,
    Section,
    code,
    escape,
    fit,
    folded,
    folded_grid,
    folded_table,
    grid_line,
    linked,
    numbered,
    picture_name,
    table_section,
    verdict,
    whole,
)
from .names import short_names
from .text import metric_text

MOST = 8
"""Pictures per metric that got worse, and as many that got better."""


def comparison_markdown(comparison: Comparison, *, link: str | None = None) -> str:
    """The report of ``comparison``, never longer than ``LIMIT``; ``link`` is where its HTML is found.

    The verdict comes first where there is one. What does not fit is cut from the end of its section, and the text says
    what is missing and where all of it is. Raises BenchError for a link that is none.
    """
    return fit(_sections(comparison, link), LIMIT, whole(link) if link else "the HTML report (`--html FILE`)")


def _sections(comparison: Comparison, link: str | None) -> Iterator[Section]:
    way = linked("Report with pictures side by side", link)
    if comparison.judged:
        yield from [*verdict(comparison.judged, way), _runs(comparison)]
    else:
        yield from [Section([f"## {escape(comparison.title)}"], []), *way, *_differences(comparison)]
    moves = [each for each in all_moves(comparison) if each.row not in comparison.equal]
    prompts = {(p.prompt_id, p.sample): p.prompt for member in comparison.members for p in member.pictures if p.prompt}
    for metric in dict.fromkeys(each.metric for each in moves):
        yield _pictures(comparison, [each for each in moves if each.metric == metric], prompts)
    others = [
        grid_line(code(name), *map(escape, values))
        for name, values in differing([member.run for member in comparison.members])
    ]
    if others:
        names = [escape(member.name) for member in comparison.members]
        yield folded_grid("What differs in the environment", ["What", *names], others)


def _differences(comparison: Comparison) -> Iterator[Section]:
    table = comparison.table
    if comparison.notes:
        yield Section([], [f"> {escape(note)}  " for note in comparison.notes], name="notes")
    moved = [row for row in table.rows if _has_moved(row)]
    others = [row for row in table.rows if row not in moved]
    if moved:
        yield table_section(_once(table, moved), "differences")
    else:
        yield Section(["No number has changed."], [])
    if others:
        yield folded_table(f"Unchanged or not judged: {len(others)}", _once(table, others))
    if table.footnotes or table.notes:
        lines = [*numbered(table), *(f"- {escape(note)}" for note in table.notes)]
        yield folded("Notes", lines)
    yield _runs(comparison)


def _has_moved(row: Row) -> bool:
    """Whether a run has changed a number, or has one of another identity; every second cell is a change."""
    return any(cell.value for cell in row.cells[4::2]) or bool(row.cells[1].notes)


def _once(table: Table, rows: Sequence[Row]) -> Table:
    """The rows alone, each method named in the first of its own."""
    names = [row.cells[0].text for row in rows]
    first = [place == 0 or name != names[place - 1] for place, name in enumerate(names)]
    kept = [row if new else Row((Cell(""), *row.cells[1:])) for row, new in zip(rows, first, strict=True)]
    return Table(table.columns, tuple(kept))


def _runs(comparison: Comparison) -> Section:
    heads = ["Run", "Folder", "Suite", "Pictures of", "Seed", "Made"]
    lines = [
        grid_line(
            escape(member.name),
            code(member.path),
            escape(f"{member.run.suite.name}, version {member.run.suite.version}"),
            escape(items(member.run)),
            str(member.run.suite.seed),
            escape(made(member.run)),
        )
        for member in comparison.members
    ]
    return folded_grid("The runs", heads, lines, ["Seed"])


def _pictures(comparison: Comparison, moves: list[Moves], prompts: Mapping[tuple[str, int], str]) -> Section:
    metric = moves[0].metric
    short = short_names(str(names[0]) for names in comparison.rows)
    many = len(comparison.members) > 2
    counts = [sum(len(each.worse) for each in moves), sum(each.equal for each in moves)]
    better = sum(len(each.better) for each in moves)
    summary = f"{escape(better_words(moves[0].higher_is_better, metric))}: {counts[0]:,} pictures worse, "
    summary += f"{better:,} better, {counts[1]:,} equal"
    heads = ["Picture", "Method", *(["Run"] if many else []), "Base", "Head", "Change", "Prompt"]
    lines = [
        grid_line(
            escape(picture_name(move.prompt_id, move.sample)),
            code(short[str(comparison.rows[each.row][0])]),
            *([escape(comparison.members[each.head].name)] if many else []),
            metric_text(metric, move.base),
            metric_text(metric, move.head),
            signed(metric, move.change),
            escape(prompts.get((move.prompt_id, move.sample)) or "", 120),
        )
        for side in ("worse", "better")
        for each, move in ranked(moves, side, MOST)  # type: ignore[arg-type]
    ]
    return folded_grid(summary, heads, lines, ["Base", "Head", "Change"])
