"""Latency: the statistics on made-up samples, and stages of a known time through processes, rounds and files."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from t2ibench.bench.devices import DEVICES, make_device
from t2ibench.bench.devices.energy import Meter, NoMeter, rapl
from t2ibench.bench.fresh import FreshProcess
from t2ibench.bench.latency.machine import busy_warning
from t2ibench.bench.latency.protocol import WORKER, measure
from t2ibench.bench.latency.results import comparisons, composed, in_words, timing, turn_ratios
from t2ibench.bench.latency.worker import Order
from t2ibench.core.errors import BenchError
from t2ibench.metrics.timing import (
    has_settled,
    judged_ratio,
    median_interval,
    p90,
    signed_rank,
    spread,
)
from t2ibench.reports.latency import (
    LatencyRow,
    LatencyRun,
    Machine,
    Memory,
    Protocol,
    StageResult,
    Sustained,
    Timing,
    Window,
    load_latency,
)

SLEEPER = '''
import os, signal, time
import numpy as np
import torch
from t2ibench import Adapter
from t2ibench.adapters.base import Stage


class Rest(torch.nn.Module):
    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.layer = seconds, torch.nn.Linear(3, 5)

    def forward(self, x):
        if not x.is_meta:
            start = time.perf_counter()
            time.sleep(self.seconds)
            with open(f"slept-{1000 * self.seconds:.0f}", "a") as file:
                print(time.perf_counter() - start, file=file)
        return self.layer(x)


class Sleeper(Adapter):
    """Two forwards of a known time for each picture, and 10 ms beside them."""

    def __init__(self, *, ms="20", fails=""):
        self.seconds, self.fails, self.seeds = float(ms) / 1000, fails, []

    def load(self, device, dtype):
        print("noise on standard output")
        if self.fails == "load":
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        self.network = Rest(self.seconds)

    def generate(self, requests):
        assert requests[0].seed not in self.seeds
        self.seeds.append(requests[0].seed)
        if self.fails == "later" and len(self.seeds) > 3:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(2 * self.seconds + 0.01)
        return np.zeros((1, requests[0].height, requests[0].width, 3), np.uint8)

    def stages(self):
        return {"unet": Stage(self.network, lambda request, device: (torch.zeros(2, 3, device=device),), 2)}
'''
METHODS = [f"sleeper:Sleeper[{options}]" for options in ("ms=20", "ms=30", "fails=load", "fails=later")]


# --- statistics


def test_the_interval_of_a_median_lies_between_order_statistics() -> None:
    found = median_interval([5, 1, 4, 2, 3, 10, 9, 8, 7, 6])
    assert found is not None
    assert (found.low, found.high, found.rank) == (2, 9, 2)
    assert found.level == pytest.approx(1 - 2 * 11 / 1024)
    assert median_interval([1, 2, 3, 4, 5]) is None  # 2/32 outside at best
    assert median_interval([1, 2, 3, 4, 5, 6])[:2] == (1, 6)


def test_the_interval_of_a_median_covers_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).exponential(1, (4000, 12))
    intervals = [median_interval(row) for row in draws]
    covered = np.mean([found.low <= math.log(2) <= found.high for found in intervals if found])
    assert covered == pytest.approx(intervals[0].level, abs=0.012)


def test_p90_is_the_nearest_rank_and_spread_ignores_one_disturbed_round() -> None:
    assert p90(range(1, 11)) == 9
    assert p90([3.0]) == 3
    assert spread([1, 1, 1, 1, 9]) == 0
    scattered = np.random.default_rng(0).normal(1, 0.1, 20_000)
    assert spread(scattered) == pytest.approx(0.1, rel=0.05)


def test_equal_versions_are_called_slower_as_seldom_as_said() -> None:
    random = np.random.default_rng(10)
    alarms = sum(signed_rank(random.standard_t(3, 10) * 0.05, 0.95).p <= 0.05 for _ in range(400))
    assert 10 <= alarms <= 30  # 20 are expected; outside once in 60 times


def _ratios(ratio: float, noise: float, seed: int, count: int = 10) -> Any:
    """Of turns that drift together, as those of one machine do."""
    return ratio * np.exp(np.random.default_rng(seed).normal(0, math.sqrt(2) * noise, count))


def test_the_signed_rank_test_is_scipys_and_its_interval_the_test_turned_round() -> None:
    from scipy.stats import wilcoxon

    for n in (8, 10, 25):
        values = np.random.default_rng(n).normal(0.3, 1, n)
        found = signed_rank(values, 0.99)
        assert found.p == pytest.approx(wilcoxon(values, method="exact").pvalue)
        for end, inside in ((found.low, 1e-9), (found.high, -1e-9)):
            assert signed_rank(values - end - inside, 0.99).p > 0.01 >= signed_rank(values - end + inside, 0.99).p
    assert signed_rank([0.0] * 9, 0.99) == (0, 0, 0, 1) and signed_rank([1.0] * 7, 0.99)[1:3] == (None, None)


def test_turns_that_were_disturbed_hide_no_difference() -> None:
    random = np.random.default_rng(0)
    ratios = 1.05 * np.exp(random.normal(0, 0.02, 40))
    ratios[::8] *= np.exp(random.normal(0, 1, 5))  # a neighbour on the machine, for one method and not for the other
    assert judged_ratio(ratios).verdict == "slower"
    assert abs(np.mean(ratios) - 1.05) > 0.05


def test_equal_methods_are_hardly_ever_ranked_and_slower_ones_are_found() -> None:
    same = [judged_ratio(_ratios(1, 0.015, seed)).verdict for seed in range(300)]
    assert sum(verdict in ("slower", "faster") for verdict in same) <= 6
    assert "alike" in same
    slower = [judged_ratio(_ratios(1.05, 0.015, seed)).verdict for seed in range(300)]
    assert sum(verdict == "slower" for verdict in slower) >= 270
    assert judged_ratio(_ratios(1 / 1.2, 0.015, 0)).verdict == "faster"


def test_what_is_not_certain_is_not_ranked_and_says_why() -> None:
    noisy = judged_ratio(_ratios(1.05, 0.3, 1))
    assert noisy.verdict == "not ranked" and in_words(noisy, 10).startswith("too noisy to rank: ")
    few = judged_ratio(_ratios(1.5, 0.001, 1, count=5))
    assert few.verdict == "not ranked" and "5 measurements side by side are too few" in in_words(few, 5)
    small = judged_ratio(np.linspace(1.01, 1.027, 10))  # certain, and no more than chance of layout
    assert small.verdict == "not ranked" and "two processes of one method" in in_words(small, 10)
    alike = judged_ratio([1.001] * 10)
    assert alike.verdict == "alike"
    assert in_words(alike, 10) == "alike within 2 %: +0.1 % (99 % interval +0.1 % to +0.1 %)"
    assert in_words(judged_ratio([1.25] * 10), 10) == "slower: +25.0 % (99 % interval +25.0 % to +25.0 %)"


def test_steady_is_three_windows_within_two_percent() -> None:
    assert not has_settled([1.0, 1.0])
    assert not has_settled([1.0, 1.1, 1.11])
    assert has_settled([1.0, 1.3, 1.31, 1.32])


# --- devices, machine, energy


def test_devices_are_parsed_and_named() -> None:
    spec = make_device("cuda:1+compile").spec
    assert (spec.name, spec.argument, spec.variant) == ("cuda", "1", "compile")
    assert make_device("cpu").spec.variant is None
    with pytest.raises(BenchError, match="unknown device 'cpuu'; did you mean 'cpu'"):
        make_device("cpuu")
    with pytest.raises(BenchError, match="no variant 'compiled'; did you mean 'compile'"):
        make_device("cpu+compiled")
    with pytest.raises(BenchError, match="only cuda takes a number"):
        make_device("cpu:1")
    with pytest.raises(BenchError, match="names no device"):
        make_device("+compile")


def test_compile_without_a_compiler_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BenchError, match=r"no-such-compiler.*CXX.*--device cpu needs none"):
        make_device("cpu+compile").check()
    probes = {probe.name: probe for probe in DEVICES.get("cpu").probe("cpu")}
    assert probes["cpu"].works and not probes["cpu+compile"].works


def _zone(root: Path, name: str, joules: float) -> Path:
    zone = root / name
    zone.mkdir(exist_ok=True)
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text("9999999\n")
    (zone / "energy_uj").write_text(f"{int(joules * 1e6)}\n")
    return zone


def test_rapl_adds_packages_and_survives_the_counter_starting_anew(tmp_path: Path) -> None:
    assert isinstance(rapl(tmp_path), NoMeter)
    _zone(tmp_path, "intel-rapl:0", 9.0)
    _zone(tmp_path, "intel-rapl:1", 1.0)
    core = _zone(tmp_path, "intel-rapl:0:0", 5.0)
    (core / "name").write_text("core\n")  # a part of package 0, which counts it already
    meter = rapl(tmp_path)
    assert isinstance(meter, Meter) and "2 packages" in meter.source
    start = meter.joules()
    _zone(tmp_path, "intel-rapl:0", 0.5)  # 10 J after it was last read less 8.5
    _zone(tmp_path, "intel-rapl:1", 3.0)
    assert meter.joules() - start == pytest.approx(3.5)


def test_a_busy_machine_is_told_in_one_line() -> None:
    assert busy_warning(0.1, Machine(cores=8)) is None
    assert "2.0 of 8 cores" in (busy_warning(2.0, Machine(cores=8)) or "")
    assert "load average 3.0" in (busy_warning(None, Machine(cores=2, load_average=3.0)) or "")


# --- the process


def test_an_error_is_an_answer_and_the_process_goes_on_until_its_block_ends() -> None:
    with FreshProcess(WORKER, {}) as process:
        for _ in range(2):
            with pytest.raises(BenchError, match="'nonsense'"):
                process.ask("nonsense")
    assert process._process.poll() is not None


def test_a_worker_whose_asker_is_gone_ends() -> None:
    worker = subprocess.Popen([sys.executable, "-P", "-m", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    worker.communicate(b"", timeout=60)
    assert worker.returncode == 1


# --- the whole path


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """A run of four methods, of which one cannot be loaded and one dies on the way."""
    from t2ibench.bench.cli import status

    folder, here = tmp_path_factory.mktemp("latency"), Path.cwd()
    (folder / "sleeper.py").write_text(SLEEPER)
    os.chdir(folder)
    try:
        found = status([
            "latency", ",".join(METHODS), "--device", "cpu", "--size", "16", "--rounds", "8", "--iterations", "4",
            "--min-seconds", "0.3", "--threads", "1", "--out", "out", "--pytest-benchmark-json", "benchmark.json",
        ])  # fmt: skip
    finally:
        os.chdir(here)
        sys.path[:] = [entry for entry in sys.path if entry != str(folder)]
        sys.modules.pop("sleeper", None)
    return found, folder


@pytest.mark.slow
def test_a_known_time_comes_out_of_the_whole_path(measured: tuple[int, Path]) -> None:
    run = load_latency(measured[1] / "out")
    first, second = run.rows
    for row, seconds in ((first, 0.02), (second, 0.03)):
        stage = row.stages["unet"]
        # On a busy machine a sleep of 20 ms lasts longer: what the stage itself clocked is the truth.
        slept = [float(line) for line in (measured[1] / f"slept-{1000 * seconds:.0f}").read_text().splitlines()]
        assert seconds <= stage.timing.median_s < 3 * seconds
        known = [
            min(abs(value - own) for own in slept) < 0.02 * seconds for each in stage.timing.rounds for value in each
        ]
        assert np.mean(known) >= 0.8  # of the others, the machine took the processor away before or after
        assert stage.timing.n >= 8 and len(stage.timing.rounds) == 8
        assert sum(map(sum, stage.timing.rounds)) >= 0.29
        assert stage.timing.interval[0] <= stage.timing.median_s <= stage.timing.interval[1]
        assert (stage.params, stage.macs, stage.forwards) == (20, 30, 2)
        assert row.macs_per_image == 60 and row.params == 20
        assert 2 * seconds + 0.01 <= row.end_to_end.median_s < 6 * seconds
        assert row.composed.median_s == pytest.approx(2 * stage.timing.median_s)
        assert row.first_s >= 2 * seconds + 0.01 and row.load_s >= 0
        assert row.about["threads"] == 1
        assert row.energy.joules_per_image or row.energy.reason
    if sys.platform == "linux":
        memory = first.memory
        assert 10e6 < memory.before_bytes <= memory.peak_bytes
        assert memory.beyond_before >= 0


@pytest.mark.slow
def test_the_others_are_compared_with_the_first(measured: tuple[int, Path]) -> None:
    run = load_latency(measured[1] / "out")
    assert [found.what for found in run.comparisons] == ["unet", "composed", "end_to_end"]
    assert all(found.row == 1 for found in run.comparisons)
    # On a machine that is busy with something else it may be too noisy to rank, which is then said.
    for found in run.comparisons:
        assert found.verdict == "slower" or found.interval[0] < 1 or "two processes" in found.words
    assert 1.1 < run.comparisons[0].ratio < 2


@pytest.mark.slow
def test_what_fails_says_why_and_the_others_go_on(measured: tuple[int, Path]) -> None:
    code, folder = measured
    assert code == 2
    run = load_latency(folder / "out")
    reasons = {failed.method: failed.reason for failed in run.failed}
    assert "can't allocate memory" in reasons[METHODS[2]]
    assert "killed" in reasons[METHODS[3]] and "memory" in reasons[METHODS[3]]
    text = (folder / "out" / "latency.md").read_text()
    assert "sum of stages" in text and "failed: " in text and "Over first row" in text


@pytest.mark.slow
def test_pytest_benchmark_reads_its_json(measured: tuple[int, Path]) -> None:
    file = measured[1] / "benchmark.json"
    data = json.loads(file.read_text())
    names = [bench["fullname"] for bench in data["benchmarks"]]
    assert names[0] == f"latency::unet[{METHODS[0]}-cpu-fp32]" and len(names) == len(set(names)) == 4
    stats = data["benchmarks"][0]["stats"]
    assert stats["rounds"] == len(stats["data"]) and stats["ops"] == pytest.approx(1 / stats["mean"])
    command = [sys.executable, "-m", "pytest_benchmark", "compare", str(file), "--columns", "median,rounds"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=measured[1])
    assert done.returncode == 0, done.stderr
    assert "unet[" in done.stdout and "end_to_end[" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nonsense"], "unknown method 'nonsense'"),
        (["sd15", "--device", "tpu"], "unknown device 'tpu'"),
        (["sd15", "--dtype", "fp8"], "unknown dtype 'fp8'"),
        (["sd15", "--size", "60"], "multiples of 8, not 60: try --size 64"),
        (["sd15", "--size", "big"], "--size big: write pixels"),
        (["sd15", "--sustained", "--no-end-to-end"], "leave out --no-end-to-end"),
        (["sd15,sd15"], "twice"),
    ],
)
def test_mistakes_are_found_before_anything_is_started(
    bench: Callable[..., tuple[int, str, str]], arguments: list[str], complaint: str
) -> None:
    status, _, error = bench("latency", "--device", "cpu", *arguments)
    assert status == 2 and complaint in error and error.count("\n") == 1


# --- turns


class Scripted:
    """Stands in for a process: answers at once, and keeps what every one was asked, in one list."""

    asked: list[tuple[int, str, str]] = []
    seconds: Callable[[int, str, int], float]
    group = 1

    def __init__(self, module: str, environment: dict[str, str]) -> None:
        self.number, self.turns, self.killed = len({number for number, _, _ in self.asked}), 0, False

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self.killed = True

    def kill(self) -> None:
        self.killed = True

    def ask(self, question: str, **details: Any) -> Any:
        assert not self.killed
        self.asked.append((self.number, question, details.get("name", "")))
        return getattr(self, question)(**details)

    def load(self, **_: Any) -> Any:
        return {
            "checkpoint": None, "fingerprint": "x", "settings": {}, "about": {"threads": 2}, "load_s": 1.0,
            "names": ["unet", "end_to_end"], "weights_bytes": 7, "energy_source": "counter", "energy_reason": None,
        }  # fmt: skip

    def first(self) -> float:
        return 1.0

    def warm(self, name: str, seconds: float) -> int:
        return 1

    def time(self, name: str, iterations: int, seconds: float) -> Any:
        self.turns += name == "end_to_end"
        value = type(self).seconds(self.number, name, self.turns)
        return {"seconds": [value] * iterations, "joules": 3.0 * iterations}

    def memory(self) -> Any:
        return {"before_bytes": 10, "peak_bytes": 30}

    def params(self) -> int:
        return 5

    def stages(self) -> Any:
        return {"unet": {"params": 5, "macs": 7, "forwards": 2}}


def _scripted(
    monkeypatch: pytest.MonkeyPatch, protocol: Protocol, seconds: Callable[[int, str, int], float], rows: int = 3
) -> LatencyRun:
    monkeypatch.setattr(Scripted, "asked", [])
    monkeypatch.setattr(Scripted, "seconds", staticmethod(seconds), raising=False)
    monkeypatch.setattr("t2ibench.bench.latency.protocol.FreshProcess", Scripted)
    orders = [Order(method=f"m{i}", device="cpu", dtype="fp32", width=8, height=8) for i in range(rows)]
    return measure(orders, protocol, None, lambda text: None)


def _turns(name: str) -> list[int]:
    return [number for number, question, what in Scripted.asked if (question, what) == ("time", name)]


def test_all_take_a_turn_in_each_round_in_an_order_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    run = _scripted(monkeypatch, Protocol(rounds=9, iterations=10), lambda row, name, turn: 1.0 + row)
    orders = [tuple(_turns("unet")[start : start + 3]) for start in range(0, 27, 3)]
    assert all(sorted(order) == [0, 1, 2] for order in orders) and len(set(orders)) > 1
    assert len(run.rounds) == 9 and run.rows[0].stages["unet"].timing.n == 18  # ten calls in nine rounds: two in each
    assert [found.verdict for found in run.comparisons] == ["slower"] * 6
    assert run.rows[0].energy.joules_per_image == 3 and run.rows[0].memory.beyond_before == 20
    assert run.rows[0].macs_per_image == 14
    again = orders
    _scripted(monkeypatch, Protocol(rounds=9, iterations=10), lambda row, name, turn: 1.0)
    assert [tuple(_turns("unet")[start : start + 3]) for start in range(0, 27, 3)] == again
    _scripted(monkeypatch, Protocol(rounds=9, iterations=10, seed=1), lambda row, name, turn: 1.0)
    assert [tuple(_turns("unet")[start : start + 3]) for start in range(0, 27, 3)] != again


@pytest.mark.parametrize(
    ("counter", "call_s", "turns"),
    [(None, 0.01, 20), (None, 0.1, 5), (None, 3.0, 1), ("counter", 0.01, 1)],
)
def test_turns_are_short_unless_a_call_is_long_or_energy_is_counted(
    monkeypatch: pytest.MonkeyPatch, counter: str | None, call_s: float, turns: int
) -> None:
    loaded = Scripted.load
    clock = SimpleNamespace(monotonic=iter(range(1_000_000)).__next__)  # a second goes by between any two looks
    monkeypatch.setattr(Scripted, "load", lambda self, **asked: loaded(self, **asked) | {"energy_source": counter})
    monkeypatch.setattr(Scripted, "warm", lambda self, name, seconds: 1 / call_s)
    monkeypatch.setattr("t2ibench.bench.latency.protocol.time", clock)
    run = _scripted(monkeypatch, Protocol(rounds=8, iterations=8, min_seconds=8), lambda row, name, turn: call_s, 2)
    timings = [row.stages["unet"].timing for row in run.rows]
    assert [len(timing.rounds) for timing in timings] == [8, 8]
    assert all(timing.turn_calls == ([[1] * turns] * 8 if turns > 1 else []) for timing in timings)
    assert len(_turns("unet")) == 8 * turns * 2


def test_a_call_that_takes_no_time_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    run = _scripted(monkeypatch, Protocol(rounds=8), lambda row, name, turn: 0.0 if row == 1 else 1.0)
    assert [row.method for row in run.rows] == ["m0", "m2"] and "took 0 s" in run.failed[0].reason


def test_a_device_that_repeats_calls_itself_has_one_turn_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = Scripted.load
    monkeypatch.setattr(Scripted, "load", lambda self, **asked: loaded(self, **asked) | {"energy_source": None})
    monkeypatch.setattr(Scripted, "warm", lambda self, name, seconds: 0)
    _scripted(monkeypatch, Protocol(rounds=8), lambda row, name, turn: 0.01, 2)
    assert len(_turns("unet")) == 8 * 2


def test_a_ratio_is_of_turns_beside_each_other() -> None:
    drift = [1.0, 2.0, 1.5, 4.0]  # a machine that slows down within the round
    base = timing([[value for value in drift for _ in range(2)]] * 8, [[2] * 4] * 8)
    head = timing([[1.05 * value for value in drift for _ in range(3)]] * 8, [[3] * 4] * 8)
    assert turn_ratios(base, head) == pytest.approx([1.05] * 32)
    whole = timing([[3.0, 3.0]] * 8)
    assert turn_ratios(whole, timing([[6.0]] * 8)) == [2.0] * 8


@pytest.mark.parametrize("counter", ["counter", None])
def test_a_row_that_dies_in_a_round_is_out_and_overheads_are_over_the_next(
    monkeypatch: pytest.MonkeyPatch, counter: str | None
) -> None:
    loaded = Scripted.load
    monkeypatch.setattr(Scripted, "load", lambda self, **asked: loaded(self, **asked) | {"energy_source": counter})

    def seconds(row: int, name: str, turn: int) -> float:
        if row == 0 and turn == 3:
            raise BenchError("gone")
        return 1.0

    run = _scripted(monkeypatch, Protocol(rounds=8), seconds)
    assert [row.method for row in run.rows] == ["m1", "m2"] and run.failed[0].reason == "gone"
    assert any("m0" in note and "overheads are over m1" in note for note in run.notes)
    assert all(len(row.stages["unet"].timing.rounds) == 8 for row in run.rows)
    assert {found.verdict for found in run.comparisons} == {"alike"}


def test_sustained_work_goes_on_until_it_is_steady_and_tells_when_the_order_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    curves = [[1.0, 1.2, 1.3, 1.31, 1.31], [1.1, 1.1, 1.1], [2.0 + turn for turn in range(6)]]
    protocol = Protocol(sustained=True, window_s=0, windows=6)
    run = _scripted(monkeypatch, protocol, lambda row, name, turn: curves[row][turn - 1])
    found = [row.sustained for row in run.rows]
    assert [[window.median_s for window in each.curve] for each in found] == curves
    assert [each.settled for each in found] == [True, True, False]
    assert found[0].steady_s == 1.31 and found[0].slowdown == pytest.approx(1.31)
    assert run.comparisons == [] and not run.rows[0].stages
    assert any("order changes" in note for note in run.notes) and any("still changing" in note for note in run.notes)


# --- tables


def _row(method: str, seconds: list[float], sustained: Sustained | None = None) -> LatencyRow:
    stage = StageResult(params=10, macs=20, forwards=4, timing=timing([[value] for value in seconds]))
    return LatencyRow(
        method=method, device="cpu", dtype="fp32", fingerprint="x", settings={}, about={"threads": 2}, load_s=1,
        first_s=1, memory=Memory(), stages={"unet": stage}, composed=composed([stage]), sustained=sustained,
        end_to_end=timing([[9 * value] for value in seconds]),
    )  # fmt: skip


def test_the_sum_of_stages_is_made_round_by_round() -> None:
    stages = [
        StageResult(params=1, forwards=forwards, timing=timing(rounds))
        for forwards, rounds in ((2, [[1, 1, 7], [2, 2, 2]]), (3, [[10], [20]]))
    ]
    assert composed(stages).rounds == [[32], [64]]


def test_a_comparison_too_noisy_to_rank_is_words_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    from t2ibench.bench.latency.command import print_run
    from t2ibench.reports.latency_tables import latency_markdown

    rows = [_row("one", [1.0] * 10), _row("two", list(_ratios(1.05, 0.3, 1)))]
    run = LatencyRun(
        created="",
        protocol=Protocol(),
        environment={},
        machine=Machine(),
        rows=rows,
        comparisons=list(comparisons(rows)),
    )
    print_run(run, as_json=False)
    shown = capsys.readouterr().out
    assert "not ranked" in shown and "too noisy to rank: " in shown
    assert "not ranked" in latency_markdown(run)
    assert LatencyRun.model_validate_json(run.to_json()) == run


def test_the_curve_of_sustained_work_is_laid_out() -> None:
    from t2ibench.reports.latency_tables import latency_markdown

    curve = [Window(median_s=value, n=5) for value in (1.0, 1.2, 1.21, 1.2)]
    rows = [_row("one", [1.0] * 3, Sustained(curve=curve, settled=True, steady_s=1.2, slowdown=1.2))]
    protocol = Protocol(sustained=True)
    run = LatencyRun(created="", protocol=protocol, environment={}, machine=Machine(), rows=rows)
    line = next(line for line in latency_markdown(run).splitlines() if "+20.0" in line)
    assert "| 4 | yes |" in line


def test_a_file_of_another_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latency.json").write_text('{"schema": 99}')
    with pytest.raises(BenchError, match="schema 99, this version reads 1"):
        load_latency(tmp_path)
    with pytest.raises(BenchError, match=r"expected a latency\.json"):
        load_latency(tmp_path / "none")


def test_timing_keeps_raw_samples() -> None:
    found: Timing = timing([[3, 1, 2], [5]])
    assert found.rounds == [[3, 1, 2], [5]] and found.median_s == 3.5 and found.n == 4 and found.interval is None


def test_what_a_dead_process_forked_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / "forks.py").write_text(
        "import os, signal, sys, time\n"
        "child = os.fork()\n"
        "if not child: time.sleep(60); os._exit(0)\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child))\n"
        "sys.stdin.readline()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    start = time.monotonic()
    forks = FreshProcess("forks", {"PYTHONPATH": str(tmp_path)})
    with forks as process, pytest.raises(BenchError, match="its process was killed"):
        process.ask("anything")
    assert time.monotonic() - start < 30
    child = Path("/proc") / (tmp_path / "child").read_text() / "stat"
    while time.monotonic() - start < 30 and _runs(child):  # a signal takes a moment
        time.sleep(0.05)
    assert not _runs(child)


def _runs(stat: Path) -> bool:
    try:
        return stat.read_text().split()[2] != "Z"
    except OSError:
        return False


def test_every_picture_has_a_source_of_its_own() -> None:
    from t2ibench.bench.devices.pytorch import another
    from t2ibench.datasets.request import Pixels, Request

    asked = Request("p", "a dog", height=8, width=8, source=Pixels.of(np.zeros((8, 8, 3), np.uint8)))
    digests = {made.source.digest for seed in range(5) if (made := another(asked, seed)).source}
    assert len(digests) == 5
    assert another(Request("p", "a dog"), 3) == Request("p", "a dog", seed=3)
