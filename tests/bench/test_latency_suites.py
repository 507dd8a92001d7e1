"""Suites of ``bench latency``: random checkpoints, one method at a time beside the first, and the papers' ratios."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from t2ibench.adapters import checkpoints, full_size, make_adapter
from t2ibench.bench.latency.claims import claims_found
from t2ibench.bench.latency.command import fastest_dtype
from t2ibench.bench.latency.pairs import ACTIVATION_BYTES, LIBRARIES_BYTES, needed_bytes
from t2ibench.bench.latency.protocol import measure
from t2ibench.bench.latency.results import comparisons, composed, timing
from t2ibench.bench.latency.suites import Claim, find_latency_suite, latency_suites
from t2ibench.bench.latency.worker import Order, Worker
from t2ibench.core.errors import BenchError
from t2ibench.reports.latency import LatencyRow, Memory, Protocol, StageResult, load_latency
from t2ibench.reports.latency_run import added

Bench = Callable[..., tuple[int, str, str]]

# --- the suites as data


def test_every_row_of_a_suite_is_a_method() -> None:
    assert list(latency_suites()) == ["latency", "latency-mini"]
    for name in latency_suites():
        suite = find_latency_suite(name)
        made = {method.name: make_adapter(method.method) for method in suite.methods}
        assert suite.methods[0].name == "sd15" and made["sd15"].settings.steps == 50
        for control in ("controlnet", "t2i-adapter", "mediapipe-plugin"):
            assert made[control].base is not None and made[control].base.asked.steps == 50
        assert (made["snapfusion"].settings.steps, made["mobilediffusion"].settings.steps) == (8, 1)
        assert {claim.row for claim in suite.claims} <= set(made) - {"sd15"}
    full = find_latency_suite("latency")
    assert full.in_pairs and all("random:" in method.method for method in full.methods) and full.size == 512


def test_rows_are_chosen_by_name_and_the_base_is_always_there() -> None:
    suite = find_latency_suite("latency")
    assert [method.name for method in suite.choose(["snapfusion"])] == ["sd15", "snapfusion"]
    assert len(suite.choose([])) == len(suite.methods)
    with pytest.raises(BenchError, match="has no 'snapfuson'; did you mean 'snapfusion'"):
        suite.choose(["snapfuson"])
    with pytest.raises(BenchError, match="no suite 'latency-mimi'; did you mean 'latency-mini'"):
        find_latency_suite("latency-mimi")


# --- checkpoints without weights


def test_a_network_is_filled_with_finite_weights_the_same_each_time() -> None:
    def made() -> Any:
        with torch.device("meta"):
            network = torch.nn.Sequential(
                torch.nn.Conv2d(3, 700, 3), torch.nn.GroupNorm(7, 700), torch.nn.Linear(4, 9), torch.nn.Linear(700, 900)
            )
        return full_size.fill(network)

    one, other = made(), made()
    for (name, ours), theirs in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs) and ours.isfinite().all(), name
    assert one[0].weight.std().item() == pytest.approx(27**-0.5, rel=0.05)
    assert one[3].weight.std().item() == pytest.approx(700**-0.5, rel=0.05)
    assert (one[1].weight == 1).all() and (one[0].bias == 0).all()
    rows = one[3].weight
    assert len(torch.unique(rows, dim=0)) == len(rows)  # the block that is repeated ends in no row


def test_an_unknown_random_checkpoint_is_named() -> None:
    with pytest.raises(BenchError, match="unknown checkpoint 'random:sd51'; did you mean 'sd15'"):
        checkpoints.resolve("random:sd51")


@pytest.fixture
def small(own_cache: None, tiny_sd: Path) -> Path:
    """Tiny networks in place of the full-size ones, without weights, as workers find them too."""
    from t2ibench.adapters.networks.diffusion_plugin import DiffusionPlugin

    folder = full_size._random_folder()
    shutil.copytree(tiny_sd, folder / "sd15", ignore=shutil.ignore_patterns("*.safetensors"))
    rows = [[1, 8, 1, 1], [6, 8, 2, 2], [6, 16, 1, 2], [6, 16, 2, 2]]
    plugin = DiffusionPlugin(stem_channels=8, stem_stride=2, width=1.5, rows=rows, taps=[2, 3], out_channels=[16, 32])
    plugin.save_config(folder / "plugin")
    return folder


BASE = "sd15[checkpoint=random:sd15,scheduler=ddim,steps=50]"
PLUGIN = f"mediapipe-plugin[condition=canny,checkpoint=random:plugin,base={BASE}]"


def test_a_random_checkpoint_makes_pictures_and_has_no_files(small: Path) -> None:
    from t2ibench.bench.latency.worker import sample_request

    adapter = make_adapter(PLUGIN.replace("steps=50", "steps=2"))
    assert adapter.weight_files() == [] and adapter.checkpoint == "random:sd15 + random:plugin"
    adapter.load("cpu", "bf16")
    request = sample_request(Order(method="", device="cpu", dtype="bf16", width=64, height=64), adapter.traits)
    pictures = adapter.generate([request])
    assert pictures.shape == (1, 64, 64, 3) and pictures.std() > 0
    assert adapter.stages()["control"].module.dtype is torch.bfloat16
    order = Order(method=PLUGIN, device="cpu", dtype="bf16", width=64, height=64)
    weights = sum(p.numel() for stage in adapter.stages().values() for p in stage.module.parameters())
    assert Worker().weights(order) == 2 * weights


def test_what_memory_a_method_needs_grows_with_weights_pixels_and_precision() -> None:
    order = Order(method="", device="cpu", dtype="bf16", width=512, height=512)
    assert needed_bytes(order, 2_000_000_000) == LIBRARIES_BYTES + 2e9 + ACTIVATION_BYTES
    larger = order.model_copy(update={"width": 1024, "dtype": "fp32"})
    assert needed_bytes(larger, 0) == LIBRARIES_BYTES + 4 * ACTIVATION_BYTES


def test_the_fastest_precision_is_one_that_the_processor_has() -> None:
    assert fastest_dtype("cpu+compile") in ("fp32", "bf16")
    assert fastest_dtype("adb:x") == "fp32"


# --- one beside the first


class Scripted:
    """Stands in for a process; ``open`` are those that are alive."""

    open: list[Scripted] = []
    most = 0
    made = 0
    weights_bytes = 1
    group = 1

    def __init__(self, module: str, environment: dict[str, str], **_: Any) -> None:
        self.number, Scripted.made = Scripted.made, Scripted.made + 1
        Scripted.open.append(self)
        Scripted.most = max(Scripted.most, len(Scripted.open))

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        if self in Scripted.open:
            Scripted.open.remove(self)

    def ask(self, question: str, **details: Any) -> Any:
        assert self in Scripted.open
        return getattr(self, question)(**details)

    def weights(self, **_: Any) -> int:
        return Scripted.weights_bytes

    def load(self, method: str, **_: Any) -> Any:
        if method == "broken":
            raise BenchError("broken")
        return {
            "checkpoint": None, "fingerprint": "x", "settings": {}, "about": {"threads": 2}, "load_s": 1.0,
            "names": ["unet"], "weights_bytes": 7, "energy_source": None, "energy_reason": "none",
        }  # fmt: skip

    def first(self) -> float:
        return 1.0

    def warm(self, name: str, seconds: float) -> int:
        return 1

    def time(self, name: str, iterations: int, seconds: float) -> Any:
        # The machine slows down from pair to pair: only rounds of the same pair tell the ratio.
        drift = 2.0 ** (Scripted.made - 2)
        return {"seconds": [drift * (1.0 if self.number == 0 else 0.5)] * iterations}

    def memory(self) -> Any:
        return {}

    def params(self) -> int:
        return 5

    def stages(self) -> Any:
        return {"unet": {"params": 5, "macs": 7, "forwards": 2}}


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    monkeypatch.setattr("t2ibench.bench.latency.protocol.FreshProcess", Scripted)
    Scripted.open, Scripted.made, Scripted.most, Scripted.weights_bytes = [], 0, 0, 1

    def run(*methods: str) -> Any:
        orders = [Order(method=method, device="cpu", dtype="fp32", width=8, height=8) for method in methods]
        return measure(orders, Protocol(rounds=8, iterations=8, in_pairs=True), None, lambda text: None)

    yield run
    assert not Scripted.open


def test_two_methods_at_most_are_loaded_and_ratios_are_of_their_own_rounds(scripted: Callable[..., Any]) -> None:
    run = scripted("base", "one", "two", "three")
    assert [row.method for row in run.rows] == ["base", "one", "two", "three"] and Scripted.most == 2
    ratios = {found.row: found.ratio for found in run.comparisons if found.what == "unet"}
    assert ratios == {index: pytest.approx(0.5) for index in (1, 2, 3)}
    assert {found.verdict for found in run.comparisons} == {"faster"}
    base = run.rows[0].stages["unet"].timing
    assert len(base.rounds) == 24 and base.median_s == 2.0  # of all rounds, in each of which it was slower than before
    assert run.rows[3].composed.median_s == pytest.approx(2 * 2.0) and run.rows[3].composition == "2 × unet"


def test_a_method_that_fails_is_left_out_and_the_others_go_on(scripted: Callable[..., Any]) -> None:
    run = scripted("base", "broken", "two")
    assert [row.method for row in run.rows] == ["base", "two"] and run.failed[0].reason == "broken"
    assert {found.row for found in run.comparisons} == {1}
    run = scripted("broken", "one")
    assert [row.method for row in run.rows] == ["one"] and run.comparisons == []


def test_what_does_not_fit_is_skipped_and_says_what_it_needs(
    scripted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Scripted.weights_bytes = 10**15
    run = scripted("base", "one")
    assert run.rows == [] and not run.failed and len(run.skipped) == 2
    assert run.skipped[1].reason.startswith("it needs about 1000001.0 GB of memory beside the first method and ")
    monkeypatch.setattr("t2ibench.bench.latency.pairs.available_bytes", lambda: None)
    assert len(scripted("base", "one").rows) == 2  # where nobody tells, it is tried


# --- claims


def row(method: str, **stages: tuple[int, list[float]]) -> LatencyRow:
    made = {
        name: StageResult(params=1, forwards=forwards, timing=timing([[value] for value in seconds]))
        for name, (forwards, seconds) in stages.items()
    }
    return LatencyRow(
        method=method, device="cpu", dtype="fp32", fingerprint="x", settings={}, about={}, memory=Memory(), stages=made,
        composed=composed(made.values()),
    )  # fmt: skip


def test_what_a_control_network_adds_is_told_from_its_own_row() -> None:
    seconds = [1.0, 1.5, 0.8, 1.2, 1.1, 0.9, 1.3, 1.4]  # of a noisy machine
    plugin = row("plugin", control=(1, [2 * value for value in seconds]), unet=(100, seconds))
    how, ratio, interval = added(plugin)
    assert how == "composed" and ratio == pytest.approx(1.02) and interval == pytest.approx((1.02, 1.02))
    assert added(row("base", unet=(100, seconds))) is None


def test_claims_hold_where_their_whole_interval_does() -> None:
    steady = [1.0, 1.01, 0.99, 1.0, 1.0, 1.01, 1.0, 0.99]
    base = row("sd15", unet=(100, steady))
    half = row("snapfusion", unet=(16, [value / 2 for value in steady]))
    noisy = row("noisy", unet=(16, [value * (0.5 + index % 2) for index, value in enumerate(steady)]))
    rows = [base, half, noisy]
    found = [
        Claim(text="faster", row="snapfusion", what="unet", most=1),
        Claim(text="slower", row="snapfusion", what="unet", least=1.25),
        Claim(text="about as fast", row="noisy", what="unet", most=1),
        Claim(text="no bound", row="snapfusion", what="unet"),
        Claim(text="not measured", row="controlnet", what="unet", most=1),
        Claim(text="no such stage", row="snapfusion", what="decoder", most=1),
    ]
    places = {"sd15": 0, "snapfusion": 1, "noisy": 2}
    told = list(claims_found(found, places, rows, list(comparisons(rows))))
    assert [(each.text, each.holds) for each in told] == [
        ("faster", True), ("slower", False), ("about as fast", None), ("no bound", None),
    ]  # fmt: skip
    assert told[0].ratio == pytest.approx(0.5) and told[0].bound == "at most 1" and told[0].how == "interleaved"


# --- the whole command


@pytest.mark.usefixtures("in_process")
def test_the_suite_runs_and_says_what_it_is_made_of(small: Path, bench: Bench, tmp_path: Path) -> None:
    status, out, err = bench(
        "latency", "mediapipe-plugin", "--suite", "latency", "--size", 64, "--min-seconds", 0, "--rounds", 1,
        "--iterations", 1,
        "--dtype", "fp32", "--device", "cpu", "--out", tmp_path,
    )  # fmt: skip
    assert status == 0, err
    run = load_latency(tmp_path)
    assert run.suite == "latency" and run.protocol.in_pairs and not run.protocol.end_to_end and run.protocol.rounds == 1
    base, plugin = run.rows
    assert base.composition == "1 × text encoder + 100 × unet + 1 × decoder"
    assert plugin.composition == "1 × text encoder + 1 × control + 100 × unet + 1 × decoder"
    assert base.weights_bytes is None and base.end_to_end is None
    (claim,) = run.claims
    assert claim.what == "total" and claim.how == "composed" and claim.bound == "at most 1.03" and claim.ratio > 1
    assert [paper.device for paper in claim.published] == ["Nvidia V100, 50 steps", "Galaxy S23, 20 steps"]
    assert "What the papers claim" in out and "1.002" in out and "one row at a time beside the first" in out
    assert "1 × text encoder + 1 × control + 100 × unet" in out and "Random weights" in out
    assert json.loads((tmp_path / "latency.json").read_text())["rows"][0]["composition"]


def test_of_the_mini_suite_what_the_zoo_lacks_is_told(zoo: Path, bench: Bench) -> None:
    status, _, err = bench("latency", "--suite", "latency-mini", "--device", "cpu")
    assert status == 2 and "nothing to compare here" in err and "no checkpoint 'mini-plugin-canny'" in err
    status, _, err = bench("latency", "--suite", "latency", "--sustained", "--end-to-end", "--device", "cpu")
    assert status == 2 and "loads one method at a time" in err
