"""How much faster the mini world's students of few steps are than the base in 50: seconds per picture, end to end.

make test TEST='--benchmark-only tests/benchmarks/test_few_steps.py -s'
"""

from __future__ import annotations

import pytest

ROUNDS = 15
BATCH = 8
METHODS = {
    "base": "sd15[checkpoint=zoo:mini-sd,scheduler=ddim,steps=50,guidance=3]",
    "snapfusion": "snapfusion[checkpoint=zoo:mini-snapfusion,scheduler=ddim,steps=8,guidance=3]",
    "mobilediffusion": "mobilediffusion[checkpoint=zoo:mini-mobilediffusion-1,steps=1]",
}


@pytest.mark.timeout(900)
def test_how_much_faster_than_the_base(benchmark) -> None:
    from turns import middle_half, scene_requests, seconds_in_turns

    def measure():
        return seconds_in_turns(METHODS, scene_requests(BATCH), ROUNDS)

    seconds = benchmark.pedantic(measure, rounds=1, iterations=1)
    base = seconds.pop("base")
    faster = {name: middle_half(base / own) for name, own in seconds.items()}
    benchmark.extra_info.update(faster={name: middle for name, (_, middle, _) in faster.items()}, rounds=ROUNDS)
    for name, (low, middle, high) in faster.items():
        print(f"\n{name}: {middle:.1f} times as fast as the base ({low:.1f} to {high:.1f})")
    assert faster["snapfusion"][1] >= 5
    assert faster["mobilediffusion"][1] >= 15
