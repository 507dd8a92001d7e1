"""Latency laid out: what each method's parts take, as in SnapFusion's Table 1, and all methods beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .grid import Cell, Column, Footnotes, Row, Table
from .latency import (
    COMPOSED,
    END_TO_END,
    ClaimFound,
    Comparison,
    LatencyRow,
    LatencyRun,
    PublishedRatio,
    StageResult,
    Timing,
)
from .markdown import escape, table_markdown
from .text import MISSING, fixed, significant

MEMORY = (
    "What the process took at its peak beyond Python with PyTorch, the libraries that the method imports included; on "
    "an accelerator the peak allocated there"
)
LOAD = "Files read before, so that they come from memory where they fit; imports of libraries included"
COMPOSED_NOTE = (
    "The stages' medians times their forwards, without sampler, noise and copies; a guided step counts as two forwards "
    "of one picture, which end to end are one call of two"
)
CLAIM_NOTE = (
    "A stage: one forward over one of the first row, turn by turn. Composed: all stages of the row over those "
    "without its control network, per picture. ± is half the interval of 99 %"
)
OF_ROUNDS = {
    "median": "Of each round the device tells the median of its calls, not each of them: no p90",
    "mean": "Of each round the device tells the mean of its calls, not each of them: no p90",
}
PLUS_MINUS = "± is half the interval of the median over the rounds, between order statistics"


def tables(run: LatencyRun) -> list[Table]:
    """All tables of a run: a table per row with its stages, then the totals."""
    parts = [_components(run, index) for index, row in enumerate(run.rows) if row.stages]
    more = [_sustained(run)] if run.protocol.sustained else [_claims(run)] if run.claims else []
    return [*parts, *([_totals(run)] if run.rows else []), *more]


def below_tables(run: LatencyRun) -> list[str]:
    """What must be said of all tables: how it was measured, where it was disturbed, and what failed."""
    failed = [f"failed: {each.method} · {each.device} · {each.dtype}: {each.reason}" for each in run.failed]
    skipped = [f"skipped: {each.method} · {each.device} · {each.dtype}: {each.reason}" for each in run.skipped]
    here = [] if run.rows and all(row.imported for row in run.rows) else [_protocol(run)]
    return [*here, *run.notes, *skipped, *failed]


def latency_markdown(run: LatencyRun) -> str:
    """The report of a run in GitHub's Markdown."""
    size = f"{run.protocol.width}×{run.protocol.height}"
    parts = [f"# Latency at {size}\n", *map(table_markdown, tables(run))]
    return "\n".join([*parts, *(f"> {escape(note, 1200)}  " for note in below_tables(run))]) + "\n"


def _components(run: LatencyRun, index: int) -> Table:
    row, footnotes = run.rows[index], Footnotes()
    against = {found.what: found for found in run.comparisons if found.row == index}
    columns = [
        Column("stage", "Stage", numeric=False),
        Column("params", "Params", "M", minor=True),
        Column("macs", "MACs", "G", minor=True),
        Column("median", "Median", "ms", False, notes=footnotes.number(PLUS_MINUS)),
        Column("p90", "p90", "ms", False),
        Column("forwards", "× per picture"),
        Column("total", "Per picture", "ms", False),
    ]
    if against:
        columns.append(Column("over", "Over first row", "%", False))
    lines = [_stage_line(name, stage, against.get(name), footnotes) for name, stage in row.stages.items()]
    for what, title, found in ((COMPOSED, "sum of stages", row.composed), (END_TO_END, "end to end", row.end_to_end)):
        if found:
            # Of whole pictures alone: the sum has no calls of its own.
            p90, notes = (_ms(found.p90_s), ()) if what == END_TO_END else (Cell(), _composed(row, footnotes))
            cells = [Cell(title, title, notes=notes), Cell(), Cell(), Cell(), p90, Cell(), _median(found)]
            lines.append([*cells, _over(against.get(what), footnotes)])
    rows = tuple(Row(tuple(line[: len(columns)])) for line in lines)
    return Table(tuple(columns), rows, tuple(footnotes.texts), row.name)


