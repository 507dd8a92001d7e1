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
    """Return cos(E(picture), E(prompt)) of each pair, in [-1, 1].

    Hessel et al., "CLIPScore", EMNLP 2021, without its factor 2.5 and its clamping at 0.
    """
    assert evidence.features is not None
    assert evidence.texts is not None
    return [float(value) for value in cosines(evidence.features, evidence.texts)]


def scores_x100(evidence: Evidence) -> list[float]:
    """Return 100 · cos(E(picture), E(prompt)), negative ones kept: MLPerf inference, text to image."""
    return [100 * value for value in raw_scores(evidence)]


def scores_x100_clamped(evidence: Evidence) -> list[float]:
    """Return max(100 · cos(E(picture), E(prompt)), 0) of each pair.

    Clamped pair by pair as Hessel et al. 2021 define it; torchmetrics clamps the mean over all pairs, which is the same
    number unless some cosine is negative.
    """
    return [max(value, 0.0) for value in scores_x100(evidence)]


CLIP_SCORE = ImageMetric(
    "clip_score",
    higher_is_better=True,
    digits=4,
    needs=("prompts",),
    network="clip",
    protocol="cos",
    scores=raw_scores,
)

CLIP_SCORE_X100 = ImageMetric(
    "clip_score_x100",
    higher_is_better=True,
    digits=2,
    needs=("prompts",),
    network="clip",
    protocol="cos-x100",
    scores=scores_x100,
)

CLIP_SCORE_X100_CLAMPED = ImageMetric(
    "clip_score_x100_clamped",
    higher_is_better=True,
    digits=2,
    needs=("prompts",),
    network="clip",
    protocol="cos-x100-clamped",
    scores=scores_x100_clamped,
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
