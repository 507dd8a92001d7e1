"""What repeated calls amount to: medians and their intervals, sums of stages, comparisons, words."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, permutations

from ...metrics.timing import (
    MARGIN,
    NOISY,
    RANKING_LEVEL,
    STEADY_WINDOWS,
    PairedRatio,
    has_settled,
    judged_ratio,
    median_interval,
    p90,
)
from ...metrics.timing import spread as spread_of
from ...reports.latency import (
    Comparison,
    Energy,
    LatencyRow,
    Machine,
    Round,
    StageFacts,
    StageResult,
    Sustained,
    Timing,
    Window,
)
from .machine import busy_warning
from .worker import Loaded, Order, Samples


def timing(rounds: Sequence[Sequence[float]], turn_calls: Sequence[Sequence[int]] = ()) -> Timing:
    """Return what calls took, given round by round; ``turn_calls`` says how many are of each turn, if not all are."""
    medians, calls = [statistics.median(each) for each in rounds], [value for each in rounds for value in each]
    interval = median_interval(medians)
    return Timing(
        median_s=statistics.median(medians),
        p90_s=p90(calls),
        n=len(calls),
        interval=(interval.low, interval.high) if interval else None,
        rank=interval.rank if interval else None,
        level=interval.level if interval else None,
        spread=spread_of(medians),
        rounds=[list(each) for each in rounds],
        turn_calls=[list(each) for each in turn_calls],
    )


def timing_of(rounds: Sequence[Sequence[Samples]]) -> Timing:
    """Return what the calls of all turns took; where a device timed itself, single calls are not known."""
    turns = [turn for each in rounds for turn in each]
    calls = [[len(turn.seconds) for turn in each] for each in rounds]
    several = any(len(each) > 1 for each in rounds)
    found = timing([[value for turn in each for value in turn.seconds] for each in rounds], calls if several else ())
    if all(turn.each == "call" for turn in turns):
        return found
    counts = [turn.count for turn in turns if turn.count is not None]
    return found.model_copy(update={"p90_s": None, "n": sum(counts) or None, "each": turns[0].each})


def composed(stages: Iterable[StageResult]) -> Timing:
    """Return seconds per picture as the sum of stages: the medians of a round times their forwards."""
    parts = [[statistics.median(each) * stage.forwards for each in stage.timing.rounds] for stage in stages]
    return timing([[sum(values)] for values in zip(*parts, strict=True)])


def comparisons(rows: Sequence[LatencyRow]) -> Iterator[Comparison]:
    """Compare every row with the first in all that both have, turn by turn."""
    timings = [row.timings for row in rows]
    for index, found in enumerate(timings[1:], 1):
        for what in (name for name in found if name in timings[0]):
            ratios = turn_ratios(timings[0][what], found[what])
            ratio = judged_ratio(ratios)
            interval = None if ratio.low is None or ratio.high is None else (ratio.low, ratio.high)
            yield Comparison(
                row=index, base=0, what=what, ratio=ratio.ratio, interval=interval, level=ratio.level, p=ratio.p,
                verdict=ratio.verdict, words=in_words(ratio, len(ratios)),
            )  # fmt: skip


def turn_ratios(base: Timing, head: Timing) -> list[float]:
    """Return how much slower each turn of head was than base's turn beside it."""
    return [theirs / ours for ours, theirs in zip(_turn_medians(base), _turn_medians(head), strict=True)]


def _turn_medians(found: Timing) -> Iterator[float]:
    counts = found.turn_calls or [[len(calls)] for calls in found.rounds]
    for calls, of_turns in zip(found.rounds, counts, strict=True):
        rest = iter(calls)
        yield from (statistics.median(islice(rest, count)) for count in of_turns)


def imported_comparisons(rows: Sequence[LatencyRow]) -> Iterator[Comparison]:
    """Compare imported rows with the first one of the same file, without a verdict: they were not timed in turns."""
    first: dict[str, int] = {}
    for index, row in enumerate(rows):
        base = first.setdefault(row.imported, index) if row.imported else index
        ours, theirs = row.timings, rows[base].timings
        for what in (name for name in ours if name in theirs and base != index):
            ratio = ours[what].median_s / theirs[what].median_s
            change = f"{ratio - 1:+.1%}".replace("%", " %")
            words = f"not ranked: {change} over {rows[base].name}, measured elsewhere and not in turns"
            yield Comparison(
                row=index,
                base=base,
                what=what,
                ratio=ratio,
                level=RANKING_LEVEL,
                p=1.0,
                verdict="not ranked",
                words=words,
            )


