"""Two versions in turns: the rule, the turns, the versions, and a whole comparison of two folders of code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import t2ibench
from t2ibench.bench.ab.measure import Asked, ab, rounds_for
from t2ibench.bench.ab.versions import Version, find_version
from t2ibench.bench.environment import commit_of
from t2ibench.bench.gating.gate import Gate, gate
from t2ibench.bench.gating.seconds import Measured, Slowdown, judge_seconds, measured
from t2ibench.bench.gating.sides import Looker
from t2ibench.bench.gating.text import gate_markdown
from t2ibench.bench.gating.thresholds import Rule, Thresholds
from t2ibench.bench.latency.worker import Order
from t2ibench.core.errors import BenchError
from t2ibench.metrics.paired import Change, simultaneous_level
from t2ibench.metrics.timing import rounds_needed, slowdown
from t2ibench.reports.ab import AbRun, VersionFacts, load_ab
from t2ibench.reports.latency import Protocol

Bench = Callable[..., tuple[int, str, str]]

# --- statistics


def test_a_slowdown_is_a_share_of_base_with_the_interval_of_the_signed_rank_test() -> None:
    base = np.linspace(1, 2, 10)  # a machine that slows down: both versions alike
    found = slowdown(base, base * np.linspace(1.06, 1.08, 10))
    assert found is not None
    assert found.estimate == pytest.approx(0.07, abs=1e-4) and 0.06 < found.low < 0.07 < found.high < 0.08
    assert slowdown(base, base / 1.25).estimate == pytest.approx(-0.2)
    assert slowdown([1.0] * 5, [2.0] * 5) is None  # 2/32 at best


def test_its_interval_covers_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    found = [slowdown(np.ones(10), np.exp(random.normal(0.03, 0.02, 10)), 0.9) for _ in range(1000)]
    assert np.mean([each.low <= np.expm1(0.03) <= each.high for each in found]) == pytest.approx(0.9, abs=0.03)


def test_so_many_rounds_are_needed_that_the_smallest_p_reaches_the_level() -> None:
    assert [rounds_needed(tests) for tests in (1, 25, 26, 51)] == [6, 10, 11, 11]
    for tests in (3, 25, 26):
        level = simultaneous_level(tests)
        assert slowdown([1.0] * rounds_needed(tests), [1.1] * rounds_needed(tests), level) is not None
        assert slowdown([1.0] * (rounds_needed(tests) - 1), [1.1] * (rounds_needed(tests) - 1), level) is None
    assert rounds_for(1) == 10 and rounds_for(6) == 11


# --- the rule


def goes(low: float, estimate: float, high: float) -> Slowdown:
    return Slowdown(Change(estimate, low, high), Change(estimate, low - 0.01, high + 0.01))


def taken(*each: Slowdown) -> Measured:
    """What goes say, with all of them as their mean."""
    if not each:
        return Measured((), None, 10, 12)
    ends = np.mean([(go.change.low, go.change.estimate, go.change.high) for go in each], axis=0)
    return Measured(each, each[0] if len(each) == 1 else goes(*map(float, ends)), 10, 12)


@pytest.mark.parametrize(
    ("found", "verdict", "said"),
    [
        (taken(goes(-0.02, 0.01, 0.04)), "pass", "1% slower (-2.0% to +4.0%), within the margin of 5%"),
        (taken(goes(-0.09, -0.08, -0.07)), "pass", "8% faster"),
        (taken(goes(0.02, 0.025, 0.03)), "pass", "2.5% slower"),
        (taken(goes(-0.03, 0.02, 0.07)), "could-not-measure", "turns in place of 10 would tell: --rounds "),
        (
            taken(goes(0.06, 0.07, 0.08), goes(0.05, 0.068, 0.08)),
            "fail",
            "6.9% slower (+5.5% to +8.0%), 7% and 6.8% in 2",
        ),
        (taken(goes(0.03, 0.04, 0.05), goes(0.06, 0.07, 0.08)), "fail", "4% and 7% in 2 goes: more than the margin"),
        (taken(goes(0.03, 0.04, 0.05), goes(0.04, 0.05, 0.06)), "could-not-measure", "too close to the margin of 5%"),
        (taken(goes(0.03, 0.04, 0.05), goes(0.01, 0.02, 0.03)), "pass", "4% and 2% in 2 goes, within the margin of 5%"),
        (taken(goes(0.08, 0.12, 0.15), goes(-0.01, 0.01, 0.03)), "could-not-measure", "which disagree"),
        (
            taken(goes(-0.01, 0.08, 0.15), goes(0.06, 0.07, 0.08), goes(0.05, 0.06, 0.07)),
            "fail",
            "8%, 7% and 6% in 3 goes",
        ),
        (
            taken(goes(0.18, 0.2, 0.22), goes(0.0, 0.01, 0.02), goes(-0.01, 0.0, 0.01)),
            "could-not-measure",
            "20%, 1% and 0% in 3 goes, which disagree",
        ),
        (taken(goes(0.06, 0.07, 0.08)), "could-not-measure", "not repeated: 'bench ab --margin 5%' does"),
        (taken(goes(0.03, 0.035, 0.04)), "could-not-measure", "not repeated"),
        (taken(), "could-not-measure", "10 turns are too few for so many rows: --rounds 12"),
        (taken(Slowdown(Change(0.01, -0.02, 0.04), None)), "pass", "within the margin of 5%"),
        (
            taken(Slowdown(Change(0.07, 0.06, 0.08), None)),
            "could-not-measure",
            "+8.0%), and the margin of 5% with 10 turns",
        ),
    ],
)
def test_the_rule(found: Measured, verdict: str, said: str) -> None:
    judged = judge_seconds(found, 0.05)
    assert judged.verdict == verdict and said in judged.reason


def test_a_row_gets_another_go_only_while_that_can_settle_it() -> None:
    near, far = goes(0.03, 0.04, 0.05), goes(0.01, 0.02, 0.03)
    assert taken(near).in_doubt(0.05) and taken(near, goes(0.04, 0.05, 0.06)).in_doubt(0.05)
    assert taken(goes(-0.01, 0.06, 0.13)).in_doubt(0.05)  # noisy, and large
    assert not taken(far).in_doubt(0.05) and taken(far).in_doubt(0.03)
    assert not taken(goes(-0.1, 0.0, 0.1)).in_doubt(0.05)  # noisy alone: that takes rounds
    assert not taken(near, goes(0.06, 0.07, 0.08)).in_doubt(0.05)  # fails
    assert not taken(near, far).in_doubt(0.05)  # passes
    assert not taken(*[goes(0.04, 0.05, 0.06)] * 3).in_doubt(0.05)  # three are enough
    assert taken(near, goes(0.025, 0.033, 0.04)).in_doubt(0.05)  # 3.65 %: two are not enough to tell that from 5 %
    assert not taken(Slowdown(Change(0.07, 0.06, 0.08), None)).in_doubt(0.05)


def test_goes_count_alike_however_many_turns_they_have() -> None:
    quick, slow = [(1.0, 1.08)] * 30, [(1.0, 1.0)] * 90
    found = measured([quick, slow], 1, 0.95)
    assert found.all is not None and found.all.change.estimate == pytest.approx(1.08**0.5 - 1)


def test_equal_versions_hardly_ever_fail_and_slower_ones_do() -> None:
    """Turns of two processes that differ by 1.5 %, and the machine by 10 %; other processes in other goes."""
    random = np.random.default_rng(0)

    def go(ratio: float) -> list[tuple[float, float]]:
        machine = np.exp(random.normal(0, 0.1, 10))
        born = ratio * np.exp(random.normal(0, 0.015))
        return list(zip(machine, machine * born * np.exp(random.normal(0, 0.01, 10)), strict=True))

    def failed(ratio: float) -> int:
        verdicts = []
        for _ in range(200):
            made = [go(ratio)]
            while measured(made, 5, 0.95).in_doubt(0.05):
                made.append(go(ratio))
            verdicts.append(judge_seconds(measured(made, 5, 0.95), 0.05).verdict)
        return verdicts.count("fail")

    assert failed(1.0) == 0
    assert failed(1.07) >= 190
    assert failed(1.12) >= 198


# --- versions


def test_a_checkout_runs_its_own_package_in_its_own_folder(tmp_path: Path) -> None:
    root = Path(t2ibench.__file__).parent
    version = find_version("head", str(root))
    assert version.folder == root and version.package == root and version.python == Path(sys.executable)
    facts = version.facts(tmp_path)
    assert Path(facts.package) == root.resolve() and facts.version == t2ibench.__version__ and facts.torch
    assert version.environment(tmp_path)["PYTHONPATH"].startswith(str(tmp_path / "head"))


def test_code_of_a_user_runs_with_the_package_that_is_here(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    version = find_version("base", str(tmp_path))
    assert (version.folder, version.package, version.environment(tmp_path)) == (tmp_path, None, {})


def test_an_environment_is_its_python_whose_link_is_kept(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    python = tmp_path / "venv" / "bin" / "python"
    python.symlink_to(sys.executable)
    for given in (tmp_path / "venv", python):
        version = find_version("base", str(given))
        assert (version.python, version.folder, version.package) == (python, None, None)


def test_what_is_no_version_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for given, complaint in [
        (tmp_path / "none", "no such checkout"),
        (tmp_path / "empty", "holds neither code nor an environment"),
        (tmp_path / "file", "neither a folder nor a Python that can be started"),
    ]:
        with pytest.raises(BenchError, match=f"--base .*{complaint}"):
            find_version("base", str(given))


def _package(folder: Path, *, worker: bool) -> Path:
    for place in (folder, folder / "bench", folder / "bench" / "latency"):
        place.mkdir(parents=True)
        (place / "__init__.py").write_text("__version__ = '0.0.1'")
    if worker:
        (folder / "bench" / "latency" / "worker.py").write_text("")
    (folder / "pyproject.toml").write_text('[project]\nname = "t2ibench"\n')
    return folder


def test_another_checkout_is_what_its_python_imports(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    old = _package(tmp_path / "old", worker=True)
    facts = find_version("base", str(old)).facts(tmp_path / "links")
    assert (facts.package, facts.version, facts.commit) == (str(old.resolve()), "0.0.1", None)


def test_a_version_that_cannot_be_timed_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    older = find_version("base", str(_package(tmp_path / "older", worker=False)))
    with pytest.raises(BenchError, match=r"t2ibench 0\.0\.1 there is older than"):
        older.facts(tmp_path / "links")
    broken = _package(tmp_path / "broken", worker=True)
    (broken / "__init__.py").write_text("import nothing_of_this_name")
    with pytest.raises(BenchError, match="does not import t2ibench: ModuleNotFoundError: No module named"):
        find_version("head", str(broken)).facts(tmp_path / "links")


def test_a_commit_says_where_files_differ_from_it(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *settings, *arguments], check=True, capture_output=True)

    assert commit_of(tmp_path / "none") is None
    git("init")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "1")
    clean = commit_of(tmp_path)
    assert clean is not None and len(clean) == 12
    (tmp_path / "file").write_text("2")
    assert commit_of(tmp_path) == f"{clean}+"


# --- turns, without processes


class Scripted:
    """Stands in for a process: its version is the environment's ``SIDE``."""

    made: list[Scripted] = []
    script: Callable[[str, int, str, int], float]
    group = 1

    def __init__(self, module: str, environment: dict[str, str], python: str, folder: Path | None) -> None:
        self.side, self.turns, self.asked = environment["SIDE"], 0, list[str]()
        self.go = sum(process.side == self.side for process in self.made)
        self.made.append(self)

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def kill(self) -> None:
        pass

    def ask(self, question: str, **details: Any) -> Any:
        if question == "load":
            self.method = details["method"]
            if self.method == "nowhere":
                raise BenchError("no such method")
            settings = {"steps": 10 if self.side == "base" else 20}
            return {
                "checkpoint": None, "fingerprint": "x", "settings": settings, "about": {"threads": 1}, "load_s": 1.0,
                "names": ["unet", "decoder", "end_to_end"], "weights_bytes": 7, "energy_source": None,
                "energy_reason": None,
            }  # fmt: skip
        if question != "time":
            return 1
        name = details["name"]
        self.asked.append(name)
        self.turns += name == "unet"
        return {"seconds": [type(self).script(self.side, self.go, name, self.turns)] * 3}


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AbRun]:
    """``bench ab`` with scripted processes: ``script(side, which go, stage, round)`` in seconds."""

    def call(script: Callable[[str, int, str, int], float], *methods: str, **asked: Any) -> AbRun:
        monkeypatch.setattr(Scripted, "made", [])
        monkeypatch.setattr(Scripted, "script", staticmethod(script), raising=False)
        monkeypatch.setattr("t2ibench.bench.ab.measure.FreshProcess", Scripted)
        monkeypatch.setattr(Version, "environment", lambda self, links: {"SIDE": self.side})
        monkeypatch.setattr(Version, "facts", lambda self, links: _facts(self.given))
        versions = tuple(Version(side, f"the {side}", Path(sys.executable)) for side in ("base", "head"))
        device = asked.pop("device", "cpu")
        orders = [Order(method=method, device=device, dtype="fp32", width=8, height=8) for method in methods or ("m",)]
        protocol = Protocol(min_seconds=asked.pop("seconds", 10.0))
        return ab(Asked(versions, orders, protocol, **asked), said.append)

    said: list[str] = []
    return call


