"""Networks for tests of whole commands: one that takes no time, and the real Inception with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from made import write_random_inception
from t2ibench.metrics.extractors import NETWORKS
from t2ibench.metrics.extractors.base import TextExtractor


class Stub(TextExtractor):
    """Means of four quarters, and lengths of texts."""

    label = "stub@1"
    preprocess = "quarters"

    @classmethod
    def weights(cls, setup):
        return None

    def features(self, prepared):
        return np.array([[q.mean() for q in np.array_split(p, 4)] for p in prepared], np.float32)

    def texts(self, prompts):
        return np.array([[len(prompt), 1, 2, 3] for prompt in prompts], np.float32)

    def cut(self, prompts):
        return None


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for all networks."""
    monkeypatch.setattr(NETWORKS, "load", lambda target: Stub)


@pytest.fixture(scope="session")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights of the Inception network."""
    return write_random_inception(tmp_path_factory.mktemp("weights") / "random.pth")
