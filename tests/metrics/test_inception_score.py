"""The Inception Score against torch-fidelity and exact values."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_isc import isc_features_to_metric

from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics.extractors.inception import Inception
from t2ibench.metrics.features import feature_set
from t2ibench.metrics.inception_score import inception_score, split_score
from t2ibench.metrics.metric import CannotMeasure
from t2ibench.metrics.setup import Setup

DIRECTLY = SimpleNamespace(logits=lambda features: features)


@pytest.mark.parametrize(("n", "spread"), [(203, 1.0), (95, 5.0), (40, 300.0)])
def test_equals_torch_fidelity_with_its_shuffle(n, spread):
    logits = np.random.default_rng(n).normal(0, spread, (n, 30)).astype(np.float32)
    theirs = isc_features_to_metric(torch.from_numpy(logits))
    ours = inception_score(feature_set(logits, DIRECTLY))
    if np.isfinite(theirs["inception_score_mean"]):  # theirs is NaN where a class underflows
        assert ours.value == pytest.approx(theirs["inception_score_mean"], rel=1e-10)
        half = 2.262157 * theirs["inception_score_std"] / 3  # Student's t, 9 degrees of freedom; s/√10 from theirs
        assert ours.interval == pytest.approx((ours.value - half, ours.value + half), rel=1e-6)
    assert 1 <= ours.value <= 30


def test_known_scores():
    sure = np.eye(6, dtype=np.float32) * 1e3
    assert split_score(sure) == pytest.approx(6)
    assert split_score(sure[:1].repeat(4, axis=0)) == pytest.approx(1)
    assert split_score(np.zeros((5, 7), np.float32)) == pytest.approx(1)


def test_few_pictures_are_refused_or_noted():
    logits = np.random.default_rng(1).normal(size=(100, 20)).astype(np.float32)
    with pytest.raises(CannotMeasure, match="at least 10 pictures"):
        inception_score(feature_set(logits[:9], DIRECTLY))
    assert "splits of 10 pictures for 20 classes" in inception_score(feature_set(logits, DIRECTLY)).note
    assert inception_score(feature_set(logits.repeat(2, axis=0), DIRECTLY)).note is None


def test_logits_from_pool3_are_those_of_the_network(inception_file):
    network = FeatureExtractorInceptionV3(
        "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_file)
    )
    pictures = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        pool3, logits = (found.numpy() for found in network(pictures))
    ours = Inception(Setup(weights=WeightsFinder({"inception": inception_file}, offline=True))).logits(pool3)
    np.testing.assert_allclose(ours, logits, rtol=1e-5, atol=1e-5 * np.abs(logits).max())