def _facts(given: str) -> VersionFacts:
    return VersionFacts(given=given, python="python", package=given, version="1", torch="2", commit=given[-4:])


def _wave(turn: int) -> float:
    """What a machine does to all versions alike, and a little to each turn."""
    return 1 + 0.05 * np.sin(turn) + 0.001 * (turn % 3)


def test_equal_versions_pass_and_are_not_repeated(compared: Callable[..., AbRun]) -> None:
    run = compared(lambda side, go, name, turn: _wave(turn))
    assert run.verdict == "pass" and run.tests == 3 and len(Scripted.made) == 2
    assert [row.what for row in run.rows] == ["unet", "decoder", "end_to_end"]
    assert all(len(row.turns) > 10 and len(row.goes) == 1 and row.slowdown == 0 for row in run.rows)
    assert any("steps differs, 10 in base and 20 in head" in note for note in run.notes)


def test_what_is_slower_is_repeated_alone_in_fresh_processes_and_fails(compared: Callable[..., AbRun]) -> None:
    def script(side: str, go: int, name: str, turn: int) -> float:
        return _wave(turn) * (1.08 if (side, name) == ("head", "unet") else 1)

    run = compared(script)
    rows = {row.what: row for row in run.rows}
    assert run.verdict == "fail" and rows["unet"].verdict == "fail" and rows["decoder"].verdict == "pass"
    assert rows["unet"].slowdown == pytest.approx(0.08) and len(rows["unet"].goes) == 2
    assert len(Scripted.made) == 4 and {*Scripted.made[3].asked} == {"unet"}
    assert "8% and 8% in 2 goes: more than the margin of 5%" in rows["unet"].reason


