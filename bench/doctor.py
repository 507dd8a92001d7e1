"""``bench doctor``: what works on this machine, what is missing, and how to get it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

from ..core.errors import BenchError
from ..core.weights import WeightsFinder, cache_dir
from ..datasets.catalog import DATASETS
from ..datasets.dataset import data_root
from .devices import probe_devices
from .devices.energy import NoMeter, rapl


class Finding(NamedTuple):
    """One thing that was looked at."""

    area: str
    name: str
    works: bool
    detail: str
    """What was found, or what is missing and how to get it."""


def doctor_command(as_json: bool) -> None:
    """Print the findings."""
    found = list(findings())
    if as_json:
        print(json.dumps([item._asdict() for item in found], indent=2))
        return
    width = max(len(item.name) for item in found)
    area = ""
    for item in found:
        if item.area != area:
            print(area := item.area)
        print(f"  {'ok     ' if item.works else 'missing'}  {item.name:<{width}}  {item.detail}")


def findings() -> Iterator[Finding]:
    """Look at packages, devices, folders, weights and datasets; opens no socket."""
    yield from _packages()
    yield from _devices()
    yield from _folders()
    yield from _weights()
    yield from _datasets()


def _packages() -> Iterator[Finding]:
    for requirement in requires("t2ibench") or []:
        text, _, marker = requirement.partition(";")
        name = text.split("[")[0].split("<")[0].split(">")[0].split("=")[0].strip()
        extra = marker.partition("extra == ")[2].strip(" \"'")
        try:
            yield Finding("packages", name, True, version(name))
        except PackageNotFoundError:
            how = f"pip install 't2ibench[{extra}]'" if extra else f"pip install {name}"
            yield Finding("packages", name, False, how)


def _devices() -> Iterator[Finding]:
    yield from (Finding("devices", *probe) for probe in probe_devices())
    energy = rapl()
    works = not isinstance(energy, NoMeter)
    yield Finding("devices", "energy", works, energy.reason if isinstance(energy, NoMeter) else energy.source)


def _folders() -> Iterator[Finding]:
    for name, path in (("data", data_root()), ("cache", cache_dir())):
        there = next(parent for parent in (path, *path.parents) if parent.exists())
        free = shutil.disk_usage(there).free / 1e9
        yield Finding("folders", name, os.access(there, os.W_OK), f"{path} ({free:.0f} GB free)")
    weights = os.environ.get("T2IBENCH_WEIGHTS")
    detail = weights or "T2IBENCH_WEIGHTS is not set: weights come from caches and the network"
    yield Finding("folders", "weights", bool(weights) and Path(weights or "").is_dir(), detail)


def _weights() -> Iterator[Finding]:
    from ..datasets.conditions import WEIGHTS
    from ..metrics.extractors import NETWORKS
    from ..metrics.setup import Setup

    finder = WeightsFinder(offline=True)
    needed = [NETWORKS.get(name).weights(Setup(weights=finder)) for name in NETWORKS.names()]
    for known in dict.fromkeys([*needed, *WEIGHTS]):
        if known is None:
            continue
        try:
            yield Finding("weights", known.name, True, str(finder.find(known).path))
        except BenchError as error:
            yield Finding("weights", known.name, False, str(error).rpartition(" (")[0])  # less why it was not fetched


def _datasets() -> Iterator[Finding]:
    root = data_root()
    for name in DATASETS.names():
        dataset = DATASETS.get(name)
        if not dataset.fetchable:
            continue
        for part, read in (("prompts", dataset.prompts), ("photos", dataset.reference)):
            try:
                yield Finding("datasets", f"{name} {part}", True, f"{len(read(root)):,}")
            except BenchError as error:
                yield Finding("datasets", f"{name} {part}", False, str(error))
