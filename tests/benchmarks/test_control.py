"""What the control networks of the mini world cost over the base: seconds per picture, of 50 steps with guidance.

make test TEST='--benchmark-only tests/benchmarks/test_control.py -s'
"""

from __future__ import annotations

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
    from turns import middle_half, scene_requests, seconds_in_turns

    def measure():
        return seconds_in_turns(METHODS, scene_requests(BATCH), ROUNDS)

    seconds = benchmark.pedantic(measure, rounds=1, iterations=1)
    base = seconds.pop("base")
    over = {name: middle_half(own / base - 1) for name, own in seconds.items()}
    benchmark.extra_info.update(overhead={name: middle for name, (_, middle, _) in over.items()}, rounds=ROUNDS)
    print(f"\nbase: {middle_half(base)[1] / BATCH * 1e3:.0f} ms per picture")
    for name, (low, middle, high) in over.items():
        print(f"{name}: {middle:+.1%} ({low:+.1%} to {high:+.1%})")
    assert over["plugin"][1] <= 0.05
    assert over["controlnet"][1] >= 0.2
