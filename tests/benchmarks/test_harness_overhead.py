"""What `bench run` costs beside the method: the same batches through the harness and through the bare pipeline.

    make test TEST='--benchmark-only tests/benchmarks/test_harness_overhead.py -s'

The two alternate within one process, so that the ratio holds on a noisy machine. Loading is not counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 12
BATCH = 2
SIZE = 256
STEPS = 4


def test_overhead(benchmark, sd_factory: Callable[..., Path], tmp_path: Path) -> None:
    import torch
    from diffusers import StableDiffusionPipeline

    from t2ibench.adapters import make_adapter, noise
    from t2ibench.adapters.schedulers import make_scheduler
    from t2ibench.bench.rows import AdapterRow
    from t2ibench.bench.run import produce
    from t2ibench.bench.store import Store
    from t2ibench.datasets.request import Request

    unet = {
        "block_out_channels": (96, 192, 384), "layers_per_block": 2, "norm_num_groups": 32, "attention_head_dim": 8,
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    checkpoint = sd_factory(tmp_path / "sd", unet)
    requests = [Request(f"p{i}", f"thing {i}", height=SIZE, width=SIZE) for i in range(BATCH * (ROUNDS + 1))]
    adapter = make_adapter(f"sd15[checkpoint={checkpoint},scheduler=ddim,steps={STEPS}]")
    row = AdapterRow("sd15", adapter, requests, "cpu", "fp32")
    row.load()
    pipeline = StableDiffusionPipeline.from_pretrained(checkpoint, safety_checker=None)
    pipeline.scheduler = make_scheduler("ddim", pipeline.scheduler.config, STEPS)
    pipeline.set_progress_bar_config(disable=True)

    def bare(batch: list[Request]) -> None:
        latents = noise.batch(batch, (4, SIZE // 8, SIZE // 8))
        pipeline([r.prompt for r in batch], height=SIZE, width=SIZE, num_inference_steps=STEPS, latents=latents)

    def through_bench(store: Store, index: int) -> None:
        produce(row, row.jobs[index * BATCH : (index + 1) * BATCH], BATCH, store)

    pairs: list[tuple[float, float]] = []

    def rounds() -> None:
        with Store(tmp_path / "run") as store, torch.inference_mode():
            for index in range(ROUNDS + 1):
                batch = requests[index * BATCH : (index + 1) * BATCH]
                first = time.perf_counter()
                bare(batch)
                second = time.perf_counter()
                through_bench(store, index)
                pairs.append((second - first, time.perf_counter() - second))

    benchmark.pedantic(rounds, rounds=1, iterations=1)
    ratios = sorted(ours / theirs for theirs, ours in pairs[1:])  # the first round warms both up
    ratio = statistics.median(ratios)
    batch_seconds = statistics.median(theirs for theirs, _ in pairs[1:])
    benchmark.extra_info.update(ratio=ratio, batch_seconds=batch_seconds, rounds=ROUNDS)
    print(f"\nbare batch {batch_seconds:.2f} s; bench / bare: median {ratio:.3f}, {ratios[0]:.3f} to {ratios[-1]:.3f}")
