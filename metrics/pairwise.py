"""Metrics of a picture against its target: PSNR, SSIM, MS-SSIM, LPIPS; both sides are uint8 of one size, and each
metric is the mean of per-picture values.

PSNR of a picture identical to its target is infinite; such pictures are counted and left out of the mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .metric import Evidence, ImageMetric
from .transforms import Picture

Floats = NDArray[np.float64]

SSIM_WINDOW = 11
"""Pixels: Gaussian of σ 1.5 cut at 3.5 σ, as scikit-image has it."""

MS_SSIM_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales, the finest first (Wang et al. 2003, section 3.2)."""

MS_SSIM_SMALLEST = SSIM_WINDOW * 2 ** (len(MS_SSIM_EXPONENTS) - 1)
"""Pixels, so that the window fits the coarsest scale."""

Border = Literal["reflect", "valid"]

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_STRIP = 16
"""Rows and columns blurred at once: a strip stays in the cache, and products are too small for BLAS to start threads,
which would cost more than they save."""


class _Similarity(NamedTuple):
    """Means over pixels and channels: of the whole product, and of its contrast and structure alone."""

    ssim: float
    contrast: float


def psnr(picture: Picture, target: Picture) -> float:
    """Return 10 log10(255² / mean squared error) over pixels and channels in dB, infinity for identical pictures."""
    error = np.mean((picture.astype(np.float64) - target.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(picture: Picture, target: Picture, border: Border = "valid") -> float:
    """Return the structural similarity in [-1, 1], the mean over pixels and channels.

    SSIM = (2 μx μy + C1)(2 σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2)), C1 = (0.01·255)², C2 = (0.03·255)²; means
    and population covariances are under a Gaussian window (σ = 1.5), only where it lies in the picture. Wang et al.,
    "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 13(4), 2004, eq. 13; it is
    scikit-image's number to rounding. ``reflect`` averages over the whole picture, reflected at its border, as
    torchmetrics does. Raises BenchError below 11 pixels.
    """
    _at_least(SSIM_WINDOW, "SSIM", picture)
    pair = (picture, target) if border == "valid" else (_reflected(picture), _reflected(target))
    return _similarity(*pair).ssim


def ms_ssim(picture: Picture, target: Picture, border: Border = "reflect") -> float:
    """Return the structural similarity over five scales in [0, 1].

    MS-SSIM = SSIM₅^0.1333 · Π cₛ^βₛ over the finer scales s, cₛ the mean contrast and structure term at scale s, each
    scale half the one before by 2×2 means; a negative mean counts as 0. Wang et al., "Multiscale Structural Similarity
    for Image Quality Assessment", Asilomar 2003. The coarsest scale averages SSIM over the whole picture,
    reflected at its border, as torchmetrics has it; ``valid`` keeps to where the window lies in the picture, as at the
    other scales and in the authors' code. Raises BenchError below 176 pixels.
    """
    _at_least(MS_SSIM_SMALLEST, "MS-SSIM", picture)
    x, y, result = picture.astype(np.float64), target.astype(np.float64), 1.0
    for exponent in MS_SSIM_EXPONENTS[:-1]:
        result *= max(_similarity(x, y).contrast, 0.0) ** exponent
        x, y = _halved(x), _halved(y)
    if border == "reflect":
        x, y = _reflected(x), _reflected(y)
    return float(result * max(_similarity(x, y).ssim, 0.0) ** MS_SSIM_EXPONENTS[-1])


def psnr_scores(evidence: Evidence) -> list[float]:
    """PSNR of each pair in dB."""
    return [psnr(*pair) for pair in zip(evidence.pictures, evidence.targets, strict=True)]


def ssim_scores(evidence: Evidence) -> list[float]:
    """SSIM of each pair."""
    return [ssim(*pair) for pair in zip(evidence.pictures, evidence.targets, strict=True)]


def ms_ssim_scores(evidence: Evidence) -> list[float]:
    """MS-SSIM of each pair, reflected at the border of the coarsest scale."""
    return [ms_ssim(*pair) for pair in zip(evidence.pictures, evidence.targets, strict=True)]


def ms_ssim_valid_scores(evidence: Evidence) -> list[float]:
    """Return MS-SSIM of each pair, at the coarsest scale too only where the window lies in the picture."""
    return [ms_ssim(*pair, border="valid") for pair in zip(evidence.pictures, evidence.targets, strict=True)]


def lpips_scores(evidence: Evidence) -> list[float]:
    """Return LPIPS of each pair, at least 0 up to rounding.

    d = Σ over layers of the mean over pixels of |w ∘ (f(x) - f(y))|², f the features with unit length at each pixel, w
    weights learned from human judgements. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a
    Perceptual Metric", CVPR 2018, eq. 1.
    """
    return [float(value) for value in evidence.network.distances(evidence.pictures, evidence.targets)]


def _similarity(x: NDArray[Any], y: NDArray[Any]) -> _Similarity:
    """SSIM's terms for pictures (H, W, C) of values 0 to 255, in float64, strip by strip."""
    strips = [(float(whole.sum()), float(contrast.sum()), whole.size) for whole, contrast in _terms(x, y)]
    whole, contrast, count = (sum(column) for column in zip(*strips, strict=True))
    return _Similarity(whole / count, contrast / count)


def _terms(x: NDArray[Any], y: NDArray[Any]) -> Iterator[tuple[Floats, Floats]]:
    """For each strip of rows: SSIM, and its contrast and structure term, at every pixel and channel."""
    rows = len(x) - SSIM_WINDOW + 1
    for start in range(0, rows, _STRIP):
        window = slice(start, min(start + _STRIP, rows) + SSIM_WINDOW - 1)
        a, b = (np.moveaxis(side[window].astype(np.float64), -1, 0) for side in (x, y))
        mean_a, mean_b, squares, product = _blur(np.stack([a, b, a * a + b * b, a * b]))
        means, own = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
        contrast = (2 * (product - means) + _C2) / (squares - own + _C2)
        yield (2 * means + _C1) / (own + _C1) * contrast, contrast


def _blur(maps: Floats) -> Floats:
    """Blur maps (..., H, W), H at most a strip and its margins, where the window lies inside: (..., H - 10, W - 10)."""
    down = _window_matrix(maps.shape[-2]) @ maps
    width = maps.shape[-1] - SSIM_WINDOW + 1
    across = np.empty((*down.shape[:-1], width))
    for start in range(0, width, _STRIP):
        part = down[..., start : start + _STRIP + SSIM_WINDOW - 1]
        across[..., start : start + _STRIP] = part @ _window_matrix(part.shape[-1]).T
    return across


@cache
def _window_matrix(size: int) -> Floats:
    """The blur of ``size`` pixels as a matrix (size - 10, size): a product is faster than eleven shifted sums."""
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    window = np.exp(-0.5 * (offsets / 1.5) ** 2)
    matrix = np.zeros((size - SSIM_WINDOW + 1, size))
    for row, line in enumerate(matrix):
        line[row : row + SSIM_WINDOW] = window / window.sum()
    return matrix


def _halved(picture: Floats) -> Floats:
    """2×2 means; an odd last row or column is left out."""
    height, width = (size // 2 for size in picture.shape[:2])
    blocks = picture[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1)
    return np.asarray(blocks.mean(axis=(1, 3)))


def _reflected(picture: NDArray[Any]) -> NDArray[Any]:
    edge = SSIM_WINDOW // 2
    return np.pad(picture, ((edge, edge), (edge, edge), (0, 0)), mode="reflect")


def _at_least(smallest: int, metric: str, picture: Picture) -> None:
    height, width = picture.shape[:2]
    if min(height, width) < smallest:
        raise BenchError(f"{metric} needs at least {smallest}×{smallest} pixels, not {width}×{height}")


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

MS_SSIM = ImageMetric(
    "ms_ssim",
    higher_is_better=True,
    digits=4,
    needs=("target",),
    protocol="5scales-gauss1.5-reflect:uint8",
    scores=ms_ssim_scores,
)

MS_SSIM_VALID = ImageMetric(
    "ms_ssim_valid",
    higher_is_better=True,
    digits=4,
    needs=("target",),
    protocol="5scales-gauss1.5-valid:uint8",
    scores=ms_ssim_valid_scores,
)


def _lpips(name: str, network: str) -> ImageMetric:
    return ImageMetric(name, higher_is_better=False, digits=4, needs=("target",), network=network, scores=lpips_scores)


LPIPS = _lpips("lpips", "lpips")
LPIPS_ALEX = _lpips("lpips_alex", "lpips-alex")
LPIPS_VGG = _lpips("lpips_vgg", "lpips-vgg")
LPIPS_SQUEEZE = _lpips("lpips_squeeze", "lpips-squeeze")
