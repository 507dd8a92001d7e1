"""What a column of a table shows of a measured row, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .grid import Cell, Column, Footnotes
from .identity import mismatch
from .latency import LatencyRow
from .latency_run import added, whole
from .published import Published
from .schema import CodecFacts, Latency, Result, Run
from .text import fixed, metric_text, quantity, significant

Kind: TypeAlias = Literal["quality", "time", "cost", "fact", "setting"]
"""What decides whether two numbers can be compared; settings are no result, and never reproduce anything."""


@dataclass(frozen=True)
class Measured:
    """A measured row: a result, the run that it is of, and the row of what it sits on."""

    result: Result
    run: Run
    label: str
    """Its method; with the name of the run where several runs have it."""
    run_name: str = ""
    """The name of the run among those of the table."""
    base: Result | None = None
    """The row of its base in the same run."""
    no_base: str | None = None
    """Why there is none, where that needs saying."""
    timed: LatencyRow | None = None
    """What ``bench latency`` measured of it, where the run is one of times."""

    @property
    def name(self) -> str:
        """The name of its method, without argument and options."""
        return self.result.method.partition("[")[0].partition(":")[0]

    @property
    def dataset(self) -> str:
        """Whose prompts or photos it is made of."""
        return self.result.dataset or self.run.suite.dataset


Remark: TypeAlias = Callable[[Sequence[Measured], Published | None], str | None]
"""What the head of a column must say of its rows, or None."""

Read: TypeAlias = Callable[[Measured], float | str | None]


@dataclass(frozen=True)
class Field:
    """A column and how its cells are read from a row."""

    column: Column
    read: Read
    show: Callable[[float], str] = lambda value: f"{value:,.0f}"
    remark: Remark = lambda rows, published: None
    why: Callable[[Measured], str | None] = lambda row: None
    """Why a row has nothing here, where that needs saying."""
    kind: Kind = "fact"

    def cell(self, row: Measured, footnotes: Footnotes) -> Cell:
        """The cell of a measured row."""
        value = self.read(row)
        if value is None:
            reason = self.why(row)
            return Cell(reason=reason, notes=footnotes.number(reason))
        return Cell(value if isinstance(value, str) else self.show(value), value)

    def used(self, rows: Sequence[Measured]) -> bool:
        """Whether some row has something to show here, or a reason to give."""
        return any(self.read(row) is not None or self.why(row) for row in rows)


@dataclass(frozen=True)
class PlaceField(Field):
    """A column of tables whose rows were computed in several places, or by exported stages."""

    def used(self, rows: Sequence[Measured]) -> bool:
        """Whether where a row was computed is worth a column."""
        devices = {(row.result.settings.device or "").partition(":")[0] for row in rows} - {""}
        return (len(devices) > 1 or bool(devices - {"cpu", "cuda", "mps"})) and super().used(rows)


@dataclass(frozen=True)
class DifferingField(Field):
    """A column of tables whose rows are not all alike in it."""

    def used(self, rows: Sequence[Measured]) -> bool:
        """Whether some rows differ."""
        return len({self.read(row) for row in rows}) > 1


@dataclass(frozen=True)
class MetricField(Field):
    """The column of a metric: values with their intervals, or the reason why there is none."""

    def cell(self, row: Measured, footnotes: Footnotes) -> Cell:
        """The cell of a measured row; reasons and notes become footnotes."""
        key, found = self.column.key, row.result.metrics.get(self.column.key)
        if found is None or found.value is None:
            reason = (found and found.reason) or "not asked for in this run"
            return Cell(reason=reason, notes=footnotes.number(reason))
        low, high = found.interval or (0.0, 0.0)
        spread = metric_text(key, (high - low) / 2) if found.interval else ""
        notes = footnotes.number(found.note)
        return Cell(metric_text(key, found.value), found.value, spread, notes, interval=found.interval)

    def used(self, rows: Sequence[Measured]) -> bool:
        """Whether some row was asked for it: an empty column says why it is."""
        return any(self.column.key in row.result.metrics for row in rows)


def metric_field(key: str, higher_is_better: bool) -> MetricField:
    """The column of metric ``key``."""

    def read(row: Measured) -> float | None:
        return row.result.metrics[key].value if key in row.result.metrics else None

    def remark(rows: Sequence[Measured], published: Published | None) -> str | None:
        measured = [row for row in rows if read(row) is not None]
        return mismatch({row.label: row.result.metrics[key].identity for row in measured})

    shown = quantity(key)
    unit = ", ".join(part for part in (shown.variant, shown.unit) if part)
    column = Column(key, shown.title, unit, higher_is_better)
    return MetricField(column, read, remark=remark, kind="quality")


def swept_fields(run: Run) -> list[Field]:
    """The column of a sweep's values; a setting that has a column anyway needs none."""
    settings = dict.fromkeys(result.swept.setting for result in run.results if result.swept)

    def read(row: Measured) -> float | None:
        return row.result.swept.value if row.result.swept else None

    shown = [setting for setting in settings if setting not in FIELDS]
    return [Field(Column(setting, setting), read, lambda value: f"{value:.12g}") for setting in shown]


