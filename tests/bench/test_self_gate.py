"""The gate of this repository: its thresholds find every fault that is planted, at a fraction of the suite."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from planted import FAULTS

from t2ibench.bench.cli import status
from t2ibench.bench.gating.thresholds import load_thresholds
from t2ibench.core import zoo

Bench = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]
THRESHOLDS = ROOT / ".ci" / "thresholds.toml"
PLAIN = "sd15[checkpoint=zoo:mini-sd]"
STEERED = f"controlnet[condition=canny,checkpoint=zoo:mini-controlnet-canny,base={PLAIN}]"
NETWORK = zoo.FOLDER / "mini-controlnet-canny" / "diffusion_pytorch_model.safetensors"


def arguments(out: Path, method: str) -> list[str]:
    """A run of the suite in miniature."""
    return ["run", "--suite", "mini", "--methods", method, "--limit", "32", "--metrics", "mini_fd", "--offline",
            "--set", "reference_n=32", "--set", "sampling.steps=2", "--out", str(out)]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("self-gate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("T2IBENCH_CACHE", str(folder / "cache"))
        yield folder


def baseline(folder: Path, method: str) -> Path:
    """The baseline file of a method; made once."""
    file = folder / f"{method.partition('[')[0]}.zip"
    if not file.exists():
        assert status(arguments(file.with_suffix(""), method)) == 0
        assert status(["baseline", str(file.with_suffix("")), "--out", str(file), "--offline"]) == 0
    return file


def gated(folder: Path, method: str, name: str) -> list[str]:
    judged = ["--baseline", str(baseline(folder, method)), "--gate", "--thresholds", str(THRESHOLDS)]
    return [*arguments(folder / name, method), *judged]


@pytest.mark.slow
def test_equal_code_passes(folder: Path, bench: Bench) -> None:
    code, out, err = bench(*gated(folder, PLAIN, "again"))
    assert code == 0, out + err


@pytest.mark.slow
@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "control" or NETWORK.is_file()])
def test_a_planted_fault_fails(folder: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    method = STEERED if fault == "control" else PLAIN
    asked = gated(folder, method, fault)
    FAULTS[fault](monkeypatch.setattr)
    code, out, err = bench(*asked)
    assert code == 1, out + err
    assert "FAIL" in out


def test_the_thresholds_are_far_from_rounding_and_far_below_the_defaults() -> None:
    found, usual = load_thresholds(THRESHOLDS), load_thresholds(None)
    drift, default = (limits.of("mini", PLAIN, "drift_mini_features").margin for limits in (found, usual))
    assert drift is not None and default is not None
    assert 1e-5 < drift.absolute < default.absolute
    params = found.of("mini", PLAIN, "params").margin
    assert params is not None and params.of(1e6) == 0


def test_what_make_and_continuous_integration_call_is_there() -> None:
    makefile, ci = (ROOT / "Makefile").read_text(), (ROOT / ".ci" / "run").read_text()
    assert "\ngate:" in makefile and "\nbaseline:" in makefile
    assert "make gate" in ci and "tests/bench/planted.py" in ci
    for name in ("thresholds.toml", "mini-baseline.zip"):
        assert f".ci/{name}" in makefile
        assert (ROOT / ".ci" / name).is_file()
    assert (ROOT / ".ci" / "mini-baseline.zip").stat().st_size < 500_000
    done = subprocess.run([sys.executable, ROOT / "tests/bench/planted.py", "none"], capture_output=True, text=True)
    assert (done.returncode, "{control,scheduler,text" in done.stderr) == (2, True)
