"""Metrics of a picture against its target: PSNR, SSIM, LPIPS; both sides are uint8 of one size, all three are means
of per-picture values.

PSNR of a picture identical to its target is infinite; such pictures are counted and left out of the mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .metric import Evidence, ImageMetric

SSIM_WINDOW = 11
"""Pixels: Gaussian of σ 1.5 cut at 3.5 σ, as scikit-image has it."""


def psnr(picture: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
    """Return 10 log10(255² / mean squared error) over pixels and channels in dB, infinity for identical pictures."""
    error = np.mean((picture.astype(np.float64) - target.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(picture: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
    """Return the structural similarity in [-1, 1], the mean over pixels and channels.

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 13(4), 2004, with
    its Gaussian window (σ = 1.5, population covariance); scikit-image computes it. Raises BenchError below 11 pixels.
    """
    from skimage.metrics import structural_similarity

    if min(picture.shape[:2]) < SSIM_WINDOW:
        raise BenchError(f"SSIM needs at least {SSIM_WINDOW}×{SSIM_WINDOW} pixels, not {_size(picture)}")
    value = structural_similarity(
        picture,
        target,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
    )
    return float(value)


def psnr_scores(evidence: Evidence) -> list[float]:
    """PSNR of each pair in dB."""
    return [psnr(*pair) for pair in zip(evidence.pictures, evidence.targets, strict=True)]


def ssim_scores(evidence: Evidence) -> list[float]:
    """SSIM of each pair."""
    return [ssim(*pair) for pair in zip(evidence.pictures, evidence.targets, strict=True)]


def lpips_scores(evidence: Evidence) -> list[float]:
    """LPIPS of each pair, at least 0 up to rounding."""
    return [float(value) for value in evidence.network.distances(evidence.pictures, evidence.targets)]


def _size(picture: NDArray[np.uint8]) -> str:
    return f"{picture.shape[1]}×{picture.shape[0]}"


PSNR = ImageMetric(
    "psnr",
    higher_is_better=True,
    digits=2,
    needs=("target",),
    unit="dB",
    protocol="uint8",
    scores=psnr_scores,
)

SSIM = ImageMetric(
    "ssim",
    higher_is_better=True,
    digits=4,
    needs=("target",),
    protocol="gauss1.5-popcov:uint8",
    scores=ssim_scores,
)

LPIPS = ImageMetric(
    "lpips",
    higher_is_better=False,
    digits=4,
    needs=("target",),
    network="lpips",
    scores=lpips_scores,
)
