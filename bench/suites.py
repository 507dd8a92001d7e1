"""Suites: what is measured, on what, and how. Each is a TOML file; the built-in ones lie in ``bench/suites/``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..core.errors import BenchError, first_mistake
from ..core.registry import Entry, Registry


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Method(_Part):
    """One row that the suite asks for."""

    method: str
    n: int | None = Field(default=None, ge=1)
    """At most so many prompts, where the method is expensive; None for the suite's ``n``."""
    width: int | None = Field(default=None, ge=8)
    """In pixels, in place of the suite's: plain pictures beside panoramas."""
    dataset: str | None = None
    """Whose prompts, in place of the suite's: those with regions, or with pictures to edit."""
    metrics: list[str] | None = None
    """What is measured of it, in place of the suite's: other prompts may be asked for other things."""

    @property
    def name_alone(self) -> str:
        """The method without what it says of where it runs."""
        from .places import take_place

        return take_place(self.method).method


class Sampling(_Part):
    """How pictures are made where the method string does not say; None leaves it to the method."""

    size: int = Field(default=512, ge=8)
    """Height in pixels, and width where none is stated."""
    width: int | None = Field(default=None, ge=8)
    samples: int = Field(default=1, ge=1)
    """Pictures per prompt."""
    scheduler: str | None = None
    steps: int | None = Field(default=None, ge=1)
    guidance: float | None = Field(default=None, ge=0)
    negative_prompt: str = ""


class Transform(_Part):
    """What is done to the pictures of each side before the extractor sees them (see ``metrics.transforms``)."""

    generated: str = "as-is"
    reference: str = "as-is"


class Clip(_Part):
    """The CLIP model that the suite's ``clip_score`` is defined by, in open_clip's names."""

    model: str = "ViT-g-14"
    pretrained: str = "laion2b_s34b_b88k"


class Sweep(_Part):
    """Methods are run once with each value of one setting.

    A method that holds ``{}`` is run with each value in that place, one that does not is run once. Where none does,
    ``steps`` and ``guidance`` are set in every method.
    """

    setting: str = Field(pattern=r"^[A-Za-z][\w-]*$")
    """The heading of the values."""
    values: list[float] = Field(min_length=1)


class Excess(_Part):
    """Distances of which the tables also show what they have in excess of one row's (see ``bench.excess``)."""

    over: str
    """The row of real pictures, as its method is written."""
    metrics: list[str] = Field(min_length=1)


class CodecMode(_Part):
    """How codecs are judged: on photos, or decoders alone on frozen latents against a teacher's decoder."""

    mode: Literal["photos", "latents"] = "photos"
    teacher: str | None = None
    """The codec whose decoder is the reference, in mode ``latents``."""
    latents: str | None = None
    """A safetensors file with a tensor ``latents`` (N, C, h, w); None freezes what the teacher makes of the photos."""


class Suite(_Part):
    """A suite file, validated."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Also the name of a run's folder."""
    version: int = Field(ge=1)
    summary: str
    kind: Literal["generate", "codec"] = "generate"
    dataset: str
    methods: list[Method] = Field(min_length=1)
    n: int | None = Field(default=None, ge=1)
    """At most so many prompts or photos, where a method states no number of its own."""
    reference_n: int | None = Field(default=None, ge=2)
    """At most so many of the dataset's reference pictures."""
    reference_method: str | None = None
    """The row whose pictures distances are taken to, in place of the dataset's own reference."""
    metrics: list[str] = Field(default_factory=list)
    by_kind: list[str] = Field(default_factory=list)
    """Those of them, of single pictures, that are also told of each kind of case (``Dataset.kind_of``)."""
    seed: int = 0
    sampling: Sampling = Sampling()
    transform: Transform = Transform()
    clip: Clip = Clip()
    lpips_net: Literal["alex", "vgg", "squeeze"] = "squeeze"
    sweep: Sweep | None = None
    excess: Excess | None = None
    codec: CodecMode = CodecMode()
    table: str | None = None
    """The published table that stands beside the measured rows."""
    notes: list[str] = Field(default_factory=list)

    @field_validator("methods", mode="before")
    @classmethod
    def _plain_names(cls, value: object) -> object:
        return (
            [{"method": item} if isinstance(item, str) else item for item in value]
            if isinstance(value, list)
            else value
        )

    @model_validator(mode="after")
    def _excess_of_own_metrics(self) -> Self:
        if self.excess and (unknown := set(self.excess.metrics) - set(self.metrics)):
            raise ValueError(f"excess.metrics names {', '.join(sorted(unknown))}, which metrics does not")
        return self

    @model_validator(mode="after")
    def _kinds_of_own_metrics(self) -> Self:
        if unknown := set(self.by_kind) - set(self.metrics):
            raise ValueError(f"by_kind names {', '.join(sorted(unknown))}, which metrics does not")
        return self

    @model_validator(mode="after")
    def _reference_is_a_row(self) -> Self:
        named = [method.method for method in self.methods]
        if self.reference_method is not None and self.reference_method not in named:
            raise ValueError(f"reference_method '{self.reference_method}' is none of methods ({', '.join(named)})")
        return self


def read_suite(path: str | Path, changes: Mapping[str, Any] | None = None) -> Suite:
    """Read and validate a suite file, with ``changes`` (dotted keys to values, as ``--set sampling.steps=8``) put in.

    Raises BenchError for broken TOML (with its line), an unknown key, or a value out of range.
    """
    file = Path(path)
    if not file.is_file():
        raise BenchError(f"no suite file '{file}' (built-in suites: {', '.join(SUITES.names())})")
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BenchError(f"suite '{file}': {error}") from error
    for key, value in (changes or {}).items():
        _put(data, key, value)
    try:
        return Suite.model_validate(data)
    except ValidationError as error:
        raise BenchError(f"suite '{file}': {first_mistake(error)}") from error


def parse_change(text: str) -> tuple[str, Any]:
    """Parse ``KEY=VALUE`` of ``--set``; the value is TOML where it can be read so, else text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise BenchError(f"--set '{text}': write KEY=VALUE, for example sampling.steps=8")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _put(data: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise BenchError(f"--set {key}: '{parent}' has no keys below it")
    data[last] = value


def _built_in() -> dict[str, Entry]:
    files = sorted((Path(__file__).parent / "suites").glob("*.toml"), key=lambda file: file.stem)
    return {file.stem: Entry(str(file), tomllib.loads(file.read_text("utf-8"))["summary"]) for file in files}


SUITES: Registry[Suite] = Registry("suite", ".bench.suites:Suite", _built_in(), load=read_suite)


def find_suite(name: str, changes: Mapping[str, Any] | None = None) -> Suite:
    """Return the built-in suite called ``name``, or the one in the file ``name``.

    Raises BenchError for an unknown name or a bad file.
    """
    is_file = name not in SUITES and (name.endswith(".toml") or Path(name).is_file())
    return read_suite(name if is_file else SUITES.target(name), changes)
