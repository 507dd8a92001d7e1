"""The fresh process that loads one method on one device and times it: ``python -m t2ibench.bench.latency.worker``.

It reads questions as lines of JSON and answers each with a line: what ``Worker`` returns, or an error's text.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from ...core.errors import BenchError
from ...reports.latency import END_TO_END, Memory, StageFacts
from ..devices.base import DeviceOptions, SelfTimed
from ..environment import status_bytes

if TYPE_CHECKING:
    from ...datasets.request import Request

LONG_S = 1.0
"""A call that takes longer need not be warmed anew when others have computed in between."""


class Order(BaseModel):
    """What a worker is to load."""

    threads: int | None = None
    tflite: str | None = None
    benchmark_model: str | None = None
    force_export: bool = False
    """As ``devices.base.DeviceOptions`` has them."""

    method: str
    device: str
    dtype: str
    width: int
    height: int
    seed: int = 0
    end_to_end: bool = True
    offline: bool = False
    sampling: dict[str, Any] = Field(default_factory=dict)
    """Scheduler, steps and guidance of a suite, for what the method's own text leaves open."""

    @property
    def device_options(self) -> DeviceOptions:
        """What its device is made with."""
        return DeviceOptions(self.threads, self.tflite, self.benchmark_model, self.force_export)


class Loaded(BaseModel):
    """What is known once a method is loaded."""

    checkpoint: str | None
    fingerprint: str
    settings: dict[str, Any]
    about: dict[str, Any]
    load_s: float | None
    names: list[str]
    """What can be timed: stages in the order they run, then ``end_to_end``."""
    weights_bytes: int | None
    notes: list[str] = Field(default_factory=list)
    """What is to be known of the device's part in it."""
    energy_source: str | None
    energy_reason: str | None


class Samples(BaseModel):
    """One turn at one stage."""

    seconds: list[float]
    each: Literal["call", "median", "mean"] = "call"
    """What of how many calls ``seconds`` holds."""
    count: int | None = None
    """How many calls there were, where ``seconds`` is not of single ones."""
    note: str | None = None
    """What a reader must know of this turn."""
    joules: float | None = None
    """Of all of them."""
    megahertz: float | None = None
    """The accelerator's clock afterwards."""


class Worker:
    """One method on one device; the questions are its public methods."""

    def load(self, order: Order) -> Loaded:
        """Make the method, fetch and digest its files, then load it."""
        import torch  # noqa: F401 - before memory is read and the clock started

        from ...adapters import make_adapter
        from ...adapters.base import Settings
        from ...core.weights import WeightsFinder
        from ..devices import make_device
        from ..startup import quiet_libraries

        quiet_libraries()
        self.device = make_device(order.device, order.device_options)
        self.device.check()
        self.memory_found = Memory(before_bytes=status_bytes("VmRSS"))
        self.adapter = make_adapter(order.method, Settings(**order.sampling))
        self.adapter.weights = WeightsFinder(offline=order.offline)
        fingerprint = self.adapter.fingerprint()  # fetches what is missing, and reads the files into the system's cache
        start = time.perf_counter()
        self.device.load(self.adapter, order.dtype)
        load_s = time.perf_counter() - start
        self.memory_found.loaded_bytes = status_bytes("VmRSS")
        self.request = sample_request(order, self.adapter.traits)
        self.calls = dict(self.device.stages(self.adapter, self.request))
        if order.end_to_end and self.device.whole:
            self.calls[END_TO_END] = self.device.picture(self.adapter, self.request)
        if not self.calls:
            raise BenchError(f"'{order.method}' declares no stages: leave out --no-end-to-end")
        self.last_s = dict.fromkeys(self.calls, 0.0)
        self.meter = self.device.meter()
        return Loaded(
            checkpoint=self.adapter.checkpoint,
            fingerprint=fingerprint,
            settings=vars(self.adapter.settings),
            about=self.device.about(),
            load_s=load_s if (told := self.device.loaded_s()) is None else told,
            names=list(self.calls),
            notes=self.device.notes(),
            weights_bytes=self._file_bytes(),
            energy_source=getattr(self.meter, "source", None),
            energy_reason=getattr(self.meter, "reason", None),
        )

    def weights(self, order: Order) -> int | None:
        """Return how many bytes the weights will take, from their structure alone; None where that is not known."""
        from ...adapters import make_adapter
        from ...adapters.checkpoints import structure_only, torch_dtype
        from ...adapters.counting import count_params

        adapter = make_adapter(order.method)
        with structure_only():
            adapter.load("meta", "fp32")
        modules = {stage.module for stage in adapter.stages().values()}
        size = torch_dtype(order.dtype).itemsize if modules else 0
        return sum(count_params(module) for module in modules) * size or None

    def first(self) -> float:
        """Return the seconds of the first picture; of the first forward of every stage where no pictures are made."""
        names = [END_TO_END] if END_TO_END in self.calls else list(self.calls)
        return sum(self._first(name) for name in names)

    def warm(self, name: str, seconds: float) -> int:
        """Call until so many seconds have passed, once at least; return how often that was.

        Never where the device times itself: it warms up in every turn.
        """
        if isinstance(self.calls[name], SelfTimed):
            return 0
        start, count = time.perf_counter(), 0
        while not count or time.perf_counter() - start < seconds:
            self._call(name)
            count += 1
        gc.collect()
        gc.freeze()  # what lives by now stays: collections between short turns need not look through it
        return count

    def time(self, name: str, iterations: int, seconds: float) -> Samples:
        """Time calls one by one: at least ``iterations``, and until ``seconds`` have passed."""
        from ..devices.energy import Meter

        if isinstance(call := self.calls[name], SelfTimed):
            found = call.turn(iterations, seconds)
            return Samples(seconds=[found.seconds], each=found.of, count=found.calls, note=found.note)
        gc.collect()
        gc.disable()
        meter = self.meter if isinstance(self.meter, Meter) else None
        try:
            if self.last_s[name] < LONG_S:  # the others have computed since: the caches hold their weights
                self._call(name)
            before = meter.joules() if meter else 0.0
            taken, start = list[float](), time.perf_counter()
            while len(taken) < iterations or time.perf_counter() - start < seconds:
                taken.append(self._call(name))
            joules = meter.joules() - before if meter else None
        finally:
            gc.enable()
        return Samples(seconds=[round(value, 9) for value in taken], joules=joules, megahertz=self.device.megahertz())

    def memory(self) -> Memory:
        """Return what memory was taken up to now."""
        if self.device.remote:
            return Memory(accelerator_peak_bytes=self.device.peak_memory())
        peak = {"peak_bytes": status_bytes("VmHWM"), "accelerator_peak_bytes": self.device.peak_memory()}
        return self.memory_found.model_copy(update=peak)

    def stages(self) -> dict[str, StageFacts]:
        """Count parameters, multiply-adds and forwards of every stage; asked for last, since counting takes memory."""
        from ...adapters.counting import count_params

        return {
            name: StageFacts(
                params=count_params(stage.module),
                macs=_macs(stage, self.request),
                forwards=stage.forwards(self.request),
            )
            for name, stage in self.adapter.stages().items()
        }

    def params(self) -> int | None:
        """Return the parameters of all stages, a network that several share counted once; None without stages."""
        from ...adapters.counting import count_params

        return sum(count_params(module) for module in {s.module for s in self.adapter.stages().values()}) or None

    def _file_bytes(self) -> int | None:
        found = self.device.file_bytes()
        files = self.adapter.weight_files() if found is None else []
        return sum(file.stat().st_size for file in files) if files else found

    def _first(self, name: str) -> float:
        call = self.calls[name]
        return call.first_s if isinstance(call, SelfTimed) else self._call(name)

    def _call(self, name: str) -> float:
        call = self.calls[name]
        assert not isinstance(call, SelfTimed)
        start = time.perf_counter()
        measured = call()
        self.last_s[name] = time.perf_counter() - start if measured is None else measured
        return self.last_s[name]


