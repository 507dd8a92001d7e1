"""CLIP scores by their names, and the CLIP models that metrics fix."""

import numpy as np
import pytest

from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics import METRICS
from t2ibench.metrics.clip_score import raw_scores, scores_x100, scores_x100_clamped
from t2ibench.metrics.extractors.clip import ClipViTL14, ClipViTL14At336
from t2ibench.metrics.metric import Evidence
from t2ibench.metrics.setup import Setup


@pytest.fixture
def evidence() -> Evidence:
    images, texts = np.random.default_rng(4).normal(size=(2, 20, 6)).astype(np.float32)
    return Evidence(features=images, texts=texts)


def test_raw_times_100_and_clamped(evidence):
    raw = np.array(raw_scores(evidence))
    assert raw.min() < 0 < raw.max()
    np.testing.assert_allclose(scores_x100(evidence), 100 * raw, rtol=1e-12)
    np.testing.assert_allclose(scores_x100_clamped(evidence), np.maximum(100 * raw, 0), rtol=1e-12)


def test_their_identities_differ():
    protocols = {name: METRICS.get(name).protocol for name in METRICS.names() if name.startswith("clip_score")}
    assert protocols == {
        "clip_score": "cos",
        "clip_score_x100": "cos-x100",
        "clip_score_x100_clamped": "cos-x100-clamped",
        "clip_score_edited_x100_clamped": "cos-x100-clamped",
        "clip_score_vit_b_32_x100": "cos-x100",
    }
    assert METRICS.get("clip_score_vit_b_32_x100").network == "clip-vit-b-32"


def test_the_models_that_metrics_fix_are_told_apart():
    assert ClipViTL14.weights(Setup()).name == "clip-vit-l-14"
    large = ClipViTL14At336.weights(Setup())
    assert (large.name, large.hub[0]) == ("clip-vit-l-14-336", "timm/vit_large_patch14_clip_336.openai")


def test_cmmds_clip_sees_the_centre_square(tiny_clip, tiny_choice, picture):
    tiny_choice(ClipViTL14At336)
    weights = WeightsFinder({"clip-vit-l-14-336": tiny_clip}, offline=True)
    network = ClipViTL14At336(Setup(weights=weights))
    wide = picture(1, 41, 90)
    np.testing.assert_array_equal(network.prepare(wide), network.prepare(np.ascontiguousarray(wide[:, 24:65])))
