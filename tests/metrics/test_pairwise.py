"""PSNR, SSIM, MS-SSIM and LPIPS equal the packages that people compare with."""

import warnings

import lpips
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics.extractors.lpips import Lpips, LpipsAlex, LpipsSqueeze, LpipsVgg
from t2ibench.metrics.pairwise import MS_SSIM_EXPONENTS, ms_ssim, psnr, ssim
from t2ibench.metrics.setup import Setup

SKIMAGE = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}


def as_batch(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize("seed", range(3))
def test_psnr_is_scikit_images(picture, seed):
    a, b = picture(seed, 40, 57), picture(seed + 10, 40, 57)
    assert psnr(a, b) == peak_signal_noise_ratio(a, b, data_range=255)


@pytest.mark.parametrize(("height", "width"), [(40, 57), (11, 11), (26, 43), (27, 128), (300, 12)])
def test_ssim_is_the_mean_of_scikit_images_over_channels(picture, height, width):
    a, b = picture(height, height, width), picture(width, height, width)
    channels = [structural_similarity(a[..., i], b[..., i], **SKIMAGE) for i in range(3)]
    assert ssim(a, b) == pytest.approx(structural_similarity(a, b, channel_axis=2, **SKIMAGE), abs=1e-12)
    assert ssim(a, b) == pytest.approx(np.mean(channels), abs=1e-12)


@pytest.mark.parametrize("low", [0, 254])
def test_ssim_of_pictures_of_two_values_is_scikit_images(low):
    a, b = np.random.default_rng(1).integers(low, low + 2, (2, 64, 64, 3), dtype=np.uint8)
    assert ssim(a, b) == pytest.approx(structural_similarity(a, b, channel_axis=2, **SKIMAGE), abs=1e-9)


def test_ssim_with_a_reflected_border_is_torchmetrics(picture, one_thread):
    theirs = pytest.importorskip("torchmetrics.functional.image").structural_similarity_index_measure
    a, b = picture(1, 60, 47), picture(2, 60, 47)
    assert ssim(a, b, "reflect") == pytest.approx(float(theirs(as_batch(a), as_batch(b), data_range=255.0)), abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(176, 176), (177, 213)])
def test_ms_ssim_is_torchmetrics(picture, one_thread, height, width):
    image = pytest.importorskip("torchmetrics.functional.image")
    theirs = image.multiscale_structural_similarity_index_measure
    a = picture(1, height, width)
    for b in (picture(2, height, width), np.clip(a.astype(int) + 9, 0, 255).astype(np.uint8), 255 - a):
        expected = float(theirs(as_batch(a), as_batch(b), data_range=255.0))
        assert ms_ssim(a, b) == pytest.approx(expected, abs=1e-5)


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
def test_the_named_lpips_over_random_features_is_the_packages(tmp_path, picture, one_thread, net, ours):
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(5)
        theirs = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    torch.save(
        {f"features.{name.partition('.')[2]}": tensor for name, tensor in theirs.net.state_dict().items()},
        tmp_path / "random.pth",
    )
    a, b = picture(1, 48, 40), picture(2, 48, 40)
    with torch.no_grad():
        expected = float(theirs(*(as_batch(side) / 127.5 - 1 for side in (a, b))))
    weights = WeightsFinder({f"lpips-{net}": tmp_path / "random.pth"}, offline=True)
    network = ours(Setup(weights=weights, lpips_net="resnet"))
    assert network.distances([a], [b])[0] == pytest.approx(expected, abs=1e-6)
    assert network.label.startswith(f"{net}-v0.1@")
    assert isinstance(network, Lpips)
