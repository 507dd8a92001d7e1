"""Resizers against the code they are named after; levels run from 0 to 255."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from t2ibench.core.errors import BenchError
from t2ibench.metrics.resizers import RESIZERS, find_resizer

SIDE = 299
SIZES = [(512, 512), (64, 80), (299, 299), (1, 1), (768, 31), (300, 1000)]


def as_tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float()


def as_array(tensor: torch.Tensor) -> np.ndarray:
    return tensor[0].permute(1, 2, 0).numpy()


def torch_fidelity(picture):
    return as_array(interpolate_bilinear_2d_like_tensorflow1x(as_tensor(picture), (SIDE, SIDE), align_corners=False))


def pytorch_fid(picture):
    return as_array(functional.interpolate(as_tensor(picture) / 255, (SIDE, SIDE), mode="bilinear")) * 255


def torchmetrics(picture):
    resized = functional.interpolate(as_tensor(picture), (SIDE, SIDE), mode="bilinear", antialias=True)
    return as_array(resized)


def clean_fid(picture):
    channels = (Image.fromarray(picture[..., index].astype(np.float32)) for index in range(3))
    resized = [np.asarray(channel.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for channel in channels]
    return np.stack([channel.clip(0, 255) for channel in resized], -1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "theirs", "tolerance"),
    [
        ("tf-bilinear", torch_fidelity, 1e-4),
        ("clean-fid", clean_fid, 0),
        ("pytorch-fid", pytorch_fid, 2e-2),
        ("torchmetrics", torchmetrics, 1e-2),
    ],
)
def test_resizes_are_theirs(name, theirs, tolerance, size):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    found = RESIZERS[name].resize(noise, SIDE)
    assert found.shape == (SIDE, SIDE, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found, theirs(noise), rtol=0, atol=tolerance)


@pytest.mark.parametrize(("name", "middle", "top"), [("tf-bilinear", 128, 127 / 128), ("pytorch-fid", 127.5, 1)])
def test_levels_are_scaled_as_the_network_was_fed(name, middle, top):
    grey = [np.full((8, 8, 3), level, np.uint8) for level in (0, 255)]
    low, high = (RESIZERS[name](each, SIDE) for each in grey)
    np.testing.assert_allclose([low.min(), low.max(), high.min(), high.max()], [-1, -1, top, top], atol=1e-6)
    assert RESIZERS[name].middle == middle


def test_the_picture_itself_is_left_alone():
    picture = np.full((SIDE, SIDE, 3), 7, np.uint8)
    for resizer in RESIZERS.values():
        resizer(picture, SIDE)
    assert (picture == 7).all()


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(BenchError, match="unknown resize 'area' for Inception: expected tf-bilinear, clean-fid, pyt"):
        find_resizer("area")
