"""The plots of a report: quality against time, curves of a sweep, the stages of a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from .figures import (
    NAME,
    Names,
    axis,
    bars,
    boxes,
    escaped,
    figure,
    intervals,
    level,
    line,
    point,
    seconds_axis,
    steps,
    titled,
    told,
    value_of,
)
from .identity import mismatch
from .names import short_names
from .parts import parts
from .schema import Result, Run
from .table import directions
from .text import clean, clip, quantity, significant

if TYPE_CHECKING:
    import pandas as pd

    from .latency import LatencyRun

END_TO_END = "end_to_end"
DISTANCES = ("fid", "fd_dinov2", "cmmd", "kid", "kd_dinov2", "mini_fd", "mini_kd")
"""Families of metrics that a sweep's curves have upwards, beside a CLIP score."""
SCORES = ("clip_score", "mini_clip_score")
EDITED, LEFT_ALONE = ("edit_success",), ("background_psnr", "background_ssim", "objects_kept", "region_iou")
"""What a sweep's curves of an editing method have upwards, and beside it."""
PERCENTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FEW = 2
"""Different values that boxes are not drawn of."""
FRONT = (
    "The dotted line, the Pareto front, joins the rows that no other beats in both, as measured; intervals may overlap."
)


class Choice(NamedTuple):
    """One figure of a plot."""

    name: str
    figure: Mapping[str, Any]
    """Data and layout as plotly.js takes them; whatever they hold of a stranger's text is escaped."""
    notes: list[str]


class Plot(NamedTuple):
    """A plot of a report: its figures differ by what they show, and one is seen at a time."""

    title: str
    about: str
    choices: list[Choice]


def plots(run: Run, scores: pd.DataFrame, latency: LatencyRun | None = None) -> list[Plot]:
    """All plots that the run has numbers for; ``latency`` is what ``bench latency`` measured of its methods.

    ``scores`` has the columns method, prompt_id, sample, metric, value.
    """
    cut = parts(run)
    found = [
        drawn if len(cut) == 1 else drawn._replace(title=f"{drawn.title}: {part.suite.dataset}")
        for part in cut
        for drawn in _of_quality(part, scores)
    ]
    found.append(_stages_of_run(run))
    if latency:
        found.append(_stages_measured(latency))
    return [plot for plot in found if plot.choices]


def _of_quality(run: Run, scores: pd.DataFrame) -> Iterator[Plot]:
    """The plots of rows that can be compared with each other."""
    yield from (_trade_off(run), distance_over_score(run), _edits(run), *_sweeps(run))
    yield _spread(run, scores[scores["method"].isin([row.method for row in run.results])])


@cache
def plotly_js() -> str:
    """plotly.js as its package has it, gzipped, in base64: two fifths of its size."""
    import base64
    import gzip

    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def pareto(points: Iterable[tuple[float, float]], higher_is_better: bool) -> list[tuple[float, float]]:
    """The points (cost, quality) that no other point beats in both, by rising cost."""
    front: list[tuple[float, float]] = []
    for cost, value in sorted(points, key=lambda point: (point[0], -point[1] if higher_is_better else point[1])):
        if not front or (value > front[-1][1] if higher_is_better else value < front[-1][1]):
            front.append((cost, value))
    return front


class _Timed(NamedTuple):
    """A row with the seconds that it is drawn at."""

    place: int
    result: Result
    seconds: float
    device: str
    ranked: bool
    """Whether it may be part of a front."""


def _trade_off(run: Run) -> Plot:
    stage = "decode" if run.suite.kind == "codec" else END_TO_END
    rows = list(_timed(run, stage))
    better, names = directions(run), Names(run)
    drawn = ((key, [row for row in rows if value_of(row.result, key) is not None]) for key in better)
    choices = [_against_time(key, better[key], found, names, stage) for key, found in drawn if len(found) > 1]
    what = "decoding a picture" if stage == "decode" else "a picture"
    about = f"Median seconds of {what} in the run: for orientation."
    return Plot("Quality against time", about, choices)


def _timed(run: Run, stage: str) -> Iterator[_Timed]:
    for place, result in enumerate(run.results):
        found = result.latency.get(stage)
        if found and found.median_s > 0:
            ranked = found.warm and (stage != END_TO_END or _runs_a_network(result))
            yield _Timed(place, result, found.median_s, found.device, ranked)


def _runs_a_network(result: Result) -> bool:
    """The truth that a suite draws takes time too, and is no method that could be chosen for it."""
    cost = result.cost
    return bool(cost.params or cost.forwards_per_image or sum(cost.forwards.values()))


