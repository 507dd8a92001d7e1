"""PSNR, SSIM, MS-SSIM and LPIPS against their definitions; the packages' are rows of docs/parity.md."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from parity_pictures import SKIMAGE, ssim_error
from t2ibench.core.errors import BenchError
from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics.extractors.lpips import Lpips, LpipsAlex, LpipsSqueeze, LpipsVgg
from t2ibench.metrics.pairwise import MS_SSIM_EXPONENTS, ms_ssim, psnr, ssim
from t2ibench.metrics.setup import Setup


@pytest.mark.parametrize("low", [0, 254])
def test_ssim_of_pictures_of_two_values_is_scikit_images(low):
    a, b = np.random.default_rng(1).integers(low, low + 2, (2, 64, 64, 3), dtype=np.uint8)
    assert ssim_error(a, b) < 1e-9


def test_ssim_is_the_mean_over_channels(picture):
    a, b = picture(1, 26, 43), picture(2, 26, 43)
    channels = [structural_similarity(a[..., i], b[..., i], **SKIMAGE) for i in range(3)]
    assert ssim(a, b) == pytest.approx(np.mean(channels), abs=1e-12)


def test_ms_ssim_within_the_picture_is_its_definition_over_scikit_images_maps(picture):
    a = picture(1, 176, 192).astype(float)
    b = (a + picture(2, 176, 192)) / 2
    ours, expected = ms_ssim(a, b, "valid"), 1.0
    for exponent in MS_SSIM_EXPONENTS[:-1]:
        contrast = ssim_map(a, b) / luminance_map(a, b)
        expected *= contrast[5:-5, 5:-5].mean() ** exponent
        a, b = halved(a), halved(b)
    assert ours == pytest.approx(expected * ssim_map(a, b)[5:-5, 5:-5].mean() ** MS_SSIM_EXPONENTS[-1], abs=1e-12)


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return structural_similarity(a, b, channel_axis=2, full=True, **SKIMAGE)[1]


def luminance_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    mean_a, mean_b = (gaussian_filter(side, (1.5, 1.5, 0), truncate=3.5) for side in (a, b))
    c1 = (0.01 * 255) ** 2
    return (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)


def halved(picture: np.ndarray) -> np.ndarray:
    height, width, _ = picture.shape
    return picture.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))


def test_identical_pictures(picture):
    assert psnr(picture(1), picture(1)) == float("inf")
    assert ssim(picture(1), picture(1)) == pytest.approx(1.0, abs=1e-12)
    assert ms_ssim(picture(1, 176, 176), picture(1, 176, 176)) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("function", "height", "message"),
    [(ssim, 10, "SSIM needs at least 11×11 pixels, not 30×10"), (ms_ssim, 175, "at least 176×176 pixels, not 30×175")],
)
def test_pictures_smaller_than_the_window_are_an_error(picture, function, height, message):
    with pytest.raises(BenchError, match=message):
        function(picture(1, height, 30), picture(2, height, 30))


@pytest.mark.parametrize(("net", "ours"), [("alex", LpipsAlex), ("vgg", LpipsVgg), ("squeeze", LpipsSqueeze)])
def test_the_named_lpips_fix_their_network(files, net, ours):
    weights = WeightsFinder({f"lpips-{net}": files.backbone(net)}, offline=True)
    network = ours(Setup(weights=weights, lpips_net="resnet"))
    assert network.label.startswith(f"{net}-v0.1@")
    assert isinstance(network, Lpips)
