"""What a network costs: parameters and multiply-adds, of torch modules and of ONNX files."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..core.errors import BenchError

if TYPE_CHECKING:
    from torch import nn

    Module = TypeVar("Module", bound=nn.Module)

Shape = tuple[int, ...]


class OnnxCost(NamedTuple):
    """The cost of one forward of an ONNX graph."""

    params: int
    macs: int


def count_params(module: nn.Module) -> int:
    """Return how many parameters ``module`` has, shared ones counted once."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(call: Callable[[], Any]) -> int:
    """Return the multiply-adds that ``call()`` runs in torch: convolutions and matrix products, attention included.

    Biases, normalisations and activations are not counted. Works on the meta device, where it costs nothing.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter, shapes = FlopCounterMode(display=False, custom_mapping=_fused_attention()), _shapes_only()
    with torch.no_grad(), counter, shapes:
        call()
    return int(counter.get_total_flops()) // 2 + int(shapes.macs)


def on_meta(module: Module) -> Module:
    """Return a copy of ``module`` without data: same structure and dtypes, on torch's meta device."""
    import torch
    from torch import nn

    memo: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in module.buffers()}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
    # deepcopy takes what its memo holds in place of a copy: not one weight is duplicated.
    return copy.deepcopy(module, memo)


def onnx_cost(path: Path, input_shape: Sequence[int]) -> OnnxCost:
    """Return parameters and multiply-adds of one forward of an ONNX file whose first input has ``input_shape``.

    Counted are Conv, ConvTranspose, Gemm and MatMul. Raises BenchError for a file that is not ONNX, or where
    a shape cannot be inferred.
    """
    graph = _infer(path, input_shape).graph
    shapes = _shapes(graph)
    try:
        macs = sum(_node_macs(node, shapes) for node in graph.node)
    except KeyError as error:
        raise BenchError(f"'{path}': the shape of {error} cannot be inferred for an input of {input_shape}") from error
    return OnnxCost(sum(prod(tensor.dims) for tensor in graph.initializer if tensor.data_type in _FLOATS), macs)


_FLOATS = frozenset({1, 10, 11, 16})  # TensorProto.FLOAT, FLOAT16, DOUBLE, BFLOAT16


def _fused_attention() -> dict[Any, Callable[..., int]]:
    # torch's counter knows the CUDA kernels only; the fused CPU and other kernels would count as zero.
    from torch import ops
    from torch.utils.flop_counter import sdpa_flop_count

    def attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
        return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]

    kernels = ("flash_attention_for_cpu", "fused_attention_overrideable", "attention_math_for_mps")
    return {getattr(ops.aten, f"_scaled_dot_product_{kernel}"): attention for kernel in kernels}


def _shapes_only() -> Any:
    """Return a mode in which the commonest operations only make an empty tensor of their shape on the meta device.

    There torch computes shapes in Python, of everything that an operation is made of: most of all the time.
    Norms and activations are not counted; of layers and attention the mode has the multiply-adds in ``macs``.
    """
    import torch
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    alike = (functional.group_norm, functional.layer_norm, functional.silu, functional.gelu, functional.softmax)
    layers: dict[Any, Callable[..., tuple[Shape, int] | None]] = {
        functional.linear: _linear, functional.conv2d: _conv2d, functional.scaled_dot_product_attention: _attention,
    }  # fmt: skip

    class Mode(TorchFunctionMode):
        macs = 0

        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if function in alike and args[0].is_meta:
                return torch.empty_like(args[0])
            if function in layers and args[0].is_meta and (found := layers[function](*args, **kwargs)):
                shape, macs = found
                self.macs += macs
                return args[0].new_empty(shape)
            return function(*args, **kwargs)

    return Mode()


def _linear(given: Any, weight: Any, bias: Any = None) -> tuple[Shape, int]:
    return (*given.shape[:-1], len(weight)), given.numel() * len(weight)


def _conv2d(
    given: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> tuple[Shape, int] | None:
    if not all(isinstance(each, tuple) for each in (stride, padding, dilation)):
        return None
    sides = zip(given.shape[-2:], weight.shape[2:], stride, padding, dilation, strict=True)
    size = [(side + 2 * pad - spread * (kernel - 1) - 1) // step + 1 for side, kernel, step, pad, spread in sides]
    shape = (*given.shape[:-3], len(weight), *size)
    return shape, prod(shape) * prod(weight.shape[1:])


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> tuple[Shape, int]:
    shape = (*query.shape[:-1], value.shape[-1])
    return shape, prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _infer(path: Path, input_shape: Sequence[int]) -> Any:
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        _fix_shapes(model.graph, input_shape)
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # protobuf's and onnx's own errors share no base class
        raise BenchError(f"'{path}' is not a usable ONNX file: {error}") from error


def _fix_shapes(graph: Any, input_shape: Sequence[int]) -> None:
    for dimension, size in zip(graph.input[0].type.tensor_type.shape.dim, input_shape, strict=True):
        dimension.dim_value = size
    for output in graph.output:  # an exporter's symbolic names here would hide the inferred sizes
        output.type.tensor_type.ClearField("shape")


def _shapes(graph: Any) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in chain(graph.input, graph.value_info, graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if all(dimension.HasField("dim_value") for dimension in dimensions):
            shapes[value.name] = tuple(dimension.dim_value for dimension in dimensions)
    return shapes


def _node_macs(node: Any, shapes: Mapping[str, Shape]) -> int:
    if node.op_type == "Conv":
        return prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":
        return prod(shapes[node.input[0]]) * prod(shapes[node.input[1]][1:])
    if node.op_type == "MatMul":
        return prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
    if node.op_type == "Gemm":
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if transposed else 1]
    return 0