def test_a_slowdown_of_two_processes_that_others_do_not_show_is_no_fail(compared: Callable[..., AbRun]) -> None:
    def script(side: str, go: int, name: str, turn: int) -> float:
        return _wave(turn) * (1.08 if (side, go) == ("head", 0) else 1)

    run = compared(script)
    assert run.verdict == "pass" and "8%, 0% and 0% in 3 goes, within the margin" in run.rows[0].reason


def test_what_the_order_of_loading_costs_is_no_slowdown(compared: Callable[..., AbRun]) -> None:
    def script(side: str, go: int, name: str, turn: int) -> float:
        first = Scripted.made[2 * go].side
        return _wave(turn) * (1.04 if side == first else 1)

    run = compared(script)
    assert [process.side for process in Scripted.made[:4]] == ["head", "base", "base", "head"]
    assert run.verdict == "pass" and "4% and -3.8% in 2 goes" in run.rows[0].reason


def test_a_version_that_fails_in_a_round_is_one_line_and_the_others_go_on(compared: Callable[..., AbRun]) -> None:
    def script(side: str, go: int, name: str, turn: int) -> float:
        if (side, go) == ("head", 0) and turn == 3:
            raise BenchError("its process was killed")
        return 1.0

    run = compared(script, "m", "other")
    assert run.verdict == "could-not-measure"
    (failed,) = run.failed
    assert (failed.method, failed.version, failed.reason) == ("m", "head", "its process was killed")
    assert {row.method for row in run.rows} == {"other"}
    assert max(Scripted.made[0].turns, Scripted.made[1].turns) <= 3  # nothing more is timed of it


