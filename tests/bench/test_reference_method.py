"""Suites whose distances are taken to the pictures of one of their own rows, and rows of another width."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from t2ibench.bench.rows import AdapterRow
from t2ibench.core.errors import BenchError

SUITE = """
name = "wide"
version = 1
summary = "Wide pictures against plain ones of the same prompts"
dataset = "prompts"
methods = [{ method = "sd15[checkpoint=zoo:mini-sd]", width = 64 }, "sd15[checkpoint=zoo:mini-sd,steps=1]"]
reference_method = "sd15[checkpoint=zoo:mini-sd]"
metrics = ["fid"]
[sampling]
size = 64
width = 128
steps = 2
scheduler = "ddim"
[transform]
generated = "random64"
"""


@pytest.fixture
def run(bench: Callable, zoo: Path, stub: None, tmp_path: Path) -> Callable[..., tuple[int, str, list[dict]]]:
    (tmp_path / "wide.toml").write_text(SUITE)
    (tmp_path / "prompts.txt").write_text("a lake\na wood\na road\n")

    def call(*more: str) -> tuple[int, str, list[dict]]:
        out = tmp_path / "run"
        asked = ["--suite", tmp_path / "wide.toml", "--prompts", tmp_path / "prompts.txt", "--out", out, *more]
        code, _, err = bench("run", *asked)
        return code, err, json.loads((out / "run.json").read_text())["results"] if code == 0 else []

    return call


def test_the_row_that_is_the_reference_has_a_reason_and_the_others_a_distance(run: Callable) -> None:
    code, err, (plain, wide) = run()
    assert code == 0, err
    assert "what the others are compared with" in plain["metrics"]["fid"]["reason"]
    assert wide["metrics"]["fid"]["value"] > 0
    assert "gen=random64" in wide["metrics"]["fid"]["identity"]
    assert (plain["settings"]["size"], wide["settings"]["size"]) == ("64x64", "128x64")


def test_without_that_row_there_is_no_distance(run: Callable) -> None:
    code, err, (wide,) = run("--methods", "sd15[checkpoint=zoo:mini-sd,steps=1]")
    assert code == 0, err
    assert "needs a row 'sd15[checkpoint=zoo:mini-sd]'" in wide["metrics"]["fid"]["reason"]


def test_nor_is_there_one_where_that_row_could_not_be_made(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    real = AdapterRow.load

    def load(self: AdapterRow) -> None:
        if self.size == (64, 64):
            raise BenchError("it does not load")
        real(self)

    monkeypatch.setattr(AdapterRow, "load", load)
    code, err, (wide,) = run()
    assert code == 0, err
    assert "needs a row 'sd15[checkpoint=zoo:mini-sd]'" in wide["metrics"]["fid"]["reason"]


def test_a_reference_that_is_no_row_is_refused(run: Callable) -> None:
    code, err, _ = run("--set", "reference_method=sd21")
    assert code == 2
    assert "reference_method 'sd21' is none of methods" in err
