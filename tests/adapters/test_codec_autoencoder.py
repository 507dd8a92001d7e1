"""AutoencoderKL and AutoencoderTiny behind ``vae:DIR``, against diffusers' own encode and decode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from numpy.typing import NDArray

from t2ibench.adapters.checkpoints import fingerprint
from t2ibench.adapters.codecs import make_codec
from t2ibench.adapters.codecs.base import Codec
from t2ibench.adapters.counting import count_macs
from t2ibench.adapters.networks.decoder import LatentDecoder
from t2ibench.core.errors import BenchError


def kl(**options: object) -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=3,
        scaling_factor=0.5,
        **options,
    ).eval()


def tiny() -> AutoencoderTiny:
    torch.manual_seed(0)
    widths = {"encoder_block_out_channels": (8, 8, 8), "decoder_block_out_channels": (8, 8, 8)}
    return AutoencoderTiny(**widths, num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1)).eval()


def pictures(height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)


def loaded(folder: Path, options: str = "", dtype: str = "fp32") -> Codec:
    codec = make_codec(f"vae:{folder}{options}")
    codec.load("cpu", dtype)
    return codec


def inputs() -> torch.Tensor:
    return torch.from_numpy(pictures()).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_pictures(sample: torch.Tensor) -> NDArray[np.float32]:
    return ((sample + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("options", [{}, {"use_quant_conv": False, "use_post_quant_conv": False}])
def test_kl_is_diffusers_own(tmp_path: Path, options: dict[str, object]) -> None:
    model = kl(**options)
    model.save_pretrained(tmp_path)
    codec = loaded(tmp_path)
    with torch.no_grad():
        latents = model.encode(inputs()).latent_dist.mode()
        sample = model.decode(latents).sample
    code = codec.encode(pictures())
    assert code.dtype == np.float32
    np.testing.assert_allclose(code, latents.numpy(), atol=1e-5)
    np.testing.assert_allclose(codec.decode(code), as_pictures(sample), atol=1e-5)
    assert (codec.latent_channels, codec.downsampling, codec.latent_scale) == (3, 2, 0.5)


def test_tiny_is_diffusers_own(tmp_path: Path) -> None:
    model = tiny()
    model.save_pretrained(tmp_path)
    codec = loaded(tmp_path, "[space=sd1]")
    with torch.no_grad():
        latents = model.encode(inputs()).latents
        sample = model.decode(latents).sample
    code = codec.encode(pictures())
    np.testing.assert_allclose(code, latents.numpy(), atol=1e-5)
    np.testing.assert_allclose(codec.decode(code), as_pictures(sample), atol=1e-5)
    assert (codec.latent_space, codec.latent_channels, codec.downsampling) == ("sd1", 4, 4)


def test_folder_of_a_pipeline(tmp_path: Path) -> None:
    kl().save_pretrained(tmp_path / "vae")
    (tmp_path / "model_index.json").write_text("{}")
    codec = loaded(tmp_path)
    assert codec.encode(pictures()).shape == (2, 3, 16, 24)
    assert codec.fingerprint() == fingerprint(tmp_path / "vae")


def narrow(channels: int = 3, widths: tuple[int, ...] = (4, 8)) -> LatentDecoder:
    torch.manual_seed(1)
    made: LatentDecoder = LatentDecoder(channels, block_out_channels=widths, layers_per_block=1, norm_num_groups=4)
    return made.eval()


def test_a_decoder_of_another_pipeline_takes_the_place_of_its_own(tmp_path: Path) -> None:
    whole, decoder = kl(), narrow()
    whole.save_pretrained(tmp_path / "base" / "vae")
    decoder.save_pretrained(tmp_path / "small" / "decoder")
    own, other = (loaded(tmp_path / "base", text) for text in ("", f"[decoder={tmp_path / 'small'}]"))
    code = other.encode(pictures())
    assert (code == own.encode(pictures())).all()
    with torch.no_grad():
        np.testing.assert_allclose(other.decode(code), as_pictures(decoder(torch.from_numpy(code))), atol=1e-5)
    assert other.fingerprint() != own.fingerprint()
    ours, theirs = other.cost(32, 48), own.cost(32, 48)
    assert ours.encoder_params == theirs.encoder_params
    assert ours.decoder_params == sum(p.numel() for p in decoder.parameters())
    assert ours.file_bytes > theirs.file_bytes


@pytest.mark.parametrize(
    ("decoder", "reads"), [(narrow(4), "4 channels and 2 pixels"), (narrow(3, (4, 4, 8)), "3 channels and 4 pixels")]
)
def test_a_decoder_of_other_latents_is_one_line(tmp_path: Path, decoder: LatentDecoder, reads: str) -> None:
    kl().save_pretrained(tmp_path / "vae")
    decoder.save_pretrained(tmp_path / "decoder")
    with pytest.raises(BenchError, match=f"reads latents of {reads}, .* makes 3 and 2"):
        loaded(tmp_path, f"[decoder={tmp_path}]")


def test_a_pipeline_that_borrows_its_autoencoder(tmp_path: Path) -> None:
    kl().save_pretrained(tmp_path / "base" / "vae")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "shared.json").write_text('{"vae": "base"}')
    assert loaded(tmp_path / "other").fingerprint() == loaded(tmp_path / "base").fingerprint()


@pytest.mark.parametrize(("dtype", "tolerance"), [("bf16", 0.05), ("fp16", 0.01)])
def test_half_precision(tmp_path: Path, dtype: str, tolerance: float) -> None:
    tiny().save_pretrained(tmp_path)
    whole, half = loaded(tmp_path), loaded(tmp_path, dtype=dtype)
    code = half.encode(pictures())
    assert code.dtype == np.float32
    difference = np.abs(half.decode(code) - whole.decode(whole.encode(pictures())))
    assert 0 < difference.max() < tolerance


def test_cost(tmp_path: Path) -> None:
    model = kl()
    model.save_pretrained(tmp_path)
    cost = loaded(tmp_path).cost(32, 48)
    halves = [(model.encoder, model.quant_conv), (model.decoder, model.post_quant_conv)]
    params = [sum(p.numel() for module in half for p in module.parameters()) for half in halves]
    assert [cost.encoder_params, cost.decoder_params] == params
    assert cost.encoder_macs == count_macs(lambda: model.encode(inputs()[:1]))
    assert cost.decoder_macs == count_macs(lambda: model.decode(torch.zeros(1, 3, 16, 24)))
    assert cost.file_bytes == (tmp_path / "diffusion_pytorch_model.safetensors").stat().st_size


def test_bad_sizes(tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path)
    codec = loaded(tmp_path)
    for height, width in ((30, 32), (32, 30)):
        with pytest.raises(BenchError, match="multiples of 4"):
            codec.encode(pictures(height, width))
        with pytest.raises(BenchError, match="multiples of 4"):
            codec.cost(height, width)


def test_other_class(tmp_path: Path) -> None:
    from diffusers import VQModel

    VQModel(block_out_channels=(8,), norm_num_groups=4).save_pretrained(tmp_path)
    with pytest.raises(BenchError, match="describes a VQModel; expected AutoencoderKL or AutoencoderTiny"):
        loaded(tmp_path)


def test_device_that_is_not_there(tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path)
    with pytest.raises(BenchError, match="device 'cuda:99' cannot be used here"):
        make_codec(f"vae:{tmp_path}").load("cuda:99", "fp32")


def test_hub_id_without_network() -> None:
    codec = make_codec("vae:nobody/nothing-at-all")
    codec.weights = type(codec.weights)(offline=True)
    with pytest.raises(BenchError, match="'nobody/nothing-at-all' is neither a folder nor reachable on the hub"):
        codec.load("cpu", "fp32")