def test_a_method_of_a_suite_that_neither_can_run_is_not_missed(compared: Callable[..., AbRun]) -> None:
    for named, verdict in ((False, "pass"), (True, "could-not-measure")):
        run = compared(lambda *_: 1.0, "m", "nowhere", named=named)
        assert run.verdict == verdict and run.failed[0].version == "both" and run.failed[0].required == named


def test_versions_export_by_themselves_what_this_process_may_not_know(compared: Callable[..., AbRun]) -> None:
    found = compared(lambda *_: 1.0, "a_module_of_both:Method", device="onnx")
    assert not found.failed and found.verdict == "pass"


def test_base_and_head_take_turns_in_an_order_that_changes(compared: Callable[..., AbRun]) -> None:
    order: list[str] = []

    def script(side: str, go: int, name: str, turn: int) -> float:
        order.extend([side] * (name == "unet"))
        return 1.0

    compared(script)
    pairs = list(zip(order[::2], order[1::2], strict=True))
    assert len(pairs) > 10 and all({*pair} == {"base", "head"} for pair in pairs) and len(set(pairs)) == 2


# --- in a gate


@pytest.fixture
def gated(fake_side: Callable[..., Any]) -> Callable[..., Gate]:
    """Gate two runs of equal pictures with what ``bench ab`` found."""

    def call(timed: AbRun | None, *rules: Rule) -> Gate:
        scores = {"clip_score": np.random.default_rng(0).normal(0.3, 0.02, 40)}
        base, head = (fake_side(scores, seconds=seconds, method="m") for seconds in (1.0, 3.0))
        return gate(base, head, Thresholds(rule=rules), Looker(), timed)

    return call


