"""Suites of ``bench latency``: which methods, how they are timed, and what the papers claim of their ratios."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...core.errors import BenchError
from ...core.registry import suggest
from ...core.zoo import PREFIX, zoo_names
from ...reports.latency import PublishedRatio

FOLDER = files(__package__).joinpath("suites")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SuiteMethod(_Part):
    """One row; the first of a suite is the base of the others."""

    name: str
    """What claims and the command line call it."""
    method: str

    @property
    def lacks(self) -> str | None:
        """Why it cannot run here, where that is known before anything is loaded: the zoo has no such checkpoint."""
        named = re.findall(rf"{PREFIX}([\w.-]+)", self.method)
        missing = next((name for name in named if name not in zoo_names()), None)
        return f"the zoo has no checkpoint '{missing}' (yet)" if missing else None


class Claim(_Part):
    """What a paper says of a ratio to the suite's first row."""

    text: str
    row: str
    what: str
    """A stage, or ``total`` for whole pictures."""
    most: float | None = None
    least: float | None = None
    """Between which ratios it holds."""
    published: list[PublishedRatio] = Field(default_factory=list)


class LatencySuite(_Part):
    """A suite file, validated."""

    name: str
    version: int = Field(ge=1)
    summary: str
    size: int = Field(ge=8)
    """Pixels a side."""
    in_pairs: bool = False
    """Whether one method at a time is loaded beside the first, where all of them do not fit into memory."""
    rounds: int = Field(default=10, ge=1)
    iterations: int = Field(default=10, ge=1)
    min_seconds: float = Field(default=10.0, ge=0)
    dtype: Literal["fp32", "fastest"] = "fp32"
    """``fastest``: whichever of bf16 and fp32 computes faster on the device."""
    whole_on_cpu: bool = True
    """Whether whole pictures are made on a processor, too, where nobody says otherwise."""
    methods: list[SuiteMethod] = Field(min_length=2)
    claims: list[Claim] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _claims_have_rows(self) -> LatencySuite:
        names = [method.name for method in self.methods]
        if unknown := next((claim.row for claim in self.claims if claim.row not in names[1:]), None):
            raise ValueError(f"a claim is of '{unknown}', which is none of the rows after the first")
        return self

    def choose(self, names: list[str]) -> list[SuiteMethod]:
        """Return the methods called ``names``, the base first; all where none is named. BenchError for others."""
        known = [method.name for method in self.methods]
        for name in names:
            if name not in known:
                raise BenchError(
                    f"suite '{self.name}' has no '{name}'{suggest(name, known)} (it has {', '.join(known)})"
                )
        return [method for method in self.methods if not names or method.name in (*names, known[0])]


def latency_suites() -> dict[str, str]:
    """One line for every suite of ``bench latency``."""
    return {name: find_latency_suite(name).summary for name in _names()}


def find_latency_suite(name: str) -> LatencySuite:
    """Return the suite called ``name``; BenchError for an unknown one."""
    if name not in (known := _names()):
        raise BenchError(f"bench latency has no suite '{name}'{suggest(name, known)} (known: {', '.join(known)})")
    return LatencySuite.model_validate(tomllib.loads(FOLDER.joinpath(f"{name}.toml").read_text(encoding="utf-8")))


def _names() -> list[str]:
    return sorted(file.name.removesuffix(".toml") for file in FOLDER.iterdir() if file.name.endswith(".toml"))
