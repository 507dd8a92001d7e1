"""Methods that take turns within one process, in another order each round: ratios that hold on a noisy machine."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from t2ibench.adapters import make_adapter
from t2ibench.datasets.request import ConditionMap, Pixels, Request
from t2ibench.datasets.scene_conditions import condition_map
from t2ibench.datasets.scenes import Scene, scenes

Seconds = dict[str, NDArray[np.float64]]


def scene_requests(count: int) -> list[Request]:
    """Captions of scenes with their edges."""

    def asked(number: int, scene: Scene) -> Request:
        edges = ConditionMap("canny", Pixels.of(condition_map(scene, "canny")))
        return Request(str(number), scene.caption, height=64, width=64, conditions=(edges,))

    return [asked(number, scene) for number, scene in enumerate(scenes(count, "validation"))]


def seconds_in_turns(methods: Mapping[str, str], asked: Sequence[Request], rounds: int) -> Seconds:
    """Seconds that each method takes for all of ``asked`` at once, in each round, after one call to warm up."""
    adapters = {name: make_adapter(text) for name, text in methods.items()}
    for adapter in adapters.values():
        adapter.load("cpu", "fp32")
        adapter.generate(asked)
    taken: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(rounds):
        for name in random.Random(number).sample(list(methods), len(methods)):
            start = time.perf_counter()
            adapters[name].generate(asked)
            taken[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in taken.items()}


def middle_half(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """First quartile, median, third quartile."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)