def _stage_line(name: str, stage: StageResult, against: Comparison | None, footnotes: Footnotes) -> list[Cell]:
    total = stage.timing.median_s * stage.forwards
    return [
        Cell(name.replace("_", " "), name),
        _scaled(stage.params, 1e6, 3),
        _scaled(stage.macs, 1e9, 3),
        _median(stage.timing, footnotes.number(OF_ROUNDS.get(stage.timing.each))),
        _ms(stage.timing.p90_s),
        Cell(f"{stage.forwards:,}", stage.forwards),
        _ms(total),
        _over(against, footnotes),
    ]


def _totals(run: LatencyRun) -> Table:
    footnotes = Footnotes()
    base = run.rows[0]
    columns = (
        Column("method", "Method", numeric=False),
        Column("end_to_end", "End to end", "ms", False, notes=footnotes.number(PLUS_MINUS)),
        Column("composed", "Sum of stages", "ms", False, notes=footnotes.number(COMPOSED_NOTE)),
        Column("over", "Over first row", "%", False),
        Column("load", "Load", "s", False, notes=footnotes.number(LOAD)),
        Column("first", "First call", "s", False),
        Column("memory", "Memory", "MB", False, notes=footnotes.number(MEMORY)),
        Column("weights", "Weights", "MB", False, minor=True),
        Column("macs", "MACs per picture", "G", False, minor=True),
        Column("energy", "Energy per picture", "J", False, minor=True),
    )
    rows = []
    for index, row in enumerate(run.rows):
        memory = row.memory.accelerator_peak_bytes
        memory = row.memory.beyond_before if memory is None else memory
        energy = row.energy.joules_per_image
        cells = (
            Cell(row.name, row.name, notes=tuple(n for note in row.notes for n in footnotes.number(note))),
            _median(row.end_to_end),
            _median(row.composed, footnotes.number(row.composition and f"Sum of stages: {row.composition}")),
            Cell("base", None)
            if row is base and not row.imported
            else _over(_whole(run.comparisons, index), footnotes),
            _scaled(row.load_s, 1, 3),
            _scaled(row.first_s, 1, 3),
            _scaled(memory, 1e6, 3),
            _scaled(row.weights_bytes, 1e6, 3),
            _scaled(row.macs_per_image, 1e9, 3),
            Cell(notes=footnotes.number(f"No energy: {row.energy.reason}"))
            if energy is None
            else _scaled(energy, 1, 3),
        )
        rows.append(Row(cells))
    return Table(columns, tuple(rows), tuple(footnotes.texts), "Totals")


def _sustained(run: LatencyRun) -> Table:
    columns = (
        Column("method", "Method", numeric=False),
        Column("first", "First window", "ms", False),
        Column("steady", "Steady", "ms", False),
        Column("slowdown", "Slower by", "%", False),
        Column("windows", f"Windows of {run.protocol.window_s:g} s"),
        Column("settled", "Settled", numeric=False),
    )
    rows = []
    for row in run.rows:
        if found := row.sustained:
            slower = 100 * (found.slowdown - 1)
            count, settled = len(found.curve), "yes" if found.settled else "no"
            cells = [_ms(found.curve[0].median_s), _ms(found.steady_s), Cell(f"{slower:+.1f}", slower)]
            rows.append(Row((Cell(row.name, row.name), *cells, Cell(f"{count}", count), Cell(settled, settled))))
    return Table(columns, tuple(rows), title="Sustained")


def _claims(run: LatencyRun) -> Table:
    footnotes = Footnotes()
    columns = (
        Column("claim", f"Over {run.rows[0].name}", numeric=False),
        Column("what", "Of", numeric=False),
        Column("ratio", "Ratio"),
        Column("bound", "Holds", numeric=False),
        Column("published", "Published", numeric=False),
        Column("device", "Published on", numeric=False),
    )
    rows = [_claim_line(found, first, footnotes) for found in run.claims for first in _published_of(found)]
    return Table(columns, tuple(map(Row, rows)), tuple(footnotes.texts), "What the papers claim")


def _published_of(found: ClaimFound) -> Iterator[tuple[bool, PublishedRatio | None]]:
    """Each published ratio of a claim, and whether it is the first; None where none is published."""
    yield True, found.published[0] if found.published else None
    yield from ((False, published) for published in found.published[1:])


