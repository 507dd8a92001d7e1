"""The interface that every text-to-image method stands behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.weights import WeightsFinder
from ..datasets.request import Request

Images: TypeAlias = NDArray[np.uint8]
"""Pictures: uint8, (B, H, W, 3), RGB."""


def _one_view(request: Request) -> int:
    return 1


class Stage(NamedTuple):
    """A part of a method that can be timed and counted by itself."""

    module: Any
    """The torch module behind it."""
    inputs: Callable[[Request, str], tuple[Any, ...]]
    """The module's arguments for one picture like the request's, on a device (``cpu``, ``cuda:0``, ``meta``)."""
    per_image: int
    """How often the module runs for one picture (twice per step where guidance is not 1), or for each view of it."""
    views: Callable[[Request], int] = _one_view
    """How many parts or prompts of a picture like the request's the module sees one by one: windows, regions."""

    def forwards(self, request: Request) -> int:
        """Return how often the module runs for one picture like the request's."""
        return self.per_image * self.views(request)


@dataclass(frozen=True)
class Settings:
    """How a method samples; None means that the method has no such thing or decides itself."""

    scheduler: str | None = None
    steps: int | None = None
    guidance: float | None = None

    def over(self, below: Settings) -> Settings:
        """Return these settings, with those of ``below`` where they say nothing."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return replace(below, **said)


@dataclass(frozen=True)
class Traits:
    """What a method declares about itself; suites choose methods by it."""

    defaults: Settings = field(default_factory=Settings)
    conditions: tuple[str, ...] = ()
    """Kinds of condition maps: of a class those that it can take, of an instance those that every request must have."""
    regions: bool = False
    """Whether every request must have regions."""
    editing: bool = False
    """Whether every request must have a source picture."""
    size_multiple: int = 8
    """Height and width must be multiples of this."""
    sampled: bool = True
    """Whether scheduler, steps and guidance mean anything to it."""


class Adapter(ABC):
    """A text-to-image method behind one call.

    A subclass is constructed with the options of its method string (``sd15[steps=8]``), all as text. ``bench`` sets
    ``settings`` before ``load``: what ``decide`` makes of the method's options and the suite's.
    """

    traits: Traits = Traits()
    settings: Settings = Settings()
    base: Adapter | None = None
    """The method that this one sits on, if it sits on one."""
    asked: Settings = Settings()
    """The settings that its method string states, and the string of its base below that; ``make_adapter`` sets them."""
    options: Mapping[str, str] = {}
    """The other options of its method string, as text; ``bench`` sets them too."""
    checkpoint: str | None = None
    """Where the weights come from: a hub id, a folder, or None."""
    weights: WeightsFinder = WeightsFinder()
    """Where single weight files are looked up; ``bench`` sets it before anything is loaded."""
    inside = ""
    """What it does inside its networks while it generates, so that they cannot be exported as they are; mostly none."""
    public = True
    """Whether the authors' weights can be had; where not, ``checkpoint`` must be given, or a suite skips the method."""
    official: bool | None = None
    """Whether all single weight files are the published ones, asked for after ``load``; None where none are known."""

    def decide(self, asked: Settings, suite: Settings) -> Settings:
        """Return what it samples with: what its method string asks for, else the suite's settings, else its own."""
        return asked.over(suite).over(self.traits.defaults)

    @abstractmethod
    def load(self, device: str, dtype: str) -> None:
        """Bring the weights to ``device`` (``cpu``, ``cuda:0``) in ``dtype`` (``fp32``, ``bf16``, ``fp16``)."""

    @abstractmethod
    def generate(self, requests: Sequence[Request]) -> Images:
        """Return one picture per request, all of one size: uint8, (B, H, W, 3), RGB."""

    def stages(self) -> dict[str, Stage]:
        """The parts that can be timed by themselves, by name, in the order they run."""
        return {}

    def fingerprint(self) -> str:
        """A short text that changes when the weights do; may be asked for before ``load``.

        The code of the class is taken care of: a changed file makes other pictures.
        """
        return self.checkpoint or type(self).__qualname__

    def weight_files(self) -> list[Path]:
        """The files that its weights are loaded from; none where it does not tell. May be asked for before ``load``."""
        return []

    def noise_digest(self, request: Request) -> str | None:
        """A digest of the noise that the picture starts from; None where there is none. Asked for after ``load``."""
        return None

    def notes(self, request: Request) -> list[str]:
        """What the user should know of this request: the part of a prompt that is cut off. Asked for after ``load``."""
        return []

    def select(self, prompts: Mapping[str, str]) -> set[str] | None:
        """The ids among ``prompts`` (id to text) that this method can serve; None for all of them."""
        return None

    def file(self, request: Request) -> Path | None:
        """An existing picture to be taken as it is in place of calling ``generate``; None to generate."""
        return None
