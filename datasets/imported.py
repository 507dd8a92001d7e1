"""Numbers and pictures that another machine made, such as an iPhone through Core ML: the schema of their file.

Seconds, bytes and joules throughout; what is not known is left out, never guessed. ``docs/latency.md`` has an example.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..core.errors import BenchError, first_mistake
from ..core.files import sha256_file
from ..core.registry import suggest

SCHEMA = 1
AGREE = 0.01
"""How far, as a share, a stated median may be from that of the stated samples: the samples may have been rounded."""


def _finite(value: float) -> float:
    if not math.isfinite(value) or value <= 0:
        raise ValueError("is no number above 0")
    return value


Seconds = Annotated[float, AfterValidator(_finite)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImportedTiming(_Part):
    """How long one call took there: its median, the calls one by one, or both."""

    median_s: Seconds | None = None
    p90_s: Seconds | None = None
    n: int | None = Field(default=None, ge=1)
    """Calls that the median is of."""
    samples_s: list[Seconds] | None = Field(default=None, min_length=1)
    """Every call, in the order they were made, without those of warming up."""

    @property
    def median(self) -> float:
        """The median as stated, else that of the samples."""
        if self.median_s is not None:
            return self.median_s
        ordered = sorted(self.samples_s or [])
        return (ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2]) / 2

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.median_s is None and self.samples_s is None:
            raise ValueError("median_s or samples_s must be there")
        if self.samples_s is not None:
            own = self.model_copy(update={"median_s": None}).median
            if self.median_s is not None and abs(self.median_s / own - 1) > AGREE:
                raise ValueError(f"median_s {self.median_s:g} is not that of samples_s, {own:g}")
            if self.n is not None and self.n != len(self.samples_s):
                raise ValueError(f"n {self.n} is not the number of samples_s, {len(self.samples_s)}")
        if self.p90_s is not None and self.p90_s < self.median * (1 - AGREE):
            raise ValueError(f"p90_s {self.p90_s:g} is below the median {self.median:g}")
        return self


class ImportedStage(ImportedTiming):
    """One forward of a stage."""

    forwards: int = Field(ge=1)
    """How often it runs for one picture; a guided step counts twice where it makes two calls or a batch of two."""
    params: int | None = Field(default=None, ge=1)
    macs: int | None = Field(default=None, ge=1)
    """Multiply-adds of one forward."""


class ImportedPictures(_Part):
    """The pictures that a row made."""

    folder: str
    """From the file's own folder on; files are named by prompt id, or an index in it names them (see ``folder:``)."""
    seed: int | None = None
    """Of the noise they start from, where one seed is that of all."""


class ImportedRow(_Part):
    """One method as it ran there."""

    method: str = Field(min_length=1)
    """As on the command line: ``sd15[steps=20]``; names, options and ``base=`` tell which rows belong together."""
    checkpoint: str | None = None
    dtype: str | None = None
    """``fp16``, ``int8``, or the runtime's own word."""
    width: int = Field(default=512, ge=8)
    height: int = Field(default=512, ge=8)
    scheduler: str | None = None
    steps: int | None = Field(default=None, ge=1)
    guidance: float | None = Field(default=None, ge=0)
    stages: dict[str, ImportedStage] = Field(default_factory=dict)
    """By our names: ``text_encoder``, ``control``, ``unet``, ``decoder``, or others."""
    end_to_end: ImportedTiming | None = None
    """A whole picture."""
    load_s: Seconds | None = None
    first_s: Seconds | None = None
    """The first picture, what the runtime compiles included."""
    peak_memory_bytes: int | None = Field(default=None, ge=1)
    weights_bytes: int | None = Field(default=None, ge=1)
    energy_j: Seconds | None = None
    """Of one picture."""
    energy_source: str | None = None
    pictures: ImportedPictures | None = None
    notes: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_something(self) -> Self:
        if not self.stages and self.end_to_end is None and self.pictures is None:
            raise ValueError("holds neither stages, nor end_to_end, nor pictures")
        return self


