"""The layout of a report's pictures: what stands first, and a sweep's rows and columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from t2ibench.reports.gallery import GAP, choose, gallery
from t2ibench.reports.html import html
from t2ibench.reports.schema import Picture, Result, Run, RunSettings, SuiteInfo, Swept
from t2ibench.reports.worst import Key

SCORES = pd.DataFrame(columns=["method", "prompt_id", "sample", "metric", "value"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.png"
    Image.new("RGB", (8, 8), "teal").save(path)
    return path


def result(method: str, swept: Swept | None = None) -> Result:
    return Result(method=method, checkpoint=None, n=1, settings=RunSettings(), metrics={}, swept=swept)


def swept(method: str, value: float) -> Result:
    found = Swept(setting="until", value=value, method=f"{method}[until={{}}]")
    return result(f"{method}[until={value:g}]", found)


def run_of(*results: Result) -> Run:
    suite = SuiteInfo(name="s", version=1, kind="generate", summary="s", seed=0, dataset="d", items=1, total=1)
    return Run(suite=suite, created="2026-02-03T10:11:12Z", environment={}, results=list(results))


def picture(run: Run, place: int, file: Path, prompt: str = "p0", **conditions: Path) -> Picture:
    method = run.results[place].method
    return Picture(method=method, prompt_id=prompt, sample=0, prompt="a cat", file=file, conditions=conditions)


def test_without_a_sweep_all_methods_stand_in_one_strip_after_the_condition(file: Path, tmp_path: Path) -> None:
    edges, depth = tmp_path / "edges.png", tmp_path / "depth.png"
    run = run_of(result("a"), result("b"), result("c"))
    pictures = [
        picture(run, 0, file), picture(run, 1, file, canny=edges), picture(run, 2, file, canny=edges, depth=depth),
    ]  # fmt: skip
    (line,) = gallery(run, pictures, SCORES).lines
    (strip,) = line.strips
    assert [shot.label for shot in strip.shots] == ["canny condition", "depth condition", "a", "b", "c"]
    assert strip.method == ""
    assert not gallery(run, pictures, SCORES).setting


def test_without_conditions_the_strip_is_the_methods(file: Path) -> None:
    run = run_of(result("a"), result("b"))
    (line,) = gallery(run, [picture(run, 0, file), picture(run, 1, file)], SCORES).lines
    assert [shot.label for shot in line.strips[0].shots] == ["a", "b"]


def test_a_sweep_has_a_strip_for_each_method_and_its_columns_are_in_line(file: Path) -> None:
    run = run_of(swept("a", 0.2), swept("a", 1), result("plain"), swept("b", 0.2), swept("b", 1))
    pictures = [picture(run, place, file) for place in range(3)]
    pictures += [picture(run, 3, file, canny=file), picture(run, 4, file, canny=file)]
    found = gallery(run, pictures, SCORES)
    (line,) = found.lines
    assert found.setting == "until"
    assert [strip.method for strip in line.strips] == ["a[until={}]", "", "b[until={}]"]
    assert [[shot.caption for shot in strip.shots] for strip in line.strips] == [
        [None, "0.2", "1"], [None, None, None], [None, "0.2", "1"],
    ]  # fmt: skip
    assert [strip.shots[0] == GAP for strip in line.strips] == [True, True, False]
    assert line.strips[2].shots[0].label == "canny condition"
    assert [shot.label for shot in line.strips[1].shots] == ["", "plain", ""]
    page = html(run, pictures, SCORES)
    assert page.count('<p class="swept code">') == 2
    assert page.count('<figure aria-hidden="true"></figure>') == 3


def test_a_value_that_is_missing_leaves_its_column(file: Path) -> None:
    run = run_of(swept("a", 0.2), swept("a", 1), swept("b", 0.2), swept("b", 1))
    (line,) = gallery(run, [picture(run, place, file) for place in (0, 1, 3)], SCORES).lines
    lost, made = line.strips[1].shots
    assert (lost.src, lost.caption, made.caption) == (None, "0.2", "1")
    assert made.src


def test_the_worst_keep_their_whole_names_and_their_condition(file: Path) -> None:
    from t2ibench.metrics.value import MetricValue

    run = run_of(swept("a", 0.2), swept("a", 1))
    value = MetricValue(value=0.3, n=1, identity="edge_f1:x", higher_is_better=True)
    run.results[0].metrics["edge_f1"] = value
    pictures = [picture(run, place, file, canny=file) for place in (0, 1)]
    scores = pd.DataFrame([("a[until=0.2]", "p0", 0, "edge_f1", 0.1)], columns=SCORES.columns)
    (ranking,) = gallery(run, pictures, scores).ranked
    (strip,) = ranking.lines[0].strips
    assert [(shot.label, shot.caption) for shot in strip.shots] == [("canny condition", None), ("a[until=0.2]", None)]
    assert strip.shots[1].values


def test_what_is_chosen_is_the_first_prompts_and_the_worst(file: Path) -> None:
    from t2ibench.metrics.value import MetricValue

    run = run_of(result("a"))
    run.results[0].metrics["psnr"] = MetricValue(value=1.0, n=3, identity="psnr:x", higher_is_better=True)
    pictures = [picture(run, 0, file, f"p{number}") for number in range(3)]
    rows = [("a", f"p{number}", 0, "psnr", 3.0 - number) for number in range(3)]
    scores = pd.DataFrame(rows, columns=SCORES.columns)
    assert choose(run, pictures, scores.iloc[:0], rows=1).keys == {Key("a", "p0", 0)}
    assert choose(run, pictures, scores.iloc[2:], rows=1).keys == {Key("a", "p0", 0), Key("a", "p2", 0)}
