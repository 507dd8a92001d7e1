"""The Inception network of FID: the 2015 TensorFlow graph in PyTorch's weights, its pool3 features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...core.errors import BenchError
from ...core.weights import KnownWeights, load_tensors
from ..resizers import find_resizer
from ..setup import Setup
from ..transforms import Picture
from .base import Extractor, cores, file_digest
from .inception_net import SIDE, Forward, fold

WEIGHTS = KnownWeights(
    "inception",
    "weights-inception-2015-12-05-6726825d.pth",
    # pytorch-fid's name for the same file; both names end in the first digits of its sha256.
    aliases=("pt_inception-2015-12-05-6726825d.pth",),
    sha256="6726825d",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    caches=(
        "torch/hub/checkpoints/weights-inception-2015-12-05-6726825d.pth",
        "torch/hub/checkpoints/pt_inception-2015-12-05-6726825d.pth",
    ),
)


class Inception(Extractor):
    """2048 pool3 features after a resize to 299×299 that ``Setup.inception_resize`` names (Heusel et al. 2017).

    In fp32 on a CPU ONNX Runtime runs the network, elsewhere PyTorch.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.preprocess = setup.inception_resize
        self._resize = find_resizer(setup.inception_resize)
        found = setup.weights.find(WEIGHTS)
        self._path = found.path
        if found.official:
            self.label = f"inception-2015-12-05@{WEIGHTS.sha256}"
        else:
            self.label = f"inception-unofficial@{file_digest(setup, WEIGHTS)}"
            self.note = f"Inception weights {found.path.name} are not the official ones"

    @classmethod
    def weights(cls, setup: Setup) -> KnownWeights:
        return WEIGHTS

    def prepare(self, picture: Picture) -> NDArray[np.float32]:
        return self._resize(picture, SIDE)

    def features(self, prepared: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        with self.running():
            return self._forward(np.stack(list(prepared)))

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class logits (n, 1008) of pool3 features (n, 2048), without the bias of the last layer."""
        return np.asarray(features @ self._last_layer.T)

    @cached_property
    def _last_layer(self) -> NDArray[np.float32]:
        with self._fitting():
            return np.asarray(load_tensors(self._path)["fc.weight"].float().numpy())

    @cached_property
    def _forward(self) -> Forward:
        with self._fitting():
            folded = fold(load_tensors(self._path))
        if self.kind == "cpu" and self.dtype == "fp32":
            from .inception_onnx import onnx_forward

            return onnx_forward(folded, cores())
        from .inception_torch import torch_forward

        return torch_forward(folded, self.device, self.dtype)

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        problem = f"weights file '{self._path}' does not fit the network"
        try:
            yield
        except KeyError as error:
            raise BenchError(f"{problem}: it holds no {error}") from error
        except ValueError as error:
            raise BenchError(f"{problem}: {error}") from error