def in_words(found: PairedRatio, turns: int) -> str:
    """Say what a comparison of so many turns (of sums: rounds) found; what is not certain is not ranked."""
    change = f"{found.ratio - 1:+.1%}".replace("%", " %")
    if found.low is None or found.high is None:
        return f"not ranked: {change}, and {turns} measurements side by side are too few to say more: --rounds 8"
    between = f"{found.level:.0%}".replace(
        "%", " %"
    ) + f" interval {found.low - 1:+.1%} to {found.high - 1:+.1%}".replace("%", " %")
    if found.verdict in ("slower", "faster"):
        return f"{found.verdict}: {change} ({between})"
    if found.verdict == "alike":
        return f"alike within {MARGIN:.0%}: {change} ({between})".replace("%:", " %:")
    if found.p <= 1 - found.level:
        return f"not ranked: {change} ({between}) is no more than two processes of one method differ by"
    return f"too noisy to rank: {change} ({between})"


def macs_of(stages: Iterable[StageFacts]) -> int | None:
    """Return the multiply-adds of a picture; None where those of a stage are not known, or there is none."""
    found = [None if stage.macs is None else stage.macs * stage.forwards for stage in stages]
    known = [value for value in found if value is not None]
    return sum(known) if found and len(known) == len(found) else None


def stage_result(fact: StageFacts, rounds: Sequence[Sequence[Samples]]) -> StageResult:
    return StageResult(**fact.model_dump(), timing=timing_of(rounds), joules=_joules(rounds))


def _joules(rounds: Sequence[Sequence[Samples]]) -> float | None:
    """Joules per call, None where they were not counted."""
    turns = list(chain.from_iterable(rounds))
    counted = [turn.joules for turn in turns if turn.joules is not None]
    return sum(counted) / sum(len(turn.seconds) for turn in turns) if turns and len(counted) == len(turns) else None


def energy_of(row: LatencyRow, known: Loaded, pictures: Sequence[Sequence[Samples]]) -> Energy:
    if known.energy_reason:
        return Energy(reason=known.energy_reason)
    stages = [stage.joules * stage.forwards for stage in row.stages.values() if stage.joules is not None]
    summed = sum(stages) if stages and len(stages) == len(row.stages) else None
    return Energy(joules_per_image=_joules(pictures) if pictures else summed, source=known.energy_source)


def sustained_of(windows: Sequence[Sequence[Samples]]) -> Sustained:
    turns = [turn for (turn,) in windows]
    medians = [statistics.median(turn.seconds) for turn in turns]
    steady = statistics.median(medians[-STEADY_WINDOWS:])
    curve = [
        Window(median_s=median, n=len(turn.seconds), megahertz=turn.megahertz)
        for median, turn in zip(medians, turns, strict=True)
    ]
    return Sustained(curve=curve, settled=has_settled(medians), steady_s=steady, slowdown=steady / medians[0])


def notes_of(
    rows: Sequence[LatencyRow], orders: Sequence[Order], found: Machine, rounds: Sequence[Round]
) -> Iterator[str]:
    first = orders[0]
    if rows and (rows[0].method, rows[0].device, rows[0].dtype) != (first.method, first.device, first.dtype):
        yield f"{name_of(first)} could not be measured: overheads are over {rows[0].name}"
    others = [each.others_cores for each in rounds if each.others_cores is not None]
    if others and (warning := busy_warning(statistics.fmean(others), found)):
        yield warning
    for row in rows:
        threads = row.about.get("threads")
        if found.cpu_limit and threads and threads > found.cpu_limit:
            limit = f"where its container may use {found.cpu_limit:g} cores"
            yield f"{row.name} ran {threads} threads {limit}: it was held back"
        noisy = {name: each.spread for name, each in row.timings.items() if each.spread and each.spread > NOISY}
        if noisy:
            listed = ", ".join(f"{name} {value:.0%}".replace("%", " %") for name, value in noisy.items())
            yield f"{row.name}: noisy, rounds scatter by {listed}"
    yield from _order_notes(rows)


def _order_notes(rows: Sequence[LatencyRow]) -> Iterator[str]:
    warmed = [(row.name, row.sustained) for row in rows if row.sustained]
    for name, found in warmed:
        if not found.settled:
            yield f"{name}: still changing after {len(found.curve)} windows"
    for (one, ours), (other, theirs) in permutations(warmed, 2):
        at_first, in_the_end = ours.curve[0].median_s / theirs.curve[0].median_s, ours.steady_s / theirs.steady_s
        if at_first < 1 - MARGIN and in_the_end > 1 + MARGIN:
            yield f"the order changes as the machine warms up: {one} is faster than {other} at first, slower in the end"


def name_of(order: Order) -> str:
    return f"{order.method} · {order.device} · {order.dtype}"
