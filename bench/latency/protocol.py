"""Latency: every method in a fresh process, all of them timed in turns, round by round, in random order."""

from __future__ import annotations

import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ParamSpec, Self, TypeVar

from ...core.errors import BenchError
from ...metrics.timing import STEADY_WINDOWS, has_settled
from ...reports.latency import (
    END_TO_END,
    Failed,
    LatencyRow,
    LatencyRun,
    Machine,
    Memory,
    Protocol,
    Round,
    StageFacts,
    composition,
)
from ..devices import make_device
from ..devices.base import Device, Part
from ..environment import environment
from ..fresh import FreshProcess
from ..progress import task
from .machine import Others, busy_warning, machine, megahertz, own_seconds
from .results import (
    comparisons,
    composed,
    energy_of,
    macs_of,
    name_of,
    notes_of,
    stage_result,
    sustained_of,
    timing_of,
)
from .worker import Loaded, Order, Samples

WARM_UP_S = 1.0
"""How long a stage is called before the rounds, at least; no longer than it is measured."""
TURN_S = 0.05
"""How long a turn is, at least: a machine's speed drifts, and what is far apart in time differs by more."""
TURN_CALLS = 2
"""Of a turn, at least: before them goes one that is not timed."""

P = ParamSpec("P")
T = TypeVar("T")
Say = Callable[[str], None]

WORKER = f"{__package__}.worker"


def measure(orders: Sequence[Order], protocol: Protocol, threads: int | None, say: Say) -> LatencyRun:
    """Measure what ``orders`` name and compare it with the first; what fails is told, and the others go on.

    ``threads`` is that of every process, None for the libraries' own choice.
    """
    from .pairs import measure_pairs

    found = machine()
    with Measurement(orders, protocol, threads, say) as measurement:
        skipped: list[Failed] = []
        if protocol.in_pairs:
            rows, compared, skipped = measure_pairs(measurement, found)
        else:
            rows = _measure_all(measurement, found)
            compared = [] if protocol.sustained else list(comparisons(rows))
    about = {name: value for name, value in environment("cpu").items() if name not in ("threads", "accelerator")}
    return LatencyRun(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        protocol=protocol,
        environment=about,
        machine=found,
        rows=rows,
        comparisons=compared,
        failed=measurement.failed,
        skipped=skipped,
        rounds=measurement.rounds,
        notes=list(notes_of(rows, orders, found, measurement.rounds)),
    )


def _measure_all(measurement: Measurement, found: Machine) -> list[LatencyRow]:
    measurement.load()
    measurement.warn_if_busy(found)
    if measurement.protocol.sustained:
        measurement.sustain()
    else:
        measurement.repeat()
    return [row for contender in list(measurement.contenders) if (row := measurement.finish(contender))]


@dataclass
class Contender:
    """A row while it is measured: its process, and what that has answered so far."""

    order: Order
    process: FreshProcess
    name: str
    """What messages call it."""
    loaded: Loaded | None = None
    first_s: float = 0.0
    rounds: dict[str, list[list[Samples]]] = field(default_factory=dict)
    """What each stage took, the turns of a round together."""
    call_s: dict[str, float] = field(default_factory=dict)
    """About how long a call of each stage takes; infinite where a device repeats and times calls itself."""

    @property
    def known(self) -> Loaded:
        """What it said once it was loaded."""
        assert self.loaded is not None
        return self.loaded

    def load(self) -> None:
        """Load the method and make its first call."""
        self.loaded = Loaded.model_validate(self.process.ask("load", **self.order.model_dump()))
        self.first_s = self.process.ask("first")

    def warm(self, name: str, seconds: float) -> None:
        """Call a stage for so long, and learn how long a call takes."""
        start = time.monotonic()
        count = self.process.ask("warm", name=name, seconds=seconds)
        self.call_s[name] = (time.monotonic() - start) / count if count else math.inf

    def start_round(self, name: str) -> None:
        """Keep the turns that follow together."""
        self.rounds.setdefault(name, []).append([])

    def time(self, name: str, iterations: int, seconds: float) -> Samples:
        """Time a stage in one turn, and keep it."""
        found = Samples.model_validate(self.process.ask("time", name=name, iterations=iterations, seconds=seconds))
        if min(found.seconds) <= 0:
            raise BenchError(f"a call of '{name}' took {min(found.seconds):g} s: times have to be above 0")
        self.rounds[name][-1].append(found)
        if self.call_s.get(name) != math.inf:
            self.call_s[name] = statistics.median(found.seconds)
        return found