class ImportedDevice(_Part):
    """What it ran on."""

    name: str = Field(min_length=1)
    """As its maker sells it: published tables are held against it."""
    os: str | None = None
    chip: str | None = None
    memory_bytes: int | None = Field(default=None, ge=1)


class ImportedRuntime(_Part):
    """What computed there."""

    name: str = Field(min_length=1)
    version: str | None = None
    settings: str | None = None
    """Delegate, compute units, threads, in its own words."""


class ImportedFile(_Part):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal[1] = Field(alias="schema")
    kind: Literal["imported"]
    device: ImportedDevice
    runtime: ImportedRuntime
    measured: str | None = None
    """When, and by whom."""
    protocol: str | None = None
    """How, in words: warming up, calls, charging, temperature."""
    rows: list[ImportedRow] = Field(min_length=1)

    @model_validator(mode="after")
    def _rows_differ(self) -> Self:
        methods = [row.method for row in self.rows]
        if twice := next((method for method in methods if methods.count(method) > 1), None):
            raise ValueError(f"two rows are of '{twice}': say in their options how they differ")
        return self


class Imported:
    """A file that was read, and where it lies."""

    def __init__(self, path: Path, content: ImportedFile) -> None:
        self.path, self.content = path, content

    @property
    def digest(self) -> str:
        """sha256 of the file, 64 hex digits."""
        return sha256_file(self.path)

    @property
    def source(self) -> str:
        """What rows call it."""
        return f"{self.path.name} (sha256 {self.digest[:12]})"

    def rows(self, methods: Sequence[str]) -> list[ImportedRow]:
        """Return the rows of ``methods``, of all where there are none; a name without options means all of that name.

        Raises BenchError, naming those there are, where one is not there.
        """
        found: list[ImportedRow] = []
        for method in methods:
            own = [row for row in self.content.rows if method in (row.method, row.method.partition("[")[0])]
            if not own:
                known = [row.method for row in self.content.rows]
                raise BenchError(
                    f"'{self.path}' has no row of '{method}'{suggest(method, known)} (it has {', '.join(known)})"
                )
            found += [row for row in own if row not in found]
        return found if methods else list(self.content.rows)

    def folder(self, row: ImportedRow) -> Path:
        """Return where a row's pictures are; BenchError where it has none, or where they are not there."""
        if row.pictures is None:
            raise BenchError(f"'{self.path}': the row '{row.method}' has no pictures to be measured")
        here = self.path.parent.resolve()
        place = (here / row.pictures.folder).resolve()
        if not place.is_relative_to(here):  # a file of unknown origin must not pick folders of this machine
            raise BenchError(f"'{self.path}': pictures.folder '{row.pictures.folder}' lies outside of its own folder")
        if not place.is_dir():
            raise BenchError(f"'{self.path}': pictures.folder '{row.pictures.folder}' of '{row.method}' is not there")
        return place

    def about(self) -> list[str]:
        """What must be said of its rows."""
        runtime, device = self.content.runtime, self.content.device
        parts = (
            "imported: measured elsewhere, not by bench",
            f"by {' '.join(filter(None, (runtime.name, runtime.version)))} on {device.name}",
            runtime.settings, device.os, self.content.measured, self.content.protocol, self.source,
        )  # fmt: skip
        return ["; ".join(part for part in parts if part)]


def read_imported(path: str | Path) -> Imported:
    """Read a file of numbers that were measured elsewhere.

    Raises BenchError, in one line that names the field, for a file that is missing, broken, or not of this schema.
    """
    file = Path(path).expanduser()
    try:
        data: Any = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"cannot read '{file}': {error.strerror or error}") from error
    except ValueError as error:
        raise BenchError(f"'{file}' is not valid JSON: {error}") from error
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise BenchError(
            f"'{file}' has schema {found!r}, expected {SCHEMA}: numbers measured elsewhere, see docs/latency.md"
        )
    try:
        return Imported(file, ImportedFile.model_validate(data))
    except ValidationError as error:
        raise BenchError(f"'{file}': {first_mistake(error)}") from error
