"""A baseline: what comparing with a run takes, in one file without its pictures, small enough to be committed or kept.

A ZIP archive of ``run.json``, ``scores.parquet``, ``baseline.json`` (digests and noises of the pictures, and what their
features were made with) and the features in half precision, an array for each method and network.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...core.errors import BenchError
from ...core.files import replacing
from ...metrics.metric import CannotMeasure
from ...reports.schema import parse_run
from ..references import half_precision
from .changes import networks_of, transform_through
from .sides import Looker, Place, Rows, RunSide, Side, Taken, read_scores

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
FEATURES = "features/"
"""Where features lie in the archive."""


class _Seen(BaseModel):
    """What features were made with."""

    model_config = ConfigDict(extra="forbid")

    transform: str
    label: str
    """The network, its weights and its precision."""


class _Contents(BaseModel):
    """``baseline.json``."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: int = Field(default=SCHEMA, alias="schema")
    pictures: dict[str, list[tuple[str, int, str, str | None]]]
    """By method: prompt id, sample, sha256 of the file, noise."""
    networks: dict[str, _Seen]


def save_baseline(side: RunSide, file: Path, looker: Looker) -> None:
    """Write the baseline of a run. Raises BenchError where features cannot be had, WriteError where writing fails."""
    methods = [result.method for result in side.run.results]
    pictures = {name: [(*place, taken.image, taken.noise) for place, taken in side.pictures(name).items()]
                for name in methods}  # fmt: skip
    networks: dict[str, _Seen] = {}
    with replacing(file) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
        archive.write(side.directory / "run.json", "run.json")
        archive.write(side.directory / "scores.parquet", "scores.parquet")
        for index, result in enumerate(side.run.results):
            for network in networks_of(result):
                transform = transform_through(result, network)
                networks[network] = _Seen(transform=transform, label=looker.label(network, transform))
                rows = side.features(result.method, network, transform, list(side.pictures(result.method)), looker)
                archive.writestr(_member(index, network), _array(half_precision(rows)))
        contents = _Contents(pictures=pictures, networks=networks)
        archive.writestr("baseline.json", contents.model_dump_json(by_alias=True))


class BaselineSide(Side):
    """A run as its baseline file keeps it."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises BenchError, naming it, where it is broken, something else, or of a newer schema."""
        self.name, self._file = str(path), path
        self._contents = self._read_contents()
        self.run = parse_run(self._read("run.json"), f"{path}: run.json")
        _ = self._scores

    def pictures(self, method: str) -> Mapping[Place, Taken]:
        return self._pictures.get(method, {})

    def features(self, method: str, network: str, transform: str, places: Sequence[Place], looker: Looker) -> Rows:
        seen = self._contents.networks.get(network)
        if seen is None or seen.transform != transform:
            raise CannotMeasure(f"the baseline has no features of '{network}': make it anew with 'bench baseline'")
        try:
            label = looker.label(network, transform)
        except BenchError as error:
            raise CannotMeasure(str(error)) from error
        if label != seen.label:
            raise CannotMeasure(f"the baseline's features are of {seen.label}, and here is {label}: make it anew")
        index = [result.method for result in self.run.results].index(method)
        try:
            rows = np.load(io.BytesIO(self._read(_member(index, network))), allow_pickle=False)
            order = {place: row for row, place in enumerate(self.pictures(method))}
            return np.asarray(rows[[order[place] for place in places]], np.float32)
        except (ValueError, EOFError, IndexError) as error:
            raise BenchError(f"'{self.name}' is broken ({error}): make it anew with 'bench baseline'") from error

    @cached_property
    def _pictures(self) -> dict[str, dict[Place, Taken]]:
        return {
            method: {Place(prompt, sample): Taken(image, noise) for prompt, sample, image, noise in found}
            for method, found in self._contents.pictures.items()
        }

    def _frame(self) -> pd.DataFrame:
        return read_scores(io.BytesIO(self._read("scores.parquet")), f"{self.name}: scores.parquet")

    def _read_contents(self) -> _Contents:
        try:
            data: Any = json.loads(self._read("baseline.json"))
            found = data.get("schema") if isinstance(data, dict) else None
            if found != SCHEMA:
                raise BenchError(f"'{self.name}' has schema {found!r}, this version reads {SCHEMA}: make it anew")
            return _Contents.model_validate(data)
        except (ValueError, ValidationError) as error:
            raise BenchError(f"'{self.name}' is no baseline: {error}") from error

    def _read(self, member: str) -> bytes:
        try:
            with ZipFile(self._file) as archive:
                if member.startswith(FEATURES) and member not in archive.namelist():
                    raise CannotMeasure(f"'{self.name}' has no features of this row through the metric's network")
                return archive.read(member)
        except (OSError, BadZipFile, KeyError, EOFError) as error:
            raise BenchError(
                f"'{self.name}' is no baseline ({error}): give a run's folder, or what 'bench baseline' wrote"
            ) from error


def _member(index: int, network: str) -> str:
    return f"{FEATURES}{index}-{network}.npy"


def _array(rows: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, rows, allow_pickle=False)
    return buffer.getvalue()
