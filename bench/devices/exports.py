"""Stages exported to other runtimes: made once, compared with PyTorch before they are used, kept by digest."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cached_property
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from ...adapters.counting import count_params
from ...core.errors import BenchError
from ...core.files import sha256_file, write_atomic, writing
from ...core.weights import cache_dir
from ..latency.machine import available_bytes

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .calls import Graph, ModuleCall

Arrays: TypeAlias = list[NDArray[Any]]
Session: TypeAlias = Callable[[Sequence[NDArray[Any]]], Arrays]
"""Computes a graph: the arrays of one picture in, in the order of the call, the arrays of its answer out."""

CLOSE = 1e-4
"""How far an export in fp32 may be off PyTorch, of the largest value of an answer."""
FACTS = "export.json"
STALE_S = 24 * 3600.0
"""Seconds without a byte written after which an export is no longer being made."""


class Facts(BaseModel):
    """What is known of an export; ``export.json`` beside its files."""

    network: str
    params: int
    shapes: dict[str, str]
    """Of one picture, by argument."""
    precision: str
    """What its weights are kept in."""
    seconds: float
    """What converting took."""
    versions: dict[str, str]
    errors: dict[str, float] = Field(default_factory=dict)
    """How far it is off PyTorch's fp32, by the precision that it computes in: of the largest value of an answer."""


class Export(NamedTuple):
    """An export that may be used."""

    folder: Path
    facts: Facts

    @property
    def bytes(self) -> int:
        """What its files take."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file() and file.name != FACTS)


class Need(NamedTuple):
    """Bytes that an export takes for each parameter, at most: as measured on a network of 88 M, rounded up."""

    memory: float
    """Beside PyTorch's weights; comparing is part of it."""
    disk: float


class Subject:
    """What is exported: a network as it is called, with examples to compare it by.

    The second example differs from the first in every tensor: a graph may have kept what it should read as a constant.
    """

    def __init__(self, module: nn.Module, call: ModuleCall, weights: str) -> None:
        from .calls import Graph

        self.graph: Graph = Graph(module, call).eval()
        self.call, self.weights = call, weights
        self.tensors: tuple[Tensor, ...] = tuple(tensor.detach().clone() for tensor in next(call.rows()))
        self.examples = [self.tensors, tuple(map(_another, self.tensors))]

    @property
    def name(self) -> str:
        """The class of the network."""
        return type(self.graph.module).__name__

    @cached_property
    def expected(self) -> list[Arrays]:
        """What PyTorch answers to each example."""
        import torch

        with torch.no_grad():
            return [[tensor.float().numpy() for tensor in self.graph(*tensors)] for tensors in self.examples]

    def error(self, session: Session) -> float:
        """How far a session is off PyTorch, of the largest value of an answer, at most."""
        found = [session([tensor.numpy() for tensor in tensors]) for tensors in self.examples]
        return max(worst_error(*pair) for pair in zip(found, self.expected, strict=True))


def _another(tensor: Tensor) -> Tensor:
    """As many values of the same kind, others where they are not all alike; token ids remain token ids."""
    if tensor.ndim == 0:
        return tensor // 2 if not tensor.is_floating_point() else tensor / 2
    return tensor.roll(1, -1) / 2 if tensor.is_floating_point() else tensor.roll(1, -1)


class Runtime(ABC):
    """A way to compute graphs that are exported to files."""

    name: str
    packages: tuple[str, ...]
    """The distributions behind it, whose versions decide what an export is."""
    kept: Mapping[str, str]
    """The precisions that it has, and what weights are kept in for each."""

    @property
    def versions(self) -> dict[str, str]:
        """The versions of its packages and of those that make the graphs."""
        return {name: version(name) for name in (*self.packages, "torch", "diffusers", "transformers", "t2ibench")}

    @abstractmethod
    def need(self, dtype: str) -> Need:
        """What exporting takes."""

    @abstractmethod
    def convert(self, subject: Subject, folder: Path) -> None:
        """Write the graph in fp32."""

    @abstractmethod
    def reduce(self, fp32: Path, folder: Path, dtype: str) -> None:
        """Write the graph in ``fp32`` again with its weights kept in another precision."""

    @abstractmethod
    def open(self, folder: Path, dtype: str) -> Session:
        """Load what was written, to be computed in ``dtype``."""