def _latents(rows: Sequence[Measured], published: Published | None) -> str | None:
    """Fidelity at 32 channels is not fidelity at 4."""
    counts = {channels for row in rows if (channels := _LATENT_CHANNELS(row)) is not None}
    printed = [row.values for row in published.rows] if published else []
    counts |= {float(values["latent_channels"]) for values in printed if "latent_channels" in values}
    if len(counts) < 2:
        return None
    *most, last = (f"{count:.0f}" for count in sorted(counts))
    return (
        f"Latents of {', '.join(most)} and {last} channels hold different amounts of a picture: compare PSNR, SSIM and "
        "LPIPS only between rows with equal channels. A row without channels is no autoencoder."
    )


def _fact(name: str, scale: float = 1.0) -> Callable[[Measured], float | None]:
    def read(row: Measured) -> float | None:
        value = getattr(row.result.codec or CodecFacts(), name)
        return None if value is None else value / scale

    return read


def _setting(name: str) -> Read:
    return lambda row: getattr(row.result.settings, name)


def _stage(stage: str, title: str, minor: bool = False) -> Field:
    def remark(rows: Sequence[Measured], published: Published | None) -> str | None:
        timed = [row for row in rows if stage in row.result.latency]
        devices = sorted({row.result.latency[stage].device for row in timed})
        if not devices:
            return None
        if all(row.timed for row in timed):
            return f"Median seconds for one picture on {', '.join(devices)}: {_ALL_CALLS[0].lower()}{_ALL_CALLS[1:]}"
        if len(devices) > 1:
            return f"Median seconds on different devices, so these rows cannot be compared: {', '.join(devices)}"
        separate = "; those of separate runs cannot be compared" if len({id(row.run) for row in timed}) > 1 else ""
        return (
            f"Median seconds for one picture on {devices[0]}, over the batches of a run while it was made: "
            f"for orientation{separate}"
        )

    def read(row: Measured) -> float | None:
        return row.result.latency[stage].median_s if stage in row.result.latency else None

    column = Column(stage, title, "s/image", higher_is_better=None, minor=minor)
    return Field(column, read, lambda value: significant(value, 3), remark, kind="time")


def _params(result: Result) -> float | None:
    return None if result.cost.params is None else result.cost.params / 1e6


def _unet(name: str, scale: float) -> Callable[[Measured], float | None]:
    """What the denoiser costs, of rows whose denoiser is a UNet."""

    def read(row: Measured) -> float | None:
        value = getattr(row.result.cost, name) if "unet" in row.result.cost.forwards else None
        return None if value is None else value / scale

    return read


def _added_params(row: Measured) -> float | None:
    if row.base is None:
        return None
    ours, below = _params(row.result), _params(row.base)
    return None if ours is None or below is None else ours - below


def _overhead(row: Measured) -> float | None:
    if row.timed and not row.timed.end_to_end and (found := added(row.timed)):
        return 100 * (found.ratio - 1)
    if row.base is None or not_timed_alike(row.result, row.base):
        return None
    ours, below = (result.latency["end_to_end"].median_s for result in (row.result, row.base))
    return 100 * (ours / below - 1)


