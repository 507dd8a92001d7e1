"""What a device is: a runtime on some hardware that computes the stages of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from ...adapters.base import Adapter
from ...datasets.request import Request
from .energy import Meter, NoMeter

if TYPE_CHECKING:
    from ..latency.worker import Order

Part: TypeAlias = Literal["picture", "stages"]
"""What a method is brought to a device for: whole pictures, or its stages to be called one by one."""

Call: TypeAlias = Callable[[], float | None]
"""Computes once and returns when everything is computed: None, or the seconds that the device itself measured."""


class Summary(NamedTuple):
    """What a device tells of calls that it repeated and timed itself."""

    seconds: float
    of: Literal["median", "mean"]
    """What of the calls ``seconds`` is."""
    calls: int
    note: str | None = None
    """What a reader must know of them: the device was hot."""


class SelfTimed(ABC):
    """A stage on a device that repeats and times calls itself, and tells what they amount to, not each of them."""

    first_s: float
    """Seconds of the very first call."""

    @abstractmethod
    def turn(self, iterations: int, seconds: float) -> Summary:
        """Warm up, then call at least ``iterations`` times, and until ``seconds`` have passed."""


@dataclass(frozen=True)
class DeviceOptions:
    """Options of the command line that some devices take."""

    threads: int | None = None
    """Threads of the processor; None for the runtime's own choice."""
    tflite: str | None = None
    """A folder with an exported .tflite file for each stage of the method."""
    benchmark_model: str | None = None
    """LiteRT's ``benchmark_model`` for the device's processor."""
    force_export: bool = False
    """Export even where memory or disk seem too small."""


@dataclass(frozen=True)
class DeviceSpec:
    """A parsed device string: ``cuda:1+compile``."""

    text: str
    name: str
    argument: str | None = None
    """What follows the colon: a card's number, a phone's serial number, a file."""
    variant: str | None = None
    """What follows the plus."""
    options: DeviceOptions = DeviceOptions()


class Probe(NamedTuple):
    """What was found of a device on this machine."""

    name: str
    works: bool
    detail: str
    """What is there, or what is missing and how to get it."""


class Device(ABC):
    """A runtime on some hardware; one object per method, in a process of its own.

    ``check``, ``load``, then ``stages`` and ``picture`` are called in that order.
    """

    variants: dict[str, str] = {}
    """What may follow a plus, and one line on each."""
    whole = True
    """Whether it can make whole pictures; else the stages are summed."""
    exports = False
    """Whether it computes exports, which are made before anything is loaded."""
    remote = False
    """Whether it is another machine, of which this one's memory says nothing."""

    def __init__(self, spec: DeviceSpec) -> None:
        self.spec = spec

    @classmethod
    @abstractmethod
    def probe(cls, name: str) -> list[Probe]:
        """Say whether the device called ``name`` works here, and each of its variants."""

    @classmethod
    def precisions(cls) -> tuple[str, ...]:
        """The precisions that it has on some machine."""
        return ("fp32", "bf16", "fp16")

    @classmethod
    def lacks(cls, dtype: str) -> str | None:
        """Say why it cannot compute in a precision on this machine, None where it can."""
        return None if dtype in cls.precisions() else f"it has no {dtype} (it has {', '.join(cls.precisions())})"

    @abstractmethod
    def check(self) -> None:
        """Raise BenchError, naming the mend, where it cannot be used here; nothing is loaded yet."""

    def prepare(self, order: Order, parts: Sequence[Part], say: Callable[[str], None]) -> None:  # noqa: B027
        """Do beforehand what takes more memory than computing does, in processes of its own; most have nothing to do.

        ``say`` is told what will take long. Raises BenchError where the method cannot be had on this device.
        """

    def notes(self) -> list[str]:
        """What is to be known of pictures made there, asked for once some were made."""
        return []

    def identity(self) -> list[Any]:
        """What decides pictures beside the method, its precision and the name of the device."""
        return []

    @abstractmethod
    def load(self, adapter: Adapter, dtype: str) -> None:
        """Bring a method to the device; what that makes of it (a graph, an export) may wait for the first call."""

    @abstractmethod
    def stages(self, adapter: Adapter, request: Request) -> Mapping[str, Call | SelfTimed]:
        """One forward of each stage of the loaded method, for one picture like the request's."""

    @abstractmethod
    def picture(self, adapter: Adapter, request: Request) -> Call:
        """One picture from end to end; each call makes another one, of a new seed."""

    def meter(self) -> Meter | NoMeter:
        """What counts the energy that it takes."""
        return NoMeter("this device reports none")

    def peak_memory(self) -> int | None:
        """Bytes of its own memory that were allocated at most; None where it has none or does not tell."""
        return None

    def loaded_s(self) -> float | None:
        """Seconds that the device itself took to load, asked for after ``stages``; None where ``load`` is all of it."""
        return None

    def file_bytes(self) -> int | None:
        """Bytes of the files that it runs, where they are not the method's own; None where they are."""
        return None

    def megahertz(self) -> float | None:
        """Its own clock now; None where it does not tell."""
        return None

    def about(self) -> dict[str, Any]:
        """What decides its numbers and is not the machine's: threads, arithmetic, versions."""
        return {}
