"""LiteRT with XNNPACK, the runtime of MediaPipe, on the processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exported import Exported
from .exports import Arrays, Need, Session, Subject

FILE = "graph.tflite"
NARROW = {np.dtype(np.int64): np.dtype(np.int32), np.dtype(np.float64): np.dtype(np.float32)}
"""Inputs of 64 bits become inputs of 32 in converting."""


class LiteRt(Exported):
    """LiteRT's interpreter with XNNPACK; a stage is one .tflite file.

    fp16 keeps weights in half precision and computes in fp32. int8 is AI Edge Quantizer's dynamic range: weights in 8
    bits by channel, activations when they are computed.
    """

    name = "litert"
    packages = ("litert-torch", "ai-edge-litert", "ai-edge-quantizer")
    modules = ("litert_torch", "ai_edge_litert", "ai_edge_quantizer")
    kept = {"fp32": "fp32", "fp16": "fp16", "int8": "int8"}

    def need(self, dtype: str) -> Need:
        return Need(memory=17, disk={"fp32": 4, "fp16": 6, "int8": 5}[dtype])

    def convert(self, subject: Subject, folder: Path) -> None:
        import litert_torch

        litert_torch.convert(subject.graph, subject.tensors).export(str(folder / FILE))

    def reduce(self, fp32: Path, folder: Path, dtype: str) -> None:
        from ai_edge_quantizer import quantizer, recipe

        file = str(fp32 / FILE)
        made = _halved(file) if dtype == "fp16" else quantizer.Quantizer(file, recipe.dynamic_wi8_afp32()).quantize()
        made.export_model(str(folder / FILE))

    def open(self, folder: Path, dtype: str) -> Session:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(folder / FILE), num_threads=self.threads)
        compute = interpreter.get_signature_runner()
        taken = [int(name.removeprefix("args_")) for name in compute.get_input_details()]
        answers = sorted(compute.get_output_details(), key=lambda name: int(name.removeprefix("output_")))

        def call(arrays: Sequence[NDArray[Any]]) -> Arrays:
            given = {f"args_{index}": _narrowed(arrays[index]) for index in taken}
            found = compute(**given)
            return [found[name] for name in answers]

        return call


def _halved(file: str) -> Any:
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

    made = quantizer.Quantizer(file)
    made.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
    )
    return made.quantize()


def _narrowed(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(NARROW.get(array.dtype, array.dtype), copy=False)
