"""What the control networks of the mini world cost over the base: seconds per picture, of 50 steps with guidance.

    make test TEST='--benchmark-only tests/benchmarks/test_control.py -s'

The four methods take turns within one process, in another order each round, so that the ratios hold on a noisy machine.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

import numpy as np
import pytest

ROUNDS = 15
BATCH = 8
BASE = "sd15[checkpoint=zoo:mini-sd,scheduler=ddim,steps=50,guidance=3]"
METHODS = {
    "base": BASE,
    "controlnet": f"controlnet[condition=canny,checkpoint=zoo:mini-controlnet-canny,base={BASE}]",
    "t2i-adapter": f"t2i-adapter[condition=canny,checkpoint=zoo:mini-t2i-adapter-canny,base={BASE}]",
    "plugin": f"mediapipe-plugin[condition=canny,checkpoint=zoo:mini-plugin-canny,base={BASE}]",
}


@pytest.mark.timeout(900)
def test_overhead_over_the_base(benchmark) -> None:
    from t2ibench.adapters import make_adapter
    from t2ibench.datasets.request import ConditionMap, Pixels, Request
    from t2ibench.datasets.scene_conditions import condition_map
    from t2ibench.datasets.scenes import scenes

    asked = [
        Request(
            str(number),
            scene.caption,
            height=64,
            width=64,
            conditions=(ConditionMap("canny", Pixels.of(condition_map(scene, "canny"))),),
        )
        for number, scene in enumerate(scenes(BATCH, "validation"))
    ]
    methods = {name: make_adapter(text) for name, text in METHODS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for method in methods.values():
        method.load("cpu", "fp32")
        method.generate(asked)

    def timed(method: Any) -> float:
        start = time.perf_counter()
        method.generate(asked)
        return time.perf_counter() - start

    def rounds() -> None:
        for number in range(ROUNDS):
            for name in random.Random(number).sample(list(methods), len(methods)):
                seconds[name].append(timed(methods[name]))

    benchmark.pedantic(rounds, rounds=1, iterations=1)
    over = {name: np.array(own) / np.array(seconds["base"]) - 1 for name, own in seconds.items() if name != "base"}
    middle = {name: statistics.median(values) for name, values in over.items()}
    benchmark.extra_info.update(overhead=middle, rounds=ROUNDS, batch=BATCH)
    print(f"\nbase: {statistics.median(seconds['base']) / BATCH * 1e3:.0f} ms per picture")
    for name, values in over.items():
        low, high = np.quantile(values, [0.25, 0.75])
        print(f"{name}: {middle[name]:+.1%} ({low:+.1%} to {high:+.1%})")
    assert middle["plugin"] <= 0.05
    assert middle["controlnet"] >= 0.2
