"""DINOv2 features against transformers, and the distances over them."""

import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision import transforms
from transformers import Dinov2Config, Dinov2Model

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics import METRICS
from t2ibench.metrics.engine import Engine
from t2ibench.metrics.extractors.dinov2 import MEAN, STD, DinoV2, stretched
from t2ibench.metrics.setup import Setup

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14}


def published(name: str) -> str:
    """The name of a tensor in the files on the hub, which transformers 4 had too."""
    words = {"q": "query", "k": "key", "v": "value"}
    name = re.sub(r"attention\.([qkv])_proj", lambda match: f"attention.attention.{words[match[1]]}", name)
    return name.replace("attention.o_proj", "attention.output.dense")


@pytest.fixture(scope="module")
def network() -> Dinov2Model:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = Dinov2Model(Dinov2Config(**SHAPE, image_size=224)).eval()
        torch.nn.init.normal_(network.embeddings.position_embeddings)
    return network


@pytest.fixture(scope="module")
def setup(network, tmp_path_factory) -> Setup:
    folder = tmp_path_factory.mktemp("dinov2") / "dinov2-large"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**SHAPE, "image_size": 224}))
    tensors = {published(name): tensor for name, tensor in network.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    return Setup(weights=WeightsFinder({"dinov2": folder / "model.safetensors"}, offline=True))


def test_features_are_the_class_token_of_transformers(setup, network, picture, one_thread):
    pictures = [picture(1, 60, 90), picture(2, 300, 240)]
    preprocess = transforms.Compose(
        [
            transforms.ToPILImage(),
            transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    with torch.no_grad():
        expected = network(torch.stack([preprocess(each) for each in pictures])).pooler_output
    ours = DinoV2(setup)
    np.testing.assert_allclose(ours.features([ours.prepare(each) for each in pictures]), expected, atol=1e-5)


def test_weights_that_could_not_be_checked_are_said_so(setup):
    ours = DinoV2(setup)
    assert re.fullmatch(r"dinov2-vit-l-14@[0-9a-f]{8}:bicubic224:fp32", ours.identity)
    assert "could not be checked" in (ours.note or "")


def test_position_embeddings_are_stretched_by_a_tenth_of_a_patch_more():
    positions = torch.randn(1, 1 + 37 * 37, 8, generator=torch.Generator().manual_seed(1))
    ours = stretched(positions, 16)
    assert ours.shape == (1, 1 + 16 * 16, 8)
    torch.testing.assert_close(ours[:, 0], positions[:, 0])
    grid = positions[:, 1:].reshape(1, 37, 37, 8).permute(0, 3, 1, 2)
    plain = torch.nn.functional.interpolate(grid, size=(16, 16), mode="bicubic")
    moved = torch.nn.functional.interpolate(grid, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic")
    grid = ours[:, 1:].reshape(1, 16, 16, 8).permute(0, 3, 1, 2)
    torch.testing.assert_close(grid, moved)
    assert (grid - plain).abs().max() > 0.01
    assert stretched(ours, 16) is ours


def test_weights_of_another_network_are_an_error(tmp_path, picture):
    (tmp_path / "config.json").write_text(json.dumps({**SHAPE, "image_size": 224}))
    save_file({"embeddings.position_embeddings": torch.ones(1, 257, 16)}, tmp_path / "model.safetensors")
    ours = DinoV2(Setup(weights=WeightsFinder({"dinov2": tmp_path / "model.safetensors"}, offline=True)))
    with pytest.raises(BenchError, match=r"model\.safetensors' does not fit the network"):
        ours.features([ours.prepare(picture(1))])


def test_both_distances_over_its_features(setup, sample, picture, one_thread):
    groups = [[sample(f"{start}-{i}", picture(start + i)) for i in range(5)] for start in (0, 50)]
    values = Engine(setup).measure(groups[0], ["fd_dinov2", "kd_dinov2"], groups[1])
    assert all(np.isfinite(value.value) for value in values.values())
    assert values["fd_dinov2"].identity.startswith("fd_dinov2:dinov2-vit-l-14@")
    assert ":bicubic224:fp32:n5:ref-" in values["kd_dinov2"].identity
    assert Engine(setup).measure(groups[0], ["fd_dinov2"], groups[0])["fd_dinov2"].value == pytest.approx(0, abs=1e-6)


def test_neither_is_called_fid():
    assert not [name for name in METRICS.names() if "fid" in name and METRICS.get(name).network == "dinov2"]
