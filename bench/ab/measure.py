"""Two versions timed in turns, method by method; what is in doubt is timed again, in fresh processes."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar

from ...metrics.timing import rounds_needed
from ...reports.ab import AbFailed, AbRow, AbRun, Verdict
from ...reports.latency import Protocol, Round
from ..devices.base import Device
from ..fresh import FreshProcess
from ..gating.seconds import Measured, Pairs, judge_seconds, measured
from ..gating.verdict import FAIL, OPEN, PASS
from ..latency.machine import busy_warning, machine
from ..latency.protocol import WORKER, Contender, Measurement, Say
from ..latency.results import name_of
from ..latency.worker import Order
from .versions import Version

LEVEL = 0.95
LEAST_ROUNDS = 10

P = ParamSpec("P")
T = TypeVar("T")


class Asked(NamedTuple):
    """What is to be compared, and how."""

    versions: tuple[Version, Version]
    """Base and head."""
    orders: Sequence[Order]
    protocol: Protocol
    margin: float = 0.05
    """How much slower head may get, as a share of base."""
    threads: int | None = None
    named: bool = True
    """Whether methods were named one by one; of a suite's own, those that neither version can run are not missed."""


def ab(asked: Asked, say: Say) -> AbRun:
    """Compare two versions. Raises BenchError where one of them is not what it was named as, or rounds are too few."""
    with tempfile.TemporaryDirectory(prefix="t2ibench-ab-") as folder:
        return _Comparison(asked, Path(folder), say).run()