def export(runtime: Runtime, subject: Subject, dtype: str) -> Export:
    """Return the export of a graph, made and compared with PyTorch where that was not done before.

    Raises BenchError, in one line, where the runtime cannot have it, and where it computes something else.
    """
    kept = runtime.kept[dtype]
    folder = _folder(runtime, subject, kept)
    if not (folder / FACTS).is_file():
        source = export(runtime, subject, "fp32").folder if kept != "fp32" else None
        with _making(folder) as made:
            start = time.perf_counter()
            with _blamed(runtime, subject, dtype):
                if source is None:
                    runtime.convert(subject, made)
                else:
                    runtime.reduce(source, made, kept)
            facts = Facts(
                network=subject.name, params=count_params(subject.graph), shapes=subject.call.shapes,
                precision=kept, seconds=round(time.perf_counter() - start, 3), versions=runtime.versions,
            )  # fmt: skip
            (made / FACTS).write_text(facts.model_dump_json(indent=2))
    return _compared(runtime, subject, dtype, folder)


def _compared(runtime: Runtime, subject: Subject, dtype: str, folder: Path) -> Export:
    facts = read_facts(folder)
    if dtype not in facts.errors:
        with _blamed(runtime, subject, dtype):
            error = subject.error(runtime.open(folder, dtype))
        if not error <= (CLOSE if dtype == "fp32" else np.inf):
            if dtype == facts.precision:
                shutil.rmtree(folder, ignore_errors=True)
            raise BenchError(
                f"{subject.name} exported to {runtime.name} in {dtype} is off PyTorch by {error:.1e} of its largest "
                f"value{f' (at most {CLOSE:.0e})' if dtype == 'fp32' else ''}: not used"
            )
        facts = facts.model_copy(update={"errors": {**facts.errors, dtype: float(f"{error:.3g}")}})
        write_atomic(folder / FACTS, facts.model_dump_json(indent=2))
    return Export(folder, facts)


def worst_error(answer: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]]) -> float:
    """Return the largest difference, of the largest value expected of its tensor; infinity for NaN and other shapes."""
    if [found.shape for found in answer] != [wanted.shape for wanted in expected]:
        return float("inf")
    errors = [
        float(np.abs(found.astype(np.float64) - wanted).max() / max(float(np.abs(wanted).max()), 1e-30))
        for found, wanted in zip(answer, expected, strict=True)
    ]
    return max(errors) if np.isfinite(errors).all() else float("inf")


def exports_dir() -> Path:
    """Where exports are kept; all of it can be removed."""
    return cache_dir() / "exports"


def find_export(key: str) -> Export:
    """Return an export by its folder's name; BenchError where it is gone."""
    folder = exports_dir() / key
    return Export(folder, read_facts(folder))


def read_facts(folder: Path) -> Facts:
    """Return what is known of an export; BenchError where it is gone or broken."""
    try:
        return Facts.model_validate_json((folder / FACTS).read_bytes())
    except (OSError, ValidationError) as error:
        raise BenchError(
            f"the export in '{folder}' is gone or broken: remove '{folder.parent}' and run again"
        ) from error


def _folder(runtime: Runtime, subject: Subject, kept: str) -> Path:
    parts = [runtime.name, kept, runtime.versions, subject.call.key, subject.weights]
    return exports_dir() / hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@contextmanager
