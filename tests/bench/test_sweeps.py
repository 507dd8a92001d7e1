"""Sweeps: where a setting's values go, and a run of one from its suite file to its reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from t2ibench.adapters.sd15 import StableDiffusion
from t2ibench.bench.options import Options, methods_of, swept_of
from t2ibench.bench.saved import load_pictures
from t2ibench.bench.suites import Suite, find_suite
from t2ibench.core.errors import BenchError
from t2ibench.reports.gallery import gallery
from t2ibench.reports.schema import load_run

Bench = Callable[..., tuple[int, str, str]]

VALUES = [0, 0.25, 1.0]


def suite_of(*methods: Any, **more: Any) -> Suite:
    plain = {"name": "own", "version": 1, "summary": "s", "dataset": "scenes", "n": 3}
    return Suite.model_validate({**plain, "methods": list(methods), **more})


def sweep(setting: str, *values: float) -> dict[str, Any]:
    return {"sweep": {"setting": setting, "values": list(values)}}


def texts(suite: Suite, methods: str | None = None) -> list[str]:
    return [method.method for method in methods_of(Options(suite, methods))]


def test_a_value_goes_where_the_method_has_a_place() -> None:
    suite = suite_of(
        "sd15", {"method": "controlnet[scale={},base=sd15[until={}]]", "n": 2}, **sweep("strength", *VALUES)
    )
    assert texts(suite) == ["sd15", *(f"controlnet[scale={v},base=sd15[until={v}]]" for v in ("0", "0.25", "1"))]
    assert [method.n for method in methods_of(Options(suite))] == [3, 2, 2, 2]
    swept = swept_of(Options(suite))
    assert [(found.setting, found.value, found.method) for found in swept.values()] == [
        ("strength", value, "controlnet[scale={},base=sd15[until={}]]") for value in VALUES
    ]
    assert "sd15" not in swept


@pytest.mark.parametrize(("value", "written"), [(1.0, "1"), (0.1, "0.1"), (1234567, "1234567"), (0.333333, "0.333333")])
def test_values_are_written_without_trailing_zeros(value: float, written: str) -> None:
    assert texts(suite_of("sd15[until={}]", **sweep("until", value))) == [f"sd15[until={written}]"]


def test_steps_and_guidance_need_no_place_and_may_have_one() -> None:
    everywhere = suite_of("sd15", "sd15[lora=x,guidance=2]", **sweep("guidance", 1, 7.5))
    assert texts(everywhere) == [
        "sd15[guidance=1]", "sd15[guidance=7.5]", "sd15[lora=x,guidance=1]", "sd15[lora=x,guidance=7.5]",
    ]  # fmt: skip
    assert [found.method for found in swept_of(Options(everywhere)).values()][::2] == [
        "sd15",
        "sd15[lora=x,guidance=2]",
    ]
    placed = suite_of("scenes", "sd15[steps={}]", **sweep("steps", 2, 4))
    assert texts(placed) == ["scenes", "sd15[steps=2]", "sd15[steps=4]"]


def test_methods_of_the_command_line_have_places_too() -> None:
    suite = suite_of("sd15[until={}]", **sweep("until", 0.5, 1))
    assert texts(suite, "scenes, controlnet[base=sd15[until={}],condition=canny]") == [
        "scenes",
        "controlnet[base=sd15[until=0.5],condition=canny]",
        "controlnet[base=sd15[until=1],condition=canny]",
    ]


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        (
            suite_of("controlnet[scale=1]", **sweep("strength", 0, 1)),
            "suite 'own' sweeps 'strength', and no method says where its value goes: "
            "write {} there, as in controlnet[strength={}]",
        ),
        (
            suite_of("sd15", "sd15[until={}]"),
            "'sd15[until={}]': {} is the place of a sweep's value, and suite 'own' has",
        ),
        (suite_of("sd15", "sd15", "sd15[until={}]", **sweep("until", 1)), "method 'sd15' is named twice"),
        (suite_of("sd15[until={}]", **sweep("until", 1, 1.0)), r"method 'sd15[until=1]' is named twice"),
    ],
)
def test_places_and_a_sweep_go_together(suite: Suite, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        methods_of(Options(suite))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_place_without_a_sweep_is_told_on_the_command_line(bench: Bench, tmp_path: Path) -> None:
    status, _, err = bench("run", "--methods", "sd15[until={}]", "--out", tmp_path / "run", "--dry-run")
    assert status == 2
    assert "suite 'mini' has no sweep" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("name", "rows", "n"), [("mini-control-steps", 20, 64), ("mini-control-strength", 16, 512)])
def test_the_sweeps_of_control_name_methods_that_can_be_made(name: str, rows: int, n: int) -> None:
    """The weights may be missing: what is checked is that every method string is one."""
    from t2ibench.adapters import make_adapter

    suite = find_suite(name)
    methods = methods_of(Options(suite))
    assert (len(methods), {method.n for method in methods}) == (rows, {n})
    adapters = [make_adapter(method.method) for method in methods]
    assert {adapter.traits.conditions for adapter in adapters} == {(), ("canny",)}


SUITE = """
name = "own-sweep"
version = 1
summary = "How far a scale goes"
dataset = "scenes"
n = 2
methods = [
    "sd15[checkpoint={base}]",
    "controlnet[condition=canny,scale={{}},checkpoint={net},base=sd15[checkpoint={base}]]",
    {{ n = 1, method = "controlnet[scale={{}},end=0.5,checkpoint={net},condition=canny,base=sd15[checkpoint={base}]]"}},
]
metrics = ["edge_f1"]