class Duel(Measurement):
    """One method in two versions, each in a process of its own."""

    def __init__(
        self, order: Order, asked: Asked, links: Path, say: Say, *, head_first: bool, only: Sequence[str] = ()
    ) -> None:
        """``head_first`` is the order in which they are loaded and warmed up; ``only`` names what is to be timed."""
        super().__init__([order, order], asked.protocol, asked.threads, say)
        self.head_first, self.links, self.only = head_first, links, only
        self.versions = self._turned(asked.versions)
        self.broken: dict[str, str] = {}
        """Why a version is out, by its side."""

    def measure(self) -> None:
        """Load both, warm them up and time them in turns; where one fails, nothing more is done."""
        self.load()
        self.warn_if_busy(machine())
        self.repeat()

    def notes(self) -> Iterator[str]:
        """What of both versions differs beside their code."""
        if self.broken:
            return
        base, head = (contender.known for contender in self._turned(self.contenders))
        method = self.orders[0].method
        for name in dict.fromkeys([*base.settings, *head.settings]):
            ours, theirs = base.settings.get(name), head.settings.get(name)
            if ours != theirs:
                yield f"{method}: {name} differs, {ours} in base and {theirs} in head"
        if base.about.get("threads") != head.about.get("threads"):
            yield f"{method}: {base.about.get('threads')} threads in base, {head.about.get('threads')} in head"
        for side, names in (("base", set(base.names) - set(head.names)), ("head", set(head.names) - set(base.names))):
            if names:
                yield f"{method}: only {side} has {', '.join(sorted(names))}"

    @property
    def pairs(self) -> dict[str, Pairs]:
        """The medians of turns side by side, by stage; nothing where a version failed."""
        if self.broken:
            return {}
        base, head = (
            {
                name: [statistics.median(turn.seconds) for turns in rounds for turn in turns]
                for name, rounds in contender.rounds.items()
            }
            for contender in self._turned(self.contenders)
        )
        return {name: list(zip(base[name], head[name], strict=True)) for name in base}

    def _turned(self, both: Sequence[T]) -> Sequence[T]:
        """Base and head in the order they are loaded, or what is in that order as base and head."""
        return both[::-1] if self.head_first else both

    def _process(self, index: int) -> FreshProcess:
        version = self.versions[index]
        environment = {**self._environment(index), **version.environment(self.links)}
        return FreshProcess(WORKER, environment, str(version.python), version.folder)

    def _prepare(self, device: Device, order: Order) -> None:
        # What is exported here is of this version's code, and this process may not even know the method: each version
        # exports for itself, when it makes its first picture.
        if not device.exports:
            super()._prepare(device, order)

    def _name(self, index: int) -> str:
        return f"{self.versions[index].side}: {super()._name(index)}"

    def _names(self) -> list[str]:
        if self.broken:
            return []
        shared = [name for name in super()._names() if len(self._having(name)) == len(self.versions)]
        return [name for name in shared if not self.only or name in self.only]

    def _having(self, name: str) -> list[Contender]:
        return [] if self.broken else super()._having(name)

    def _try(self, contender: Contender, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        found = super()._try(contender, work, *args, **kwargs)
        if not any(other is contender for other in self.contenders):
            self.broken[contender.name.partition(":")[0]] = self.failed[-1].reason
        return found


@dataclass
class _Timed:
    """A method, once it is timed."""

    order: Order
    goes: dict[str, list[Pairs]]
    """By stage."""


class _Comparison:
    """All methods, one after the other."""

    def __init__(self, asked: Asked, links: Path, say: Say) -> None:
        self.asked, self.links, self.say = asked, links, say
        self.timed: list[_Timed] = []
        self.failed: list[AbFailed] = []
        self.rounds: list[Round] = []
        self.notes: dict[str, None] = {}

    def run(self) -> AbRun:
        """Measure all, repeat what is in doubt, judge."""
        found = machine()
        base, head = (version.facts(self.links) for version in self.asked.versions)
        for order in self.asked.orders:
            self._measure(order)
        for timed in self.timed:
            self._repeat(timed)
        rows = [self._row(timed, what) for timed in self.timed for what in timed.goes]
        if (base.package, base.python) == (head.package, head.python) and len({v.folder for v in self._versions}) == 1:
            self.notes["base and head are one version: what differs is chance"] = None
        others = [each.others_cores for each in self.rounds if each.others_cores is not None]
        if others and (warning := busy_warning(statistics.fmean(others), found)):
            self.notes[warning] = None
        return AbRun(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            verdict=self._verdict(rows),
            base=base,
            head=head,
            margin=self.asked.margin,
            level=LEVEL,
            tests=self.tests,
            protocol=self.asked.protocol,
            machine=found,
            rows=rows,
            failed=self.failed,
            rounds=self.rounds,
            notes=list(self.notes),
        )

    @property
    def _versions(self) -> tuple[Version, Version]:
        return self.asked.versions

    @property
    def tests(self) -> int:
        """Rows in all."""
        return sum(len(timed.goes) for timed in self.timed)

    def _measure(self, order: Order) -> None:
        duel = self._duel(order, 0)
        if duel.broken:
            self._fail(order, duel.broken)
        else:
            self.timed.append(_Timed(order, {what: [pairs] for what, pairs in duel.pairs.items()}))

    def _repeat(self, timed: _Timed) -> None:
        """Measure what is in doubt again, as long as it is: other processes, whose memory lies elsewhere."""
        while only := [what for what in timed.goes if self._measured(timed, what).in_doubt(self.asked.margin)]:
            self.say(f"{name_of(timed.order)}: {', '.join(only)} may be slower; again, in fresh processes")
            duel = self._duel(timed.order, max(map(len, timed.goes.values())), only)
            if duel.broken:
                self._fail(timed.order, duel.broken)
                return
            for what in only:
                timed.goes[what].append(duel.pairs[what])

    def _measured(self, timed: _Timed, what: str) -> Measured:
        return measured(timed.goes[what], self.tests, LEVEL)

    def _duel(self, order: Order, go: int, only: Sequence[str] = ()) -> Duel:
        # What is loaded first has other memory, and may be a per cent slower for it: so each go turns the order round.
        with Duel(order, self.asked, self.links, self.say, head_first=go % 2 == 0, only=only) as duel:
            duel.measure()
            self.rounds += duel.rounds
            self.notes |= dict.fromkeys(duel.notes())
        return duel

    def _fail(self, order: Order, broken: Mapping[str, str]) -> None:
        side: Literal["base", "head", "both"] = "both" if len(broken) == 2 else "head" if "head" in broken else "base"
        self.failed.append(
            AbFailed(
                method=order.method, device=order.device, dtype=order.dtype, version=side,
                reason="; ".join(dict.fromkeys(broken.values())), required=self.asked.named or side != "both",
            )
        )  # fmt: skip

    def _row(self, timed: _Timed, what: str) -> AbRow:
        order, goes, found = timed.order, timed.goes[what], self._measured(timed, what)
        base, head = zip(*(pair for go in goes for pair in go), strict=True)
        judged = judge_seconds(found, self.asked.margin)
        told: dict[str, Any] = {}
        if found.all:
            own, together = found.all
            told |= {"slowdown": own.estimate, "interval": (own.low, own.high)}
            told |= {"simultaneous_interval": (together.low, together.high) if together else None}
        return AbRow(
            method=order.method, device=order.device, dtype=order.dtype, what=what, goes=[list(go) for go in goes],
            base_s=statistics.median(base), head_s=statistics.median(head), verdict=judged.verdict,
            reason=judged.reason, **told,
        )  # fmt: skip

    def _verdict(self, rows: Sequence[AbRow]) -> Verdict:
        verdicts = {row.verdict for row in rows}
        if FAIL in verdicts:
            return FAIL
        lacking = OPEN in verdicts or any(failed.required for failed in self.failed)
        return OPEN if lacking or not rows else PASS


def rounds_for(methods: int) -> int:
    """Return how many rounds do for so many methods, each of them a few stages and whole pictures."""
    return max(LEAST_ROUNDS, rounds_needed(_ROWS * methods, LEVEL))


_ROWS = 5
"""Text encoder, control network, UNet step, decoder, whole pictures."""