def _against_time(key: str, higher: bool, rows: Sequence[_Timed], names: Names, stage: str) -> Choice:
    unlike = mismatch({names.short(row.result): row.result.metrics[key].identity for row in rows})
    data = [] if unlike else list(_fronts(key, higher, rows))
    for row in rows:
        said = names.hover(row.result, f"{significant(row.seconds, 3)} s on {row.device}", told(key, row.result))
        at = (row.seconds, value_of(row.result, key) or 0.0)
        mark = point(row.place, names.legend(row.result), at, said, hollow=not row.ranked)
        data.append(mark | {"error_y": intervals(key, [row.result])})
    title = "Decoding, s/image ↓" if stage == "decode" else "Time, s/image ↓"
    x_axis = seconds_axis(title, [row.seconds for row in rows])
    notes = [FRONT] * (data[0]["mode"] == "lines") + [*_timing_notes(rows, stage), *([unlike] if unlike else [])]
    return Choice(titled(key, higher), figure(data, x_axis, axis(key, higher)), notes)


def _fronts(key: str, higher: bool, rows: Sequence[_Timed]) -> Iterator[dict[str, Any]]:
    ranked = [row for row in rows if row.ranked]
    for device in dict.fromkeys(row.device for row in ranked):
        here = ((row.seconds, value_of(row.result, key) or 0.0) for row in ranked if row.device == device)
        if len(front := pareto(here, higher)) > 1:
            yield steps("Pareto front", front)


def _timing_notes(rows: Sequence[_Timed], stage: str) -> Iterator[str]:
    devices = dict.fromkeys(row.device for row in rows)
    if len(devices) > 1:
        yield f"A front per device: seconds on {' and '.join(devices)} are not compared."
    found = [row.result.latency[stage] for row in rows if row.ranked]
    for what, values in (
        ("in batches of", {size for one in found for size in one.batch_sizes}),
        ("with threads:", {count for one in found for count in one.threads}),
    ):
        if len(values) > 1:
            yield f"Made {what} {', '.join(map(str, sorted(values)))}, so compare the seconds with care."
    if not all(row.ranked for row in rows):
        yield "Hollow marks are on no front: they run no network that was counted, or their seconds include warming up."


def distance_over_score(run: Run) -> Plot:
    """The curves of a sweep: a line per method through its values, a figure per pair of distance and score."""
    better, groups, names = directions(run), _groups(run), Names(run)
    pairs = product(_of_families(better, DISTANCES), _of_families(better, SCORES))
    choices = [choice for pair in pairs if groups and (choice := _curve(*pair, groups, names, better))]
    return Plot("Distance over CLIP score", _curves_about(groups, "right and down"), choices)


def _edits(run: Run) -> Plot:
    """The curves of a sweep of editing methods: what they do of what they are asked, over what they leave alone."""
    better, groups, names = directions(run), _groups(run), Names(run)
    pairs = product(_of_families(better, EDITED), _of_families(better, LEFT_ALONE))
    choices = [choice for pair in pairs if groups and (choice := _curve(*pair, groups, names, better))]
    return Plot("Edits over what they leave alone", _curves_about(groups, "right and up"), choices)


def _curves_about(groups: Mapping[str, Sequence[Result]], better: str) -> str:
    setting = next((row.swept.setting for rows in groups.values() for row in rows if row.swept), "")
    return f"A line per method through the values of {setting}, which stand beside its points. Better is {better}."


def _curve(
    distance: str, score: str, groups: Mapping[str, Sequence[Result]], names: Names, better: Mapping[str, bool]
) -> Choice | None:
    data, notes = [], dict[str, None]()
    for place, (method, rows) in enumerate(groups.items()):
        known = [row for row in rows if None not in (value_of(row, distance), value_of(row, score))]
        if len(known) < 2:
            continue
        for key in (distance, score):
            unlike = mismatch({row.method: row.metrics[key].identity for row in known})
            notes |= {unlike: None} if unlike else {}
        said = [names.hover(row, _swept(row), told(distance, row), told(score, row)) for row in known]
        drawn = line(place, names.swept(method), _values(known, score), _values(known, distance), said)
        drawn |= {"error_x": intervals(score, known), "error_y": intervals(distance, known)}
        texts = [escaped(f"{row.swept.value:.6g}") for row in known if row.swept]
        data.append(drawn | {"mode": "lines+markers+text", "text": texts, "textposition": "top center"})
    name = f"{quantity(distance).name} over {quantity(score).name}"
    return (
        Choice(name, figure(data, axis(score, better[score]), axis(distance, better[distance])), list(notes))
        if data
        else None
    )


