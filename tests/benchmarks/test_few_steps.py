"""How much faster than the base in 50 steps the mini world's methods of few steps are, with the same guidance.

make test TEST='--benchmark-only tests/benchmarks/test_few_steps.py -s'
"""

from __future__ import annotations

import pytest

ROUNDS = 15
BATCH = 8
BASE = "sd15[checkpoint=zoo:mini-sd,scheduler=ddim,steps={},guidance=3]"
MOBILEDIFFUSION = "mobilediffusion[checkpoint=zoo:mini-mobilediffusion,scheduler=ddim,steps=50,guidance=3]"
METHODS = {
    "base in 50 steps": BASE.format(50),
    "base in 8 steps": BASE.format(8),
    "mobilediffusion in 50 steps": MOBILEDIFFUSION,
    "mobilediffusion in 1 step": "mobilediffusion[checkpoint=zoo:mini-mobilediffusion-1,steps=1]",
    "snapfusion": "snapfusion[checkpoint=zoo:mini-snapfusion,scheduler=ddim,steps=8,guidance=3]",
}


@pytest.mark.timeout(900)
def test_how_much_faster_than_the_base(benchmark) -> None:
    from turns import middle_half, scene_requests, seconds_in_turns

    def measure():
        return seconds_in_turns(METHODS, scene_requests(BATCH), ROUNDS)

    seconds = benchmark.pedantic(measure, rounds=1, iterations=1)
    base = seconds.pop("base in 50 steps")
    faster = {name: middle_half(base / own) for name, own in seconds.items()}
    benchmark.extra_info.update(faster={name: middle for name, (_, middle, _) in faster.items()}, rounds=ROUNDS)
    print(f"\nbase in 50 steps: {middle_half(base)[1] / BATCH * 1e3:.0f} ms per picture")
    for name, (low, middle, high) in faster.items():
        print(f"{name}: {middle:.1f} times faster ({low:.1f} to {high:.1f})")
    assert faster["snapfusion"][1] >= 5
    assert faster["mobilediffusion in 1 step"][1] >= 15
