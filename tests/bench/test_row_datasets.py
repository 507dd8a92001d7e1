"""Rows of prompts of their own in one suite: which prompts, metrics and batches they get, and what may be compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from t2ibench.bench.options import Options, methods_of
from t2ibench.bench.suites import find_suite
from t2ibench.core.errors import BenchError

Bench = Callable[..., tuple[int, str, str]]

PANORAMAS = '{ method = "scenes", dataset = "scene-panoramas", n = 2, metrics = ["caption_accuracy"] }'
SUITE = """
name = "own"
version = 1
summary = "s"
dataset = "scenes"
n = 3
methods = ["scenes[offset=5000]", ROWS]
metrics = ["mini_clip_score"]

[sampling]
size = 64
"""


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., Path]:
    """Writes a suite with these rows beside one of the suite's own dataset."""

    def write(rows: str = PANORAMAS, **changes: str) -> Path:
        text = SUITE.replace("ROWS", rows)
        for old, new in changes.items():
            text = text.replace(old, new)
        file = tmp_path / "own.toml"
        file.write_text(text)
        return file

    return write


@pytest.fixture
def made(bench: Bench, zoo: Path, suite: Callable[..., Path], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs such a suite; what it wrote down."""

    def run(rows: str = PANORAMAS, *options: object, **changes: str) -> dict[str, Any]:
        code, _, err = bench("run", "--suite", suite(rows, **changes), *options, "--out", tmp_path / "run", "--offline")
        assert code == 0, err
        found: dict[str, Any] = json.loads((tmp_path / "run" / "run.json").read_text())
        return found

    return run


def batches(folder: Path) -> dict[str, set[int]]:
    lines = map(json.loads, (folder / "run" / "log" / "worker-0.jsonl").read_text().splitlines())
    found: dict[str, set[int]] = {}
    for line in lines:
        found.setdefault(line["method"], set()).add(line["batch"])
    return found


def test_a_row_has_its_own_prompts_metrics_and_batches(made: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    run = made()
    plain, own = run["results"]
    assert (plain["dataset"], plain["n"], list(plain["metrics"])) == (None, 3, ["mini_clip_score"])
    assert (own["dataset"], own["n"], list(own["metrics"])) == ("scene-panoramas", 2, ["caption_accuracy"])
    assert (run["suite"]["dataset"], run["suite"]["items"], run["suite"]["total"]) == ("scenes", 3, 2048)
    assert batches(tmp_path) == {"scenes[offset=5000]": {3}, "scenes": {2}}
    text = (tmp_path / "run" / "report.md").read_text()
    assert text.index("### Prompts of scenes\n") < text.index("### Prompts of scene-panoramas\n")


def test_several_samples_fill_a_batch_and_a_batch_asked_for_stands(
    made: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    run = made(PANORAMAS, "--set", "sampling.samples=3")
    assert batches(tmp_path)["scenes"] == {6}
    assert any("of 2 of the 256 prompts of scene-panoramas" in note for note in run["suite"]["notes"])
    made(PANORAMAS, "--fresh", "--batch-size", 5)
    assert batches(tmp_path)["scenes"] == {5}


def test_rows_of_other_prompts_alone_need_nothing_of_the_suites_own(
    made: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    run = made(PANORAMAS, **{'"scenes[offset=5000]", ': "", 'dataset = "scenes"': 'dataset = "coco5k"'})
    info = run["suite"]
    assert (info["dataset"], info["items"], info["total"]) == ("scene-panoramas", 2, 256)
    assert "2 of 256 prompts of scene-panoramas" in (tmp_path / "run" / "report.md").read_text()


def test_a_row_that_names_the_suites_own_dataset_is_one_of_its_own(made: Callable[..., dict[str, Any]]) -> None:
    run = made('{ method = "scenes", dataset = "scenes", n = 2 }')
    assert [result["dataset"] for result in run["results"]] == [None, None]


def test_distances_are_not_taken_to_pictures_of_other_prompts(made: Callable[..., dict[str, Any]]) -> None:
    metric, other = '["mini_clip_score"]', '["mini_fd"]'
    rows = PANORAMAS.replace("caption_accuracy", "mini_fd")
    own = made(rows, **{metric: other, "n = 3": "n = 3\nreference_n = 4"})["results"][1]["metrics"]["mini_fd"]
    assert (own["value"], "the reference is of dataset 'scenes'" in own["reason"]) == (None, True)
    own = made(rows, **{metric: other, "n = 3": 'n = 3\nreference_method = "scenes[offset=5000]"'})
    assert "are of other prompts than this row's" in own["results"][1]["metrics"]["mini_fd"]["reason"]


def test_a_row_that_is_named_keeps_what_is_its_own_wherever_it_runs(suite: Callable[..., Path]) -> None:
    found = find_suite(str(suite()))
    for text, limit, n in (("scenes", None, 2), ("scenes[dtype=fp32]", None, 2), ("scenes", 3, 3)):
        (method,) = methods_of(Options(found, text, limit=limit))
        assert (method.method, method.dataset, method.n) == (text, "scene-panoramas", n)
    (method,) = methods_of(Options(found, "scenes[offset=1]"))
    assert (method.dataset, method.n) == (None, 3)


def test_a_method_is_no_two_rows(suite: Callable[..., Path]) -> None:
    twice = find_suite(str(suite(f'{PANORAMAS}, {{ method = "scenes", dataset = "scene-regions" }}')))
    with pytest.raises(BenchError, match="'scenes' is named twice: once is enough"):
        methods_of(Options(twice))


def test_rows_of_other_prompts_are_not_held_against_each_other(
    made: Callable[..., dict[str, Any]], bench: Bench, tmp_path: Path
) -> None:
    made()
    code, _, err = bench("compare", tmp_path / "run", "--methods", "scenes,scenes[offset=5000]", "--offline")
    assert code == 2 and "is of prompts of scenes, 'scenes' of scene-panoramas: nothing to compare" in err


def test_a_baseline_has_no_features_of_what_was_not_seen_through_a_network(
    made: Callable[..., dict[str, Any]], bench: Bench, tmp_path: Path
) -> None:
    rows = '{ method = "scenes", metrics = ["caption_accuracy"] }'
    made(rows)
    assert bench("baseline", tmp_path / "run", "--out", tmp_path / "base.zip", "--offline")[0] == 0
    code, out, err = bench("compare", tmp_path / "base.zip", "--methods", "scenes,scenes[offset=5000]", "--offline")
    assert code == 0, err
    assert "has no features of this row" in out
