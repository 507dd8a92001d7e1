"""Networks against the packages they come from, and the identities of their weights."""

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.pretrained import _clean_tag
from torchvision import models

from made import TINY_CLIP
from t2ibench.core.errors import BenchError
from t2ibench.core.weights import MissingWeights, WeightsFinder, load_tensors, tensors_digest
from t2ibench.metrics.extractors.clip import HUB, Clip, ClipViTB32
from t2ibench.metrics.extractors.inception import Inception
from t2ibench.metrics.extractors.lpips import BACKBONES, Lpips
from t2ibench.metrics.setup import Setup


def setup_with(name: str, path: Path, **settings) -> Setup:
    return Setup(weights=WeightsFinder({name: path}, offline=True), **settings)


def test_missing_inception_weights_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("T2IBENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("T2IBENCH_WEIGHTS", raising=False)
    with pytest.raises(MissingWeights, match=r"weights-inception-2015-12-05-6726825d\.pth \(sha256 6726825d\).*github"):
        Inception(Setup(weights=WeightsFinder(offline=True)))


@pytest.fixture
def clip_setup(tiny_clip) -> Setup:
    return setup_with("clip", tiny_clip, clip_model=TINY_CLIP, clip_pretrained="random")


def test_clip_weights_without_a_published_digest_are_said_so(clip_setup):
    clip = Clip(clip_setup)
    digest = tensors_digest(load_tensors(clip_setup.weights.overrides["clip"]))[:8]
    assert clip.identity == f"{TINY_CLIP}@random-{digest}:open_clip-preprocess:fp32"
    assert "could not be checked" in (clip.note or "")


def test_long_prompts_are_counted(clip_setup):
    clip = Clip(clip_setup)
    assert clip.cut(["a cat", "dog " * 75]) is None
    assert clip.cut(["a cat", "dog " * 76, "dog " * 99]) == "2 of 3 prompts are longer than 77 tokens and were cut"


def test_the_table_of_hub_repositories_is_open_clips():
    for (model, tag), repository in HUB.items():
        assert open_clip.get_pretrained_cfg(model, _clean_tag(tag))["hf_hub"] == f"{repository}/"


def test_weights_of_clip_models_are_told_apart():
    main = Clip.weights(Setup())
    assert main.filename == "CLIP-ViT-g-14-laion2B-s34B-b88K/open_clip_model.safetensors"
    assert main.hub_fallbacks == ("open_clip_pytorch_model.bin",)
    assert ClipViTB32.weights(Setup()).name == "clip-vit-b-32"
    other = Clip.weights(Setup(clip_model="RN50-quickgelu", clip_pretrained="cc12m"))
    assert other.name == "clip"
    with pytest.raises(BenchError, match="unknown CLIP model 'ViT-Z'"):
        Clip.weights(Setup(clip_model="ViT-Z"))


@pytest.mark.parametrize("net", ["squeeze", "alex"])
def test_lpips_of_several_sizes_at_once_is_that_of_each_alone(files, tmp_path, picture, net):
    whole = load_tensors(files.backbone(net)) | {"classifier.1.weight": torch.ones(2)}
    torch.save(whole, tmp_path / "random.pth")
    a, b = ([picture(seed, 64, 80), picture(seed + 1, 70, 64)] for seed in (1, 5))
    ours = Lpips(setup_with(f"lpips-{net}", tmp_path / "random.pth", lpips_net=net))
    alone = [ours.distances([one], [other])[0] for one, other in zip(a, b, strict=True)]
    np.testing.assert_allclose(ours.distances(a, b), alone, atol=1e-6)
    assert "not the official ones" in (ours.note or "")


def test_lpips_needs_pictures_that_survive_pooling(tmp_path, picture):
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "random.pth")
    network = Lpips(setup_with("lpips-squeeze", tmp_path / "random.pth"))
    small = [picture(1, 31, 40)]
    with pytest.raises(BenchError, match="at least 32×32 pixels, not 40×31"):
        network.distances(small, small)
    assert network.distances([picture(1, 32, 32)], [picture(1, 32, 32)])[0] == 0


def test_an_unknown_lpips_network_is_an_error():
    with pytest.raises(BenchError, match="unknown LPIPS network 'resnet'"):
        Lpips(Setup(lpips_net="resnet"))
    assert set(BACKBONES) == {"alex", "vgg", "squeeze"}


def test_an_unknown_precision_is_an_error():
    with pytest.raises(BenchError, match="fp32, bf16, fp16, not 'int4'"):
        Lpips(Setup(dtype="int4"))


@pytest.mark.data
def test_lpips_reproduces_the_published_values():
    network = Lpips(Setup(weights=WeightsFinder(offline=True)))
    generator = torch.Generator().manual_seed(42)
    a, b = (torch.rand(2, 3, 100, 100, generator=generator) * 2 - 1 for _ in range(2))
    assert [round(float(value), 4) for value in network.compare(a, b)] == [0.1024, 0.0938]
    assert network.note is None
    assert network.label.startswith("squeeze-v0.1@0300ddb7")
