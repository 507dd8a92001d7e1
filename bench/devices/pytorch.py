"""PyTorch, eager or compiled, on the processor, NVIDIA and AMD cards, and Apple chips."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from ...adapters.base import Adapter
from ...core.errors import BenchError
from ...datasets.request import Pixels, Request
from .base import Call, Device, DeviceSpec, Probe
from .energy import Meter, NoMeter, nvml, rapl


class PyTorch(Device):
    """PyTorch; with ``+compile`` the networks of all stages go through torch.compile, for the shapes that occur."""

    variants = {"compile": "torch.compile of every stage, static shapes"}

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec)
        if spec.argument is not None and (spec.name != "cuda" or not spec.argument.isdecimal()):
            raise BenchError(
                f"device '{spec.text}' does not exist: only cuda takes a number, cuda:1 for the second card"
            )
        self.place = spec.name if spec.argument is None else f"{spec.name}:{spec.argument}"

    @classmethod
    def probe(cls, name: str) -> list[Probe]:
        works, detail = _there(name)
        lacking = _compiler_lacks(name)
        compiler = lacking or f"{_cxx()}{' and Triton' if name == 'cuda' else ''}"
        compiled = Probe(f"{name}+compile", works and not lacking, compiler if works else detail)
        return [Probe(name, works, detail), compiled]

    def check(self) -> None:
        from ...adapters.checkpoints import torch_device

        torch_device(self.place)
        if self.spec.variant == "compile" and (lacking := _compiler_lacks(self.spec.name)):
            raise BenchError(f"device '{self.spec.text}': {lacking}; --device {self.place} needs none")

    def load(self, adapter: Adapter, dtype: str) -> None:
        from ..startup import exact_arithmetic

        exact_arithmetic()
        adapter.load(self.place, dtype)
        if self.spec.variant == "compile":
            self._compile(adapter)

    def _compile(self, adapter: Adapter) -> None:
        modules = {stage.module for stage in adapter.stages().values()}
        if not modules:
            raise BenchError(
                f"device '{self.spec.text}': the method declares no stages, so there is nothing to compile"
            )
        for module in modules:
            module.compile(dynamic=False)

    def stages(self, adapter: Adapter, request: Request) -> dict[str, Call]:
        import torch

        def forward(module: Any, inputs: tuple[Any, ...]) -> None:
            with torch.inference_mode():
                module(*inputs)

        calls: dict[str, Call] = {}
        for name, stage in adapter.stages().items():
            with torch.inference_mode():  # as the inputs of a picture are made: torch.compile tells them from others
                inputs = stage.inputs(request, self.place)
            calls[name] = self._awaited(lambda module=stage.module, inputs=inputs: forward(module, inputs))  # type: ignore[misc]
        return calls

    def picture(self, adapter: Adapter, request: Request) -> Call:
        seeds = itertools.count(request.seed)
        return self._awaited(lambda: adapter.generate([another(request, next(seeds))]))

    def _awaited(self, compute: Callable[[], object]) -> Call:
        def call() -> None:
            compute()
            self._synchronize()

        return call

    @cached_property
    def _synchronize(self) -> Callable[[], None]:
        import torch

        if self.spec.name == "cuda":
            return lambda: torch.cuda.synchronize(self.place)
        return torch.mps.synchronize if self.spec.name == "mps" else lambda: None

    def meter(self) -> Meter | NoMeter:
        if self.spec.name == "cuda":
            return nvml(int(self.spec.argument or 0))
        return rapl() if self.spec.name == "cpu" else NoMeter("macOS tells only root (powermetrics)")

    def peak_memory(self) -> int | None:
        import torch

        if self.spec.name == "cuda":
            return torch.cuda.max_memory_allocated(self.place)
        return torch.mps.driver_allocated_memory() if self.spec.name == "mps" else None

    def megahertz(self) -> float | None:
        import torch

        try:
            return float(torch.cuda.clock_rate(self.place)) if self.spec.name == "cuda" else None
        except Exception:  # NVML, AMD's SMI or their Python packages may be missing, each with an error of its own
            return None

    def about(self) -> dict[str, Any]:
        import torch

        found: dict[str, Any] = {"torch": torch.__version__, "threads": torch.get_num_threads()}
        if self.spec.name == "cuda":
            name = torch.cuda.get_device_name(self.place)
            found |= {"accelerator": name, "tf32": False, "cudnn_benchmark": False, "deterministic": True}
        return found


def another(request: Request, seed: int) -> Request:
    """Return the request of another picture, of another source where it has one: methods keep what they made of it."""
    if request.source is None:
        return replace(request, seed=seed)
    pixels = request.source.read().copy()
    pixels.reshape(-1)[seed % pixels.size] ^= 1
    return replace(request, seed=seed, source=Pixels.of(pixels))


def _there(name: str) -> tuple[bool, str]:
    import torch

    if name == "cpu":
        return True, f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if name == "cuda":
        there = torch.cuda.is_available()
        return there, torch.cuda.get_device_name() if there else "torch sees no NVIDIA or AMD card"
    return torch.backends.mps.is_available(), "Apple's chips only"


def _cxx() -> str:
    """The compiler that torch.compile calls, as it chooses it itself."""
    return os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "cl" if os.name == "nt" else "g++")


def _compiler_lacks(name: str) -> str | None:
    if shutil.which(_cxx()) is None:
        return f"torch.compile needs a C++ compiler, and there is no {_cxx()}: install one, or name it in CXX"
    if name == "cuda" and find_spec("triton") is None:
        return "torch.compile needs Triton on this card: pip install triton"
    return None
