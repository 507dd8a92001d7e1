"""LPIPS: distances in the features of a classification network, weighted by heads learned from human judgements.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018. The heads (version
0.1) come with the ``lpips`` package; the network below them is torchvision's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import BenchError
from ...core.weights import KnownWeights, load_tensors, reading, tensors_digest
from ..setup import Setup
from ..transforms import Picture
from .base import Network, as_tensor, by_size

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 32
"""Pixels; below, the pooling of the networks leaves nothing."""


def _backbone(net: str, stem: str, sha256: str) -> KnownWeights:
    file = f"{stem}-{sha256}.pth"
    return KnownWeights(
        f"lpips-{net}",
        file,
        aliases=(f"{net}.backbone.pth",),
        sha256=sha256,
        url=f"https://download.pytorch.org/models/{file}",
        caches=(f"torch/hub/checkpoints/{file}",),
    )


BACKBONES = {
    "alex": _backbone("alex", "alexnet-owt", "7be5be79"),
    "squeeze": _backbone("squeeze", "squeezenet1_1", "b8a52dc0"),
    "vgg": _backbone("vgg", "vgg16", "397923af"),
}

OFFICIAL_TENSORS = {"squeeze": "0300ddb7df63533f9277e997971dd4e820db7f8976b3683bbf8a9d914c279c9a"}
"""Digests of the genuine feature layers, for copies without torchvision's classifier or in another file: with these
tensors LPIPS gives the values that torchmetrics' documentation prints (0.1024 and 0.0938; a test repeats it)."""


class Lpips(Network):
    """LPIPS version 0.1 over the network that the suite chooses; subclasses fix one by ``choice``."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._net, self._found = self.choice(setup), setup.weights.find(self.weights(setup))
        digest = tensors_digest(self._features)
        self.label = f"{self._net}-v0.1@{digest[:8]}"
        if not (self._found.official or digest == OFFICIAL_TENSORS.get(self._net)):
            self.note = f"LPIPS weights {self._found.path.name} are not the official ones"

    @classmethod
    def choice(cls, setup: Setup) -> str:
        """``alex``, ``vgg`` or ``squeeze``."""
        return setup.lpips_net

    @classmethod
    def weights(cls, setup: Setup) -> KnownWeights:
        net = cls.choice(setup)
        if net not in BACKBONES:
            raise BenchError(f"unknown LPIPS network '{net}': expected {', '.join(BACKBONES)}")
        return BACKBONES[net]

    def distances(self, pictures: Sequence[Picture], targets: Sequence[Picture]) -> NDArray[np.float64]:
        """Return the distance of each pair; both of a pair are of one size, at least 32 pixels (else BenchError)."""
        result = np.empty(len(pictures), np.float64)
        for group in by_size(pictures):
            height, width = pictures[group[0]].shape[:2]
            if min(height, width) < SMALLEST:
                raise BenchError(f"LPIPS needs at least {SMALLEST}×{SMALLEST} pixels, not {width}×{height}")
            sides = (as_tensor([side[index] for index in group], self.device) for side in (pictures, targets))
            result[group] = self.compare(*(side.float() / 127.5 - 1 for side in sides)).cpu().double().numpy()
        return result

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances (n,) of float pictures (n, 3, H, W) in [-1, 1]."""
        with self.running():
            distances: Tensor = self._network(a.to(self.device), b.to(self.device)).flatten()
        return distances

    @cached_property
    def _features(self) -> dict[str, Tensor]:
        """The feature layers under bare names (``0.weight``), whether or not the file holds the classifier too."""
        tensors = load_tensors(self._found.path)
        return {name.removeprefix("features."): tensor for name, tensor in tensors.items() if "classifier" not in name}

    @cached_property
    def _network(self) -> Any:
        import lpips

        with warnings.catch_warnings(), reading(self._found.path):
            warnings.simplefilter("ignore")  # lpips calls torchvision by arguments that it has renamed
            network = lpips.LPIPS(net=self._net, pnet_rand=True, verbose=False)
            wanted = network.net.state_dict()
            # "slice2.3.squeeze.weight" is layer 3 of the features, whatever slice it is in.
            network.net.load_state_dict({name: self._features[name.partition(".")[2]] for name in wanted})
        return network.requires_grad_(False).to(self.device)


class LpipsAlex(Lpips):
    """Over AlexNet, which its authors recommend for comparing pictures."""

    @classmethod
    def choice(cls, setup: Setup) -> str:
        return "alex"


class LpipsVgg(Lpips):
    """Over VGG-16, which its authors recommend as a loss."""

    @classmethod
    def choice(cls, setup: Setup) -> str:
        return "vgg"


class LpipsSqueeze(Lpips):
    """Over SqueezeNet 1.1, which PIE-Bench takes."""

    @classmethod
    def choice(cls, setup: Setup) -> str:
        return "squeeze"
