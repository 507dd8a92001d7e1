"""How far pictures have moved from those of the same prompt and noise that another device or precision made.

In pixels, and in the features of a network, whose distances stand for what is seen better than those of pixels do
(Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018). A drift is no loss
of quality: a picture may move and be as good.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from .features import FeatureSet
from .metric import CannotMeasure, Estimate, Evidence, ImageMetric, SetMetric
from .paired import feature_drift


def picture_drifts(evidence: Evidence) -> list[float]:
    """Return the mean absolute difference of each picture from its target over pixels and channels, of 255 levels."""
    pairs = zip(evidence.pictures, evidence.targets, strict=True)
    return [float(np.abs(picture.astype(np.int16) - target).mean()) for picture, target in pairs]


def feature_drifts(generated: FeatureSet, other: FeatureSet | None) -> Estimate:
    """Return the mean squared distance of pictures from their targets over that between targets of other prompts.

    It is 0 where no picture has moved and 1 where they are as far off as pictures of other prompts
    (``paired.feature_drift``). CannotMeasure where all targets are alike.
    """
    assert other is not None
    found = feature_drift(other.rows, generated.rows)
    if found is None:
        raise CannotMeasure("the pictures that these are compared with are all alike")
    return Estimate(found.estimate, (max(found.low, 0.0), found.high))


PICTURE_DRIFT = ImageMetric(
    "picture_drift",
    higher_is_better=False,
    digits=2,
    needs=("target",),
    unit="of 255",
    protocol="mean-abs:uint8",
    scores=picture_drifts,
)

_feature_drift = partial(
    SetMetric, higher_is_better=False, digits=4, needs=("target",), protocol="paired", estimate=feature_drifts
)

MINI_DRIFT = _feature_drift("mini_drift", network="mini-features")

INCEPTION_DRIFT = _feature_drift("inception_drift", network="inception")