def _making(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write to; it becomes ``folder`` if all goes well, else nothing is left."""
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        # Not tempfile: its folders can be read by their owner alone.
        made = folder.with_name(f".{folder.name}.{os.getpid()}-{threading.get_ident()}")
        made.mkdir()
        try:
            yield made
            if not (folder / FACTS).is_file():  # else another process has made it meanwhile, and may be reading it
                shutil.rmtree(folder, ignore_errors=True)
                made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove what exports that were killed have left: gigabytes, each."""
    for folder in place.glob(".*"):
        with suppress(OSError):  # another process removes it, too
            if time.time() - max(file.stat().st_mtime for file in (folder, *folder.rglob("*"))) > STALE_S:
                shutil.rmtree(folder)


@contextmanager
def _blamed(runtime: Runtime, subject: Subject, dtype: str) -> Iterator[None]:
    """Make one line of whatever a runtime raises, and keep what its tools print to itself."""
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            yield
    except (BenchError, OSError, MemoryError):
        raise
    except Exception as error:  # exporters and runtimes raise what they like
        text = " ".join(str(error).split())[:200]
        raise BenchError(
            f"{runtime.name} cannot have {subject.name} in {dtype}: {type(error).__name__}: {text}"
        ) from error


def weights_digest(module: nn.Module) -> str:
    """Return 32 hex digits of all that decides what a module computes: tensors, structure, configuration, code."""
    import torch

    total = hashlib.sha256(f"{module!r} {_config(module)} {_sources(module)}".encode())
    for name, tensor in sorted([*module.named_parameters(), *module.named_buffers()], key=lambda item: item[0]):
        flat = tensor.detach().contiguous().reshape(-1)
        total.update(f"\n{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        total.update(flat.view(torch.uint8).numpy().data)
    return total.hexdigest()[:32]


def _config(module: nn.Module) -> str:
    configs: list[Any] = [getattr(part, "config", None) for part in module.modules()]
    plain = [config.to_dict() if hasattr(config, "to_dict") else config for config in configs]
    # What begins with an underscore is how a configuration was read: versions, paths, names of defaults in any order.
    said = [{k: v for k, v in c.items() if not k.startswith("_")} for c in plain if isinstance(c, Mapping)]
    return json.dumps(said, sort_keys=True, default=str)


def _sources(module: nn.Module) -> list[str]:
    """Digests of the files that the classes of a network are written in, less those of torch, which has a version."""
    kinds = {type(part) for part in module.modules() if not type(part).__module__.startswith("torch.")}
    files = {file for kind in kinds if (file := _source(kind))}
    return sorted(sha256_file(Path(file)) for file in files)


def _source(kind: type) -> str | None:
    with suppress(OSError, TypeError):
        file = inspect.getsourcefile(kind)
        return file if file and Path(file).is_file() else None
    return None


# --- what exporting takes


class Estimate(NamedTuple):
    """What exporting the stages of a method takes, at most."""

    params: int
    memory: int
    """Bytes, of the largest stage and all weights."""
    disk: int

    def __str__(self) -> str:
        def size(count: int) -> str:
            return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"

        return (
            f"{self.params / 1e6:,.1f} M parameters, up to {size(self.memory)} of memory and {size(self.disk)} of disk"
        )


BASE_BYTES = 400_000_000
"""What PyTorch and the tools of the runtimes take whatever they export."""


def estimate(params: Mapping[str, int], need: Need) -> Estimate:
    """Return what exporting networks of so many parameters takes; one is exported after the other."""
    total, largest = sum(params.values()), max(params.values(), default=0)
    memory = BASE_BYTES + 4 * total + int(need.memory * largest)
    return Estimate(total, memory, int(need.disk * total))


def check_room(found: Estimate) -> None:
    """Raise BenchError where memory or disk will not do."""
    there = exports_dir()
    while not there.exists():
        there = there.parent
    disk, memory = shutil.disk_usage(there).free, available_bytes()
    force = "--force-export tries it all the same"
    if disk < found.disk:
        raise BenchError(
            f"exporting takes up to {found.disk / 1e9:.1f} GB in '{there}', and {disk / 1e9:.1f} are free there: name "
            f"another folder in T2IBENCH_CACHE; {force}"
        )
    if memory is not None and memory < found.memory:
        raise BenchError(
            f"exporting takes up to {found.memory / 1e9:.1f} GB of memory, and {memory / 1e9:.1f} are free; {force}"
        )
