"""HPS v2 and the aesthetic predictor, over random weights of their layout."""

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import image_transform
from PIL import Image
from torch import nn

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import MissingWeights, WeightsFinder, load_tensors
from t2ibench.metrics import METRICS
from t2ibench.metrics.engine import Engine
from t2ibench.metrics.extractors.aesthetic import HEAD, LAYERS, ClipAesthetic
from t2ibench.metrics.extractors.clip import ClipViTL14, HpsV2, HpsV21
from t2ibench.metrics.setup import Setup


def head(width: int) -> nn.Sequential:
    """The published layout, narrower."""
    return nn.Sequential(
        nn.Linear(width, 12), nn.Dropout(0.2), nn.Linear(12, 8), nn.Dropout(0.2),
        nn.Linear(8, 6), nn.Dropout(0.1), nn.Linear(6, 4), nn.Linear(4, 1),
    ).eval()  # fmt: skip


@pytest.fixture
def aesthetic(tiny_clip, tiny_choice, tmp_path) -> tuple[Setup, nn.Sequential]:
    tiny_choice(ClipViTL14)
    with torch.random.fork_rng():
        torch.manual_seed(6)
        layers = head(16)
    torch.save({f"layers.{name}": tensor for name, tensor in layers.state_dict().items()}, tmp_path / "head.pth")
    files = {"clip-aesthetic": tmp_path / "head.pth", "clip-vit-l-14": tiny_clip}
    return Setup(weights=WeightsFinder(files, offline=True)), layers


def test_the_rating_is_the_heads_of_the_unit_embedding(aesthetic, picture):
    setup, layers = aesthetic
    pictures = [picture(1, 50, 40), picture(2, 40, 60)]
    clip, ours = ClipViTL14(setup), ClipAesthetic(setup)
    embeddings = torch.from_numpy(clip.features([clip.prepare(each) for each in pictures]))
    with torch.no_grad():
        expected = layers(nn.functional.normalize(embeddings))
    np.testing.assert_allclose(ours.features([ours.prepare(each) for each in pictures]), expected, atol=1e-6)


def test_the_rating_through_the_engine_names_both_files(aesthetic, sample, picture):
    value = Engine(aesthetic[0]).measure([sample("a", picture(1)), sample("b", picture(2))], ["clip_aesthetic"])
    identity = value["clip_aesthetic"].identity
    assert identity.startswith("clip_aesthetic:laion-aesthetic-v2@unofficial-")
    assert "+tiny-clip-of-the-metrics@random-" in identity
    assert "aesthetic weights head.pth are not the official ones; CLIP weights" in value["clip_aesthetic"].note


def test_the_layers_are_those_of_the_published_file():
    assert [index for index, layer in enumerate(head(16)) if isinstance(layer, nn.Linear)] == list(LAYERS)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"layers.0.weight": torch.ones(1, 16)}, "must hold layers.0.bias, layers.0.weight"),
        ({f"layers.{name}": tensor for name, tensor in head(20).state_dict().items()}, "a layer takes 20 features"),
    ],
)
def test_a_head_of_another_layout_is_an_error(aesthetic, picture, tmp_path, tensors, message):
    torch.save(tensors, tmp_path / "head.pth")
    ours = ClipAesthetic(aesthetic[0])
    with pytest.raises(BenchError, match=message):
        ours.features([ours.prepare(picture(1))])


def test_whichever_of_its_two_files_is_missing_is_named(monkeypatch, tmp_path, tiny_clip):
    for name in ("HOME", "T2IBENCH_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("T2IBENCH_WEIGHTS", raising=False)
    setup = Setup(weights=WeightsFinder(offline=True))
    assert ClipAesthetic.weights(setup) is HEAD
    with pytest.raises(MissingWeights, match=r"sac\+logos\+ava1-l14-linearMSE\.pth \(sha256 21dd590f"):
        setup.weights.find(HEAD)
    there = Setup(weights=WeightsFinder({"clip-aesthetic": tiny_clip}, offline=True))
    assert ClipAesthetic.weights(there).name == "clip-vit-l-14"


@pytest.mark.parametrize("kind", [HpsV2, HpsV21])
def test_hps_is_100_times_the_product_of_unit_embeddings(tiny_clip, tiny_choice, tmp_path, picture, sample, kind):
    name = kind.weights(Setup()).name
    tiny_choice(kind, name)
    torch.save({"state_dict": load_tensors(tiny_clip), "epoch": 1}, tmp_path / "HPS.pt")
    setup = Setup(weights=WeightsFinder({kind.weights(Setup()).name: tmp_path / "HPS.pt"}, offline=True))
    pictures, prompts = [picture(1, 40, 64), picture(2, 50, 30)], ["a red cube", "a lake at dawn"]
    model = open_clip.create_model("tiny-clip-of-the-metrics", pretrained=str(tiny_clip)).eval()
    preprocess = image_transform(32, is_train=False, resize_mode="longest")
    with torch.no_grad():
        images = model.encode_image(torch.stack([preprocess(Image.fromarray(p)) for p in pictures]), normalize=True)
        texts = model.encode_text(open_clip.get_tokenizer("tiny-clip-of-the-metrics")(prompts), normalize=True)
        expected = (100 * (images * texts).sum(dim=1)).tolist()
    samples = [sample(str(i), p, prompt) for i, (p, prompt) in enumerate(zip(pictures, prompts, strict=True))]
    key = {"hps-v2": "hps_v2", "hps-v2.1": "hps_v2_1"}[name]
    value = Engine(setup).measure(samples, [key])[key]
    assert list(value.per_image.values()) == pytest.approx(expected, abs=1e-4)
    assert ":cos-x100:as-is:open_clip-preprocess-longest:" in value.identity


def test_a_wide_picture_is_padded_black_not_cropped(tiny_clip, tiny_choice):
    tiny_choice(HpsV2, "hps-v2.0")
    network = HpsV2(Setup(weights=WeightsFinder({"hps-v2": tiny_clip}, offline=True)))
    prepared = network.prepare(np.full((20, 40, 3), 255, np.uint8))
    assert prepared.shape == (3, 32, 32)
    assert prepared[:, :8].max() < 0 < prepared[:, 8:24].min()


def test_versions_2_0_and_2_1_are_told_apart():
    files = {kind.choice(Setup()): kind.weights(Setup()) for kind in (HpsV2, HpsV21)}
    assert {choice: (known.name, *known.hub) for choice, known in files.items()} == {
        ("ViT-H-14", "hps-v2.0"): ("hps-v2", "xswu/HPSv2", "HPS_v2_compressed.pt"),
        ("ViT-H-14", "hps-v2.1"): ("hps-v2.1", "xswu/HPSv2", "HPS_v2.1_compressed.pt"),
    }
    assert (METRICS.get("hps_v2").network, METRICS.get("hps_v2_1").network) == ("hps-v2", "hps-v2.1")
