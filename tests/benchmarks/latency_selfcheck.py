"""Whether `bench latency` tells the truth: a known time, equal methods, and one that is 5 % slower.

    python tests/benchmarks/latency_selfcheck.py [--comparisons 200] [--keep FILE] [--json]

1. A stage that sleeps for a known time is measured within 1 %.
2. Of 200 comparisons of two identical methods at most 5 % rank them.
3. Of 200 comparisons with a method that computes 5 % more at least 90 % call it slower.

Every comparison is `bench latency` itself: fresh processes, ten rounds of short turns; a method, its twin and a slower
one are measured together, so one run makes a comparison of each kind. Shares are given with exact 95 % intervals
(Clopper and Pearson, Biometrika 26, 1934). The exit status is 1 where one of the three does not hold. 200 comparisons
of each kind take an hour and a half; on a busy machine expect more words than ranks.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from t2ibench import Adapter
from t2ibench.adapters.base import Stage
from t2ibench.adapters.options import option
from t2ibench.bench.latency.results import in_words, turn_ratios
from t2ibench.datasets.request import Request
from t2ibench.metrics.timing import judged_ratio

SLEEP_MS = 100
WORK = 20
"""Matrix products per forward: 21 of them are 5 % more."""
SIDE = 256
KINDS = ("equal", "slower")


class _Sleep(torch.nn.Module):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not x.is_meta:
            time.sleep(self.seconds)
        return x


class _Products(torch.nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.count, self.weight = count, torch.nn.Parameter(torch.eye(SIDE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.count):
            x = x @ self.weight
        return x


class _OneStage(Adapter):
    """A method of one stage, which makes no pictures."""

    network: torch.nn.Module
    shape: tuple[int, ...]

    def load(self, device: str, dtype: str) -> None:
        pass

    def generate(self, requests: Any) -> Any:
        return np.zeros((len(requests), 8, 8, 3), np.uint8)

    def stages(self) -> dict[str, Stage]:
        def inputs(request: Request, device: str) -> tuple[torch.Tensor]:
            return (torch.ones(self.shape, device=device),)

        return {"unet": Stage(self.network, inputs, 1)}


class Sleep(_OneStage):
    """Sleeps for ``ms`` milliseconds."""

    def __init__(self, *, ms: str) -> None:
        self.network, self.shape = _Sleep(option("ms", ms, float, lambda value: value > 0, "above 0") / 1000), (1,)


class Products(_OneStage):
    """Multiplies ``count`` matrices; ``twin`` tells two equal methods apart."""

    def __init__(self, *, count: str, twin: str = "") -> None:
        network = _Products(option("count", count, int, lambda value: value > 0, "above 0"))
        self.network, self.shape = network, (SIDE, SIDE)


class Share(NamedTuple):
    """k of n, with the exact interval of the probability behind it."""

    k: int
    n: int
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.k} of {self.n} ({self.k / self.n:.1%}; 95 % interval {self.low:.1%} to {self.high:.1%})"


def share(k: int, n: int, level: float = 0.95) -> Share:
    """Return k of n with Clopper's and Pearson's interval."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return Share(k, n, low, high)


def run(methods: list[str], seed: int, min_seconds: float) -> Any:
    """Measure methods of this file as the command does, stages alone."""
    from t2ibench.bench.latency.protocol import measure
    from t2ibench.bench.latency.worker import Order
    from t2ibench.reports.latency import Protocol

    protocol = Protocol(min_seconds=min_seconds, seed=seed, end_to_end=False, width=8, height=8)
    names = [f"{Path(__file__).stem}:{method}" for method in methods]
    orders = [Order(method=name, device="cpu", dtype="fp32", width=8, height=8, end_to_end=False) for name in names]
    found = measure(orders, protocol, 1, lambda text: None)
    assert not found.failed, found.failed
    return found


class Compared(NamedTuple):
    """What one run found: the ratios of the turns of a method's twin, and of a slower one."""

    seed: int
    min_seconds: float
    equal: list[float]
    slower: list[float]


def compare(seed: int, min_seconds: float) -> Compared:
    """Compare a method with its twin and with a slower one, all three in turns."""
    methods = [f"Products[count={WORK}]", f"Products[count={WORK},twin=yes]", f"Products[count={WORK + WORK // 20}]"]
    measured = run(methods, seed, min_seconds)
    base, *others = (row.stages["unet"].timing for row in measured.rows)
    found = Compared(seed, min_seconds, *(turn_ratios(base, other) for other in others))
    judged = [judged_ratio(ratios) for ratios in (found.equal, found.slower)]
    said = [comparison.verdict for comparison in measured.comparisons if comparison.what == "unet"]
    assert said == [each.verdict for each in judged]
    for kind, each in zip(KINDS, judged, strict=True):
        print(f"{seed + 1}, {kind}: {in_words(each, len(found.equal))}", file=sys.stderr, flush=True)
    return found


def compare_all(count: int, min_seconds: float, kept: Path | None) -> list[Compared]:
    """Compare so many times; what ``kept`` holds of an earlier go is not measured again."""
    lines = kept.read_text().splitlines() if kept and kept.exists() else []
    found = [Compared(**json.loads(line)) for line in lines if line.endswith("}")]  # the last may be half a line
    if any(each.min_seconds != min_seconds for each in found):
        raise SystemExit(f"{kept} is of another --min-seconds: name another file")
    for seed in range(len(found), count):
        found.append(compare(seed, min_seconds))
        if kept:
            kept.write_text("".join(json.dumps(each._asdict()) + "\n" for each in found))
    return found[:count]


def main() -> int:
    """Run the three checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=200, metavar="N", help="of each kind")
    parser.add_argument("--min-seconds", type=float, default=2.0, metavar="S", help="per method and comparison")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="for every comparison, to go on from later")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    kept = given.keep and given.keep.absolute()
    os.chdir(Path(__file__).parent)  # where the workers look for this module
    sleep = run([f"Sleep[ms={SLEEP_MS}]"], 0, 10 * given.min_seconds).rows[0].stages["unet"].timing
    error = 1000 * sleep.median_s / SLEEP_MS - 1
    compared = compare_all(given.comparisons, given.min_seconds, kept)
    judged = {kind: [judged_ratio(getattr(each, kind)) for each in compared] for kind in KINDS}
    verdicts = {kind: Counter(each.verdict for each in found) for kind, found in judged.items()}
    ranked = share(verdicts["equal"]["slower"] + verdicts["equal"]["faster"], given.comparisons)
    caught = share(verdicts["slower"]["slower"], given.comparisons)
    half_width = float(np.median([(each.high - each.low) / 2 for found in judged.values() for each in found]))
    holds = {
        "sleep": abs(error) <= 0.01,
        "equal": ranked.k <= 0.05 * ranked.n,
        "slower": caught.k >= 0.9 * caught.n,
    }
    if given.json:
        found = {"sleep_error": error, **verdicts, "half_width": half_width, "holds": holds}
        print(json.dumps({**found, "ranked": ranked._asdict(), "found": caught._asdict()}, indent=2))
    else:
        print(f"a sleep of {SLEEP_MS} ms is measured {error:+.2%} off: {'holds' if holds['sleep'] else 'FAILS'}")
        print(f"equal methods ranked: {ranked}: {'holds' if holds['equal'] else 'FAILS'}")
        print(f"5 % slower found: {caught}: {'holds' if holds['slower'] else 'FAILS'}")
        print(f"intervals of the ratios are ±{half_width:.1%} wide (median)")
    return 0 if all(holds.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
