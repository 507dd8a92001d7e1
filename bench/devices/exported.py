"""Devices that compute exported stages: the methods' own code runs, its networks are answered by another runtime."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel, Field, ValidationError

from ...adapters.base import Adapter, Settings
from ...core.errors import BenchError, WriteError
from ...core.files import sha256_file, write_atomic
from ...datasets.request import Request
from ..rows import digest, method_code
from .base import Call, Device, Part, Probe
from .energy import Meter, NoMeter, rapl
from .exports import (
    CLOSE,
    Export,
    Runtime,
    Session,
    Subject,
    check_room,
    estimate,
    export,
    exports_dir,
    find_export,
    weights_digest,
)
from .pytorch import another

if TYPE_CHECKING:
    from torch import nn

    from ..latency.worker import Order
    from .calls import Answer, ModuleCall

EXPORTER = f"{__package__}.exporter"
REHEARSED_STEPS = 10
"""Enough for inputs as they occur; a graph is the same at every step."""

R = TypeVar("R", bound="Exported")


class Ready(BaseModel):
    """What was exported of a method, so that it need not be loaded to find out."""

    graphs: dict[str, dict[str, str]] = Field(default_factory=dict)
    """The export for each call of each stage."""
    parts: dict[str, list[tuple[str, str]]] = Field(default_factory=dict)
    """Stage and call of the graphs of a part at a size."""
    failed: dict[str, str] = Field(default_factory=dict)
    """Stages that could not be exported, and why."""


class Exported(Device, Runtime):
    """A runtime that computes exported stages on the processor; a subclass says how they are made and opened.

    Graphs are of one picture: a batch is computed picture by picture. A stage that cannot be exported stays in PyTorch,
    which is said. Where ``prepare`` has run before ``load``, PyTorch's weights are dropped.
    """

    exports = True
    modules: tuple[str, ...]
    """What must be there to be imported."""

    @classmethod
    def probe(cls, name: str) -> list[Probe]:
        if lacking := cls._lacking():
            return [Probe(name, False, lacking)]
        found = [dtype for dtype in cls.kept if cls.lacks(dtype) is None]
        versions = ", ".join(f"{package} {version(package)}" for package in cls.packages)
        return [Probe(name, True, f"{versions}; {', '.join(found)}")]

    @classmethod
    def _lacking(cls) -> str | None:
        missing = [name for name in cls.modules if find_spec(name) is None]
        return f"lacks {', '.join(missing)}: pip install 't2ibench[devices]'" if missing else None

    @classmethod
    def precisions(cls) -> tuple[str, ...]:
        return tuple(cls.kept)

    def check(self) -> None:
        if lacking := self._lacking():
            raise BenchError(f"device '{self.spec.text}' {lacking}")
        if self.spec.argument is not None:
            raise BenchError(f"device '{self.spec.text}' does not exist: {self.name} takes no argument")

    def beside(self, other: type[R]) -> R:
        """Another runtime with the options of this one."""
        return other(replace(self.spec, text=other.name, name=other.name))

    @property
    def threads(self) -> int:
        """Threads of the processor that it may take."""
        import torch

        return self.spec.options.threads or torch.get_num_threads()

    # --- exporting

    def prepare(self, order: Order, parts: Sequence[Part], say: Callable[[str], None]) -> None:
        """Export, in a process of its own, what is not there yet; it takes more memory than computing does.

        Raises BenchError where the method cannot be exported at all, and where there is no room.
        """
        from ...adapters import make_adapter
        from ..fresh import FreshProcess

        self.check()
        adapter = make_adapter(order.method, Settings(**order.sampling))
        self._check_method(adapter, order.dtype)
        ready = self._read(adapter, order.dtype)
        wanted = [part for part in parts if _size(part, order.width, order.height) not in ready.parts]
        if not wanted:
            return
        with FreshProcess(EXPORTER, {}) as process:
            params = process.ask("load", **order.model_dump())
            found = estimate(params, self.need(order.dtype))
            say(f"export {order.method} to {self.name} in {order.dtype}: {found}")
            if not self.spec.options.force_export:
                check_room(found)
            process.ask("export", parts=wanted)

    def rehearse(self, adapter: Adapter, dtype: str) -> dict[str, int]:
        """Load a method to export it; return the parameters of its stages."""
        from ...adapters.counting import count_params

        self._settle(adapter, dtype)
        steps, editing = adapter.settings.steps, adapter.traits.editing
        if steps and not editing:  # an edit takes only a share of the steps, which must not become none
            adapter.settings = replace(adapter.settings, steps=min(steps, REHEARSED_STEPS))
        self._stand_in(adapter, dtype)
        for runner in self.runners.values():
            runner.rehearsing = True
        return {name: count_params(runner.module) for name, runner in self.runners.items()}

    def export(self, adapter: Adapter, request: Request, parts: Sequence[Part]) -> None:
        """Export what a rehearsed method calls for such a request, and keep a record of it."""
        for part in parts:
            calls = [*self._inputs(adapter, request).values()] if part == "stages" else [
                lambda: adapter.generate([request])
            ]  # fmt: skip
            for runner in self.runners.values():
                runner.called.clear()
            for call in calls:
                call()
            found = [(name, key) for name, runner in self.runners.items() for key in runner.called]
            self.ready.parts[_size(part, request.width, request.height)] = found
        for name, runner in self.runners.items():
            self.ready.graphs[name] = runner.made
            if runner.failed:
                self.ready.failed[name] = runner.failed
        if self.ready.failed.keys() >= self.runners.keys():
            raise BenchError(next(iter(self.ready.failed.values())))
        write_atomic(self._record, self.ready.model_dump_json(indent=2))

    # --- computing

    def load(self, adapter: Adapter, dtype: str) -> None:
        self._check_method(adapter, dtype)
        self._settle(adapter, dtype)
        self._stand_in(adapter, dtype)
        if self.ready.parts:
            for runner in self.runners.values():
                runner.drop_weights()

    def stages(self, adapter: Adapter, request: Request) -> dict[str, Call]:
        self._open("stages", request)
        calls = self._inputs(adapter, request)
        # A stage that stayed in PyTorch says nothing of this runtime.
        failed = {id(runner.module) for runner in self.runners.values() if runner.failed}
        return {name: calls[name] for name, stage in adapter.stages().items() if id(stage.module) not in failed}

    def picture(self, adapter: Adapter, request: Request) -> Call:
        self._open("picture", request)
        seeds = itertools.count(request.seed)
        return lambda: _nothing(adapter.generate([another(request, next(seeds))]))

    def meter(self) -> Meter | NoMeter:
        return rapl()

    def file_bytes(self) -> int | None:
        """What the files of the graphs that make pictures take; of the stages where there are no pictures."""
        opened = {
            (name, key): graph.export for name, runner in self.runners.items() for key, graph in runner.opened.items()
        }
        drawn = {call for part, calls in self.ready.parts.items() if part.startswith("picture") for call in calls}
        used = {call: made for call, made in opened.items() if call in drawn} or opened
        return sum({made.folder: made.bytes for made in used.values()}.values())

    def about(self) -> dict[str, Any]:
        errors = {name: error for name, runner in self.runners.items() if (error := runner.error) is not None}
        return {
            **{package: version(package) for package in self.packages},
            "threads": self.threads,
            "off_pytorch": errors,
            **({"in_pytorch": failed} if (failed := self.failed()) else {}),
        }

    def failed(self) -> dict[str, str]:
        """The stages that stayed in PyTorch, and why."""
        return {name: runner.failed for name, runner in self.runners.items() if runner.failed}

    def notes(self) -> list[str]:
        errors = {name: error for name, runner in self.runners.items() if (error := runner.error) is not None}
        off = ", ".join(f"{name.replace('_', ' ')} {_percent(error)}" for name, error in errors.items())
        told = [f"exported to {self.name}; off PyTorch by at most, of the largest value: {off}"] if off else []
        return told + [f"{name.replace('_', ' ')} ran in PyTorch: {why}" for name, why in self.failed().items()]

    def identity(self) -> list[Any]:
        return [self.versions]

    # --- inside

    def _check_method(self, adapter: Adapter, dtype: str) -> None:
        if reason := self.lacks(dtype):
            raise BenchError(f"device '{self.spec.text}': {reason}")
        sits_on: Adapter | None = adapter
        while sits_on is not None:
            if sits_on.inside:
                raise BenchError(
                    f"device '{self.spec.text}' computes whole networks, and the method {sits_on.inside}: "
                    "run it in PyTorch, --device cpu"
                )
            sits_on = sits_on.base

    def _settle(self, adapter: Adapter, dtype: str) -> None:
        self.ready = self._read(adapter, dtype)

    def _read(self, adapter: Adapter, dtype: str) -> Ready:
        parts = [
            self.name, dtype, self.versions, _code(),
            method_code(adapter), dict(adapter.options), vars(adapter.settings), adapter.fingerprint(),
        ]  # fmt: skip
        self._record = exports_dir() / "methods" / f"{digest(parts)}.json"
        try:
            found = Ready.model_validate_json(self._record.read_bytes())
            for key in {key for graphs in found.graphs.values() for key in graphs.values()}:
                find_export(key)
        except (OSError, ValidationError, BenchError):  # never made, of an older version, or cleared away
            return Ready()
        return found

    def _stand_in(self, adapter: Adapter, dtype: str) -> None:
        adapter.load("cpu", "fp32")
        self.runners: dict[str, Runner] = {}
        seen: set[int] = set()
        for name, stage in adapter.stages().items():
            if id(stage.module) not in seen:  # the UNet is that of an inversion, too
                seen.add(id(stage.module))
                self.runners[name] = Runner(self, name, stage.module, dtype, self.ready)
        if not self.runners:
            raise BenchError(f"device '{self.spec.text}': the method declares no stages that could be exported")

    def _inputs(self, adapter: Adapter, request: Request) -> dict[str, Call]:
        import torch

        def forward(module: Any, inputs: tuple[Any, ...]) -> None:
            with torch.inference_mode():
                module(*inputs)

        calls: dict[str, Call] = {}
        for name, stage in adapter.stages().items():
            inputs = stage.inputs(request, "cpu")
            calls[name] = lambda module=stage.module, inputs=inputs: forward(module, inputs)  # type: ignore[misc]
        return calls

    def _open(self, part: Part, request: Request) -> None:
        for name, key in self.ready.parts.get(_size(part, request.width, request.height), []):
            self.runners[name].open(key)


class _Opened(NamedTuple):
    export: Export
    session: Session


class Runner:
    """Answers the calls of a module in its place."""

    def __init__(self, device: Exported, name: str, module: nn.Module, dtype: str, ready: Ready) -> None:
        self.device, self.name, self.module, self.dtype = device, name, module, dtype
        self.made = dict(ready.graphs.get(name, {}))
        """The export for each call."""
        self.failed = ready.failed.get(name)
        self.opened: dict[str, _Opened] = {}
        self.called: dict[str, None] = {}
        """The calls in a rehearsal."""
        self.rehearsing = False
        self._answers: dict[str, Answer] = {}
        self._weights: str | None = None
        self._dropped = False
        # As torch.compile does in place: copies, and those on the meta device that are counted, are plain modules.
        module._compiled_call_impl = self  # type: ignore[assignment]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from .calls import ModuleCall

        if self.failed and not self.rehearsing:
            return self._in_pytorch(*args, **kwargs)
        self._check_plain()
        call = ModuleCall.of(self.module, args, kwargs)
        if self.rehearsing:
            self.called[call.key] = None
            self._export(call)
            return self._in_pytorch(*args, **kwargs)
        if call.key not in self.made:
            self._export(call)
            if self.failed:
                return self._in_pytorch(*args, **kwargs)
        return self._compute(call)

    def _in_pytorch(self, *args: Any, **kwargs: Any) -> Any:
        return self.module._call_impl(*args, **kwargs)  # type: ignore[no-untyped-call]

    def open(self, key: str) -> _Opened:
        """Load the graph of a call."""
        if key not in self.opened:
            found = find_export(self.made[key])
            self.opened[key] = _Opened(found, self.device.open(found.folder, self.dtype))
        return self.opened[key]

    @property
    def error(self) -> float | None:
        """How far the graphs that are open are off PyTorch, at most."""
        errors = [graph.export.facts.errors.get(self.dtype) for graph in self.opened.values()]
        return max((error for error in errors if error is not None), default=None)

    def drop_weights(self) -> None:
        """Free PyTorch's weights: all that is needed is exported."""
        if not self.failed:
            self.module.to_empty(device="meta")
            self._dropped = True

    def _export(self, call: ModuleCall) -> None:
        if call.key in self.made or self.failed:
            return
        if self._dropped:
            shapes = ", ".join(f"{name} {shape}" for name, shape in call.shapes.items())
            raise BenchError(
                f"the {self.name} was not exported for such a call ({shapes}): remove '{exports_dir()}' and run again"
            )
        if self._weights is None:
            self._weights = weights_digest(self.module)
        try:
            self.made[call.key] = export(self.device, Subject(self.module, call, self._weights), self.dtype).folder.name
        except WriteError:  # the disk is full, which says nothing of the network
            raise
        except BenchError as error:
            self.failed = str(error)

    def _compute(self, call: ModuleCall) -> Any:
        import numpy as np
        import torch

        from .calls import Graph

        session = self.open(call.key).session
        rows = [session([tensor.contiguous().numpy() for tensor in row]) for row in call.rows()]
        if call.key not in self._answers:
            self._answers[call.key] = Graph(self.module, call).restore()
        tensors = [torch.from_numpy(np.concatenate(parts)) for parts in zip(*rows, strict=True)]
        return self._answers[call.key].filled(tensors)

    def _check_plain(self) -> None:
        """Raise BenchError where the module is to be changed inside, which no graph would notice."""
        import torch

        hooked = sum(bool(part._forward_hooks or part._forward_pre_hooks) for part in self.module.modules())
        trained = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.module.parameters())
        if hooked or trained:
            what = "trains it" if trained else f"changes {hooked} of its layers"
            raise BenchError(
                f"device '{self.device.spec.text}' computes the {self.name} as a whole, and the method {what}: "
                "run it in PyTorch, --device cpu"
            )


def _code() -> list[str]:
    """Digests of the files that export: what could not be exported before may now."""
    return sorted(sha256_file(file) for file in Path(__file__).parent.glob("*.py"))


def _size(part: Part, width: int, height: int) -> str:
    return f"{part} {width}x{height}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= CLOSE else "below 0.01 %"


def _nothing(_: object) -> None:
    return None
