"""The measuring models of the mini world, by stand-ins with random weights."""

import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPTokenizer, ResNetForImageClassification

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics import METRICS
from t2ibench.metrics.clip_score import cosines
from t2ibench.metrics.engine import Engine
from t2ibench.metrics.extractors.mini import MiniClip, MiniFeatures
from t2ibench.metrics.setup import Setup

NAMES = ["mini_fd", "mini_kd", "mini_clip_score"]
CAPTIONS = ["a red circle on a grey background", "a blue cross"]


def pixels(*pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def encoded(network, *pictures: np.ndarray) -> np.ndarray:
    return network.features([network.prepare(picture) for picture in pictures])


def test_features_are_what_the_resnet_pools(zoo, picture, one_thread):
    shown = picture(1), picture(2)
    network = ResNetForImageClassification.from_pretrained(zoo / "mini-features", dtype=torch.float32).eval()
    with torch.no_grad():
        expected = network.resnet(pixels(*shown)).pooler_output.flatten(1)
    ours = encoded(MiniFeatures(Setup()), *shown)
    assert ours.shape == (2, 64)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_the_clip_is_that_of_transformers(zoo, picture, one_thread):
    model = CLIPModel.from_pretrained(zoo / "mini-clip", dtype=torch.float32).eval()
    tokens = CLIPTokenizer.from_pretrained(zoo / "mini-clip")(CAPTIONS, padding=True, return_tensors="pt")
    with torch.no_grad():
        both = model(**tokens, pixel_values=pixels(picture(1), picture(2)))
    ours = MiniClip(Setup())
    images, texts = encoded(ours, picture(1), picture(2)), ours.texts(CAPTIONS)
    expected = (both.image_embeds * both.text_embeds).sum(1)
    np.testing.assert_allclose(cosines(images, texts), expected, atol=1e-5)


def test_a_text_does_not_depend_on_those_beside_it(zoo, one_thread):
    ours = MiniClip(Setup())
    np.testing.assert_allclose(ours.texts(CAPTIONS)[1:], ours.texts(CAPTIONS[1:]), atol=1e-5)


def test_long_captions_are_cut_and_counted(zoo, one_thread):
    ours = MiniClip(Setup())
    assert ours.cut(CAPTIONS) is None
    assert ours.cut([*CAPTIONS, "word " * 40]) == "1 of 3 prompts are longer than 32 tokens and were cut"
    assert ours.texts(["word " * 40]).shape == (1, 16)


def test_other_sizes_are_resized_with_antialiasing(zoo, picture):
    large = picture(3, 128, 96)
    expected = np.asarray(Image.fromarray(large).resize((64, 64), Image.Resampling.BICUBIC))
    for kind in (MiniFeatures, MiniClip):
        np.testing.assert_allclose(kind(Setup()).prepare(large), pixels(expected)[0], atol=1e-6)
        assert kind.preprocess == "bicubic64"


def test_identities_carry_the_digest_of_the_weights(zoo):
    for kind, name in ((MiniFeatures, "mini-features"), (MiniClip, "mini-clip")):
        found = kind(Setup())
        assert re.fullmatch(rf"{name}@[0-9a-f]{{8}}:bicubic64:fp32", found.identity)
        assert found.note is None


@pytest.mark.parametrize(
    ("kind", "name", "file"),
    [
        (MiniFeatures, "mini-features", "config.json"),
        (MiniClip, "mini-clip", "config.json"),
        (MiniClip, "mini-clip", "vocab.json"),
        (MiniClip, "mini-clip", "merges.txt"),
    ],
)
def test_the_files_beside_the_weights_are_part_of_the_identity(zoo, tmp_path, kind, name, file):
    folder = shutil.copytree(zoo / name, tmp_path / "own")
    setup = Setup(weights=WeightsFinder({name: folder / "model.safetensors"}))
    before = kind(setup).label
    assert before == kind(Setup()).label
    (folder / "README.md").write_text("of no concern")
    assert kind(setup).label == before
    (folder / file).write_text((folder / file).read_text() + "\n")
    changed = kind(setup).label
    assert changed != before
    (folder / file).unlink()
    assert kind(setup).label not in (before, changed)


def test_a_model_of_the_users_own_is_taken_and_said_so(zoo, tmp_path):
    from safetensors.torch import load_file, save_file

    own = shutil.copytree(zoo / "mini-features", tmp_path / "own") / "mine.safetensors"
    tensors = load_file(zoo / "mini-features" / "model.safetensors")
    save_file({name: tensor * 2 for name, tensor in tensors.items()}, own)
    found = MiniFeatures(Setup(weights=WeightsFinder({"mini-features": own})))
    assert found.label != MiniFeatures(Setup()).label
    assert "mine.safetensors are not those that ship with t2ibench" in (found.note or "")


def test_weights_that_do_not_fit_or_lie_alone_are_an_error(zoo, tmp_path, picture):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "mine.safetensors")
    found = MiniFeatures(Setup(weights=WeightsFinder({"mini-features": tmp_path / "mine.safetensors"})))
    with pytest.raises(BenchError, match=r"mine\.safetensors"):
        encoded(found, picture(1))
    shutil.copy(zoo / "mini-features" / "config.json", tmp_path)
    with pytest.raises(BenchError, match="does not fit the network"):
        encoded(found, picture(1))


def test_the_three_metrics_of_the_mini_world(zoo, sample, picture, one_thread):
    samples, others = (
        [sample(f"{start}-{i}", picture(start + i), CAPTIONS[i % 2]) for i in range(6)] for start in (0, 50)
    )
    values = Engine(Setup()).measure(samples, NAMES, others)
    assert all(np.isfinite(value.value) for value in values.values())
    assert Engine(Setup()).measure(samples, ["mini_fd"], samples)["mini_fd"].value == pytest.approx(0, abs=1e-5)
    assert values["mini_fd"].identity.startswith("mini_fd:mini-features@")
    assert ":poly3-100x6-seed2020:" in values["mini_kd"].identity
    assert -1 <= values["mini_clip_score"].value <= 1


def test_none_bears_the_name_of_a_full_size_metric():
    for name in NAMES:
        assert name.startswith("mini_")
        assert METRICS.get(name).network.startswith("mini-")
