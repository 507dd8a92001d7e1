"""FID end to end against what other tools compute, with random weights of the real architecture.

    python tests/metrics/test_parity_inception.py        prints the rows of docs/parity.md

Theirs is torch-fidelity's module behind the resize and scaling of each tool, restated here in PyTorch and Pillow, and
the exact Fréchet distance of its features: with n pictures of 2048 features, n < 2048, the trace of the root is the
nuclear norm of the n×n matrix of inner products.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics.extractors.inception import Inception
from t2ibench.metrics.features import feature_set
from t2ibench.metrics.frechet import frechet
from t2ibench.metrics.setup import Setup

pytestmark = pytest.mark.usefixtures("one_thread")

Scale = Callable[[torch.Tensor], torch.Tensor]
"""From levels (1, 3, H, W) to what a tool feeds the network."""
Picture = Callable[..., np.ndarray]

SIDE = 299
FEATURES_TOLERANCE, FID_TOLERANCE = 1e-4, 1e-4
"""Relative; of features by their norm."""


def as_torch_fidelity(x: torch.Tensor) -> torch.Tensor:
    return (interpolate_bilinear_2d_like_tensorflow1x(x, (SIDE, SIDE), align_corners=False) - 128) / 128


def as_pytorch_fid(x: torch.Tensor) -> torch.Tensor:
    return 2 * functional.interpolate(x / 255, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1


def as_torchmetrics(x: torch.Tensor) -> torch.Tensor:
    return (functional.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True) - 128) / 128


def as_clean_fid(x: torch.Tensor) -> torch.Tensor:
    channels = [Image.fromarray(each.numpy()).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for each in x[0]]
    return (torch.from_numpy(np.stack([np.asarray(each).clip(0, 255) for each in channels]))[None] - 128) / 128


TOOLS: dict[str, tuple[str, Scale]] = {
    "torch-fidelity": ("tf-bilinear", as_torch_fidelity),
    "clean-fid": ("clean-fid", as_clean_fid),
    "pytorch-fid": ("pytorch-fid", as_pytorch_fid),
    "torchmetrics": ("torchmetrics", as_torchmetrics),
}


class Row(NamedTuple):
    """How far ours is from theirs, relative."""

    features: float
    fid: float


def exact_fid(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    x, y = ((side - side.mean(0)) / np.sqrt(len(side) - 1) for side in (a, b))
    traces = (x**2).sum() + (y**2).sum() - 2 * np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + traces)


class World:
    """Two sets of pictures of several sizes, larger and smaller than the network takes, and random weights."""

    def __init__(self, weights: Path, coloured: Picture) -> None:
        sizes = ((64, 64), (160, 96), (512, 384))
        self.sides = tuple(_pictures(coloured, seed, sizes, slope) for seed, slope in ((1, 1.0), (2, 1.3)))
        self.weights = weights
        network = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(weights))
        self._stages = torch.nn.Sequential(*(stage for name, stage in network.named_children() if name != "fc"))

    def theirs(self, scale: Scale, side: list[np.ndarray]) -> np.ndarray:
        """Return features (n, 2048) behind the resize and scaling of a tool."""
        scaled = [scale(torch.from_numpy(each).permute(2, 0, 1)[None].float()) for each in side]
        with torch.inference_mode():
            return self._stages(torch.cat(scaled)).flatten(1).numpy()

    def row(self, tool: str) -> Row:
        """Compute both sides of one row."""
        resize, scale = TOOLS[tool]
        theirs = [self.theirs(scale, side) for side in self.sides]
        setup = Setup(weights=WeightsFinder({"inception": self.weights}, offline=True), inception_resize=resize)
        extractor = Inception(setup)
        ours = [extractor.features([extractor.prepare(each) for each in side]) for side in self.sides]
        value, exact = frechet(*(feature_set(each) for each in ours)).value, exact_fid(*theirs)
        gap = max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(ours, theirs, strict=True))
        return Row(float(gap), abs(value - exact) / exact)


def _pictures(coloured: Picture, seed: int, sizes: Sequence[tuple[int, int]], slope: float) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [coloured(random, *size, slope) for size in sizes]


@pytest.fixture(scope="module")
def world(inception_file, coloured) -> World:
    return World(inception_file, coloured)


@pytest.mark.parametrize("tool", TOOLS)
def test_fid_is_theirs_in_their_resize(world, tool):
    row = world.row(tool)
    assert row.features < FEATURES_TOLERANCE
    assert row.fid < FID_TOLERANCE


def test_the_resizes_are_far_apart(world):
    """A tolerance means something only where the rows differ by more."""
    rough = world.sides[0][-1:]
    values = [world.theirs(scale, rough) for _, scale in TOOLS.values()]
    gaps = [np.linalg.norm(a - b) / np.linalg.norm(a) for i, a in enumerate(values) for b in values[:i]]
    assert min(gaps) > 10 * FEATURES_TOLERANCE


def table(world: World) -> str:
    lines = ["| tool | our name for its resize | features | FID | tolerance | test |", "|---" * 6 + "|"]
    for tool, (resize, _) in TOOLS.items():
        row = world.row(tool)
        cells = (tool, f"`{resize}`", f"{row.features:.1e}", f"{row.fid:.1e}", f"{FID_TOLERANCE:.0e}")
        lines.append(f"| {' | '.join(cells)} | `test_parity_inception` |")
    return "\n".join(lines)


if __name__ == "__main__":
    from conftest import coloured_picture, write_random_inception

    with tempfile.TemporaryDirectory() as name:
        weights = write_random_inception(Path(name) / "random-inception.pth")
        sys.stdout.write(table(World(weights, coloured_picture)) + "\n")