[sampling]
size = 64
scheduler = "ddim"
steps = 2
guidance = 1

[sweep]
setting = "strength"
values = [0, 0.25, 1.0]
"""


@pytest.fixture(scope="module")
def suite_file(tmp_path_factory: pytest.TempPathFactory, tiny_sd: Path) -> Path:
    """A suite of two random ControlNets at three scales, and their base."""
    import torch
    from diffusers import ControlNetModel, UNet2DConditionModel

    folder = tmp_path_factory.mktemp("sweep")
    unet = UNet2DConditionModel.from_pretrained(tiny_sd / "unet")
    network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 8, 8))
    torch.manual_seed(0)
    for parameter in network.parameters():
        if parameter.abs().max() == 0:
            torch.nn.init.normal_(parameter, std=0.3)
    network.save_pretrained(folder / "net")
    file = folder / "own.toml"
    file.write_text(SUITE.format(base=tiny_sd, net=folder / "net"))
    return file


@pytest.fixture(scope="module")
def finished(suite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the suite."""
    from t2ibench.bench.cli import status

    out = tmp_path_factory.mktemp("run") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("T2IBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        assert status(["run", "--suite", str(suite_file), "--out", str(out), "--offline"]) == 0
    return out


def test_a_run_says_what_was_swept(finished: Path) -> None:
    results = json.loads((finished / "run.json").read_text())["results"]
    assert [result["n"] for result in results] == [2, 2, 2, 2, 1, 1, 1]
    assert results[0]["swept"] is None
    assert [(found["swept"]["setting"], found["swept"]["value"]) for found in results[1:]] == [
        ("strength", value) for value in VALUES
    ] * 2
    assert all("scale={}" in found["swept"]["method"] for found in results[1:])
    assert all(found["metrics"]["edge_f1"]["value"] is not None for found in results)


def test_at_0_the_pictures_are_those_of_the_row_without_a_place(finished: Path) -> None:
    images: dict[str, dict[str, str]] = {}
    for line in (finished / "log" / "worker-0.jsonl").read_text().splitlines():
        record = json.loads(line)
        images.setdefault(record["method"], {})[record["prompt_id"]] = record["image"]
    base, zero, quarter, whole, *_ = images.values()
    assert base == zero
    assert len({tuple(found.values()) for found in (base, quarter, whole)}) == 3


def test_the_gallery_has_a_strip_for_each_method(finished: Path) -> None:
    run, scores = load_run(finished), pd.read_parquet(finished / "scores.parquet")
    found = gallery(run, load_pictures(finished), scores, beside=finished)
    assert (found.setting, found.total, len(found.lines)) == ("strength", 2, 2)
    first, second = found.lines
    assert [strip.method for strip in first.strips] == [
        "", *dict.fromkeys(result.swept.method for result in run.results if result.swept)
    ]  # fmt: skip
    assert len(second.strips) == 2  # the last method has but one prompt
    base, swept, _ = (strip.shots for strip in first.strips)
    assert [shot.label for shot in base] == ["", run.results[0].method, "", ""]
    assert [shot.caption for shot in swept] == [None, "0", "0.25", "1"]
    assert swept[0].label == "canny condition"
    assert [shot.label for shot in swept[1:]] == [result.method for result in run.results[1:4]]
    assert all(shot.src and shot.full for shot in swept)
    assert swept[0].full.startswith("conditions/")


def test_a_condition_map_is_kept_once_for_each_prompt_as_it_was_given(finished: Path, tmp_path: Path) -> None:
    import numpy as np

    from t2ibench.datasets.images import load_rgb
    from t2ibench.datasets.scene_dataset import SCENES

    files = sorted((finished / "conditions").iterdir())
    prompts = SCENES.prompts(tmp_path)[:2]
    maps = {given.digest: given for given in (SCENES.condition(tmp_path, each, "canny", 64, 64) for each in prompts)}
    assert [file.stem for file in files] == sorted(maps)
    assert all(np.array_equal(load_rgb(file), maps[file.stem].read()) for file in files)


def test_the_reports_show_the_sweep(finished: Path, bench: Bench, tmp_path: Path) -> None:
    page = (finished / "report.html").read_text()
    assert page.count('<p class="swept code">') == 3
    assert page.count('<figure aria-hidden="true"></figure>') == 2 * 3
    assert "a column for each value of" in page
    status, _, err = bench("report", finished, "--html", tmp_path / "again.html")
    assert status == 0, err
    assert (tmp_path / "again.html").read_text().count('<p class="swept code">') == 3


def test_a_finished_sweep_is_not_made_again(
    finished: Path, suite_file: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = json.loads((finished / "run.json").read_text())["results"]
    monkeypatch.setattr(StableDiffusion, "load", lambda *_: pytest.fail("loaded again"))
    command = ["run", "--suite", suite_file, "--out", finished, "--offline"]
    status, out, err = bench(*command, "--dry-run")
    assert status == 0, err
    assert out.count("0 pictures to make (2 finished)") == 4
    assert "scale=0.25,end=0.5" in out
    status, _, err = bench(*command)
    assert status == 0, err
    assert json.loads((finished / "run.json").read_text())["results"] == before