def _sweeps(run: Run) -> Iterator[Plot]:
    groups, names, better = _groups(run), Names(run), directions(run)
    single = [row for row in run.results if not row.swept]
    for setting in dict.fromkeys(row.swept.setting for rows in groups.values() for row in rows if row.swept):
        here = {name: rows for name, rows in groups.items() if rows[0].swept and rows[0].swept.setting == setting}
        choices = [_over(setting, key, better[key], here, single, names) for key in better]
        about = "A line per method, with 95 % intervals." + (" Dotted: rows without the setting." if single else "")
        yield Plot(f"Over {clip(clean(setting), NAME)}", about, [choice for choice in choices if choice])


def _over(
    setting: str,
    key: str,
    higher: bool,
    groups: Mapping[str, Sequence[Result]],
    single: Sequence[Result],
    names: Names,
) -> Choice | None:
    data, shown = [], list[Result]()
    for place, (method, rows) in enumerate(groups.items()):
        if known := [row for row in rows if value_of(row, key) is not None]:
            x = [row.swept.value for row in known if row.swept]
            said = [names.hover(row, _swept(row), told(key, row)) for row in known]
            drawn = line(place, names.swept(method), x, _values(known, key), said)
            data.append(drawn | {"error_y": intervals(key, known)})
            shown += known
    if len(shown) < 2:
        return None
    ends = [end(row.swept.value for row in shown if row.swept) for end in (min, max)]
    for place, row in enumerate(single, len(groups)):
        if (value := value_of(row, key)) is not None:
            data.append(level(place, names.legend(row), ends, value, names.hover(row, told(key, row))))
            shown.append(row)
    unlike = mismatch({names.short(row): row.metrics[key].identity for row in shown})
    x_axis = {"title": {"text": escaped(setting)}}
    return Choice(titled(key, higher), figure(data, x_axis, axis(key, higher)), [unlike] if unlike else [])


def _spread(run: Run, scores: pd.DataFrame) -> Plot:
    """How the pictures of each row vary in each metric that single pictures have."""
    import numpy as np

    names, choices = Names(run), []
    for key, higher in directions(run).items():
        here = scores[scores["metric"] == key].dropna(subset=["value"])
        # Of what is right or wrong the mean says all.
        if here["value"].nunique() > FEW:
            values = here.groupby("method")["value"]
            table = values.quantile(np.array(PERCENTILES)).unstack().assign(mean=values.mean())
            rows = {names.tick(row): list(table.loc[row.method]) for row in run.results if row.method in table.index}
            choices.append(Choice(titled(key, higher), boxes(rows, axis(key, higher)), []))
    about = "Boxes hold half of the pictures, whiskers nine in ten; line: median, dashed: mean. They are no intervals."
    return Plot("How single pictures vary", about, choices)


def _stages_of_run(run: Run) -> Plot:
    names = Names(run)
    rows = {
        names.legend(result): {stage: found.median_s for stage, found in result.latency.items() if stage != END_TO_END}
        for result in run.results
    }
    return _stages("Stages", "Median seconds of each stage in the run: for orientation.", rows)


def _stages_measured(latency: LatencyRun) -> Plot:
    short = short_names(row.method for row in latency.rows)
    rows = {
        f"{number}. {escaped(clip(short[row.method], NAME))} · {escaped(row.device)} · {escaped(row.dtype)}": {
            name: stage.timing.median_s * stage.forwards for name, stage in row.stages.items()
        }
        for number, row in enumerate(latency.rows, 1)
    }
    size = f"{latency.protocol.width}×{latency.protocol.height}"
    about = f"What bench latency measured at {size}: the median of a forward times the forwards of one picture."
    return _stages("Latency by stage", about, rows)


def _stages(title: str, about: str, rows: Mapping[str, Mapping[str, float]]) -> Plot:
    timed = {name: stages for name, stages in rows.items() if stages}
    return Plot(title, about, [Choice("Stages", bars(timed), [])] if timed else [])


def _groups(run: Run) -> dict[str, list[Result]]:
    """The rows of each swept method, by rising value."""
    groups: dict[str, list[Result]] = {}
    for row in run.results:
        if row.swept:
            groups.setdefault(row.swept.method, []).append(row)
    return {name: sorted(rows, key=lambda row: row.swept.value if row.swept else 0) for name, rows in groups.items()}


def _of_families(keys: Iterable[str], families: Sequence[str]) -> list[str]:
    """The metrics of some families, those without a variant first."""
    found = [key for key in keys if any(key == family or key.startswith(f"{family}_") for family in families)]
    return sorted(found, key=lambda key: key not in families)


def _values(rows: Sequence[Result], key: str) -> list[float]:
    return [value for row in rows if (value := value_of(row, key)) is not None]


def _swept(row: Result) -> str:
    return f"{row.swept.setting} {row.swept.value:.6g}" if row.swept else ""
