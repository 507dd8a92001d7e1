"""``bench export``: its shapes, several runs, bad input."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

Bench = Callable[..., tuple[int, str, str]]


def save(folder: Path, *methods: str) -> Path:
    value = {"value": 0.5, "n": 4, "identity": "mini_clip_score:x:n4:v1", "higher_is_better": True}
    settings = {"steps": 4, "size": "64x64"}
    results: list[dict[str, Any]] = [
        {"method": method, "checkpoint": "zoo:mini-sd", "n": 4, "settings": settings,
         "metrics": {"mini_clip_score": value}} for method in methods
    ]  # fmt: skip
    suite = {"name": "mini", "version": 1, "kind": "generate", "summary": "small", "seed": 0, "dataset": "scenes",
             "items": 4, "total": 2048}  # fmt: skip
    data = {"schema": 1, "suite": suite, "created": "2026-02-03T10:11:12Z", "environment": {}, "results": results}
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(data))
    rows = [(method, "000001", 0, "mini_clip_score", 0.5) for method in methods]
    scores = pd.DataFrame(rows, columns=["method", "prompt_id", "sample", "metric", "value"])
    scores.to_parquet(folder / "scores.parquet")
    return folder


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A run of two methods."""
    return save(tmp_path / "one", "a", "b[x=1,y=2]")


def test_numbers_are_a_row_per_method_and_metric_or_per_method(bench: Bench, one: Path) -> None:
    status, out, err = bench("export", one)
    assert (status, err) == (0, "")
    frame = pd.read_csv(io.StringIO(out))
    assert list(frame["method"]) == ["a", "b[x=1,y=2]"]
    assert list(frame["metric"].unique()) == ["mini_clip_score"]
    assert frame["mini_world"].all()
    status, out, _ = bench("export", one, "--wide")
    assert list(pd.read_csv(io.StringIO(out))["mini_clip_score"]) == [0.5, 0.5]
    status, out, _ = bench("export", one, "--scores")
    assert list(pd.read_csv(io.StringIO(out), dtype=str)["prompt_id"]) == ["000001", "000001"]


def test_runs_together_are_told_apart(bench: Bench, one: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "deep" / "one", "a")
    third = save(tmp_path / "third", "a")
    file = tmp_path / "numbers.parquet"
    status, out, _ = bench("export", one, other, third, "--format", "parquet", "--out", file)
    assert (status, out) == (0, "")
    frame = pd.read_parquet(file)
    assert list(frame["run"]) == [str(one), str(one), str(other), "third"]
    assert list(frame["steps"]) == [4] * 4


def test_tables_and_a_model_card(bench: Bench, one: Path, tmp_path: Path) -> None:
    status, out, _ = bench("export", one, "--format", "latex")
    assert status == 0
    assert out.startswith("% \\usepackage{booktabs")
    status, out, _ = bench("export", one, "--format", "markdown", "--out", tmp_path / "t.md")
    assert out == ""
    assert "`b[x=1,y=2]`" in (tmp_path / "t.md").read_text(encoding="utf-8")
    status, out, _ = bench("export", one, "--format", "html")
    assert "<!doctype html>" in out
    status, out, _ = bench("export", one, "--format", "model-index", "--method", "a", "--name", "me/model")
    (entry,) = yaml.safe_load(out)["model-index"]
    assert entry["name"] == "me/model"
    assert "mini world" in entry["results"][0]["dataset"]["name"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "parquet"], "add --out FILE"),
        (["--format", "latex", "--wide"], "are for csv and parquet"),
        (["--format", "latex", "--scores"], "are for csv and parquet"),
        (["--wide", "--scores"], "leave out --wide"),
        (["--name", "x"], "are for model-index"),
        (["--format", "markdown", "--method", "a"], "are for model-index"),
        (["--format", "model-index", "--method", "c"], "no method 'c'"),
        (["--format", "model-index", "--name", "x"], "one name for 2 methods"),
        (["--format", "xlsx"], "--format"),
        (["/no/such/run"], "no run at '/no/such/run'"),
    ],
)
def test_bad_input_is_one_line(bench: Bench, one: Path, arguments: list[str], message: str) -> None:
    status, out, err = bench("export", one, *arguments)
    assert (status, out) == (2, "")
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err


def test_texts_take_one_run_and_scores_must_be_there(bench: Bench, one: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other", "a")
    status, _, err = bench("export", one, other, "--format", "latex")
    assert (status, "takes one run" in err) == (2, True)
    (other / "scores.parquet").unlink()
    status, _, err = bench("export", other, "--scores")
    assert status == 2
    assert "scores.parquet" in err