def _seconds(found: Gate) -> dict[str, Any]:
    return {row.metric: row for row in found.rows if row.kind == "time"}


def test_without_it_seconds_are_shown_and_never_judged(gated: Callable[..., Gate]) -> None:
    found = gated(None)
    row = _seconds(found)["seconds_unet"]
    assert (found.verdict, row.verdict, row.required) == ("pass", "could-not-measure", False)


@pytest.mark.parametrize(("share", "verdict"), [(0.08, "fail"), (0.0, "pass")])
def test_with_it_a_gate_judges_seconds(
    gated: Callable[..., Gate], compared: Callable[..., AbRun], share: float, verdict: str
) -> None:
    timed = compared(lambda side, go, name, turn: _wave(turn) * (1 + share * (side == "head")))
    found = gated(timed)
    row = _seconds(found)["seconds_unet"]
    assert (found.verdict, row.verdict, row.required) == (verdict, verdict, True)
    assert row.base == pytest.approx(1, abs=0.06) and row.change == pytest.approx(share * row.base, abs=1e-9)
    assert row.margin == pytest.approx(0.05 * row.base) and row.kind == "time" and found.status == (verdict == "fail")
    text = gate_markdown(found)
    assert "seconds unet" in text and "seconds are of bench ab" in text and "base the base (base)" in text


@pytest.mark.parametrize(("share", "verdict"), [(0.08, "fail"), (0.0, "pass")])
def test_however_many_rows_of_pictures_a_gate_says_of_seconds_what_bench_ab_says(
    fake_side: Callable[..., Any], compared: Callable[..., AbRun], share: float, verdict: str
) -> None:
    """30 rows that are tested beside them would take 11 rounds, and nobody knew of them when these 10 were made."""
    draws = np.random.default_rng(0).normal(0.3, 0.02, (30, 40))
    base, head = ({f"clip_score_{i}": values + change for i, values in enumerate(draws)} for change in (0, 1e-6))
    timed = compared(lambda side, go, name, turn: _wave(turn) * (1 + share * (side == "head")))
    found = gate(fake_side(base), fake_side(head, tag="other"), Thresholds(), Looker(), timed)
    rows = _seconds(found)
    assert found.tests >= 30 and len(rows) == len(timed.rows)
    assert {row.verdict for row in rows.values()} == {row.verdict for row in timed.rows} == {verdict}


def test_a_row_may_pass_in_fewer_turns_than_so_many_rows_take_to_fail(compared: Callable[..., AbRun]) -> None:
    methods = [f"m{index}" for index in range(12)]
    found = compared(lambda side, go, name, turn: _wave(turn), *methods, seconds=0.5)
    assert found.tests == 36 and found.protocol.rounds == 10 and found.verdict == "pass"
    assert all(row.interval and row.simultaneous_interval is None for row in found.rows)


