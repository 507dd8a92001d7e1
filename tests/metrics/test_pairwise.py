"""PSNR and SSIM equal scikit-image's to the last digit."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from t2ibench.core.errors import BenchError
from t2ibench.metrics.pairwise import psnr, ssim


@pytest.mark.parametrize("seed", range(3))
def test_psnr_is_scikit_images(picture, seed):
    a, b = picture(seed, 40, 57), picture(seed + 10, 40, 57)
    assert psnr(a, b) == peak_signal_noise_ratio(a, b, data_range=255)


@pytest.mark.parametrize("seed", range(3))
def test_ssim_is_the_mean_of_scikit_images_over_channels(picture, seed):
    a, b = picture(seed, 40, 57), picture(seed + 10, 40, 57)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    channels = [structural_similarity(a[..., i], b[..., i], **options) for i in range(3)]
    assert ssim(a, b) == structural_similarity(a, b, channel_axis=2, **options)
    assert ssim(a, b) == pytest.approx(np.mean(channels), rel=1e-12)


def test_identical_pictures(picture):
    assert psnr(picture(1), picture(1)) == float("inf")
    assert ssim(picture(1), picture(1)) == 1.0


def test_ssim_needs_its_window(picture):
    with pytest.raises(BenchError, match="11×11 pixels, not 30×10"):
        ssim(picture(1, 10, 30), picture(2, 10, 30))
