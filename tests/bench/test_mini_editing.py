"""The suites of editing in the mini world."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from t2ibench.adapters import make_adapter
from t2ibench.bench.suites import find_suite
from t2ibench.datasets.scene_edits import KINDS

Bench = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("name", ["mini-editing", "mini-editing-t0", "mini-editing-unitune"])
def test_rows_edit_on_the_base_that_ships(name: str) -> None:
    suite = find_suite(name)
    values = suite.sweep.values if suite.sweep else [1]
    made = [make_adapter(row.method.replace("{}", f"{value:g}")) for row in suite.methods for value in values]
    editing = [adapter for adapter in made if adapter.traits.editing]
    assert {adapter.checkpoint for adapter in editing} == {"zoo:mini-sd"}
    assert (suite.dataset, (suite.n or 0) % 2) == ("scene-edits", 0)


def test_the_truth_does_every_edit_and_the_source_none(bench: Bench, tmp_path: Path) -> None:
    arguments = ("--suite", "mini-editing", "--methods", "scenes,scenes[show=source]", "--limit", 10, "--offline")
    status, _, err = bench("run", *arguments, "--metrics", "edit_success,objects_kept,region_iou", "--out", tmp_path)
    assert status == 0, err
    results = json.loads((tmp_path / "run.json").read_text())["results"]
    truth, source = ({name: found["value"] for name, found in row["metrics"].items()} for row in results)
    for kind in ("", *(f"_{kind}" for kind in KINDS)):
        assert (truth[f"edit_success{kind}"], source[f"edit_success{kind}"]) == (1, 0)
    assert truth["objects_kept"] == source["objects_kept"] == 1
    assert min(truth["region_iou"], source["region_iou"]) > 0.8
