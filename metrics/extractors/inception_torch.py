"""Inception in PyTorch: on any device, in any precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .inception_net import Folded, Forward, padding, pool3


def torch_forward(folded: Mapping[str, Folded], device: str, dtype: str) -> Forward:
    """Return the network as PyTorch runs it on ``device`` in ``fp32``, ``bf16`` or ``fp16``."""
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    operations = TorchOperations(folded, device, kind)

    def forward(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        # Pictures lie in memory as channels_last has it, the faster layout.
        x = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(device, kind)
        return np.asarray(pool3(operations, x).cpu().numpy())

    return forward


class TorchOperations:
    """Operations on tensors."""

    def __init__(self, folded: Mapping[str, Folded], device: str, kind: torch.dtype) -> None:
        def put(array: NDArray[np.float32]) -> Tensor:
            tensor = torch.from_numpy(array).to(device, kind)
            return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor

        self._padding = {name: padding(each.weight) for name, each in folded.items()}
        self._folded = {name: (put(each.weight), put(each.bias)) for name, each in folded.items()}

    def conv(self, name: str, x: Tensor, stride: int = 1, same: bool = True) -> Tensor:
        weight, bias = self._folded[name]
        return functional.conv2d(x, weight, bias, stride, self._padding[name] if same else 0).relu_()

    def max_pool(self, x: Tensor, stride: int = 2) -> Tensor:
        return functional.max_pool2d(x, 3, stride, int(stride == 1))

    def avg_pool(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    def cat(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), 1)

    def mean(self, x: Tensor) -> Tensor:
        return x.float().mean((2, 3))
