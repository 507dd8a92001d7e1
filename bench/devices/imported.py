"""Numbers that were measured elsewhere, as rows among those measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...adapters.base import Adapter
from ...core.errors import BenchError
from ...datasets.imported import Imported as File
from ...datasets.imported import ImportedRow, ImportedStage, ImportedTiming, read_imported
from ...datasets.request import Request
from ...metrics.timing import p90
from ...reports.latency import Energy, LatencyRow, Memory, StageResult, Timing, composition
from .base import Call, Device, Probe, SelfTimed


class Imported(Device):
    """``import:FILE``: another machine's numbers and pictures; nothing is computed here."""

    whole = False
    remote = True

    @classmethod
    def probe(cls, name: str) -> list[Probe]:
        return [Probe(name, True, "reads a JSON file (docs/latency.md)")]

    def read(self) -> File:
        """Read the file; BenchError where it is none."""
        if not self.spec.argument:
            raise BenchError("import needs a file: --device import:FILE")
        return read_imported(self.spec.argument)

    def check(self) -> None:
        self.read()

    def load(self, adapter: Adapter, dtype: str) -> None:
        raise BenchError(f"device '{self.spec.text}' holds numbers: nothing can be loaded on it")

    def stages(self, adapter: Adapter, request: Request) -> Mapping[str, Call | SelfTimed]:
        return {}

    def picture(self, adapter: Adapter, request: Request) -> Call:
        raise BenchError(f"device '{self.spec.text}' holds numbers: no picture can be made on it")


def imported_rows(file: File, methods: Sequence[str] = ()) -> list[LatencyRow]:
    """Return the rows of a file that hold times: those of ``methods``, all where there are none.

    Raises BenchError where a method has no row, or no row has times.
    """
    rows = [_row(file, row) for row in file.rows(methods) if row.stages or row.end_to_end]
    if not rows:
        raise BenchError(
            f"'{file.path}' holds no times of these methods, only pictures: see 'bench run --device import:'"
        )
    return rows


def composed_s(row: ImportedRow) -> float | None:
    """Return seconds per picture as the sum of a row's stages."""
    return sum(stage.median * stage.forwards for stage in row.stages.values()) or None


def _row(file: File, row: ImportedRow) -> LatencyRow:
    device, runtime = file.content.device, file.content.runtime
    total = composed_s(row)
    stages = {name: _stage(stage) for name, stage in row.stages.items()}
    about: dict[str, Any] = {"accelerator": device.name, "os": device.os, "chip": device.chip, "runtime": runtime.name}
    about |= {"version": runtime.version, "settings": runtime.settings, "size": f"{row.width}x{row.height}"}
    params, macs = ([getattr(stage, name) for stage in row.stages.values()] for name in ("params", "macs"))
    return LatencyRow(
        method=row.method,
        device=device.name,
        dtype=row.dtype or "unknown",
        checkpoint=row.checkpoint,
        fingerprint=file.digest[:16],
        settings={"scheduler": row.scheduler, "steps": row.steps, "guidance": row.guidance},
        about={name: value for name, value in about.items() if value is not None},
        load_s=row.load_s,
        first_s=row.first_s,
        memory=Memory(accelerator_peak_bytes=row.peak_memory_bytes),
        weights_bytes=row.weights_bytes,
        params=sum(params) if params and None not in params else None,
        macs_per_image=sum(m * s.forwards for m, s in zip(macs, row.stages.values(), strict=True))
        if macs and None not in macs
        else None,
        stages=stages,
        end_to_end=_timing(row.end_to_end) if row.end_to_end else None,
        composed=Timing(median_s=total) if total else None,
        composition=composition(stages) or None,
        energy=Energy(joules_per_image=row.energy_j, source=row.energy_source)
        if row.energy_j
        else Energy(reason=f"'{file.path.name}' states none"),
        imported=file.source,
        notes=[*file.about(), *row.notes],
    )


def _stage(stage: ImportedStage) -> StageResult:
    return StageResult(params=stage.params, macs=stage.macs, forwards=stage.forwards, timing=_timing(stage))


def _timing(found: ImportedTiming) -> Timing:
    samples = found.samples_s
    return Timing(
        median_s=found.median,
        p90_s=found.p90_s if samples is None else p90(samples),
        n=found.n if samples is None else len(samples),
        rounds=[samples] if samples else [],
    )