def _forward_ms(stage: str) -> Callable[[Measured], float | None]:
    """Milliseconds of one forward of a stage, as ``bench latency`` has them."""

    def read(row: Measured) -> float | None:
        found = row.timed.stages.get(stage) if row.timed else None
        return None if found is None else 1000 * found.timing.median_s

    return read


def _timed_params(stage: str) -> Callable[[Measured], float | None]:
    def read(row: Measured) -> float | None:
        found = row.timed.stages.get(stage) if row.timed else None
        return None if found is None or found.params is None else found.params / 1e6

    return read


def _total_ms(row: Measured) -> float | None:
    total = whole(row.timed) if row.timed else None
    return None if total is None else 1000 * total.median_s


def _timed_device(row: Measured) -> str | None:
    if row.timed is None:
        return None
    return row.result.device or str(row.run.environment.get("processor") or row.timed.device)


def _peak_mb(row: Measured) -> float | None:
    peak = row.result.cost.peak_memory_bytes
    return peak / 1e6 if row.timed and peak else None


def _timed(stage: str, title: str) -> Field:
    """The column of a stage's milliseconds."""
    return Field(Column(f"{stage}_ms", title, "ms", False), _forward_ms(stage), _ms, _says(_ONE_CALL), kind="time")


def _ms(value: float) -> str:
    return significant(value, 3) if value < 1000 else f"{value:,.0f}"


def _place(row: Measured) -> str | None:
    return row.result.settings.device


def _cost_mb(name: str) -> Callable[[Measured], float | None]:
    def read(row: Measured) -> float | None:
        value = getattr(row.result.cost, name)
        return None if value is None else value / 1e6

    return read


def _no_overhead(row: Measured) -> str | None:
    return row.no_base if row.base is None else not_timed_alike(row.result, row.base)


def not_timed_alike(one: Result, other: Result) -> str | None:
    """Say why the seconds of two rows of one run cannot be compared, None where they can.

    They can at equal settings, size, precision and device, in batches of one size on one number of threads, warmed up.
    """
    times = [result.latency.get("end_to_end") for result in (one, other)]
    if None in times:
        return "no seconds to compare: its pictures, or those of its base, were not made here"
    ours, theirs = one.settings.model_dump(), other.settings.model_dump()
    differing = [f"{name} {ours[name]}, not {theirs[name]}" for name in ours if ours[name] != theirs[name]]
    if differing:
        return f"the seconds of its base are of other settings: {'; '.join(differing)}"
    batches, threads = (_distinct(times, name) for name in ("batch_sizes", "threads"))
    if len(batches) > 1 or len(threads) > 1:
        return f"seconds of batches of {_or(batches)} on {_or(threads)} threads are not compared"
    if not all(time and time.warm for time in times):
        return "seconds of a first batch, warming up included, are not compared"
    return None


def _distinct(times: Sequence[Latency | None], name: str) -> list[int]:
    return sorted({value for time in times for value in getattr(time, name)})


def _or(values: Sequence[int]) -> str:
    return " or ".join(map(str, values)) or "unknown"


def _forwards(part: str) -> Callable[[Measured], float | None]:
    """How often a part of the method runs for a picture; 0 where it has no such part, None where nobody counted."""

    def read(row: Measured) -> float | None:
        counted = row.result.cost.forwards
        return counted.get(part, 0.0) if counted else None

    return read


def _all_forwards(row: Measured) -> float | None:
    return sum(row.result.cost.forwards.values()) or None


def _says(text: str) -> Remark:
    return lambda rows, published: text


def _to(digits: int) -> Callable[[float], str]:
    return lambda value: fixed(value, digits)


def _millions(value: float) -> str:
    return fixed(value, 1) if abs(value) >= 100 else significant(value, 3)


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


_LATENT_CHANNELS = _fact("latent_channels")
_ONE_PICTURE = _says("Forwards of one picture: guidance takes two a step")
_ONE_FORWARD = _says("Multiply-adds of one forward for one picture; guidance takes two a step")
_OVER_BASE = (
    "Seconds over those of its base's row in the same run, where settings, size, precision, device, batch size and "
    "threads are equal: for orientation, as seconds are"
)

