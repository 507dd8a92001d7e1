"""Means over each kind of case."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from t2ibench.bench.by_kind import by_kind
from t2ibench.bench.suites import find_suite
from t2ibench.core.errors import BenchError
from t2ibench.metrics.value import MetricValue

Bench = Callable[..., tuple[int, str, str]]

KINDS = {"a": "plain", "b": "tight", "c": "plain", "d": "overlapping"}
OWN = """
name = "own"
version = 1
summary = "s"
dataset = "scene-regions"
n = 4
methods = ["scenes", "scenes[offset=1]"]
metrics = ["object_iou", "caption_accuracy"]
by_kind = ["object_iou"]
sampling = { size = 64 }
"""


def whole(**scores: float) -> dict[str, MetricValue]:
    identity = f"object_iou:scene-reader@1:n{len(scores)}:ref-0:v1"
    found = MetricValue(value=0.5, n=len(scores), identity=identity, higher_is_better=True, per_image=scores)
    return {"object_iou": found}


def test_each_kind_has_the_mean_of_its_pictures() -> None:
    found = by_kind(whole(a=0.25, b=0.5, c=0.75, x=0.0), KINDS, ["object_iou", "not_measured"])
    assert {name: (value.value, value.n) for name, value in found.items()} == {
        "object_iou_plain": (0.5, 2), "object_iou_tight": (0.5, 1), "object_iou_overlapping": (None, 0),
    }  # fmt: skip
    assert found["object_iou_plain"].identity == "object_iou_plain:scene-reader@1:n2:ref-0:v1"
    assert found["object_iou_plain"].interval is not None
    assert found["object_iou_plain"].higher_is_better
    assert found["object_iou_overlapping"].reason == "no picture of the kind overlapping"


def test_what_has_no_value_has_no_kinds() -> None:
    nothing = MetricValue(value=None, reason="no", higher_is_better=True)
    assert by_kind({"object_iou": nothing}, KINDS, ["object_iou"]) == {}


def test_kinds_of_a_number_of_a_whole_set_are_an_error_before_a_picture_is_made(bench: Bench, tmp_path: Path) -> None:
    own = OWN.replace('by_kind = ["object_iou"]', 'by_kind = ["mini_fd"]').replace(
        "metrics = [", 'metrics = ["mini_fd", '
    )
    (tmp_path / "own.toml").write_text(own)
    status, _, err = bench("run", "--suite", tmp_path / "own.toml", "--out", tmp_path / "run", "--offline")
    assert status == 2 and "'mini_fd' is a number of a whole set" in err
    assert not list((tmp_path / "run").rglob("*.png"))


def test_a_run_tells_its_kinds_apart(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    status, _, err = bench("run", "--suite", tmp_path / "own.toml", "--out", tmp_path / "run", "--offline")
    assert status == 0, err
    right, other = (result["metrics"] for result in json.loads((tmp_path / "run" / "run.json").read_text())["results"])
    assert [right[f"object_iou_{kind}"]["n"] for kind in ("plain", "tight", "overlapping")] == [2, 1, 1]
    assert all(right[f"object_iou_{kind}"]["value"] > 0.95 for kind in ("plain", "tight", "overlapping"))
    assert other["object_iou"]["value"] < 0.3
    assert "caption_accuracy_plain" not in right
    scores = pd.read_parquet(tmp_path / "run" / "scores.parquet")
    assert set(scores.metric) == {"object_iou", "caption_accuracy"}
    own = scores[(scores.method == "scenes") & (scores.metric == "object_iou")]
    plain = own[own.prompt_id.str.endswith("-plain")]
    assert right["object_iou_plain"]["value"] == pytest.approx(plain.value.mean())
    assert "Object IoU (plain)" in (tmp_path / "run" / "report.md").read_text()


def test_kinds_of_a_metric_that_the_suite_lacks_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN.replace('by_kind = ["object_iou"]', 'by_kind = ["mini_fd"]'))
    with pytest.raises(BenchError, match="by_kind names mini_fd, which metrics does not"):
        find_suite(str(tmp_path / "own.toml"))
