"""The Inception Score against exact values; torch-fidelity's are a row of docs/parity.md."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from parity_features import DIRECTLY
from t2ibench.metrics.features import feature_set
from t2ibench.metrics.inception_score import inception_score, split_score
from t2ibench.metrics.metric import CannotMeasure


def test_it_stays_a_number_where_a_class_underflows():
    logits = np.random.default_rng(40).normal(0, 300.0, (40, 30)).astype(np.float32)
    assert np.isnan(isc_features_to_metric(torch.from_numpy(logits))["inception_score_mean"])
    assert 1 <= inception_score(feature_set(logits, DIRECTLY)).value <= 30


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
