"""Distances of two sets of pictures over DINOv2's features, which follow people's judgement better than Inception's.

Stein et al., "Exposing flaws of generative model evaluation metrics and their unfair treatment of diffusion models",
NeurIPS 2023, with the class token of ViT-L/14 as its dgm-eval takes it. Neither number is an FID or a KID.
"""

from __future__ import annotations

from .frechet import frechet, frechet_left_out
from .kernel import kernel_distance, kernel_left_out, protocol
from .metric import SetMetric

FD_DINOV2 = SetMetric(
    "fd_dinov2",
    higher_is_better=False,
    digits=2,
    network="dinov2",
    estimate=frechet,
    left_out=frechet_left_out,
    from_moments=True,
)

KD_DINOV2 = SetMetric(
    "kd_dinov2",
    higher_is_better=False,
    digits=5,
    network="dinov2",
    protocol=protocol(),
    estimate=kernel_distance,
    left_out=kernel_left_out,
)
