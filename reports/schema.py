"""The typed schema of ``run.json``, a contract with other people's scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..metrics.value import MetricValue
from .documents import parse, read

SCHEMA = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RunSettings(_Part):
    """How the pictures of a row were made; None where the method has no such setting."""

    scheduler: str | None = None
    steps: int | None = None
    guidance: float | None = None
    size: str | None = None
    """Width × height of the pictures in pixels: ``"512x512"``."""
    dtype: str | None = None
    device: str | None = None


class Latency(_Part):
    """Seconds of one stage for one picture."""

    median_s: float
    p90_s: float | None = None
    """None where it is not known."""
    n: int
    """How many were measured; 0 where that is not known."""
    device: str
    batch_sizes: list[int] = Field(default_factory=list)
    """Pictures per batch, every size that occurs; empty where it is not known."""
    threads: list[int] = Field(default_factory=list)
    """Threads of the processor, likewise."""
    warm: bool = True
    """False where all of it was measured on the first batch after loading."""


class Cost(_Part):
    """What one picture costs; None where it is not known. 1 MAC is one multiply-add."""

    params: int | None = None
    denoiser_params: int | None = None
    """Of the network that ``macs_per_forward`` is of."""
    macs_per_forward: int | None = None
    forwards_per_image: int | None = None
    """Of the denoiser."""
    forwards: dict[str, float] = Field(default_factory=dict)
    """Of each part (``unet``, ``control``, …), on average over the pictures: regions and windows differ in number."""
    macs_per_image: int | None = None
    peak_memory_bytes: int | None = None
    """On an accelerator the peak allocated; on a CPU what the process took more than before loading, at its peak."""
    file_bytes: int | None = None
    """Of the files that are loaded: the exported stages, else the weights."""


class CodecFacts(_Part):
    """What tells one codec from another beside its pictures."""

    latent_channels: int | None = None
    downsampling: int | None = None
    latent_space: str | None = None
    encoder_params: int | None = None
    decoder_params: int | None = None
    encoder_macs: int | None = None
    decoder_macs: int | None = None
    file_bytes: int | None = None


class Swept(_Part):
    """What a sweep put into a method."""

    setting: str
    value: float
    method: str
    """The method as the suite writes it, with ``{}`` in the value's place, or without the setting."""


class Result(_Part):
    """One row: one method with its settings, on the run's prompts or photos."""

    method: str
    checkpoint: str | None
    n: int
    settings: RunSettings
    metrics: dict[str, MetricValue]
    latency: dict[str, Latency] = Field(default_factory=dict)
    cost: Cost = Cost()
    codec: CodecFacts | None = None
    device: str | None = None
    """What its device calls itself, where that is not the one of the run's environment."""
    imported: str | None = None
    """The file that its seconds and settings come from, where it was made elsewhere."""
    swept: Swept | None = None
    """None for a row of no sweep."""
    dataset: str | None = None
    """Whose prompts it is made of; None for those of the suite."""
    notes: list[str] = Field(default_factory=list)
    """What a reader of this row must know: "92 of 5,000 prompts", prompts that were cut, …"""


class Skipped(_Part):
    """A method that was asked for and not run."""

    method: str
    reason: str


class SuiteInfo(_Part):
    """Which suite made the run, with all that it was asked for."""

    name: str
    version: int
    kind: str
    """``generate`` (prompts to pictures) or ``codec`` (photos through an autoencoder)."""
    summary: str
    seed: int
    dataset: str
    items: int
    """Prompts or photos that the run used."""
    total: int
    """Prompts or photos that the dataset holds."""
    table: str | None = None
    """The published table whose rows stand beside the measured ones (a file of ``reports/published``)."""
    notes: list[str] = Field(default_factory=list)


class Run(_Part):
    """A finished run: ``DIR/run.json``."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: int = Field(default=SCHEMA, alias="schema")
    suite: SuiteInfo
    created: str
    """UTC, ISO 8601."""
    environment: dict[str, Any]
    results: list[Result]
    skipped: list[Skipped] = Field(default_factory=list)

    def to_json(self) -> str:
        """The text of ``run.json``."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


def load_run(path: str | Path) -> Run:
    """Read a run from its folder or from its ``run.json``.

    Raises BenchError for a file that is missing, broken, or of a newer schema.
    """
    missing = f"no run at '{path}': expected a run.json there; has 'bench run' finished?"
    return parse_run(*read(path, "run.json", missing))


def parse_run(text: bytes, file: str) -> Run:
    """Return the run that the text of a ``run.json`` is of; ``file`` is what messages call it.

    Raises BenchError for text that is broken, of a newer schema, or something else.
    """
    return parse(Run, text, file, SCHEMA, "is not a run")


class Picture(BaseModel):
    """One picture of a run as the gallery shows it."""

    method: str
    prompt_id: str
    sample: int
    prompt: str | None
    file: Path
    """The picture, an existing file."""
    reference: Path | None = None
    """The photo or the teacher's picture it is compared with."""
    conditions: dict[str, Path] = Field(default_factory=dict)
    """The condition maps that it was made from, by kind, of the pictures that a report shows."""
