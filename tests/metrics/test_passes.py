"""One pass over pictures: what is decoded when, by whom, and what comes from the cache."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from t2ibench.core.errors import BenchError
from t2ibench.metrics.cache import FeatureCache
from t2ibench.metrics.extractors.base import Extractor
from t2ibench.metrics.passes import Pass, ahead
from t2ibench.metrics.setup import Setup


class Mean(Extractor):
    """The mean colour; remembers which thread did what."""

    label, preprocess = "mean", "none"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.loaded_by: list[threading.Thread] = []
        self.sizes: list[int] = []

    @classmethod
    def weights(cls, setup: Setup) -> None:
        return None

    def load(self) -> None:
        self.loaded_by.append(threading.current_thread())

    def prepare(self, picture: np.ndarray) -> np.ndarray:
        assert self.loaded_by, "prepared before it was loaded"
        return picture.mean((0, 1)).astype(np.float32)

    def features(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        self.sizes.append(len(prepared))
        return np.stack(list(prepared))


@pytest.fixture
def samples(picture, sample):
    return [sample(f"p{index}", picture(index, 16, 16)) for index in range(20)]


def run(samples, folder=None, **settings) -> tuple[np.ndarray, Mean]:
    network = Mean(Setup(**{key: settings.pop(key) for key in ("device",) if key in settings}))
    over = Pass({"mean": network}, "as-is", FeatureCache(folder), **settings)
    return np.concatenate([batch.features["mean"] for batch in over.batches(samples)]), network


def test_features_come_in_the_order_of_the_pictures(samples):
    found, network = run(samples)
    np.testing.assert_allclose(found, [each.load().mean((0, 1)) for each in samples], rtol=1e-6)
    assert network.sizes == [8, 8, 4]


def test_networks_are_loaded_by_the_thread_that_runs_them(samples):
    assert set(run(samples)[1].loaded_by) == {threading.current_thread()}


def test_batches_are_larger_for_an_accelerator(samples):
    assert run(samples, device="cuda")[1].sizes == [20]
    assert run(samples, device="cuda", batch_size=6)[1].sizes == [6, 6, 6, 2]


def test_a_second_pass_decodes_and_loads_nothing(samples, tmp_path):
    def refuse():
        raise AssertionError("decoded again")

    first, _ = run(samples, tmp_path)
    second, network = run([replace(each, load=refuse) for each in samples], tmp_path)
    np.testing.assert_array_equal(second, first)
    assert network.sizes == [] and network.loaded_by == []


def test_only_changed_pictures_are_computed_again(samples, picture, sample, tmp_path):
    run(samples, tmp_path)
    samples[3] = sample("p3", picture(99, 16, 16))
    found, network = run(samples, tmp_path)
    np.testing.assert_allclose(found[3], samples[3].load().mean((0, 1)), rtol=1e-6)
    assert network.sizes == [1]


def test_a_spoilt_cache_changes_no_feature(samples, tmp_path):
    (tmp_path / "features.sqlite").write_bytes(b"no database" * 999)
    np.testing.assert_array_equal(run(samples, tmp_path)[0], run(samples)[0])


def test_an_error_in_a_decoding_thread_comes_through(samples):
    def broken():
        raise BenchError("p9.png is broken")

    samples[9] = replace(samples[9], load=broken)
    with pytest.raises(BenchError, match=r"p9\.png is broken"):
        run(samples)


def test_work_done_ahead_is_bounded_and_in_order():
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        return item

    found = []
    for item in ahead(range(50), work, threads=2):
        assert len(started) <= item + 3
        found.append(item)
    assert found == list(range(50))
