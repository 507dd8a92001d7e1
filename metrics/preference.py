"""Metrics that were fitted to what people prefer: HPS v2 (picture and prompt) and LAION's aesthetic rating (picture).

Wu et al., "Human Preference Score v2: A Solid Benchmark for Evaluating Human Preferences of Text-to-Image Synthesis",
arXiv 2306.09341, 2023; for the aesthetic rating see ``extractors.aesthetic``.
"""

from __future__ import annotations

from .clip_score import scores_x100
from .metric import Evidence, ImageMetric


def aesthetic_scores(evidence: Evidence) -> list[float]:
    """Return the aesthetic rating of each picture, about 1 to 10.

    A(W₅(…W₁ e/|e| + b₁…) + b₅): five linear layers on the unit CLIP ViT-L/14 embedding e. Schuhmann et al., "LAION-5B",
    NeurIPS 2022 Datasets and Benchmarks, and its improved-aesthetic-predictor (sac+logos+ava1-l14-linearMSE).
    """
    assert evidence.features is not None
    return [float(value) for value in evidence.features[:, 0]]


def hps_scores(evidence: Evidence) -> list[float]:
    """Return 100 · cos of picture and prompt under HPS v2's fine-tuned CLIP ViT-H/14, as its benchmark prints it.

    Wu et al., "Human Preference Score v2", arXiv 2306.09341, 2023. Versions 2.0 and 2.1 are other weights on another
    scale.
    """
    return scores_x100(evidence)


def _hps(name: str, network: str) -> ImageMetric:
    return ImageMetric(
        name,
        higher_is_better=True,
        digits=2,
        needs=("prompts",),
        network=network,
        protocol="cos-x100",
        scores=hps_scores,
    )


HPS_V2 = _hps("hps_v2", "hps-v2")
HPS_V2_1 = _hps("hps_v2_1", "hps-v2.1")

CLIP_AESTHETIC = ImageMetric(
    "clip_aesthetic",
    higher_is_better=True,
    digits=2,
    network="clip-aesthetic",
    protocol="linear",
    scores=aesthetic_scores,
)
