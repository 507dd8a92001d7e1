"""pytest --bench-gate, in a pytest of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from test_ci import FAILED, OPEN, PASSED, SPARE, gate_of
from test_pull_request import PAINT

Bench = Callable[..., tuple[int, str, str]]
Pytest = Callable[..., tuple[int, str]]

ROOT = Path(__file__).parents[2]
MODULE = "t2ibench.bench.ci.pytest_plugin"
STAND_IN = """
import json
from pathlib import Path
from t2ibench.bench.ci import outcomes, pytest_plugin

GATE = json.loads(Path("gate.json").read_text())
outcomes.row_names = lambda path: [(row["method"], row["metric"]) for row in GATE["rows"]]

def bench(arguments, folder):
    with open("calls", "a") as file:
        file.write(json.dumps(arguments) + "\\n")
    if GATE["verdict"]:
        Path(arguments[arguments.index("--out") + 1]).write_text(json.dumps(GATE))
    return "no such run"

pytest_plugin._bench = bench
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pytest:
    """Run pytest in a folder with one test of its own; the exit status and what it prints."""
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the plugin of the installed package, if it has one yet

    def call(*arguments: str) -> tuple[int, str]:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            MODULE,
            "-p",
            "no:cacheprovider",
            "-rA",
            "--color=no",
            *arguments,
        ]
        # A pytest of its own, not one more worker of this one: pytest-benchmark does not measure in those.
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
        done = subprocess.run(command, capture_output=True, text=True, env=own | {"COLUMNS": "200"})
        return done.returncode, done.stdout + done.stderr

    return call


def stand_in(verdict: str, *rows: dict) -> None:
    Path("gate.json").write_text(gate_of(verdict, *rows).model_dump_json(by_alias=True))
    Path("conftest.py").write_text(STAND_IN)


def calls() -> list[list[str]]:
    return [json.loads(line) for line in Path("calls").read_text().splitlines()]


def outcomes_of(text: str) -> dict[str, str]:
    """Outcome by metric, from the summary of pytest."""
    found = re.findall(r"^(PASSED|FAILED|ERROR) bench-gate::(\w+)(?:\[.*?\])?(?: - |$)", text, re.MULTILINE)
    return {name: outcome for outcome, name in found}


def test_rows_are_items_with_their_reasons(run: Pytest) -> None:
    stand_in("fail", FAILED, OPEN, SPARE, PASSED)
    code, text = run("--bench-gate", "--bench-base", "b.zip", "--bench-head", "head", "--bench-thresholds", "t.toml")
    assert code == 1, text
    assert outcomes_of(text) == {
        "mini_fd": "FAILED", "mini_kd": "ERROR", "caption_accuracy": "PASSED", "verdict": "FAILED",
    }, text  # fmt: skip
    assert "worse by 1.000, more than the margin of 0.020 (base 1.000, head 2.000, change +1.000" in text
    assert "could not measure: between 1 better and 1 worse" in text
    assert re.search(r"SKIPPED .*: other seeds", text)
    assert "Traceback" not in text
    assert "PASSED test_own.py::test_own" in text
    (arguments,) = calls()  # one gate for all rows
    assert arguments[:5] == ["gate", "b.zip", "head", "--thresholds", "t.toml"]


def test_rows_can_be_chosen(run: Pytest) -> None:
    stand_in("fail", FAILED, OPEN, SPARE, PASSED)
    asked = ("--bench-gate", "--bench-base=b", "--bench-head=h")
    assert run(*asked, "-k", "caption_accuracy")[0] == 0
    code, text = run(*asked, "-m", "bench_gate")
    assert "1 deselected" in text
    code, text = run(*asked, "--collect-only", "-q")
    assert (code, len(calls())) == (0, 2)  # listing them runs nothing
    assert "bench-gate::mini_fd[sd15[steps=8]]\n" in text and "bench-gate::verdict\n" in text


@pytest.mark.slow
def test_workers_of_xdist_share_one_gate(run: Pytest) -> None:
    stand_in("fail", FAILED, PASSED)
    code, text = run("-p", "xdist.plugin", "-n", "2", "--bench-gate", "--bench-base=b", "--bench-head=h")
    assert outcomes_of(text) == {"mini_fd": "FAILED", "caption_accuracy": "PASSED", "verdict": "FAILED"}, text
    assert (code, len(calls())) == (1, 1)


def test_a_gate_that_cannot_be_run_is_an_error_of_every_row(run: Pytest) -> None:
    stand_in("pass", PASSED)
    found = json.loads(Path("gate.json").read_text()) | {"verdict": None}
    Path("gate.json").write_text(json.dumps(found))
    code, text = run("--bench-gate", "--bench-base=b", "--bench-head=h")
    assert (code, outcomes_of(text)) == (1, {"caption_accuracy": "ERROR", "verdict": "ERROR"}), text
    assert "the gate could not be run: no such run" in text
    assert len(calls()) == 1


