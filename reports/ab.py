"""The typed schema of ``ab.json``, a contract with other people's scripts: two versions timed in the same rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..metrics.stats import Interval
from .documents import parse, read
from .latency import Machine, Protocol, Round

SCHEMA = 2

Verdict = Literal["pass", "fail", "could-not-measure"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VersionFacts(_Part):
    """One of the two versions."""

    given: str
    """The checkout or environment as it was named."""
    python: str
    package: str
    """The folder that ``t2ibench`` came from."""
    version: str
    """Of ``t2ibench``."""
    torch: str | None = None
    commit: str | None = None
    """Of the checkout."""


class AbRow(_Part):
    """One stage of one method, or whole pictures."""

    method: str
    device: str
    dtype: str
    what: str
    """A stage, ``end_to_end`` or ``composed`` (the stages, each times its forwards)."""
    goes: list[list[tuple[float, float]]]
    """Medians of turns side by side in seconds, base's and head's: a list for each go, which has fresh processes."""
    base_s: float
    """Median of the medians of all turns."""
    head_s: float
    slowdown: float | None = None
    """How much slower head is, as a share of base, by all turns: 0.07 is 7 %. None where they are too few."""
    interval: Interval | None = None
    """Of ``slowdown``, for this row alone."""
    simultaneous_interval: Interval | None = None
    """The same for all rows together."""
    verdict: Verdict
    reason: str

    @property
    def turns(self) -> list[tuple[float, float]]:
        """Those of all goes."""
        return [each for go in self.goes for each in go]


class AbFailed(_Part):
    """A method that could not be measured in one version or in both."""

    method: str
    device: str
    dtype: str
    version: Literal["base", "head", "both"]
    reason: str
    required: bool = True
    """Whether it was asked for, or could be had in one version at least."""


class AbRun(_Part):
    """``DIR/ab.json``, and what ``bench ab --json`` prints."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: int = Field(default=SCHEMA, alias="schema")
    kind: Literal["ab"] = "ab"
    created: str
    """UTC, ISO 8601."""
    verdict: Verdict
    base: VersionFacts
    head: VersionFacts
    margin: float
    """How much slower a row may get, as a share of base."""
    level: float
    """Of ``interval``, and of all of ``simultaneous_interval`` together."""
    tests: int
    """Rows that the correction is for."""
    protocol: Protocol
    machine: Machine
    rows: list[AbRow]
    failed: list[AbFailed] = Field(default_factory=list)
    rounds: list[Round] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)

    def to_json(self) -> str:
        """The text of ``ab.json``."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


def load_ab(path: str | Path) -> AbRun:
    """Read what ``bench ab`` wrote, from its folder or from ``ab.json``.

    Raises BenchError for a file that is missing, broken, something else, or of another schema.
    """
    text, file = read(path, "ab.json", f"no ab.json at '{path}': 'bench ab' writes one")
    return parse(AbRun, text, file, SCHEMA, "is not of 'bench ab'", "ab")