class Measurement:
    """The processes of all rows, and what became of them; none outlives the ``with`` block."""

    def __init__(self, orders: Sequence[Order], protocol: Protocol, threads: int | None, say: Say) -> None:
        self.orders, self.protocol, self.threads, self.say = orders, protocol, threads, say
        self.contenders: list[Contender] = []
        self.failed: list[Failed] = []
        self.rounds: list[Round] = []
        self._random = random.Random(protocol.seed)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="t2ibench-"))
        self._others, self._own_s = Others(), self._busy_s()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def load(self) -> None:
        """Load one method after the other; all of them stay."""
        for index in range(len(self.orders)):
            self.start(self.open(index))

    def open(self, index: int) -> Contender:
        """Start the process of a row."""
        contender = Contender(self.orders[index], self._open.enter_context(self._process(index)), self._name(index))
        self.contenders.append(contender)
        return contender

    def start(self, contender: Contender) -> None:
        """Load its method; where that fails, the row is out."""
        self.say(f"load {contender.name}")
        self._try(contender, self._load, contender)

    def _load(self, contender: Contender) -> None:
        order = contender.order
        device = make_device(order.device, order.device_options)
        if lacking := device.lacks(order.dtype):
            raise BenchError(f"device '{order.device}': {lacking}")
        self._prepare(device, order)
        contender.load()

    def _prepare(self, device: Device, order: Order) -> None:
        """Let a device do beforehand what takes more memory than computing does."""
        parts: list[Part] = ["picture", "stages"] if order.end_to_end else ["stages"]
        device.prepare(order, parts, self.say)

    def end(self, contender: Contender) -> None:
        """Let go of a method and its memory."""
        contender.process.kill()
        self.contenders.remove(contender)

    def warn_if_busy(self, found: Machine) -> None:
        """Say where other programs took cores while the methods were loaded."""
        if warning := busy_warning(self._others.cores(self._busy_s() - self._own_s), found):
            self.say(warning)

    def repeat(self) -> None:
        """Warm all up, then time all stages of all rows in turns, round by round, in random order."""
        names, warm_up = self._names(), min(WARM_UP_S, self.protocol.min_seconds)
        for name in names:
            for contender in self._having(name):
                self._try(contender, contender.warm, name, warm_up)
        rounds = self.protocol.rounds
        iterations, seconds = math.ceil(self.protocol.iterations / rounds), self.protocol.min_seconds / rounds
        with task("rounds", rounds) as report:
            for index in range(rounds):
                with self._round():
                    self._take_turns(names, iterations, seconds)
                report(index + 1)

    def _take_turns(self, names: Iterable[str], iterations: int, seconds: float) -> None:
        # Stage by stage: what is compared is timed side by side.
        for name in names:
            for contender in self._having(name):
                contender.start_round(name)
            turns = self._turns_a_round(name, iterations, seconds)
            for _ in range(turns):
                having = self._having(name)
                for contender in self._random.sample(having, len(having)):
                    self._try(contender, contender.time, name, math.ceil(iterations / turns), seconds / turns)

    def _turns_a_round(self, name: str, iterations: int, seconds: float) -> int:
        """Return in how many turns all are called so often and timed for so long: as short ones as all can have.

        Counters of energy are too slow for short ones, and a phone warms up in each.
        """
        having = self._having(name)
        if not having or any(contender.known.energy_source for contender in having):
            return 1
        slowest = max(contender.call_s[name] for contender in having)
        if slowest == math.inf:
            return 1
        return max(1, int(max(seconds, iterations * slowest) / max(TURN_S, TURN_CALLS * slowest) + 1e-9))

    def sustain(self) -> None:
        """Make pictures with one row after the other until its windows agree, each after a pause of a window."""
        for contender in list(self.contenders):
            time.sleep(self.protocol.window_s)
            with task(f"windows of {name_of(contender.order)}", self.protocol.windows) as report:
                medians: list[float] = []
                # One long picture may outlast its window.
                end = time.monotonic() + (self.protocol.windows * self.protocol.window_s or math.inf)
                while len(medians) < self.protocol.windows and time.monotonic() < end and not has_settled(medians):
                    contender.start_round(END_TO_END)
                    with self._round():
                        turn = self._try(contender, contender.time, END_TO_END, 1, self.protocol.window_s)
                    if turn is None:
                        break
                    turn.megahertz = turn.megahertz or self.rounds[-1].megahertz
                    medians.append(statistics.median(turn.seconds))
                    report(len(medians))

    def finish(self, contender: Contender) -> LatencyRow | None:
        """Return the row; None where its process fails even now."""
        return self._try(contender, self._row, contender)

    def _row(self, contender: Contender) -> LatencyRow:
        order, known, ask = contender.order, contender.known, contender.process.ask
        memory, params = Memory.model_validate(ask("memory")), ask("params")
        facts = {name: StageFacts.model_validate(found) for name, found in ask("stages").items()}
        stages = {
            name: stage_result(fact, contender.rounds[name]) for name, fact in facts.items() if name in contender.rounds
        }
        told = (turn.note for rounds in contender.rounds.values() for turns in rounds for turn in turns if turn.note)
        row = LatencyRow(
            method=order.method,
            device=order.device,
            dtype=order.dtype,
            **known.model_dump(include={"checkpoint", "fingerprint", "settings", "about", "load_s", "weights_bytes"}),
            first_s=contender.first_s,
            memory=memory,
            params=params,
            macs_per_image=macs_of(facts.values()),
            stages=stages,
            composed=composed(stages.values()) if stages else None,
            composition=composition(stages) if stages else None,
            notes=[*known.notes, *dict.fromkeys(told)],
        )
        if rounds := contender.rounds.get(END_TO_END):
            row.sustained = sustained_of(rounds) if self.protocol.sustained else None
            rounds = rounds[-STEADY_WINDOWS:] if row.sustained else rounds
            row.end_to_end = timing_of(rounds)
        row.energy = energy_of(row, known, rounds or [])
        return row

    def _process(self, index: int) -> FreshProcess:
        return FreshProcess(WORKER, self._environment(index))

    def _name(self, index: int) -> str:
        return name_of(self.orders[index])

    def _names(self) -> list[str]:
        """All that can be timed, the stages in the order they run, whole pictures last."""
        names = dict.fromkeys(name for contender in self.contenders for name in contender.known.names)
        return sorted(names, key=lambda name: name == END_TO_END)

    def _having(self, name: str) -> list[Contender]:
        return [contender for contender in self.contenders if name in contender.known.names]

    def _try(self, contender: Contender, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Do it; where it fails, the row is out, and the others go on."""
        try:
            return work(*args, **kwargs)
        except BenchError as error:
            order = contender.order
            contender.process.kill()
            self.contenders.remove(contender)
            self.failed.append(Failed(method=order.method, device=order.device, dtype=order.dtype, reason=str(error)))
            self.say(f"{contender.name} failed: {error}")
            return None

    @contextmanager
    def _round(self) -> Iterator[None]:
        """Note what the machine did meanwhile."""
        own_s, others, start = self._busy_s(), Others(), time.monotonic()
        yield
        seconds, clock = time.monotonic() - start, megahertz()
        cores = others.cores(max(0.0, self._busy_s() - own_s))
        self.rounds.append(Round(seconds=seconds, megahertz=clock, others_cores=cores))

    def _busy_s(self) -> float:
        """Processor seconds of ours up to now."""
        return own_seconds({contender.process.group for contender in self.contenders})

    def _environment(self, index: int) -> dict[str, str]:
        found = {"TOKENIZERS_PARALLELISM": "false"}
        if self.threads:
            found |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        # What was compiled for an earlier run, or for another row, would make this one's first call look cheap.
        for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
            found[name] = f"{self._folder}/{index}-{name.lower()}"
        return found
