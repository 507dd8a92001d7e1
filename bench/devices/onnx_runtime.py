"""ONNX Runtime on the processor."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .exported import Exported
from .exports import Arrays, Need, Session, Subject

FILE = "graph.onnx"
OPSET = 17
INPUT = re.compile(r"in(\d+)")
"""Inputs are called by the places of their tensors in a call; what a graph does not read it does not have."""
LARGE = 1_500_000_000
"""Bytes above which weights do not fit into one file of protocol buffers beside their graph."""


class OnnxRuntime(Exported):
    """ONNX Runtime, execution provider CPU.

    fp16 keeps weights and activations in half precision; where the processor has no such kernels it computes in fp32.
    int8 is ``quantize_dynamic``: weights of convolutions and matrix products in 8 bits, activations when they are
    computed.
    """

    name = "onnx"
    packages = ("onnx", "onnxruntime")
    modules = ("onnx", "onnxruntime")
    kept = {"fp32": "fp32", "fp16": "fp16", "int8": "int8"}

    def need(self, dtype: str) -> Need:
        return Need(memory={"fp32": 17, "fp16": 19, "int8": 21}[dtype], disk={"fp32": 4, "fp16": 6, "int8": 5}[dtype])

    def convert(self, subject: Subject, folder: Path) -> None:
        write_onnx(subject, folder / FILE)

    def reduce(self, fp32: Path, folder: Path, dtype: str) -> None:
        import onnx

        if dtype == "fp16":
            from onnxruntime.transformers.float16 import convert_float_to_float16

            model = convert_float_to_float16(onnx.load(fp32 / FILE), keep_io_types=True, disable_shape_infer=True)
            onnx.save(model, folder / FILE, save_as_external_data=_is_large(fp32), location="weights.bin")
            return
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            fp32 / FILE, folder / FILE, op_types_to_quantize=["Conv", "Gemm", "MatMul"], weight_type=QuantType.QUInt8,
            use_external_data_format=_is_large(fp32),
        )  # fmt: skip

    def open(self, folder: Path, dtype: str) -> Session:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 4
        # Threads that spin for work would take the cores from what comes between two stages.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(folder / FILE, options, providers=["CPUExecutionProvider"])
        taken = [int(given.name.removeprefix("in")) for given in session.get_inputs()]

        def compute(arrays: Sequence[NDArray[Any]]) -> Arrays:
            found: Arrays = session.run(None, {f"in{index}": arrays[index] for index in taken})
            return found

        return compute


def write_onnx(subject: Subject, file: Path) -> None:
    """Write a graph as ONNX, weights that do not fit beside it in files of their own."""
    import torch

    names = [f"in{index}" for index in range(len(subject.tensors))]
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        # The other exporter needs onnxscript, and takes several times as long.
        torch.onnx.export(
            subject.graph, subject.tensors, str(file), dynamo=False, opset_version=OPSET, input_names=names
        )


def _is_large(folder: Path) -> bool:
    return sum(file.stat().st_size for file in folder.iterdir()) > LARGE