_MEMORY = (
    "At its peak, of the accelerator; on a processor what the process took beyond what it had before loading, for "
    "orientation: 'bench latency' starts a process for each row"
)
_FILES = "The exported stages; in PyTorch the checkpoint's weights, which may be kept in half precision"
_ONE_CALL = "Milliseconds of one forward of one picture, as 'bench latency' measured them; guidance takes two a step"
_ALL_CALLS = "A whole picture as it was made; where it was not, the sum of all stages times their forwards"

_FIELDS = (
    Field(Column("method", "Method", numeric=False), lambda row: row.label),
    DifferingField(Column("dataset", "Prompts of", numeric=False), lambda row: row.dataset, kind="setting"),
    Field(Column("scheduler", "Scheduler", numeric=False, minor=True), _setting("scheduler"), kind="setting"),
    Field(Column("steps", "Steps"), _setting("steps"), kind="setting"),
    Field(
        Column("guidance", "Guidance", minor=True), _setting("guidance"), lambda value: f"{value:g}", kind="setting"
    ),
    Field(Column("size", "Size", numeric=False, minor=True), _setting("size"), kind="setting"),
    Field(Column("dtype", "dtype", numeric=False, minor=True), _setting("dtype"), kind="setting"),
    PlaceField(Column("place", "Computed by", numeric=False), _place, kind="setting"),
    Field(Column("latent_channels", "Latent channels"), _LATENT_CHANNELS, remark=_latents),
    Field(Column("decoder_params", "Decoder params", "M"), _fact("decoder_params", 1e6), _to(2)),
    Field(Column("decoder_macs", "Decoder GMACs", minor=True), _fact("decoder_macs", 1e9), _to(1)),
    Field(Column("file_bytes", "File", "MB", minor=True), _fact("file_bytes", 1e6), _to(1)),
    _stage("encode", "Encode", minor=True),
    _stage("decode", "Decode"),
    _stage("end_to_end", "Time"),
    Field(
        Column("overhead", "Overhead", "%"), _overhead, lambda value: f"{value:+,.1f}", _says(_OVER_BASE), _no_overhead,
        kind="time",
    ),
    Field(Column("params", "Params", "M"), lambda row: _params(row.result), _millions),
    Field(
        Column("added_params", "Added params", "M"), _added_params, _millions, _says("Over those of its base"),
        lambda row: row.no_base,
    ),
    PlaceField(Column("memory", "Memory", "MB"), _cost_mb("peak_memory_bytes"), _count, _says(_MEMORY), kind="cost"),
    PlaceField(Column("files", "Files", "MB"), _cost_mb("file_bytes"), _to(1), _says(_FILES)),
    Field(Column("unet_params", "UNet params", "M"), _unet("denoiser_params", 1e6), _millions),
    Field(Column("unet_macs", "UNet MACs", "G"), _unet("macs_per_forward", 1e9), _to(1), _ONE_FORWARD, kind="cost"),
    Field(Column("unet_forwards", "UNet forwards", "/image"), _forwards("unet"), _count, _ONE_PICTURE),
    Field(Column("control_forwards", "Control forwards", "/image"), _forwards("control"), _count, _ONE_PICTURE),
    Field(Column("forwards", "Forwards in all", "/image", minor=True), _all_forwards, _count, _ONE_PICTURE),
    Field(Column("device", "Device", numeric=False), _timed_device, kind="setting"),
    Field(Column("text_encoder_params", "Text encoder params", "M"), _timed_params("text_encoder"), _millions),
    _timed("text_encoder", "Text encoder"),
    Field(Column("control_params", "Control params", "M"), _timed_params("control"), _millions),
    _timed("control", "Control"),
    _timed("unet", "UNet"),
    _timed("decoder", "Decoder"),
    Field(Column("total_ms", "Overall", "ms", False), _total_ms, _ms, _says(_ALL_CALLS), kind="time"),
    Field(Column("peak_mb", "Peak memory", "MB", minor=True), _peak_mb, _count),
    Field(Column("n", "n"), lambda row: row.result.n or None, kind="setting"),
)  # fmt: skip

FIELDS: Mapping[str, Field] = {field.column.key: field for field in _FIELDS}
"""The columns that are no metrics, by their keys: what the tables of runs and of papers choose from."""
