"""TAEF2 and VAElight with their published weights, on Kodak photos."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from t2ibench.adapters.codecs import make_codec
from t2ibench.adapters.codecs.base import Codec
from t2ibench.adapters.networks import taef2
from t2ibench.core.errors import BenchError
from t2ibench.core.weights import WeightsFinder


def test_taef2_shapes() -> None:
    with torch.device("meta"):
        latents = taef2.encoder()(torch.empty(2, 3, 64, 32))
        assert latents.shape == (2, 32, 8, 4)
        assert taef2.decoder()(latents).shape == (2, 3, 64, 32)


@cache
def crops(count: int) -> NDArray[np.uint8]:
    files = sorted((Path(os.environ["T2IBENCH_DATA"]) / "kodak").glob("*.png"))[:count]
    pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    tops = [((p.shape[0] - 256) // 2, (p.shape[1] - 256) // 2) for p in pictures]
    return np.stack([p[y : y + 256, x : x + 256] for p, (y, x) in zip(pictures, tops, strict=True)])


def loaded(name: str) -> Codec:
    codec = make_codec(name)
    codec.weights = WeightsFinder(offline=True)
    codec.load("cpu", "fp32")
    return codec


def mean_psnr(codec: Codec, count: int) -> float:
    decoded = codec.decode(codec.encode(crops(count)))
    errors = np.mean((decoded - crops(count) / np.float32(255)) ** 2, axis=(1, 2, 3))
    return float(np.mean(-10 * np.log10(errors)))


@pytest.mark.data
def test_taef2() -> None:
    codec = loaded("taef2")
    assert mean_psnr(codec, 1) > 25
    assert codec.official is True
    cost = codec.cost(512, 512)
    assert (cost.encoder_params, cost.decoder_params) == (1_338_528, 1_338_499)
    assert (cost.encoder_macs or 0) / 1e9 == pytest.approx(61.63, abs=0.01)
    assert (cost.decoder_macs or 0) / 1e9 == pytest.approx(71.14, abs=0.01)
    assert (codec.latent_space, codec.latent_channels) == ("flux2", 32)


@pytest.mark.data
def test_vaelight() -> None:
    codec = loaded("vaelight")
    assert mean_psnr(codec, 2) > 22
    assert codec.official is True
    cost = codec.cost(512, 512)
    assert (cost.encoder_params, cost.decoder_params) == (200_344, 266_780)
    assert (cost.decoder_macs or 0) / 1e9 == pytest.approx(19.99, abs=0.01)
    assert (codec.latent_space, codec.latent_channels) == ("sd1", 4)


def test_vaelight_says_that_it_runs_in_one_way_only() -> None:
    codec = make_codec("vaelight")
    assert (codec.device, codec.dtype) == ("cpu", "fp32")


def test_vaelight_with_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    codec = make_codec("vaelight")
    codec.weights = WeightsFinder(dict.fromkeys(("vaelight-encoder", "vaelight-decoder"), tmp_path / "x.onnx"))
    with pytest.raises(BenchError, match=r"x\.onnx' is not a usable ONNX file"):
        codec.load("cpu", "fp32")
