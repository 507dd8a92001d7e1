"""MultiDiffusion with all views of a batch in one call of the UNet, against one window or region at a time.

    make test TEST='--benchmark-only tests/benchmarks/test_multidiffusion.py -s'

Views of 8×8 latents, on a GPU where there is one. The two alternate within one process, so that the ratio holds on a
noisy machine; texts and decoder, which both share, are counted too.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROUNDS = 5
STEPS = 3
UNET = {
    "block_out_channels": (80, 96, 96), "norm_num_groups": 16,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
}  # fmt: skip
"""The mini world's."""


def requests(mode: str) -> list[Any]:
    from t2ibench.datasets.request import Pixels, Region, Request

    if mode == "panorama":
        return [Request(f"p{index}", f"a field {index}", height=64, width=192) for index in range(2)]
    left = np.arange(64) < 32
    masks = [Pixels.of(np.broadcast_to(columns, (64, 64))) for columns in (left, ~left & (np.arange(64) < 56))]
    regions = tuple(Region(prompt, mask) for prompt, mask in zip(("a cat", "a dog"), masks, strict=True))
    return [Request(f"p{index}", f"a field {index}", height=64, width=64, regions=regions) for index in range(4)]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["regions", "panorama"])
def test_batched_views(benchmark, sd_factory: Callable[..., Path], tmp_path: Path, mode: str) -> None:
    import torch

    from t2ibench.adapters import make_adapter

    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    checkpoint = sd_factory(tmp_path / "sd", UNET)
    options = f"base=sd15[checkpoint={checkpoint}],mode={mode},steps={STEPS}"
    batched, single = (make_adapter(f"multidiffusion[{options}{more}]") for more in ("", ",views_per_batch=1"))
    asked, pairs = requests(mode), []
    for method in (batched, single):
        method.load(device, "fp32")

    def seconds(method: Any) -> float:
        start = time.perf_counter()
        method.generate(asked)
        return time.perf_counter() - start

    def rounds() -> None:
        pairs.extend((seconds(batched), seconds(single)) for _ in range(ROUNDS + 1))

    benchmark.pedantic(rounds, rounds=1, iterations=1)
    ratios = sorted(slow / fast for fast, slow in pairs[1:])  # the first round warms both up
    views = sum(len(batched.views(request)) for request in asked)
    ratio = statistics.median(ratios)
    benchmark.extra_info.update(ratio=ratio, views=views, rounds=ROUNDS)
    print(
        f"\n{mode} on {device}: {views} views at once {ratio:.2f} times as fast ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )
    assert ratio >= 1.5