def test_thresholds_hold_for_seconds_too(gated: Callable[..., Gate], compared: Callable[..., AbRun]) -> None:
    timed = compared(lambda side, go, name, turn: _wave(turn) * (1.08 if side == "head" else 1))
    assert gated(timed, Rule(metric=("seconds_*",), margin="10%")).verdict == "pass"
    assert gated(timed, Rule(metric=("seconds_*",), ignore=True)).verdict == "pass"
    small = compared(lambda side, go, name, turn: _wave(turn) * (1.02 if side == "head" else 1))
    strict = gated(small, Rule(metric=("seconds_*",), margin="1%"))
    assert strict.verdict == "could-not-measure"  # nothing was repeated, since 2 % was far within its margin
    assert "bench ab --margin 1%" in (_seconds(strict)["seconds_unet"].reason or "")


def test_what_it_could_not_measure_a_gate_could_not_either(
    gated: Callable[..., Gate], compared: Callable[..., AbRun]
) -> None:
    found = gated(compared(lambda *_: 1.0, "m", "nowhere"))
    assert found.verdict == "could-not-measure"
    assert any(row.reason == "both versions failed: no such method" and row.required for row in found.rows)


def test_other_files_are_refused_in_one_line(tmp_path: Path, compared: Callable[..., AbRun]) -> None:
    run = compared(lambda *_: 1.0)
    (tmp_path / "ab.json").write_text(run.to_json())
    assert load_ab(tmp_path) == run
    for text, complaint in [
        ('{"schema": 2, "kind": "latency"}', "is not of 'bench ab'"),
        (run.to_json().replace('"schema": 2', '"schema": 3'), "has schema 3, this version reads 2"),
        ("[", "cannot read"),
        ('{"schema": 2, "kind": "ab"}', "is not of 'bench ab': created"),
    ]:
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(BenchError, match=complaint):
            load_ab(tmp_path / "other.json")
    with pytest.raises(BenchError, match=r"no ab\.json at"):
        load_ab(tmp_path / "none")


# --- the whole path

SLEEPER = """
import time
import numpy as np
import torch
from t2ibench import Adapter
from t2ibench.adapters.base import Stage


class Rest(torch.nn.Module):
    def forward(self, x):
        if not x.is_meta:
            time.sleep({seconds})
        return x


class Sleeper(Adapter):
    def load(self, device, dtype):
        self.network = Rest()

    def generate(self, requests):
        raise RuntimeError("not asked for")

    def stages(self):
        return {{"unet": Stage(self.network, lambda request, device: (torch.zeros(2, 3, device=device),), 2)}}
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ab")
    for name, seconds in (("base", 0.06), ("head", 0.01)):
        (folder / name).mkdir()
        (folder / name / "sleeper.py").write_text(SLEEPER.format(seconds=seconds))
    return folder


@pytest.mark.slow
def test_two_folders_of_code_are_compared_in_processes_of_their_own(folders: Path, bench: Bench) -> None:
    code, out, err = bench(
        "ab", "--base", folders / "base", "--head", folders / "head", "--methods", "sleeper:Sleeper", "--device", "cpu",
        "--size", "16", "--no-end-to-end", "--min-seconds", "0", "--iterations", "30", "--out", folders / "out",
        "--threads", "1", "--json",
    )  # fmt: skip
    run = AbRun.model_validate(json.loads(out))
    (row,) = run.rows
    assert row.what == "unet" and row.base_s >= 0.06 and row.head_s >= 0.01 and len(row.turns) == 10
    assert (code, run.verdict) == (0, "pass"), (row, err)
    assert row.slowdown is not None and row.slowdown < -0.3 and "load base: sleeper:Sleeper" in err
    assert load_ab(folders / "out") == run


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--base", "nowhere"], "--base nowhere: no such checkout"),
        (["--rounds", "9"], "--rounds 9: fewer than 10"),
        (["--margin", "much"], "--margin much: write a share"),
        (["--margin", "5"], "--margin 5: write a share"),
        (["--methods", ","], "--methods names none"),
        (["--methods", "a:B,a:B"], "twice"),
        (["--suite", "decoders"], "is of codecs or a sweep"),
        (["--suite", "nosuch"], "nosuch"),
        (["--dtype", "fp8"], "unknown dtype 'fp8'"),
        (["--json", "--markdown"], "choose one"),
    ],
)
def test_mistakes_are_found_before_anything_is_started(
    folders: Path, bench: Bench, arguments: list[str], complaint: str
) -> None:
    given = ["--base", folders / "base", "--head", folders / "head", "--device", "cpu"]
    code, _, error = bench("ab", *given, *arguments)
    assert code == 2 and complaint in error and error.count("\n") == 1
