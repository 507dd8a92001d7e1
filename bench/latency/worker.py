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
from typing import IO, TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from ...core.errors import BenchError
from ...reports.latency import END_TO_END, Memory, StageFacts
from ..environment import status_bytes

if TYPE_CHECKING:
    from ...datasets.request import Request

LONG_S = 1.0
"""A call that takes longer need not be warmed anew when others have computed in between; and the least warm-up."""


class Order(BaseModel):
    """What a worker is to load."""

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


class Loaded(BaseModel):
    """What is known once a method is loaded."""

    checkpoint: str | None
    fingerprint: str
    settings: dict[str, Any]
    about: dict[str, Any]
    load_s: float
    names: list[str]
    """What can be timed: stages in the order they run, then ``end_to_end``."""
    weights_bytes: int | None
    energy_source: str | None
    energy_reason: str | None


class Samples(BaseModel):
    """One turn at one stage."""

    seconds: list[float]
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
        from ..commands import quiet_libraries
        from ..devices import make_device

        quiet_libraries()
        self.device = make_device(order.device)
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
        self.calls = self.device.stages(self.adapter, self.request)
        if order.end_to_end:
            self.calls[END_TO_END] = self.device.picture(self.adapter, self.request)
        if not self.calls:
            raise BenchError(f"'{order.method}' declares no stages: leave out --no-end-to-end")
        self.last_s = dict.fromkeys(self.calls, 0.0)
        self.meter = self.device.meter()
        files = self.adapter.weight_files()
        return Loaded(
            checkpoint=self.adapter.checkpoint,
            fingerprint=fingerprint,
            settings=vars(self.adapter.settings),
            about=self.device.about(),
            load_s=load_s,
            names=list(self.calls),
            weights_bytes=sum(file.stat().st_size for file in files) if files else None,
            energy_source=getattr(self.meter, "source", None),
            energy_reason=getattr(self.meter, "reason", None),
        )

    def first(self) -> float:
        """Return the seconds of the first picture; of the first forward of every stage where no pictures are made."""
        names = [END_TO_END] if END_TO_END in self.calls else list(self.calls)
        return sum(self._call(name) for name in names)

    def warm(self, name: str) -> int:
        """Call until a second has passed, once at least; return how often that was."""
        start, count = time.perf_counter(), 0
        while not count or time.perf_counter() - start < LONG_S:
            self._call(name)
            count += 1
        return count

    def time(self, name: str, iterations: int, seconds: float) -> Samples:
        """Time calls one by one: at least ``iterations``, and until ``seconds`` have passed."""
        from ..devices.energy import Meter

        if self.last_s[name] < LONG_S:  # the others have computed since: the caches hold their weights
            self._call(name)
        gc.collect()
        gc.disable()
        meter = self.meter if isinstance(self.meter, Meter) else None
        try:
            before = meter.joules() if meter else 0.0
            found, start = list[float](), time.perf_counter()
            while len(found) < iterations or time.perf_counter() - start < seconds:
                found.append(self._call(name))
            joules = meter.joules() - before if meter else None
        finally:
            gc.enable()
        return Samples(seconds=[round(value, 9) for value in found], joules=joules, megahertz=self.device.megahertz())

    def memory(self) -> Memory:
        """Return what memory was taken up to now."""
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

    def _call(self, name: str) -> float:
        start = time.perf_counter()
        measured = self.calls[name]()
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


def serve(worker: Worker, questions: Iterator[dict[str, Any]], answers: IO[str]) -> None:
    """Answer all questions; an error is an answer, too."""
    for question in questions:
        try:
            answer: dict[str, Any] = {"answer": _plain(_ask(worker, **question))}
        except BenchError as error:
            answer = {"error": str(error)}
        except Exception as error:  # whatever a method does: its row has it as the reason
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        print(json.dumps(answer), file=answers, flush=True)


def _ask(worker: Worker, ask: str, **details: Any) -> Any:
    if ask == "load":
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


if __name__ == "__main__":
    _first_to_die()
    serve(Worker(), _questions(), _own_stdout())
