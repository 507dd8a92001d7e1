"""OpenVINO on the processor."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exported import Exported
from .exports import Arrays, Need, Session, Subject, export
from .onnx_runtime import FILE as ONNX_FILE
from .onnx_runtime import INPUT

FILE = "graph.xml"
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
"""The arithmetic for each precision; left to itself OpenVINO takes bf16 where the processor has it."""
NEEDED = {"bf16": "BF16", "fp16": "FP16"}
"""What OpenVINO calls the ability of a processor to compute in a precision."""


class OpenVino(Exported):
    """OpenVINO's plug-in for processors.

    bf16 and fp16 are arithmetic, where the processor has it; the weights' file stays fp32 for bf16. int8 is NNCF's
    ``compress_weights``: weights in 8 bits by channel, arithmetic in fp32.
    """

    name = "openvino"
    packages = ("openvino", "nncf", "onnx")
    modules = ("openvino", "nncf", "onnx")
    kept = {"fp32": "fp32", "bf16": "fp32", "fp16": "fp16", "int8": "int8"}

    @classmethod
    def lacks(cls, dtype: str) -> str | None:
        if dtype in NEEDED and NEEDED[dtype] not in _abilities():
            return f"this processor has no {dtype} arithmetic"
        return super().lacks(dtype)

    def need(self, dtype: str) -> Need:
        return Need(memory=25, disk={"fp32": 8, "bf16": 8, "fp16": 10, "int8": 9}[dtype])

    def convert(self, subject: Subject, folder: Path) -> None:
        from .onnx_runtime import OnnxRuntime

        # Tracing the network itself takes OpenVINO 30 times as long as reading its ONNX.
        source = export(self.beside(OnnxRuntime), subject, "fp32").folder / ONNX_FILE
        openvino = import_openvino()
        openvino.save_model(openvino.Core().read_model(source), folder / FILE, compress_to_fp16=False)

    def reduce(self, fp32: Path, folder: Path, dtype: str) -> None:
        openvino = import_openvino()
        model = openvino.Core().read_model(fp32 / FILE)
        if dtype == "int8":
            import nncf

            model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
        openvino.save_model(model, folder / FILE, compress_to_fp16=dtype == "fp16")

    def open(self, folder: Path, dtype: str) -> Session:
        openvino = import_openvino()
        options = {"INFERENCE_PRECISION_HINT": HINTS[dtype], "INFERENCE_NUM_THREADS": self.threads}
        compiled = openvino.Core().compile_model(folder / FILE, "CPU", options)
        places = [_place(given.names) for given in compiled.inputs]
        request, answers = compiled.create_infer_request(), range(len(compiled.outputs))

        def compute(arrays: Sequence[NDArray[Any]]) -> Arrays:
            found = request.infer([arrays[place] for place in places])
            return [np.array(found[answer]) for answer in answers]  # the next call writes into the same memory

        return compute


def import_openvino() -> Any:
    """Import OpenVINO less its telemetry: it and NNCF would tell Google Analytics of every use, without being asked."""
    if "openvino" not in sys.modules:
        modules: dict[str, Any] = sys.modules
        modules.setdefault("openvino_telemetry", None)  # as if it were not installed
    os.environ.setdefault("NNCF_CI", "1")
    import openvino

    return openvino


def _abilities() -> list[str]:
    """What the processor computes in, as OpenVINO calls it."""
    found: list[str] = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return found


def _place(names: Iterable[str]) -> int:
    """Which tensor of a call an input is; it may have been given names beside the one that it had in ONNX."""
    return next(int(found[1]) for name in names if (found := INPUT.fullmatch(name)))