def sample_request(order: Order, traits: Any) -> Request:
    """Return a request with all that a method of these ``traits`` needs; speed does not depend on what it shows."""
    import numpy as np

    from ...datasets.request import ConditionMap, Pixels, Region, Request

    height, width = order.height, order.width
    picture = Pixels.of(np.random.default_rng(order.seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
    left = np.zeros((height, width), bool)
    left[:, : width // 2] = True
    halves = (Region("a red bus", Pixels.of(left)), Region("a green tree", Pixels.of(~left)))
    return Request(
        "latency", "a photo of a red bus beside a green tree", seed=order.seed, height=height, width=width,
        conditions=tuple(ConditionMap(kind, picture) for kind in traits.conditions),
        regions=halves if traits.regions else (),
        source=picture if traits.editing else None, source_prompt="a photo of a street" if traits.editing else "",
    )  # fmt: skip


def _macs(stage: Any, request: Request) -> int | None:
    from ...adapters.counting import count_macs, on_meta

    try:
        module = on_meta(stage.module)
        return count_macs(lambda: module(*stage.inputs(request, "meta")))
    except Exception:  # a user's own network may do what the meta device cannot
        return None


def serve(worker: object, questions: Iterator[dict[str, Any]], answers: IO[str]) -> None:
    """Answer all questions; an error is an answer, too."""
    for question in questions:
        try:
            answer: dict[str, Any] = {"answer": _plain(_ask(worker, **question))}
        except BenchError as error:
            answer = {"error": str(error)}
        except Exception as error:  # whatever a method does: its row has it as the reason
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        print(json.dumps(answer), file=answers, flush=True)


def _ask(worker: object, ask: str, **details: Any) -> Any:
    if ask in ("load", "weights"):
        details = {"order": Order.model_validate(details)}
    return getattr(worker, ask)(**details)


def _plain(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _plain(value) for name, value in found.items()}
    return found.model_dump() if isinstance(found, BaseModel) else found


def _questions() -> Iterator[dict[str, Any]]:
    """Read standard input in a thread of its own: when it ends, whoever asked is gone, and so is this process."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(line)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(waiting.get())


def _own_stdout() -> IO[str]:
    """Keep standard output for answers: what libraries and methods print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _first_to_die() -> None:
    # Where memory runs out, the system is to end this process, not the one that would tell of it.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def answer_questions(worker: object) -> None:
    """Answer by the public methods of ``worker`` whatever is asked on standard input, until nobody is there to ask."""
    _first_to_die()
    serve(worker, _questions(), _own_stdout())


if __name__ == "__main__":
    answer_questions(Worker())
