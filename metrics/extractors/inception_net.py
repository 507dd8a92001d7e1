"""The 2015 Inception network up to pool3, written once and run by ONNX Runtime or by PyTorch.

It is Inception v3 (Szegedy et al., arXiv 1512.00567) as TensorFlow published it in 2015 and FID took it over, with the
names that torch-fidelity and pytorch-fid give its tensors. Two things set it apart from torchvision's: average pools
leave out the padding, and the last block pools by maximum.

``pool3`` is the network over abstract operations: ``inception_onnx`` records them as a graph for ONNX Runtime, the
fastest on a CPU in fp32; ``inception_torch`` executes them in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")
Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From pictures (n, 299, 299, 3) in [-1, 1] to features (n, 2048)."""

SIDE = 299
WIDTH = 2048
_EPSILON = 0.001
"""Of every batch norm."""


class Folded(NamedTuple):
    """A convolution with its batch norm in it: weight (out, in, kh, kw) and bias (out,)."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


def fold(tensors: Mapping[str, Tensor]) -> dict[str, Folded]:
    """Return all convolutions by name, each batch norm folded in, which changes features by rounding only.

    Raises KeyError where a tensor of the network is missing, ValueError where one has another shape.
    """
    names = [name.removesuffix(".conv.weight") for name in tensors if name.endswith(".conv.weight")]
    folded = {name: _fold(name, tensors) for name in names}
    if (width := pool3(_Channels(folded), 3)) != WIDTH:
        raise ValueError(f"it makes {width} features, not {WIDTH}")
    return folded


def _fold(name: str, tensors: Mapping[str, Tensor]) -> Folded:
    norm = {
        key: tensors[f"{name}.bn.{key}"].double().numpy() for key in ("weight", "bias", "running_mean", "running_var")
    }
    scale = norm["weight"] / np.sqrt(norm["running_var"] + _EPSILON)
    weight = tensors[f"{name}.conv.weight"].float().numpy() * scale.astype(np.float32)[:, None, None, None]
    return Folded(weight, (norm["bias"] - norm["running_mean"] * scale).astype(np.float32))


class Operations(Protocol[Value]):
    """What the network is made of; values are (n, channels, height, width)."""

    def conv(self, name: str, x: Value, stride: int = 1, same: bool = True) -> Value:
        """Convolution and ReLU; padded to the same size with ``same``."""

    def max_pool(self, x: Value, stride: int = 2) -> Value:
        """Maximum over 3×3; padded to the same size with stride 1."""

    def avg_pool(self, x: Value) -> Value:
        """Mean over 3×3, padded to the same size; the padding does not count."""

    def cat(self, parts: Sequence[Value]) -> Value:
        """Concatenate channels."""

    def mean(self, x: Value) -> Value:
        """Mean over height and width: (n, channels)."""


def pool3(ops: Operations[Value], x: Value) -> Value:
    """Return features (n, 2048) of pictures (n, 3, 299, 299) in [-1, 1]."""
    x = ops.conv("Conv2d_1a_3x3", x, stride=2, same=False)
    x = ops.conv("Conv2d_2a_3x3", x, same=False)
    x = ops.max_pool(ops.conv("Conv2d_2b_3x3", x))
    x = ops.conv("Conv2d_3b_1x1", x)
    x = ops.max_pool(ops.conv("Conv2d_4a_3x3", x, same=False))
    for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = _Block(ops, name).wide(x)
    x = _Block(ops, "Mixed_6a").shrink(x)
    for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = _Block(ops, name).factored(x)
    x = _Block(ops, "Mixed_7a").shrink_factored(x)
    x = _Block(ops, "Mixed_7b").split(x, ops.avg_pool(x))
    x = _Block(ops, "Mixed_7c").split(x, ops.max_pool(x, stride=1))
    return ops.mean(x)


class _Block(Generic[Value]):
    """One mixed block: branches over the same input, concatenated."""

    def __init__(self, ops: Operations[Value], name: str) -> None:
        self._ops, self._name = ops, name

    def wide(self, x: Value) -> Value:
        return self._beside_pool(x, ("branch1x1",), _steps("branch5x5", 2), _steps("branch3x3dbl", 3))

    def factored(self, x: Value) -> Value:
        return self._beside_pool(x, ("branch1x1",), _steps("branch7x7", 3), _steps("branch7x7dbl", 5))

    def shrink(self, x: Value) -> Value:
        short = self._halve(x, "branch3x3")
        deep = self._halve(self._chain(x, *_steps("branch3x3dbl", 2)), "branch3x3dbl_3")
        return self._ops.cat([short, deep, self._ops.max_pool(x)])

    def shrink_factored(self, x: Value) -> Value:
        short = self._halve(self._chain(x, "branch3x3_1"), "branch3x3_2")
        deep = self._halve(self._chain(x, *_steps("branch7x7x3", 3)), "branch7x7x3_4")
        return self._ops.cat([short, deep, self._ops.max_pool(x)])

    def split(self, x: Value, pooled: Value) -> Value:
        short = self._chain(x, "branch3x3_1")
        deep = self._chain(x, *_steps("branch3x3dbl", 2))
        ends = [(short, "branch3x3_2a"), (short, "branch3x3_2b"), (deep, "branch3x3dbl_3a"), (deep, "branch3x3dbl_3b")]
        parts = [self._chain(x, "branch1x1"), *(self._chain(value, name) for value, name in ends)]
        return self._ops.cat([*parts, self._chain(pooled, "branch_pool")])

    def _beside_pool(self, x: Value, *branches: Sequence[str]) -> Value:
        pooled = self._chain(self._ops.avg_pool(x), "branch_pool")
        return self._ops.cat([*(self._chain(x, *names) for names in branches), pooled])

    def _chain(self, x: Value, *names: str) -> Value:
        for name in names:
            x = self._ops.conv(f"{self._name}.{name}", x)
        return x

    def _halve(self, x: Value, name: str) -> Value:
        return self._ops.conv(f"{self._name}.{name}", x, stride=2, same=False)


def _steps(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}_{step}" for step in range(1, count + 1))


class _Channels:
    """Operations that only follow the number of channels, which says whether weights fit."""

    def __init__(self, folded: Mapping[str, Folded]) -> None:
        self._folded = folded

    def conv(self, name: str, x: int, stride: int = 1, same: bool = True) -> int:
        weight = self._folded[name].weight
        if weight.shape[1] != x:
            raise ValueError(f"{name} takes {weight.shape[1]} channels, not {x}")
        return len(weight)

    def max_pool(self, x: int, stride: int = 2) -> int:
        return x

    def avg_pool(self, x: int) -> int:
        return x

    def cat(self, parts: Sequence[int]) -> int:
        return sum(parts)

    def mean(self, x: int) -> int:
        return x


def padding(weight: NDArray[np.float32], same: bool = True) -> tuple[int, int]:
    """Return the rows and columns of padding that keep the size under odd kernels, none unless ``same``."""
    height, width = weight.shape[2:]
    return (height // 2, width // 2) if same else (0, 0)
