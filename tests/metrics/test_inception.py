"""Our Inception against torch-fidelity's module with the same random weights, in every resize and precision."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import WeightsFinder, load_tensors, tensors_digest
from t2ibench.metrics.extractors.inception import Inception
from t2ibench.metrics.extractors.inception_net import fold
from t2ibench.metrics.extractors.inception_torch import torch_forward
from t2ibench.metrics.resizers import RESIZERS
from t2ibench.metrics.setup import Setup

pytestmark = pytest.mark.usefixtures("one_thread")


def extractor(path: Path, **settings) -> Inception:
    return Inception(Setup(weights=WeightsFinder({"inception": path}, offline=True), **settings))


def features(network: Inception, pictures: list[np.ndarray]) -> np.ndarray:
    return network.features([network.prepare(each) for each in pictures])


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture(scope="module")
def theirs(inception_file) -> FeatureExtractorInceptionV3:
    return FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=inception_file)


@pytest.fixture(scope="module")
def ours(inception_file) -> Inception:
    return extractor(inception_file)


@pytest.fixture(scope="module")
def pictures(picture) -> list[np.ndarray]:
    return [picture(1, 80, 96), picture(2, 50, 50), picture(3, 400, 330)]


@pytest.fixture(scope="module")
def expected(theirs, pictures) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        found = [theirs(torch.from_numpy(each).permute(2, 0, 1)[None]) for each in pictures]
    return tuple(np.concatenate([each[part].numpy() for each in found]) for part in (0, 1))


def test_pool3_is_torch_fidelitys(ours, pictures, expected):
    found = features(ours, pictures)
    assert np.abs(expected[0]).max() > 0.01
    np.testing.assert_allclose(found, expected[0], rtol=1e-4, atol=1e-5 * np.abs(expected[0]).max())
    assert relative_error(found, expected[0]) < 1e-5


def test_logits_are_torch_fidelitys_unbiased_ones(ours, pictures, expected):
    assert relative_error(ours.logits(features(ours, pictures)), expected[1]) < 1e-5


def test_pytorch_and_onnx_runtime_run_the_same_network(inception_file, ours, pictures):
    prepared = [ours.prepare(each) for each in pictures]
    with torch.inference_mode():
        found = torch_forward(fold(load_tensors(inception_file)), "cpu", "fp32")(np.stack(prepared))
    assert relative_error(found, ours.features(prepared)) < 1e-5


def test_bf16_is_named_and_off_by_about_a_percent(inception_file, pictures, expected):
    low = extractor(inception_file, dtype="bf16")
    assert low.identity.endswith(":tf-bilinear:bf16")
    assert 1e-4 < relative_error(features(low, pictures), expected[0]) < 0.05


def test_the_resize_is_part_of_the_identity(inception_file):
    identities = {extractor(inception_file, inception_resize=name).identity for name in RESIZERS}
    assert len(identities) == len(RESIZERS)
    with pytest.raises(BenchError, match="unknown resize 'nearest' for Inception: expected tf-bilinear, clean-fid"):
        extractor(inception_file, inception_resize="nearest")


def test_kinds_of_device_do_not_share_cached_features(inception_file):
    on_card, on_cpu = (extractor(inception_file, device=device) for device in ("cuda:1", "cpu"))
    assert on_card.identity == on_cpu.identity
    assert on_card.cache_key != on_cpu.cache_key


def test_unofficial_weights_are_said_so(inception_file, ours):
    digest = tensors_digest(load_tensors(inception_file))[:8]
    assert ours.identity == f"inception-unofficial@{digest}:tf-bilinear:fp32"
    assert ours.note == "Inception weights random-inception.pth are not the official ones"


def test_the_digest_of_weights_is_kept_by_their_file(inception_file, tmp_path, monkeypatch):
    first = extractor(inception_file, cache=tmp_path)
    monkeypatch.setattr("t2ibench.metrics.extractors.base.load_tensors", None)
    assert extractor(inception_file, cache=tmp_path).label == first.label
    changed = tmp_path / "changed.pth"
    shutil.copy(inception_file, changed)
    with changed.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(TypeError):  # it would have to be read
        extractor(changed, cache=tmp_path)


def test_a_digest_that_was_cut_short_is_made_again(inception_file, tmp_path):
    label = extractor(inception_file, cache=tmp_path).label
    (kept,) = (tmp_path / "digests").iterdir()
    kept.write_text("12ab")
    assert extractor(inception_file, cache=tmp_path).label == label


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: {"a": torch.ones(1)}, "it holds no 'Conv2d_1a_3x3'"),
        (
            lambda tensors: tensors | {"Mixed_6c.branch7x7_2.conv.weight": torch.ones(160, 9, 1, 7)},
            "Mixed_6c.branch7x7_2 takes 9 channels, not 160",
        ),
        (
            lambda tensors: {name: each for name, each in tensors.items() if name != "Mixed_7a.branch3x3_1.bn.bias"},
            "it holds no 'Mixed_7a.branch3x3_1.bn.bias'",
        ),
        (
            lambda tensors: tensors | {"Mixed_7c.branch1x1.conv.weight": torch.ones(320, 9, 1, 1)},
            "Mixed_7c.branch1x1 takes 9 channels, not 2048",
        ),
    ],
)
def test_weights_of_another_network_are_an_error(inception_file, tmp_path, picture, change, message):
    wrong = tmp_path / "wrong.pth"
    torch.save(change(load_tensors(inception_file)), wrong)
    with pytest.raises(BenchError, match=rf"wrong\.pth' does not fit the network: .*({message})"):
        features(extractor(wrong), [picture(1)])
