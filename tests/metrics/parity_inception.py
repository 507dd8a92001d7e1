"""Inception end to end against what other tools compute from the same weights: the measured errors.

torch-fidelity and torchmetrics run their own extractors. pytorch-fid and clean-fid need not be here: theirs is
torch-fidelity's network behind the resize and scaling of each, restated in PyTorch and Pillow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from made import coloured_picture
from parity_features import exact_distance, our_prc, relative, torch_fidelity_kid, torch_fidelity_prc
from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics.extractors.inception import Inception
from t2ibench.metrics.features import feature_set
from t2ibench.metrics.frechet import frechet
from t2ibench.metrics.kernel import kernel_distance
from t2ibench.metrics.setup import Setup

Forward = Callable[[torch.Tensor], torch.Tensor]
"""From a picture uint8 (1, 3, H, W) to pool3 features (1, 2048)."""

SIDE = 299
SIZES = ((64, 64), (160, 96), (512, 384))
"""Smaller and larger than what the network takes."""


def torch_fidelity(weights: Path) -> Forward:
    network = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(weights))
    return lambda picture: network(picture)[0]


def torchmetrics(weights: Path) -> Forward:
    from torchmetrics.image.fid import NoTrainInceptionV3

    return NoTrainInceptionV3("x", ["2048"], str(weights))


def pytorch_fid(weights: Path) -> Forward:
    def scale(picture: torch.Tensor) -> torch.Tensor:
        return 2 * functional.interpolate(picture / 255, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1

    return _restated(weights, scale)


def clean_fid(weights: Path) -> Forward:
    def scale(picture: torch.Tensor) -> torch.Tensor:
        channels = [Image.fromarray(each.numpy()).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for each in picture[0]]
        return (torch.from_numpy(np.stack([np.asarray(each).clip(0, 255) for each in channels]))[None] - 128) / 128

    return _restated(weights, scale)


def _restated(weights: Path, scale: Forward) -> Forward:
    network = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(weights))
    stages = torch.nn.Sequential(*(stage for name, stage in network.named_children() if name != "fc"))
    return lambda picture: stages(scale(picture.float())).flatten(1)


class Tool(NamedTuple):
    """Whose features, under which of our resizes, of how many pictures a side."""

    resize: str
    load: Callable[[Path], Forward]
    pictures: int = 3


TOOLS = {
    "torch-fidelity": Tool("tf-bilinear", torch_fidelity, pictures=8),
    "clean-fid": Tool("clean-fid", clean_fid),
    "pytorch-fid": Tool("pytorch-fid", pytorch_fid),
    "torchmetrics": Tool("torchmetrics", torchmetrics),
}


class Features(NamedTuple):
    """Of the generated and of the real side, each (n, 2048)."""

    ours: list[np.ndarray]
    theirs: list[np.ndarray]


@cache
def features(weights: Path, name: str) -> Features:
    """Compute both sides' features by ours and by the tool called ``name``."""
    tool = TOOLS[name]
    sides = [_pictures(seed, slope, tool.pictures) for seed, slope in ((1, 1.0), (2, 1.3))]
    forward = tool.load(weights)
    with torch.inference_mode():
        theirs = [torch.cat([forward(_as_batch(each)) for each in side]).numpy() for side in sides]
    network = inception(weights, inception_resize=tool.resize)
    ours = [network.features([network.prepare(each) for each in side]) for side in sides]
    return Features(ours, theirs)


def inception(weights: Path, **settings: Any) -> Inception:
    return Inception(Setup(weights=WeightsFinder({"inception": weights}, offline=True), **settings))


def _pictures(seed: int, slope: float, count: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [coloured_picture(random, *SIZES[index % len(SIZES)], slope) for index in range(count)]


def _as_batch(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


# --- the rows ---------------------------------------------------------------------------------------------------------


def features_error(weights: Path, tool: str) -> float:
    """Return the largest error of a side's features, relative by norm."""
    pairs = zip(*features(weights, tool), strict=True)
    return max(float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)) for ours, theirs in pairs)


def fid_error(weights: Path, tool: str) -> float:
    """Return the error of our FID relative to the exact one of their features: fewer pictures than features."""
    ours, theirs = features(weights, tool)
    return relative(frechet(*(feature_set(side) for side in ours)).value, exact_distance(*theirs))


def kid_error(weights: Path) -> float:
    """Return the difference of KID and torch-fidelity's KID."""
    ours, theirs = features(weights, "torch-fidelity")
    return abs(kernel_distance(*(feature_set(side) for side in ours)).value - torch_fidelity_kid(*theirs))


def prc_error(weights: Path) -> float:
    """Return the larger difference of precision and of recall from torch-fidelity's."""
    ours, theirs = features(weights, "torch-fidelity")
    return max(abs(a - b) for a, b in zip(our_prc(*ours), torch_fidelity_prc(*theirs), strict=True))


def logits_error(weights: Path) -> float:
    """Return the largest error of class logits made from pool3, as a part of the largest logit."""
    network = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights))
    pictures = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    pool3, logits = (found.numpy() for found in network(pictures))
    return float(np.abs(inception(weights).logits(pool3) - logits).max() / np.abs(logits).max())
