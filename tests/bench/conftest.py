"""Networks for tests of whole commands: one that takes no time, and the real Inception with random weights."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from in_process import InProcess

from made import write_random_inception
from t2ibench.bench.gating.sides import Place, Side, Taken
from t2ibench.metrics.extractors import NETWORKS
from t2ibench.metrics.extractors.base import TextExtractor
from t2ibench.metrics.metric import CannotMeasure
from t2ibench.metrics.stats import mean_interval
from t2ibench.metrics.value import MetricValue
from t2ibench.reports.schema import Latency, Result, Run, RunSettings, SuiteInfo


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


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> type[InProcess]:
    """Have workers of latency and exports answer in this process."""
    InProcess.started = 0
    monkeypatch.setattr(gc, "freeze", lambda: None)  # what other tests left is not to stay for ever
    for place in ("fresh", "latency.protocol"):
        monkeypatch.setattr(f"t2ibench.bench.{place}.FreshProcess", InProcess)
    return InProcess


@pytest.fixture
def fake_side() -> Callable[..., Side]:
    """Make runs of one method from scores, without pictures or folders; of one noise, unless told otherwise."""
    return FakeSide


class FakeSide(Side):
    """A run whose pictures are names alone."""

    def __init__(
        self,
        scores: Mapping[str, Sequence[float]],
        *,
        created: str = "2026-01-01T00:00:00+00:00",
        seed: int = 0,
        tag: str = "",
        method: str = "sd15",
        identity: str = "x:n{n}",
        commit: str | None = None,
        name: str = "fake",
        seconds: float | None = None,
        total: int = 5000,
    ) -> None:
        self.name, self.method, self.values, self.seed = name, method, scores, seed
        self.tag = tag
        n = len(next(iter(scores.values())))
        self.places = [Place(f"p{i:05d}", 0) for i in range(n)]
        metrics = {
            key: MetricValue(
                value=float(np.mean(values)), interval=mean_interval(list(values)), n=n, higher_is_better=True,
                identity=f"{key}:{identity.format(n=n)}",
            )
            for key, values in scores.items()
        }  # fmt: skip
        timed = {"unet": Latency(median_s=seconds, p90_s=seconds, n=9, device="cpu")} if seconds else {}
        result = Result(
            method=method, checkpoint=None, n=n, settings=RunSettings(), metrics=metrics, latency=timed
        )  # fmt: skip
        suite = SuiteInfo(
            name="fake", version=1, kind="generate", summary="", seed=seed, dataset="d", items=n, total=total
        )
        environment = {"commit": commit} if commit else {}
        self.run = Run(suite=suite, created=created, environment=environment, results=[result])

    def pictures(self, method: str) -> Mapping[Place, Taken]:
        return {place: Taken(f"{place.prompt_id}-{self.tag}", f"noise {self.seed}") for place in self.places}

    def features(self, method: str, network: str, transform: str, places: object, looker: object) -> object:
        raise CannotMeasure("no features")

    def scores(self, method: str, metric: str) -> dict[Place, float]:
        return dict(zip(self.places, map(float, self.values[metric]), strict=True)) if metric in self.values else {}

    def _frame(self) -> object:
        raise NotImplementedError
