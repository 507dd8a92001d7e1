"""Android phones over adb: LiteRT's own benchmark program times the exported stages there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...adapters.base import Adapter
from ...core.errors import BenchError
from ...core.files import sha256_file
from ...datasets.request import Request
from .base import Call, Device, DeviceSpec, Part, Probe, SelfTimed, Summary
from .benchmark_model import FLAGS, Report, command, read_report
from .energy import Meter, NoMeter
from .phone import RUNNING_S, Phone, adb_path, listed

if TYPE_CHECKING:
    from ..latency.worker import Order
    from .litert import LiteRt

PROGRAM = "T2IBENCH_BENCHMARK_MODEL"
TFLITE = "T2IBENCH_TFLITE"
GET_PROGRAM = (
    "LiteRT's benchmark_model for Android (arm64) is linked on ai.google.dev/edge/litert under 'Benchmark', or built "
    "with 'bazel build -c opt --config=android_arm64 //litert/tools:benchmark_model'"
)


class Adb(Device):
    """An Android phone, ``adb:SERIAL``; stages only, as exported .tflite files, timed by ``benchmark_model`` itself.

    Each turn is one run of that program: it loads the stage, warms up, calls it and tells the median of the calls (the
    mean, where it is an older one). The median of a row is that over the rounds.
    """

    variants = {
        "gpu": "LiteRT's GPU delegate",
        "nnapi": "the NNAPI delegate (Android before 15)",
        "no-xnnpack": "the processor without XNNPACK",
    }
    whole = False
    remote = True

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec)
        self.phone = Phone(spec.argument or None)
        self.timed: dict[str, _Stage] = {}

    @classmethod
    def precisions(cls) -> tuple[str, ...]:
        return ("fp32", "fp16", "int8")

    @classmethod
    def probe(cls, name: str) -> list[Probe]:
        try:
            phones, program = listed(), os.environ.get(PROGRAM)
        except BenchError as error:
            return [Probe(name, False, str(error))]
        if not phones:
            return [Probe(name, False, f"{adb_path()}, and no phone: plug one in and switch USB debugging on")]
        lacking = "" if program else f"; {PROGRAM} names no benchmark_model. {GET_PROGRAM}"
        return [
            Probe(f"{name}:{phone.serial}", phone.state == "device" and bool(program),
                  f"{phone.model or 'phone'}, {phone.state}{lacking}")
            for phone in phones
        ]  # fmt: skip

    def check(self) -> None:
        self.phone.check()
        named = self.spec.options.benchmark_model or os.environ.get(PROGRAM)
        if not named:
            raise BenchError(f"device '{self.spec.text}' needs --benchmark-model FILE (or {PROGRAM}). {GET_PROGRAM}")
        self.program = Path(named).expanduser()
        if not self.program.is_file():
            raise BenchError(f"--benchmark-model: no file '{named}'. {GET_PROGRAM}")

    def prepare(self, order: Order, parts: Sequence[Part], say: Callable[[str], None]) -> None:
        """Export the stages as ``litert`` does, where no folder of them is named."""
        if not self.folder:
            self.check()  # exporting may take minutes: a phone that is not there is told first
            litert = self._litert()
            litert.check()
            litert.prepare(order.model_copy(update={"device": litert.spec.text}), ["stages"], say)

    def load(self, adapter: Adapter, dtype: str) -> None:
        """Read the structure of the networks, without weights: they run on the phone."""
        from ...adapters.checkpoints import structure_only

        with structure_only():
            adapter.load("meta", "fp32")
        if not adapter.stages():
            raise BenchError(f"device '{self.spec.text}': the method declares no stages that could be exported")
        self.dtype = dtype

    def stages(self, adapter: Adapter, request: Request) -> Mapping[str, Call | SelfTimed]:
        """Push program and stages, and call each once: what a delegate refuses is said before anything is timed."""
        self.files = self._files(adapter, request)
        program = self.phone.push(self.program, executable=True)
        self.timed = {name: _Stage(self, name, program, self.phone.push(file)) for name, file in self.files.items()}
        self.load_s = sum(stage.trial.init_s for stage in self.timed.values())
        return self.timed

    def loaded_s(self) -> float | None:
        return self.load_s

    @property
    def folder(self) -> str | None:
        """Where exported stages were put by hand."""
        return self.spec.options.tflite or os.environ.get(TFLITE)

    def _files(self, adapter: Adapter, request: Request) -> dict[str, Path]:
        if self.folder:
            folder = Path(self.folder).expanduser()
            return {name: stage_file(folder, name, self.dtype) for name in adapter.stages()}
        return self._exported(adapter, request)

    def _exported(self, adapter: Adapter, request: Request) -> dict[str, Path]:
        """The stages that ``prepare`` has exported."""
        from .exports import find_export
        from .litert import FILE

        litert = self._litert()
        litert._settle(adapter, self.dtype)
        calls = litert.ready.parts.get(f"stages {request.width}x{request.height}", [])
        found = {name: litert.ready.graphs.get(name, {}).get(key) for name, key in calls}
        files = {name: find_export(folder).folder / FILE for name, folder in found.items() if folder}
        if not files:
            raise BenchError(
                f"device '{self.spec.text}': no stage is exported; name a folder of them by --tflite-dir or {TFLITE}"
            )
        return files

    def _litert(self) -> LiteRt:
        from .litert import LiteRt

        return LiteRt(replace(self.spec, text="litert", name="litert", argument=None, variant=None))

    def picture(self, adapter: Adapter, request: Request) -> Call:
        raise BenchError(f"device '{self.spec.text}' times stages alone: leave whole pictures out")

    def meter(self) -> Meter | NoMeter:
        return NoMeter("a phone over adb tells no energy")

    def peak_memory(self) -> int | None:
        """The largest of its stages, each of which runs in a process of its own there."""
        found = [stage.trial.peak_bytes for stage in self.timed.values() if stage.trial.peak_bytes is not None]
        return max(found, default=None)

    def file_bytes(self) -> int | None:
        return sum(file.stat().st_size for file in self.files.values())

    def about(self) -> dict[str, Any]:
        return {
            **self.phone.about(),
            "runtime": "LiteRT benchmark_model",
            "delegate": self.spec.variant or "xnnpack",
            "threads": self.spec.options.threads,
            "state": self.phone.state()._asdict(),
            "files": {name: sha256_file(file)[:16] for name, file in self.files.items()},
            "delegation": {name: stage.trial.delegation for name, stage in self.timed.items()},
        }


def stage_file(folder: Path, stage: str, dtype: str) -> Path:
    """Return the .tflite file of a stage: ``unet-int8.tflite``; for fp32 also ``unet.tflite``.

    Raises BenchError, naming what is expected, where there is none.
    """
    names = [f"{stage}-{dtype}.tflite", *([f"{stage}.tflite"] if dtype == "fp32" else [])]
    found = next((file for name in names if (file := folder / name).is_file()), None)
    if found is None:
        raise BenchError(f"'{folder}' holds no {' or '.join(names)}: export that stage, or name another --tflite-dir")
    return found


class _Stage(SelfTimed):
    """One stage on the phone."""

    def __init__(self, device: Adb, name: str, program: str, graph: str) -> None:
        self.device, self.name, self.program, self.graph = device, name, program, graph

    @cached_property
    def trial(self) -> Report:
        """One call, with its memory watched, which slows calls down: no other turn does."""
        return self._run(1, 0.0, {"report_peak_memory_footprint": "true"})

    @property
    def first_s(self) -> float:  # type: ignore[override]
        """Seconds of the very first call on the phone."""
        return self.trial.first_s

    def turn(self, iterations: int, seconds: float) -> Summary:
        found = self._run(iterations, seconds, {})
        notes = [f"{self.name}: {found.delegation}" if found.delegation else None, self.device.phone.state().note]
        note = "; ".join(filter(None, notes)) or None
        if found.median_s is None:
            return Summary(found.mean_s, "mean", found.count, note)
        return Summary(found.median_s, "median", found.count, note)

    def _run(self, iterations: int, seconds: float, more: Mapping[str, str]) -> Report:
        options = self.device.spec.options
        flags: dict[str, object] = {
            "num_runs": iterations,
            "min_secs": f"{seconds:g}",
            "max_secs": f"{seconds + RUNNING_S:g}",
            "warmup_runs": 1,
            "warmup_min_secs": 0,
            **FLAGS[self.device.spec.variant],
            **({"num_threads": options.threads} if options.threads else {}),
            **more,
        }
        # Twice: warming up and calling each may take as long as max_secs says.
        text = self.device.phone.shell(command(self.program, self.graph, flags), 2 * (seconds + RUNNING_S))
        return read_report(text, f"{self.name} on {self.device.spec.text}", self.device.spec.variant)
