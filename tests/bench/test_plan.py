"""The planner: what past runs say of gates to come, held against simulated gates; what it cannot know is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from t2ibench.bench.gating.gate import gate
from t2ibench.bench.gating.planner import Plan, plan, question
from t2ibench.bench.gating.sides import Looker
from t2ibench.bench.gating.thresholds import Rule, Thresholds
from t2ibench.core.errors import BenchError
from t2ibench.metrics.paired import simultaneous_level
from t2ibench.reports.ab import AbRow, AbRun, VersionFacts
from t2ibench.reports.latency import Machine, Protocol

Bench = Callable[..., tuple[int, str, str]]
MINE = Thresholds(rule=(Rule(metric=("clip_score",), margin=0.01),))


def scores(n: int, change: float = 0.0, stirred: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """Scores that vary by 0.1 from prompt to prompt, and by ``stirred`` from run to run."""
    prompts = np.random.default_rng(n).normal(0.6, 0.1, n)
    return {"clip_score": prompts + change + np.random.default_rng([n, seed, 7]).normal(0, stirred or 1e-12, n)}


@pytest.fixture
def planned(fake_side: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """Plan by runs at hand."""

    def call(detect: str, *sides: Any, n: int | None = None, thresholds: Thresholds = MINE, power: float = 0.8) -> Plan:
        monkeypatch.setattr("t2ibench.bench.gating.planner.open_side", lambda path: sides[int(str(path))])
        paths = [Path(str(index)) for index in range(len(sides))]
        return plan(question(detect, n, power), paths, thresholds, Looker)

    return call


@pytest.fixture
def two(fake_side: Callable[..., Any]) -> tuple[Any, Any]:
    return fake_side(scores(100)), fake_side(scores(100, stirred=0.05, seed=1), tag="other")


def test_so_many_pictures_as_planned_find_the_change_as_often(
    planned: Callable[..., Plan], two: tuple[Any, Any], fake_side: Callable[..., Any]
) -> None:
    """Gates by the gate itself, on runs with the planned number of pictures and a planted change."""
    (row,) = planned("clip_score:0.02", *two).rows
    assert row.needed is not None and row.margin == 0.01 and row.paired and not row.proposed
    found = [_gated(fake_side, row.needed, -0.02, seed) for seed in range(300)]
    assert found.count("fail") / 300 == pytest.approx(0.8, abs=0.08)
    equal = [_gated(fake_side, row.needed, 0.0, seed) for seed in range(300)]
    assert equal.count("fail") <= 15  # 2.5 % of gates of one row
    assert equal.count("pass") / 300 == pytest.approx(row.passes, abs=0.1)


def test_what_n_pictures_can_see_they_find_as_often_as_asked(
    planned: Callable[..., Plan], two: tuple[Any, Any], fake_side: Callable[..., Any]
) -> None:
    (row,) = planned("clip_score", *two, n=60).rows
    assert row.change is None and row.needed is None and row.asked_n == 60
    found = [_gated(fake_side, 60, -row.visible, seed) for seed in range(300)]
    assert found.count("fail") / 300 == pytest.approx(0.8, abs=0.08)


def _gated(fake_side: Callable[..., Any], n: int, change: float, seed: int) -> str:
    sides = fake_side(scores(n)), fake_side(scores(n, change, 0.05, seed), tag="other")
    found = gate(*sides, MINE, Looker())
    return str(next(row.verdict for row in found.rows if row.metric == "clip_score"))


def test_pairs_take_far_fewer_pictures_than_a_run_by_itself(planned: Callable[..., Plan], two: tuple[Any, Any]) -> None:
    pairs, alone = planned("clip_score:0.02", *two), planned("clip_score:0.02", two[0])
    assert alone.rows[0].needed > 4 * pairs.rows[0].needed and not alone.rows[0].paired
    assert any("not paired" in note for note in alone.notes)
    other = type(two[0])(scores(100, stirred=0.05), seed=1, tag="other")
    assert planned("clip_score:0.02", two[0], other).rows[0].needed > 4 * pairs.rows[0].needed


def test_of_several_runs_the_mean_spread_counts(planned: Callable[..., Plan], fake_side: Callable[..., Any]) -> None:
    runs = [fake_side(scores(400, stirred=0.05, seed=seed), tag=str(seed)) for seed in range(5)]
    # Both of a pair are stirred, so their difference is by √2.
    assert planned("clip_score:0.02", *runs).rows[0].error == pytest.approx(0.05 * 2**0.5 / 400**0.5, rel=0.08)


def test_a_margin_too_wide_for_the_change_is_replaced_and_that_is_said(
    planned: Callable[..., Plan], two: tuple[Any, Any]
) -> None:
    found = planned("clip_score:1%", *two)
    (row,) = found.rows
    assert row.change == pytest.approx(0.01 * row.value) and row.proposed
    assert row.margin == pytest.approx(0.75 * row.change)
    assert row.passes == pytest.approx(0.8, abs=0.1)  # at three quarters equal runs pass as often as changes are found
    assert any("half of all gates" in note and "thresholds file has to set" in note for note in found.notes)


def test_the_level_is_corrected_for_the_rows_of_such_gates(
    planned: Callable[..., Plan], fake_side: Callable[..., Any]
) -> None:
    def pair(metrics: int) -> list[Any]:
        return [
            fake_side({f"m{i}" if i else "clip_score": scores(80, stirred=0.05, seed=s)["clip_score"]
                       for i in range(metrics)}, tag=str(s))
            for s in range(2)
        ]  # fmt: skip

    one, many = planned("clip_score:0.03", *pair(1)), planned("clip_score:0.03", *pair(9))
    assert (one.tests, many.tests) == (1, 9) and many.rows[0].needed > one.rows[0].needed


def test_what_cannot_be_planned_is_said_in_one_line(
    planned: Callable[..., Plan], two: tuple[Any, Any], fake_side: Callable[..., Any]
) -> None:
    few = fake_side(scores(1)), fake_side(scores(1, stirred=0.1), tag="other")
    for sides, detect, complaint in [
        (two, "clip_scoer:1%", "these runs have no 'clip_scoer'; did you mean 'clip_score'"),
        (two, "drift_x:1", "its scatter depends on its size"),
        ((two[0], two[0]), "clip_score:1%", "equal, bit for bit"),
        (few, "clip_score:1%", "too few pictures to tell how it scatters"),
    ]:
        with pytest.raises(BenchError, match=complaint):
            planned(detect, *sides)
    band = Thresholds(rule=(Rule(metric=("clip_score",), band=(0.5, 0.7)),))
    with pytest.raises(BenchError, match="a band judges it"):
        planned("clip_score:1%", *two, thresholds=band)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--detect", "fid"], "write METRIC:CHANGE, such as fid:2%, or add --n"),
        (["--detect", "fid:much"], "'much' is neither a share such as 2% nor a number"),
        (["--detect", "fid:-1"], "'-1' is neither"),
        (["--detect", "fid:0"], "a change of nothing"),
        (["--detect", "fid:2%", "--power", "1"], "--power 1"),
        (["--detect", "fid:2%"], "no run at"),
        (["--detect", "seconds_unet:7%"], "no ab.json at"),
    ],
)
def test_mistakes_are_one_line(bench: Bench, tmp_path: Path, arguments: list[str], complaint: str) -> None:
    code, _, error = bench("plan", *arguments, "--from", tmp_path / "none", "--device", "cpu", "--offline")
    assert code == 2 and complaint in error and error.count("\n") == 1


# --- rounds


def timed(scatter: float, rounds: int = 10) -> AbRun:
    logs = np.random.default_rng(0).normal(0, scatter, rounds)
    logs = (logs - logs.mean()) * scatter / logs.std(ddof=1)
    facts = VersionFacts(given="x", python="p", package="x", version="1")
    row = AbRow(
        method="m", device="cpu", dtype="fp32", what="unet", goes=[[(1.0, float(np.exp(log))) for log in logs]],
        base_s=1.0, head_s=1.0, verdict="pass", reason="",
    )  # fmt: skip
    return AbRun(
        created="", verdict="pass", base=facts, head=facts, margin=0.05, level=0.95, tests=5, protocol=Protocol(),
        machine=Machine(), rows=[row],
    )  # fmt: skip


def test_rounds_are_planned_by_what_bench_ab_wrote(bench: Bench, tmp_path: Path) -> None:
    needed = {}
    for scatter in (0.005, 0.05):
        (tmp_path / "ab.json").write_text(timed(scatter).to_json())
        code, out, error = bench("plan", "--detect", "seconds_unet:7%", "--from", tmp_path, "--json", "--offline")
        assert code == 0, error
        (row,) = json.loads(out)["rows"]
        needed[scatter] = row["needed"]
        assert row["margin"] == 0.05 and row["change"] == 0.07 and row["kind"] == "time"
        assert row["error"] == pytest.approx(scatter / 10**0.5)
    assert needed[0.005] == 10  # fewer tell nothing, whatever the scatter
    # The estimate has to be above 5 % in both goes: 1.28 errors for nine in ten each.
    assert needed[0.05] == pytest.approx((1.25 * 0.05 / np.log(1.07 / 1.05)) ** 2, rel=0.25)


def test_a_plan_is_a_table_too(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "ab.json").write_text(timed(0.02).to_json())
    code, out, _ = bench("plan", "--detect", "seconds_unet:7%", "--from", tmp_path, "--offline")
    assert code == 0 and "bench plan, seconds unet" in out and "7.0%" in out and "for gates of 5 rows" in out
    assert simultaneous_level(5) == pytest.approx(0.99)
