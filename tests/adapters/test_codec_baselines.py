"""JPEG and bicubic, the registry, and what every codec promises."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from t2ibench.adapters.codecs import CODECS, make_codec
from t2ibench.adapters.codecs.base import CodecCost, translate
from t2ibench.core.errors import BenchError


def pictures(height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    """Two smooth pictures with a little grain."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = np.stack([np.sin(9 * x + 5 * y), np.cos(7 * y), np.sin(4 * x * y)], axis=-1)
    grain = np.random.default_rng(0).normal(0, 0.05, (2, height, width, 3))
    return np.clip((waves + grain) * 100 + 128, 0, 255).astype(np.uint8)


def psnr(codec_text: str) -> float:
    codec, images = make_codec(codec_text), pictures()
    codec.load("cpu", "fp32")
    decoded = codec.decode(codec.encode(images))
    assert decoded.dtype == np.float32
    assert decoded.shape == images.shape
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    return float(-10 * np.log10(np.mean((decoded - images / 255) ** 2)))


def test_listing_imports_no_torch() -> None:
    code = "import sys; from t2ibench.adapters.codecs import CODECS; CODECS.summaries(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_every_codec_can_be_made() -> None:
    assert CODECS.names()[:7] == ["sd-vae", "taesd", "vae", "taef2", "vaelight", "jpeg", "bicubic"]
    for name in CODECS.entries:
        codec = make_codec("vae:some/model" if name == "vae" else name)
        assert (codec.latent_channels is None) == (name in {"jpeg", "vae"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jpg", "unknown codec 'jpg'"),
        ("jpeg[quality=0]", "quality=0 is no whole number from 1 to 100"),
        ("jpeg[quality=high]", "quality=high is no whole number"),
        ("jpeg[qualty=3]", r"no option 'qualty'.*did you mean 'quality'"),
        ("jpeg:file", "'jpeg' takes no argument"),
        ("bicubic[factor=1]", "factor=1 is no whole number from 2 to 64"),
        ("vae", "needs a hub id or a folder"),
        ("sd-vae[space=x]", "no option 'space'"),
        ("taef2[x=1]", "no option 'x'"),
    ],
)
def test_bad_names(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        make_codec(text)


def test_jpeg_quality_is_monotone() -> None:
    scores = [psnr(f"jpeg[quality={quality}]") for quality in (5, 25, 50, 75, 95)]
    assert scores == sorted(scores)
    assert scores[-1] > 32


def test_jpeg_code_is_files() -> None:
    coarse, fine = make_codec("jpeg[quality=10]"), make_codec("jpeg[quality=90]")
    files = coarse.encode(pictures())
    assert all(file.startswith(b"\xff\xd8") for file in files)
    assert max(map(len, files)) < min(map(len, fine.encode(pictures())))
    assert coarse.cost(64, 64) == CodecCost()
    assert coarse.fingerprint() != fine.fingerprint()


def test_bicubic_factor_is_monotone() -> None:
    scores = [psnr(f"bicubic[factor={factor}]") for factor in (16, 8, 4, 2)]
    assert scores == sorted(scores)


def test_bicubic_code_is_a_thumbnail() -> None:
    codec = make_codec("bicubic")
    assert codec.encode(pictures()).shape == (2, 8, 12, 3)
    flat = np.full((1, 16, 16, 3), 77, np.uint8)
    np.testing.assert_allclose(codec.decode(codec.encode(flat)), 77 / 255, atol=1e-6)
    with pytest.raises(BenchError, match=r"96×60 pixels do not fit Bicubic.*multiples of 8"):
        codec.encode(pictures(60))


def test_translate() -> None:
    source, target = make_codec("taesd"), make_codec("sd-vae")
    assert (source.latent_scale, target.latent_scale) == (1, 0.18215)
    target.latent_scale, target.latent_shift = 0.5, 1.0
    latents = np.ones((1, 4, 2, 2), np.float32)
    np.testing.assert_array_equal(translate(latents, source, target), 3 * latents)
    np.testing.assert_array_equal(translate(translate(latents, source, target), target, source), latents)
    assert translate(latents, source, source) is latents
    with pytest.raises(BenchError, match=r"has latents of sd1, .* of flux2"):
        translate(latents, source, make_codec("taef2"))
