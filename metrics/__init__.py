"""Extractor, statistics, scalar: what is measured of pictures; knows nothing of methods or suites."""

from __future__ import annotations

from ..core.registry import Entry, Registry
from .metric import Metric

METRICS: Registry[Metric] = Registry(
    "metric",
    ".metrics.metric:Metric",
    {
        "fid": Entry(".metrics.frechet:FID", "Fréchet distance over Inception pool3"),
        "clip_score": Entry(".metrics.clip_score:CLIP_SCORE", "cosine of picture and prompt by the suite's CLIP model"),
        "clip_score_vit_b_32_x100": Entry(
            ".metrics.clip_score:CLIP_SCORE_VIT_B_32_X100",
            "100 times the cosine by OpenAI's ViT-B/32, as MLPerf has it",
        ),
        "psnr": Entry(".metrics.pairwise:PSNR", "peak signal-to-noise ratio against a target, dB"),
        "ssim": Entry(".metrics.pairwise:SSIM", "structural similarity to a target"),
        "lpips": Entry(".metrics.pairwise:LPIPS", "learned perceptual distance from a target"),
    },
    group="t2ibench.metrics",
)

__all__ = ["METRICS", "Metric"]
