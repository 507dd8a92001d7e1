"""Caption accuracy, with a reader that is handed in."""

from dataclasses import replace

import numpy as np
import pytest

from t2ibench.metrics import METRICS
from t2ibench.metrics.engine import Engine
from t2ibench.metrics.metric import CannotMeasure
from t2ibench.metrics.setup import Setup
from t2ibench.metrics.stats import proportion_interval


class Reader:
    """Reads whether a picture is bright, which is all that its captions say."""

    label = "brightness@3"

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, picture: np.ndarray, caption: str) -> float:
        self.read += 1
        if caption not in ("bright", "dark"):
            raise CannotMeasure(f"'{caption}' is not in its grammar")
        return float((picture.mean() > 127) == (caption == "bright"))


def measure(samples, reader=None, **setup):
    engine = Engine(Setup(caption_reader=reader, **setup))
    return engine.measure(samples, ["caption_accuracy"])["caption_accuracy"]


@pytest.fixture
def samples(sample):
    """Five pictures, of which the last is not what its caption says."""
    shades = [(200, "bright"), (30, "dark"), (250, "bright"), (0, "dark"), (90, "bright")]
    return [sample(f"p{i}", np.full((8, 8, 3), shade, np.uint8), prompt) for i, (shade, prompt) in enumerate(shades)]


def test_share_of_pictures_that_obey_their_captions(samples):
    value = measure(samples, Reader())
    assert value.value == 0.8
    assert value.n == 5
    assert value.interval == proportion_interval(0.8, 5)
    assert value.per_image == {"p0": 1, "p1": 1, "p2": 1, "p3": 1, "p4": 0}


def test_where_all_are_right_the_interval_is_still_one(samples):
    low, high = measure(samples[:4], Reader()).interval
    assert low < 0.6
    assert high == pytest.approx(1)


def test_the_identity_names_the_reader_the_count_and_the_captions(samples):
    value = measure(samples, Reader())
    assert value.identity.startswith("caption_accuracy:brightness@3:n5:ref-")
    other = [*samples[:4], replace(samples[4], prompt="dark")]
    assert measure(other, Reader()).identity != value.identity


def test_captions_of_another_grammar_are_a_reason_and_end_the_reading(samples):
    reader = Reader()
    value = measure([replace(samples[0], prompt="a bus"), *samples[1:]], reader, batch_size=1)
    assert value.value is None
    assert value.reason == "'a bus' is not in its grammar"
    assert value.n == 5
    assert reader.read == 1


def test_other_metrics_go_on_without_it(samples, sample):
    pairs = [replace(s, prompt="a bus", target=sample(f"t{s.key}", np.full((8, 8, 3), 100, np.uint8))) for s in samples]
    values = Engine(Setup(caption_reader=Reader())).measure(pairs, ["caption_accuracy", "psnr"])
    assert values["caption_accuracy"].value is None
    assert values["psnr"].value > 0


def test_without_a_reader_or_prompts_there_is_a_reason(samples):
    assert "needs a reader of captions" in measure(samples).reason
    assert "needs a prompt" in measure([replace(samples[0], prompt=None)], Reader()).reason


def test_its_traits():
    metric = METRICS.get("caption_accuracy")
    assert metric.higher_is_better
    assert metric.network is None
