"""The main table of a run: one row per method, published rows below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from .grid import Cell, Column, Footnotes, Row, Table
from .identity import mismatch
from .published import SURE, Published, PublishedRow, load_published
from .schema import CodecFacts, Result, Run
from .text import fixed, metric_text, quantity, significant

if TYPE_CHECKING:
    import pandas as pd

Remark: TypeAlias = Callable[[Run, Published | None], str | None]
"""What the head of a column must say of its rows, or None."""


INTERVAL = "± is half a 95 % interval for other pictures of the same kind at this n; it says nothing of bias"


@dataclass(frozen=True)
class Field:
    """A column and how its cells are read from a result."""

    column: Column
    read: Callable[[Result], float | str | None]
    show: Callable[[float], str] = lambda value: f"{value:,.0f}"
    remark: Remark = lambda run, published: None

    def cell(self, result: Result, footnotes: Footnotes) -> Cell:
        """The cell of one measured row."""
        value = self.read(result)
        return Cell() if value is None else Cell(value if isinstance(value, str) else self.show(value), value)


@dataclass(frozen=True)
class MetricField(Field):
    """The column of a metric: values with their intervals, or the reason why there is none."""

    def cell(self, result: Result, footnotes: Footnotes) -> Cell:
        """The cell of one measured row; reasons and notes become footnotes."""
        key, found = self.column.key, result.metrics.get(self.column.key)
        if found is None or found.value is None:
            return Cell(notes=footnotes.number((found and found.reason) or "not asked for in this run"))
        low, high = found.interval or (0.0, 0.0)
        spread = metric_text(key, (high - low) / 2) if found.interval else ""
        return Cell(metric_text(key, found.value), found.value, spread, footnotes.number(found.note))


def build(run: Run) -> Table:
    """Lay out a run: its results, and below them the rows of the published table that its suite names.

    Raises BenchError where that table does not exist.
    """
    published = load_published(run.suite.table) if run.suite.table else None
    footnotes = Footnotes()
    fields = [field for field in _fields(run, published) if _used(field, run, published)]
    columns = tuple(_headed(field, run, published, footnotes) for field in fields)
    rows = [Row(tuple(field.cell(result, footnotes) for field in fields)) for result in run.results]
    if published:
        rows += [_published_row(row, fields, published, run, footnotes) for row in published.rows]
    return Table(columns, tuple(rows), tuple(footnotes.texts))


def main_table(run: Run) -> pd.DataFrame:
    """The main table as numbers: readable headers, missing cells empty, ``status`` measured or published."""
    return build(run).to_frame()


def directions(run: Run) -> dict[str, bool]:
    """Whether higher is better, for every metric of the run, in the order the results name them."""
    return {key: found.higher_is_better for result in run.results for key, found in result.metrics.items()}


def _fields(run: Run, published: Published | None) -> list[Field]:
    better = directions(run)
    for key, column in (published.columns if published else {}).items():
        if column.higher_is_better is not None:
            better.setdefault(key, column.higher_is_better)
    before, after = (_CODEC, _CODEC_TIMES) if run.suite.kind == "codec" else (_SAMPLING, _GENERATION_COST)
    return [_METHOD, *before, *(_metric(key, better[key]) for key in better), *after, _N]


def _used(field: Field, run: Run, published: Published | None) -> bool:
    """Metrics always have their column, to say why it is empty; a setting or cost that no row has needs none."""
    if isinstance(field, MetricField) or any(field.read(result) is not None for result in run.results):
        return True
    return field is _METHOD or bool(published and any(field.column.key in row.values for row in published.rows))


def _headed(field: Field, run: Run, published: Published | None, footnotes: Footnotes) -> Column:
    notes = footnotes.number(field.remark(run, published))
    found = [result.metrics.get(field.column.key) for result in run.results]
    if any(value and value.interval for value in found):
        notes += footnotes.number(INTERVAL)
    return replace(field.column, notes=notes)


def _published_row(row: PublishedRow, fields: list[Field], published: Published, run: Run, footnotes: Footnotes) -> Row:
    origin = footnotes.number(
        f"Published: {row.source or published.source}; {SURE[published.sure]}. {published.protocol.text}"
    )
    cells = [Cell(row.method, row.method, notes=origin)]
    cells += [_published_cell(row, field.column.key, published, run, footnotes) for field in fields[1:]]
    return Row(tuple(cells), "published")


def _published_cell(row: PublishedRow, key: str, published: Published, run: Run, footnotes: Footnotes) -> Cell:
    if key not in row.values:
        return Cell()
    notes = footnotes.number(f"This number: {SURE[row.sure[key]]}") if key in row.sure else ()
    is_result = published.columns[key].higher_is_better is not None
    reason = published.not_comparable(key, run.suite.dataset) if is_result else None
    notes += footnotes.number(reason and f"Not comparable with the measured rows: {reason}")
    return Cell(row.values[key], float(row.values[key]), notes=notes)


def _metric(key: str, higher_is_better: bool) -> MetricField:
    def read(result: Result) -> float | None:
        return result.metrics[key].value if key in result.metrics else None

    def remark(run: Run, published: Published | None) -> str | None:
        measured = [result for result in run.results if read(result) is not None]
        return mismatch({result.method: result.metrics[key].identity for result in measured})

    shown = quantity(key)
    unit = ", ".join(part for part in (shown.variant, shown.unit) if part)
    return MetricField(Column(key, shown.title, unit, higher_is_better), read, remark=remark)


def _latents(run: Run, published: Published | None) -> str | None:
    """Fidelity at 32 channels is not fidelity at 4."""
    counts = {channels for result in run.results if (channels := _LATENT_CHANNELS(result)) is not None}
    counts |= {float(row.values["latent_channels"]) for row in _rows(published) if "latent_channels" in row.values}
    if len(counts) < 2:
        return None
    *most, last = (f"{count:.0f}" for count in sorted(counts))
    return (
        f"Latents of {', '.join(most)} and {last} channels hold different amounts of a picture: compare PSNR, SSIM and "
        "LPIPS only between rows with equal channels. A row without channels is no autoencoder."
    )


def _rows(published: Published | None) -> list[PublishedRow]:
    return published.rows if published else []


def _fact(name: str, scale: float = 1.0) -> Callable[[Result], float | None]:
    def read(result: Result) -> float | None:
        value = getattr(result.codec or CodecFacts(), name)
        return None if value is None else value / scale

    return read


def _setting(name: str) -> Callable[[Result], float | str | None]:
    return lambda result: getattr(result.settings, name)


def _cost(name: str, scale: float) -> Callable[[Result], float | None]:
    def read(result: Result) -> float | None:
        value = getattr(result.cost, name)
        return None if value is None else value / scale

    return read


def _stage(stage: str, title: str, minor: bool = False) -> Field:
    def read(result: Result) -> float | None:
        return result.latency[stage].median_s if stage in result.latency else None

    def remark(run: Run, published: Published | None) -> str | None:
        timed = [result.latency[stage] for result in run.results if stage in result.latency]
        devices = sorted({latency.device for latency in timed})
        if len(devices) > 1:
            return f"Median seconds on different devices, so these rows cannot be compared: {', '.join(devices)}"
        return f"Median seconds for one picture on {devices[0]}" if devices else None

    return Field(Column(stage, title, "s/image", minor=minor), read, lambda value: significant(value, 3), remark)


def _to(digits: int) -> Callable[[float], str]:
    return lambda value: fixed(value, digits)


_LATENT_CHANNELS = _fact("latent_channels")
_METHOD = Field(Column("method", "Method", numeric=False), lambda result: result.method)
_N = Field(Column("n", "n"), lambda result: result.n)
_CODEC = (
    Field(Column("latent_channels", "Latent channels"), _LATENT_CHANNELS, remark=_latents),
    Field(Column("decoder_params", "Decoder params", "M"), _fact("decoder_params", 1e6), _to(2)),
    Field(Column("decoder_macs", "Decoder GMACs", minor=True), _fact("decoder_macs", 1e9), _to(1)),
    Field(Column("file_bytes", "File", "MB", minor=True), _fact("file_bytes", 1e6), _to(1)),
)
_CODEC_TIMES = (_stage("encode", "Encode", minor=True), _stage("decode", "Decode"))
_SAMPLING = (
    Field(Column("scheduler", "Scheduler", numeric=False, minor=True), _setting("scheduler")),
    Field(Column("steps", "Steps"), _setting("steps")),
    Field(Column("guidance", "Guidance", minor=True), _setting("guidance"), lambda value: f"{value:g}"),
    Field(Column("size", "Size", numeric=False, minor=True), _setting("size")),
    Field(Column("dtype", "dtype", numeric=False, minor=True), _setting("dtype")),
)
_GENERATION_COST = (
    _stage("end_to_end", "Time"),
    Field(Column("params", "Params", "M"), _cost("params", 1e6), _to(1)),
)
