"""Methods whose networks another runtime answers for: the pictures are PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from t2ibench.adapters import make_adapter
from t2ibench.bench.devices import make_device
from t2ibench.bench.devices.exported import Exported
from t2ibench.datasets.request import Pixels, Region, Request

Controlled = Callable[..., Request]


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(autouse=True)
def kept(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache for all tests of this file: text encoder and decoder are those of one checkpoint."""
    monkeypatch.setenv("T2IBENCH_CACHE", str(shared_cache))


def on_both(text: str, requests: list[Request]) -> tuple[np.ndarray, np.ndarray, Exported]:
    plain, method, device = make_adapter(text), make_adapter(text), make_device("onnx")
    plain.load("cpu", "fp32")
    assert isinstance(device, Exported)
    device.load(method, "fp32")
    found = method.generate(requests).astype(int)
    assert device.failed() == {}
    return found, plain.generate(requests).astype(int), device


@pytest.fixture(scope="module")
def tiny_t2i(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from diffusers import T2IAdapter

    torch.manual_seed(0)
    network = T2IAdapter(channels=[16, 32], num_res_blocks=1)
    for parameter in network.parameters():
        parameter.data *= 4  # random weights as they start hardly steer
    network.save_pretrained(folder := tmp_path_factory.mktemp("t2i") / "net")
    return folder


@pytest.fixture(scope="module")
def tiny_plugin(tmp_path_factory: pytest.TempPathFactory, randomised: Callable[..., Any]) -> Path:
    from t2ibench.adapters.networks.diffusion_plugin import DiffusionPlugin

    torch.manual_seed(0)
    network = DiffusionPlugin(
        stem_channels=8, stem_stride=2, width=1.5, rows=[[1, 8, 1, 1], [6, 8, 2, 2], [6, 16, 1, 2], [6, 16, 2, 2]],
        taps=[2, 3], out_channels=[16, 32],
    )  # fmt: skip
    randomised(network).save_pretrained(folder := tmp_path_factory.mktemp("plugin") / "net")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "graphs"),
    [
        # Its UNet is called with features in the first steps, and without them in the last.
        ("controlnet[condition=canny,end=0.5,", 2),
        ("t2i-adapter[condition=canny,", 1),
        ("mediapipe-plugin[condition=canny,", 1),
    ],
)
def test_methods_that_steer(
    method: str, graphs: int, tiny_sd: Path, tiny_controlnet: Path, tiny_t2i: Path, tiny_plugin: Path,
    controlled: Controlled,
) -> None:  # fmt: skip
    network = {"c": tiny_controlnet, "t": tiny_t2i, "m": tiny_plugin}[method[0]]
    text = f"{method}checkpoint={network},base=sd15[checkpoint={tiny_sd}],scheduler=ddim,steps=2,guidance=3]"
    requests = [controlled(index, "canny") for index in range(2)]
    found, expected, device = on_both(text, requests)
    assert np.abs(found - expected).max() <= 1
    assert set(device.runners) == {"text_encoder", "control", "unet", "decoder"}
    assert len(device.runners["unet"].opened) == graphs
    assert len(device.runners["control"].opened) == 1
    other = make_adapter(f"sd15[checkpoint={tiny_sd},scheduler=ddim,steps=2,guidance=3]")
    other.load("cpu", "fp32")
    assert np.abs(other.generate(requests).astype(int) - expected).max() > 1  # it does steer


def test_an_edit_exports_the_encoder_too(tiny_sd: Path) -> None:
    source = Pixels.of(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    requests = [Request("p", "a bus", seed=3, height=64, width=64, source=source)]
    found, expected, device = on_both(f"sdedit[base=sd15[checkpoint={tiny_sd}],steps=4]", requests)
    assert np.abs(found - expected).max() <= 1
    assert "encoder" in device.runners


def test_views_of_any_number_go_through_one_graph(tiny_sd: Path) -> None:
    left = np.zeros((64, 64), bool)
    left[:, :32] = True
    regions = (Region("a red bus", Pixels.of(left)), Region("a tree", Pixels.of(~left)))
    requests = [
        Request("p", "a street", seed=1, height=64, width=64, regions=regions),
        Request("q", "a street", seed=2, height=64, width=64, regions=regions[:1]),
    ]
    text = f"multidiffusion[base=sd15[checkpoint={tiny_sd}],scheduler=ddim,steps=2,background=white]"
    found, expected, device = on_both(text, requests)
    assert np.abs(found - expected).max() <= 1
    assert len(device.runners["unet"].opened) == 1
