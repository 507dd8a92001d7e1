"""The recipes of control networks and of the LoRA: what they start from, what they see, and that they learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel

import t2ibench
from t2ibench.adapters.networks.diffusion_plugin import take_features
from t2ibench.datasets.scene_conditions import condition_map
from t2ibench.datasets.scenes import scene
from t2ibench.zoo.recipes import control, data, lora, text_encoder, tokenizer, unet

BASE = Path(t2ibench.__file__).parent / "zoo" / "mini-sd"


def steered(name: str) -> control.Steered:
    """An untrained network of a kind on the base."""
    torch.manual_seed(0)
    base = UNet2DConditionModel.from_pretrained(BASE / "unet").float()
    network = control.NETWORKS[name].build(base)
    take_features(base)
    text = CLIPTextModel.from_pretrained(BASE / "text_encoder").float()
    return control.Steered(text, base, network, control.NETWORKS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", control.NETWORKS)
def test_a_network_learns_and_the_base_stays(name: str, tmp_path: Path) -> None:
    model = steered(name)
    tokens = text_encoder.encode(tokenizer.write(tmp_path), [scene(number).caption for number in range(16)])
    latents = torch.randn(16, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    model.pictures = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    before = {key: value.clone() for key, value in model.unet.state_dict().items()}
    optimizer = torch.optim.Adam(model.network.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = unet.loss(model, latents, tokens, torch.Generator().manual_seed(0), cap=float("inf"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.97 * losses[0]
    assert all(torch.equal(value, before[key]) for key, value in model.unet.state_dict().items())


@pytest.mark.parametrize("name", ["controlnet", "plugin"])
def test_a_network_that_starts_from_zero_starts_at_the_base(name: str) -> None:
    model = steered(name)
    noisy, timesteps = torch.randn(2, 4, 8, 8), torch.tensor([500, 100])
    tokens = torch.zeros(2, tokenizer.LENGTH, dtype=torch.long)
    model.pictures = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        plain = model.unet(noisy, timesteps, model.text_encoder(tokens)[0]).sample
        assert torch.equal(model(noisy, timesteps, tokens), plain)


def test_maps_are_those_of_their_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "CHUNK", 20)
    found = data.maps(30, "landmarks", work=tmp_path, processes=1)
    assert found.numbers.tolist() == [number for number in range(30) if scene(number).face]
    for image, number in zip(found.images, found.numbers, strict=True):
        assert np.array_equal(image, condition_map(scene(number), "landmarks"))
    pictures = found.pictures(torch.tensor([1]))
    assert pictures.shape == (1, 3, 64, 64)
    assert pictures.max() <= 1


def test_warm_light_keeps_red_and_takes_most_of_blue() -> None:
    white = np.full((1, 1, 3), 200, dtype=np.uint8)
    assert lora.in_warm_light(white).tolist() == [[[200, 170, 130]]]


def test_hard_scenes_are_drawn_more_often_later_on() -> None:
    face, one, three = (
        "a face looking left on a grey background",
        "a red circle on a grey background",
        "a red circle left of a blue square and a green cross right of the blue square on a grey background",
    )
    draw = unet.Draw([face, one, three], unet.EMPHASIS)
    assert draw.at(0).tolist() == [1, 1, 1]
    first, second, third = draw.at(40_000).tolist()
    assert third > first > second