def test_settings_stand_in_pyproject(run: Pytest) -> None:
    stand_in("pass", PASSED)
    Path("pyproject.toml").write_text('[tool.t2ibench]\nbase = "b.zip"\nhead = "h"\nthresholds = "mine.toml"\n')
    code, text = run("--bench-gate", "--bench-head", "other")
    assert (code, outcomes_of(text)) == (0, {"caption_accuracy": "PASSED", "verdict": "PASSED"}), text
    assert calls()[0][:5] == ["gate", "b.zip", "other", "--thresholds", "mine.toml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "--bench-gate needs what to compare with: --bench-base, or base in [tool.t2ibench]"),
        ('[tool.t2ibench]\nbse = "b"\n', "[tool.t2ibench] has no key bse (known: base, head"),
        ('[tool.t2ibench]\nbase = "none.zip"\n', "no run at '"),
    ],
)
def test_what_is_wrong_with_the_settings(run: Pytest, text: str, said: str) -> None:
    Path("pyproject.toml").write_text(text)
    code, printed = run("--bench-gate")
    assert code == pytest.ExitCode.USAGE_ERROR, printed
    assert said in printed
    assert "Traceback" not in printed


def test_it_costs_nothing_until_asked_for(run: Pytest) -> None:
    """Its settings are not read, and nothing of ours is imported but the plugin and the packages it lies in."""
    Path("pyproject.toml").write_text("[tool.t2ibench]\nunknown = 1\n")
    Path("conftest.py").write_text(
        "import sys\n"
        "def pytest_unconfigure():\n"
        "    print('LOADED', sorted(name for name in sys.modules if name.startswith('t2ibench')))\n"
        "    print('HEAVY', [name for name in ('torch', 'numpy', 'pydantic', 'pandas') if name in sys.modules])\n"
    )
    code, text = run("-s")
    assert code == 0, text
    assert "HEAVY []" in text
    assert f"LOADED ['t2ibench', 't2ibench.bench', 't2ibench.bench.ci', '{MODULE}']" in text
    assert "bench-gate" not in text


def test_the_entry_point_is_this_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert import_module(project["entry-points"]["pytest11"]["t2ibench"]).__name__ == MODULE


# --- nothing stood in for


@pytest.mark.slow
def test_a_repository_that_gates_itself(run: Pytest, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline is kept; the pictures of the head are brighter; the suite and its number of prompts are the base's."""
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("paint.py").write_text(f"{PAINT}\n\nBRIGHTER = 0\n")
    more = ["--metrics", "mini_fd", "--set", "reference_n=32", "--offline", "--methods", "paint:Paint"]
    assert bench("run", "--limit", 24, "--out", "base", *more)[0] == 0
    assert bench("baseline", "base", "-o", "base.zip", "--offline")[0] == 0
    Path("paint.py").write_text(f"{PAINT}\n\nBRIGHTER = 40\n")
    Path("pyproject.toml").write_text(
        '[tool.t2ibench]\nbase = "base.zip"\nmethods = "paint:Paint"\n'
        'args = "--metrics mini_fd --set reference_n=32 --offline"\n'
    )
    code, text = run("--bench-gate")
    found = outcomes_of(text)
    assert (code, found["drift_mini_features"], found["verdict"]) == (1, "FAILED", "FAILED"), text
    assert "the pictures moved by" in text
    assert f"bench gate: {Path.cwd() / 'runs/pytest/report.html'}" in text


def test_seconds_of_pytest_benchmark_are_compared_and_not_judged(
    run: Pytest, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("test_speed.py").write_text("def test_sum(benchmark): benchmark(sum, range(100))\n")
    for name in ("base", "head"):
        code, text = run("-p", "pytest_benchmark.plugin", f"--benchmark-json={name}.json", "--benchmark-max-time=0.01")
        assert code == 0, text
    code, out, err = bench("compare", "base.json", "head.json", "--json")
    assert code == 0, err
    (row,) = json.loads(out)["rows"]
    assert (code, row["method"], row["verdict"]) == (0, "test_speed.py::test_sum", None)
    medians = [
        json.loads(Path(f"{name}.json").read_text())["benchmarks"][0]["stats"]["median"] for name in ("base", "head")
    ]
    assert [row["base"], row["head"], row["change"]] == [*medians, medians[1] - medians[0]]
    code, out, _ = bench("gate", "base.json", "head.json")
    assert code == 2
    assert "whether they took turns on one machine is unknown" in out
    code, text = run("--bench-gate", "--bench-base=base.json", "--bench-head=head.json", "test_own.py")
    assert code == 1
    assert "ERROR bench-gate::median_seconds[test_speed.py::test_sum]" in text
    assert "'bench ab' times two versions in turns" in text


def test_a_file_of_pytest_benchmark_beside_another_thing(bench: Bench, tmp_path: Path) -> None:
    whole = {"machine_info": {"node": "a"}, "datetime": "x", "benchmarks": [
        {"fullname": "t::x", "stats": {"median": 1.0, "rounds": 5}}]}  # fmt: skip
    files = {name: tmp_path / f"{name}.json" for name in ("whole", "broken", "other")}
    files["whole"].write_text(json.dumps(whole))
    files["broken"].write_text(json.dumps(whole | {"benchmarks": [{"fullname": "t::x"}]}))
    files["other"].write_text(json.dumps(whole | {"machine_info": {"node": "b"}, "benchmarks": []}))
    assert "is no whole file of pytest-benchmark" in bench("gate", files["whole"], files["broken"])[2]
    assert "compare two of a kind" in bench("gate", files["whole"], tmp_path)[2]
    code, out, _ = bench("compare", files["whole"], files["other"], "--json")
    assert (code, json.loads(out)["only_base"]) == (0, ["t::x"])
    assert "measured on other machines: base on a; head on b" in json.loads(out)["notes"]
