"""CLIP score: how well pictures fit their prompts, by the cosine of their CLIP embeddings.

Hessel et al., "CLIPScore: A Reference-free Evaluation Metric for Image Captioning", EMNLP 2021, without its factor 2.5
and without clamping at 0. The number depends on the model more than on the pictures, so the model is in the identity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .metric import Evidence, ImageMetric


def cosines(images: NDArray[np.float32], texts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosine of each row of ``images`` (n, d) with the same row of ``texts`` (n, d), in [-1, 1]."""
    a, b = images.astype(np.float64), texts.astype(np.float64)
    return np.asarray((a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)))


def raw_scores(evidence: Evidence) -> list[float]:
    """Cosines of pictures and prompts, in [-1, 1]."""
    assert evidence.features is not None
    assert evidence.texts is not None
    return [float(value) for value in cosines(evidence.features, evidence.texts)]


def scores_x100(evidence: Evidence) -> list[float]:
    """Cosines times 100, negative ones kept: MLPerf inference, text to image."""
    return [100 * value for value in raw_scores(evidence)]


CLIP_SCORE = ImageMetric(
    "clip_score",
    higher_is_better=True,
    digits=4,
    needs=("prompts",),
    network="clip",
    protocol="cos",
    scores=raw_scores,
)

CLIP_SCORE_VIT_B_32_X100 = ImageMetric(
    "clip_score_vit_b_32_x100",
    higher_is_better=True,
    digits=2,
    needs=("prompts",),
    network="clip-vit-b-32",
    protocol="cos-x100",
    scores=scores_x100,
)