def _claim_line(
    found: ClaimFound, published: tuple[bool, PublishedRatio | None], footnotes: Footnotes
) -> tuple[Cell, ...]:
    first, paper = published
    theirs = (
        (Cell(f"{paper.ratio:g}", paper.ratio, notes=footnotes.number(paper.source)), Cell(paper.device, paper.device))
        if paper
        else (Cell(), Cell())
    )
    if not first:
        return (Cell("", found.text), Cell("", found.what), Cell(""), Cell(""), *theirs)
    spread = f"{(found.interval[1] - found.interval[0]) / 2:.3f}" if found.interval else ""
    holds = {True: "yes", False: "no", None: "cannot be told"}[found.holds] if found.bound else ""
    return (
        Cell(found.text, found.text),
        Cell(f"{found.what.replace('_', ' ')}, {found.how}", found.what),
        Cell(f"{found.ratio:.3f}", found.ratio, spread, footnotes.number(CLAIM_NOTE), interval=found.interval),
        Cell(f"{holds} ({found.bound})" if found.bound else "", holds),
        *theirs,
    )


def _whole(comparisons: Sequence[Comparison], index: int) -> Comparison | None:
    """The comparison of whole pictures, measured where they were."""
    found = {each.what: each for each in comparisons if each.row == index}
    return found.get(END_TO_END) or found.get(COMPOSED)


def _over(found: Comparison | None, footnotes: Footnotes) -> Cell:
    """The overhead in percent; words where it is not ranked."""
    if found is None:
        return Cell()
    percent = 100 * (found.ratio - 1)
    low, high = found.interval or (found.ratio, found.ratio)
    ends = (100 * (low - 1), 100 * (high - 1))
    if found.verdict == "not ranked":
        return Cell("not ranked", percent, notes=footnotes.number(found.words), interval=ends, reason=found.words)
    notes = footnotes.number(f"Interval of {100 * found.level:g} %; within 2 % either way two methods are called alike")
    return Cell(f"{percent:+.1f}", percent, f"{(ends[1] - ends[0]) / 2:.1f}", notes, interval=ends)


def _composed(row: LatencyRow, footnotes: Footnotes) -> tuple[int, ...]:
    return footnotes.number(row.composition and f"{row.composition}") + footnotes.number(COMPOSED_NOTE)


def _median(found: Timing | None, notes: tuple[int, ...] = ()) -> Cell:
    if found is None:
        return Cell()
    text = significant(1000 * found.median_s, 4)
    if not found.interval:
        return Cell(text, 1000 * found.median_s, notes=notes)
    low, high = (1000 * end for end in found.interval)
    digits = len(text.partition(".")[2])
    return Cell(text, 1000 * found.median_s, fixed((high - low) / 2, digits), notes, interval=(low, high))


def _ms(seconds: float | None) -> Cell:
    return Cell(MISSING) if seconds is None else Cell(significant(1000 * seconds, 4), 1000 * seconds)


def _scaled(value: float | None, unit: float, digits: int) -> Cell:
    return Cell(MISSING) if value is None else Cell(significant(value / unit, digits), value / unit)


def _protocol(run: LatencyRun) -> str:
    protocol = run.protocol
    if protocol.sustained:
        how = f"pictures one after the other, windows of {protocol.window_s:g} s until three agree"
    else:
        least = f"at least {protocol.iterations} calls and {protocol.min_seconds:g} s in all"
        who = "one row at a time beside the first, both" if protocol.in_pairs else "all rows"
        short = any(timing.turn_calls for row in run.rows for timing in row.timings.values())
        turns = "in short turns" if short else "a turn in each"
        how = f"{protocol.rounds} rounds, {who} {turns} in random order; per stage {least}; batch 1"
    return f"{how}; {', '.join(_machine(run))}"


def _machine(run: LatencyRun) -> Iterator[str]:
    machine = run.machine
    yield str(run.environment.get("processor") or "processor unknown")
    yield f"{machine.cores} cores"
    if threads := sorted({count for row in run.rows if (count := row.about.get("threads"))}):
        yield f"threads {', '.join(map(str, threads))}"
    yield f"governor {', '.join(machine.governors) or 'unknown'}"
    if machine.cpu_limit:
        yield f"container limited to {machine.cpu_limit:g} cores"
