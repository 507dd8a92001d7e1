"""What a device is: a runtime on some hardware that computes the stages of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from ...adapters.base import Adapter
from ...datasets.request import Request
from .energy import Meter, NoMeter

Call: TypeAlias = Callable[[], float | None]
"""Computes once and returns when everything is computed: None, or the seconds that the device itself measured."""


@dataclass(frozen=True)
class DeviceSpec:
    """A parsed device string: ``cuda:1+compile``."""

    text: str
    name: str
    argument: str | None = None
    """What follows the colon: a card's number, a phone's serial number, a file."""
    variant: str | None = None
    """What follows the plus."""


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

    def __init__(self, spec: DeviceSpec) -> None:
        self.spec = spec

    @classmethod
    @abstractmethod
    def probe(cls, name: str) -> list[Probe]:
        """Say whether the device called ``name`` works here, and each of its variants."""

    @abstractmethod
    def check(self) -> None:
        """Raise BenchError, naming the mend, where it cannot be used here; nothing is loaded yet."""

    @abstractmethod
    def load(self, adapter: Adapter, dtype: str) -> None:
        """Bring a method to the device; what that makes of it (a graph, an export) may wait for the first call."""

    @abstractmethod
    def stages(self, adapter: Adapter, request: Request) -> dict[str, Call]:
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

    def megahertz(self) -> float | None:
        """Its own clock now; None where it does not tell."""
        return None

    def about(self) -> dict[str, Any]:
        """What decides its numbers and is not the machine's: threads, arithmetic, versions."""
        return {}
