"""The Inception network of FID: torch-fidelity's port of the 2015 TensorFlow graph, its pool3 features."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core.weights import KnownWeights, load_tensors, reading
from ..setup import Setup
from ..transforms import Picture
from .base import Extractor, as_tensor, by_size, file_digest

if TYPE_CHECKING:
    from torch import nn

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
    """2048 pool3 features after TensorFlow 1's bilinear resize to 299×299 (Heusel et al. 2017)."""

    preprocess = "tf-bilinear"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
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

    def features(self, prepared: Sequence[Picture]) -> NDArray[np.float32]:
        result = np.empty((len(prepared), 2048), np.float32)
        with self.running():
            for group in by_size(prepared):
                (features,) = self._network(as_tensor([prepared[index] for index in group], self.device))
                result[group] = features.float().cpu().numpy()
        return result

    @cached_property
    def _network(self) -> nn.Module:
        import torch
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        # The constructor unpickles whatever file it is given; so it gets our own copy of the tensors, read safely.
        copy = BytesIO()
        torch.save(load_tensors(self._path), copy)
        copy.seek(0)
        with reading(self._path):
            network: nn.Module = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=copy)
        # Half as fast again on a CPU as the default layout.
        return network.to(self.device).to(memory_format=torch.channels_last)
