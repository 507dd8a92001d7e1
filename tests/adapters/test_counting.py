"""Counts against figures that are published or counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from t2ibench.adapters.counting import count_macs, count_params, on_meta, onnx_cost
from t2ibench.core.errors import BenchError


def vae(channels: tuple[int, ...], layers: int, latent_channels: int) -> AutoencoderKL:
    with torch.device("meta"):
        return AutoencoderKL(
            block_out_channels=channels,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=layers,
            latent_channels=latent_channels,
        )


@pytest.mark.parametrize(
    ("channels", "layers", "latent_channels", "params", "gmacs"),
    [
        ((128, 256, 512, 512), 2, 4, 49.49, 1257.3),  # Stable Diffusion
        ((64, 128, 256, 256), 2, 4, 12.39, 318.9),  # SnapFusion: half of the channels
        ((64, 128, 256, 256), 1, 8, 9.66, 256.0),  # the shape of MobileDiffusion's lite decoder
    ],
)
def test_decoders(channels: tuple[int, ...], layers: int, latent_channels: int, params: float, gmacs: float) -> None:
    model = vae(channels, layers, latent_channels)
    latents = torch.empty(1, latent_channels, 64, 64, device="meta")
    assert count_params(model.decoder) / 1e6 == pytest.approx(params, abs=0.006)
    assert count_macs(lambda: model.decode(latents)) / 1e9 == pytest.approx(gmacs, rel=5e-3)


def test_sd_encoder_params() -> None:
    assert count_params(vae((128, 256, 512, 512), 2, 4).encoder) == 34_163_592


def test_sd_unet_on_meta_counts_attention() -> None:
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
        inputs = torch.empty(1, 4, 64, 64), torch.empty(1, dtype=torch.long), torch.empty(1, 77, 768)
    assert count_params(unet) == 859_520_964
    assert count_macs(lambda: unet(*inputs)) / 1e9 == pytest.approx(401.6, rel=1e-3)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_attention_is_counted(device: str, dtype: torch.dtype) -> None:
    query = torch.zeros(2, 3, 10, 8, device=device, dtype=dtype)
    key = torch.zeros(2, 3, 7, 8, device=device, dtype=dtype)
    assert count_macs(lambda: scaled_dot_product_attention(query, key, key)) == 2 * (2 * 3 * 10 * 7 * 8)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(4, 6, 3), (2, 4, 9, 7)),
        (nn.Conv2d(4, 6, (3, 1), stride=2, padding=(1, 0), dilation=(2, 1), groups=2), (2, 4, 9, 8)),
        (nn.Conv2d(4, 6, 3, padding="same"), (1, 4, 9, 7)),
        (nn.Conv2d(4, 6, 3), (4, 9, 7)),
        (nn.ConvTranspose2d(4, 6, 3, stride=2), (2, 4, 5, 5)),
        (nn.Linear(4, 6, bias=False), (2, 3, 4)),
        (nn.Linear(4, 6), (4,)),
        (nn.MultiheadAttention(8, 2, batch_first=True), (2, 5, 8)),
    ],
    ids=str,
)
def test_the_count_on_meta_is_that_of_what_runs(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """There shapes alone are made, where torch's own counter sees no operation."""
    counts, shapes = [], []
    for device in ("cpu", "meta"):
        given = [torch.empty(shape, device=device)] * (3 if isinstance(layer, nn.MultiheadAttention) else 1)
        placed, made = on_meta(layer) if device == "meta" else layer, []
        counts.append(count_macs(lambda: made.append(placed(*given))))  # noqa: B023
        shapes.append(made[0][0].shape if isinstance(made[0], tuple) else made[0].shape)
    assert counts[0] == counts[1] > 0
    assert shapes[0] == shapes[1]


def test_on_meta_copies_structure_without_data() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)).half().eval()
    shadow = on_meta(module)
    assert {tensor.device.type for tensor in shadow.state_dict().values()} == {"meta"}
    assert {tensor.device.type for tensor in module.state_dict().values()} == {"cpu"}
    inputs = torch.empty(2, 3, 16, 16, device="meta", dtype=torch.half)
    assert count_macs(lambda: shadow(inputs)) == 2 * 16 * 16 * 8 * 3 * 9


def test_on_meta_keeps_shared_parameters_shared() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    assert count_params(on_meta(nn.Sequential(first, second))) == 4 * 4 + 4 + 4


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.linear = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.up(self.depthwise(self.down(x)))
        logits: torch.Tensor = self.linear(x.mean((2, 3)))
        return logits @ logits.transpose(0, 1)


def test_onnx_agrees_with_torch(tmp_path: Path) -> None:
    module, file = Small().eval(), tmp_path / "small.onnx"
    names: dict[str, Any] = {
        "input_names": ["input"],
        "output_names": ["output"],
        "dynamic_axes": {"input": {2: "h", 3: "w"}},
    }
    torch.onnx.export(module, (torch.zeros(1, 3, 16, 16),), str(file), dynamo=False, **names)
    cost = onnx_cost(file, (1, 3, 32, 48))
    assert cost.params == count_params(module)
    assert cost.macs == count_macs(lambda: module(torch.zeros(1, 3, 32, 48)))


def test_onnx_refuses_another_file(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"not a graph")
    with pytest.raises(BenchError, match=r"x\.onnx' is not a usable ONNX file"):
        onnx_cost(tmp_path / "x.onnx", (1, 3, 8, 8))
