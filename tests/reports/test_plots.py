"""What the plots of a report show, and the short names in them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from t2ibench.metrics.value import MetricValue
from t2ibench.reports.names import short_names
from t2ibench.reports.plots import Plot, pareto, plotly_js, plots
from t2ibench.reports.region_map import region_map
from t2ibench.reports.schema import Cost, Latency, Result, Run, RunSettings, SuiteInfo, Swept


def result(method: str, fid: float, seconds: float, guidance: float | None = None, **given: Any) -> Result:
    device = given.pop("device", "cpu")
    timed = Latency(median_s=seconds, p90_s=seconds, n=3, device=device, warm=given.pop("warm", True))
    metrics = {
        "fid": MetricValue(value=fid, interval=(fid - 1, fid + 2), n=9, identity="fid:x", higher_is_better=False),
        "clip_score": MetricValue(value=fid / 100, n=9, identity="clip_score:x", higher_is_better=True),
    }
    for key, identity in given.pop("identities", {}).items():
        metrics[key].identity = identity
    return Result(
        method=method,
        checkpoint=None,
        n=9,
        settings=RunSettings(device=device),
        metrics=metrics,
        latency={"end_to_end": timed},
        cost=Cost(params=given.pop("params", 7)),
        swept=guidance and Swept(setting="guidance", value=guidance, method=f"{method[0]}[guidance={{}}]"),
    )


def run_of(*results: Result, kind: str = "generate") -> Run:
    suite = SuiteInfo(name="s", version=1, kind=kind, summary="s", seed=0, dataset="d", items=1, total=1)
    return Run(suite=suite, created="2026-02-03T10:11:12Z", environment={}, results=list(results))


NONE = pd.DataFrame(columns=["method", "prompt_id", "sample", "metric", "value"])


def plot_of(run: Run, title: str, scores: pd.DataFrame = NONE) -> Plot:
    return next(plot for plot in plots(run, scores) if plot.title == title)


def traces(plot: Plot, choice: int = 0) -> dict[str, dict[str, Any]]:
    return {trace["name"]: trace for trace in plot.choices[choice].figure["data"]}


@pytest.mark.parametrize(
    ("points", "higher", "front"),
    [
        ([(1, 5), (2, 4), (3, 9)], True, [(1, 5), (3, 9)]),
        ([(1, 5), (2, 4), (3, 9)], False, [(1, 5), (2, 4)]),
        ([(1, 5), (1, 6)], True, [(1, 6)]),
        ([(2, 5), (1, 5)], True, [(1, 5)]),
        ([], True, []),
    ],
)
def test_nothing_beats_the_front(points: list, higher: bool, front: list) -> None:
    assert pareto(points, higher) == front


def test_quality_against_time_has_a_front_and_intervals() -> None:
    run = run_of(result("slow", 10, 5), result("fast", 20, 1), result("worse", 30, 6))
    drawn = traces(plot_of(run, "Quality against time"))
    assert list(drawn) == ["Pareto front", "slow", "fast", "worse"]
    assert (drawn["Pareto front"]["x"], drawn["Pareto front"]["y"]) == ([1, 5], [20, 10])
    assert (drawn["slow"]["error_y"]["array"], drawn["slow"]["error_y"]["arrayminus"]) == ([2], [1])
    clip = traces(plot_of(run, "Quality against time"), 1)
    assert "error_y" not in clip["slow"] or not clip["slow"]["error_y"]
    assert clip["Pareto front"]["x"] == [1, 6]  # higher is better here


def test_a_front_is_of_one_device_of_methods_and_of_one_quantity() -> None:
    run = run_of(
        result("a", 10, 5), result("b", 20, 1), result("c", 10, 1, device="cuda"), result("d", 5, 2, device="cuda")
    )
    plot = plot_of(run, "Quality against time")
    fronts = [trace for trace in plot.choices[0].figure["data"] if trace["name"] == "Pareto front"]
    assert [trace["x"] for trace in fronts] == [[1, 5], [1, 2]]
    assert any("cpu and cuda" in note for note in plot.choices[0].notes)
    truth = run_of(
        result("a", 10, 5), result("b", 20, 4), result("truth", 1, 0.1, params=None), result("cold", 1, 1, warm=False)
    )
    drawn = traces(plot_of(truth, "Quality against time"))
    assert drawn["Pareto front"]["x"] == [4, 5]
    assert drawn["truth"]["marker"]["symbol"].endswith("-open")
    assert drawn["cold"]["marker"]["symbol"].endswith("-open")
    assert not drawn["a"]["marker"]["symbol"].endswith("-open")
    unlike = run_of(result("a", 10, 5), result("b", 20, 1, identities={"fid": "fid:other"}))
    choice = plot_of(unlike, "Quality against time").choices[0]
    assert "Pareto front" not in [trace["name"] for trace in choice.figure["data"]]
    assert any("cannot be compared" in note for note in choice.notes)


def test_a_guidance_sweep_has_its_curves() -> None:
    run = run_of(result("a3", 12, 1, 3), result("a1", 10, 1, 1), result("a7", 15, 1, 7), result("plain", 9, 1))
    curve = traces(plot_of(run, "Distance over CLIP score"))["a"]
    assert (curve["text"], curve["x"], curve["y"]) == (["1", "3", "7"], [0.10, 0.12, 0.15], [10, 12, 15])
    over = traces(plot_of(run, "Over guidance"))
    assert (over["a"]["x"], over["a"]["y"]) == ([1, 3, 7], [10, 12, 15])
    assert (over["plain"]["x"], over["plain"]["y"]) == ([1, 7], [9, 9])


def test_a_sweep_of_edits_has_what_they_do_over_what_they_leave_alone() -> None:
    rows = [result(f"a{g}", 10, 1, g) for g in (1, 2)]
    for row, (done, kept) in zip(rows, ((0.2, 30.0), (0.8, 20.0)), strict=True):
        for name, value in (("edit_success", done), ("background_psnr", kept)):
            row.metrics[name] = MetricValue(value=value, n=9, identity=f"{name}:x", higher_is_better=True)
    plot = plot_of(run_of(*rows), "Edits over what they leave alone")
    curve = traces(plot)["a"]
    assert (curve["text"], curve["x"], curve["y"]) == (["1", "2"], [30, 20], [0.2, 0.8])
    layout = plot.choices[0].figure["layout"]
    assert "↑" in layout["xaxis"]["title"]["text"] and "↑" in layout["yaxis"]["title"]["text"]
    assert "guidance" in plot.about


def test_single_pictures_are_boxes_of_what_has_more_than_two_values() -> None:
    run = run_of(result("a", 3, 1), result("b", 5, 2))
    made = [("a", n, "clip_score", n / 100) for n in range(101)] + [
        ("b", 0, "clip_score", 0.5),
        ("b", 1, "clip_score", np.nan),
    ]
    told = [("a", n, "fid", n % 2) for n in range(9)]  # right or wrong
    scores = pd.DataFrame(
        [(method, str(n), 0, metric, value) for method, n, metric, value in made + told], columns=NONE.columns
    )
    plot = plot_of(run, "How single pictures vary", scores)
    assert [choice.name for choice in plot.choices] == ["CLIP score ↑"]
    boxes = traces(plot)
    ends = ("lowerfence", "q1", "median", "q3", "upperfence", "mean")
    assert [boxes["a"][end] for end in ends] == [pytest.approx([x]) for x in (0.05, 0.25, 0.5, 0.75, 0.95, 0.5)]
    assert {boxes["b"][end][0] for end in ends} == {0.5}


def test_stages_are_bars() -> None:
    one = result("codec", 10, 1)
    one.latency = {
        stage: Latency(median_s=s, p90_s=s, n=3, device="cpu") for stage, s in (("encode", 0.1), ("decode", 0.4))
    }
    drawn = traces(plot_of(run_of(one, kind="codec"), "Stages"))
    assert {name: trace["x"] for name, trace in drawn.items()} == {"encode": [0.1], "decode": [0.4]}
    assert drawn["decode"]["hovertext"] == ["decode: 0.400 s of 0.500 s"]


def test_nothing_is_drawn_of_nothing() -> None:
    assert plots(run_of(), NONE) == []
    assert plots(run_of(result("alone", 1, 1)), NONE) == []


def test_texts_of_strangers_are_escaped_in_plots() -> None:
    run = run_of(result("<a href='x'>a</a>", 1, 1), result("b & c", 2, 2))
    text = json.dumps([choice.figure for plot in plots(run, NONE) for choice in plot.choices])
    assert "<a" not in text
    assert "&lt;a href" in text
    assert "b &amp; c" in text


def test_the_library_is_packed_whole() -> None:
    assert "Plotly" in gzip.decompress(base64.b64decode(plotly_js())).decode()


@pytest.mark.parametrize(
    ("methods", "names"),
    [
        (["sd15[checkpoint=x,steps=8]"], ["sd15"]),
        (["sd15[checkpoint=x,steps=8]", "sd15[checkpoint=x,steps=50]"], ["sd15[steps=8]", "sd15[steps=50]"]),
        (["sd15", "sd15[lora=y]"], ["sd15", "sd15[lora=y]"]),
        (
            ["c[condition=canny,checkpoint=p,base=sd15[a=1,b=2]]", "c[condition=pose,checkpoint=q,base=sd15[a=1,b=2]]"],
            ["c[condition=canny]", "c[condition=pose]"],
        ),
        (["x[", "<b>", ""], ["x[", "<b>", ""]),
    ],
)
def test_short_names_keep_what_tells_methods_apart(methods: list[str], names: list[str]) -> None:
    assert list(short_names(methods).values()) == names


def test_regions_are_drawn_with_their_numbers() -> None:
    left, right = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    left[:, :20], right[10:60, 40:] = True, True
    drawn = region_map([left, right])
    assert drawn.shape == (64, 64, 3)
    assert len({tuple(drawn[y, x]) for y, x in ((0, 0), (0, 30), (59, 63))}) == 3
    assert (drawn[20:45, 5:15] > 200).all(-1).any()  # the number
