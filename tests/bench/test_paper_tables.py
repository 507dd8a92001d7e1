"""``bench table NAME RUN``: the choice of rows and bases, several runs, and bad input."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from t2ibench.bench.bases import base_of
from t2ibench.bench.stages import blocks
from t2ibench.bench.store import Record
from t2ibench.bench.timing import latency
from t2ibench.reports.schema import Result, Run

Bench = Callable[..., tuple[int, str, str]]

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
MINI = "sd15[checkpoint=zoo:mini-sd]"
CONTROL = f"controlnet[condition=canny,checkpoint=zoo:mini-controlnet,base={MINI}]"
PLUGIN = f"mediapipe-plugin[base={MINI},checkpoint=zoo:mini-plugin,condition=canny]"


def result(method: str, seconds: float = 0.2, params: int = 6_000_000, **settings: Any) -> dict[str, Any]:
    time = {"median_s": seconds, "p90_s": seconds, "n": 9, "device": "cpu", "batch_sizes": [16], "threads": [2]}
    value = {"value": 3.5, "interval": [3, 4], "n": 512, "identity": "mini_fd:x:n512:ref-a:v1"}
    sampling = {"scheduler": "ddim", "steps": 50, "guidance": 4, "size": "64x64", "dtype": "fp32", "device": "cpu"}
    return {
        "method": method,
        "checkpoint": "zoo:mini-sd",
        "n": 512,
        "settings": sampling | settings,
        "metrics": {"mini_fd": value | {"higher_is_better": False}},
        "latency": {"end_to_end": time},
        "cost": {"params": params, "forwards": {"text_encoder": 1, "unet": 100, "decoder": 1}},
    }


def run_of(*results: dict[str, Any]) -> dict[str, Any]:
    suite = {"name": "mini-control", "version": 1, "kind": "generate", "summary": "", "seed": 0, "dataset": "scenes",
             "items": 512, "total": 2048, "notes": ["Mini world: miniature models."]}  # fmt: skip
    environment = {"processor": "AMD EPYC", "batch_size": 16}
    created = "2026-02-03T10:11:12Z"
    return {"schema": 1, "suite": suite, "created": created, "environment": environment, "results": list(results)}


def save(folder: Path, *results: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run_of(*results)))
    return folder


@pytest.fixture
def control(tmp_path: Path) -> Path:
    """A run of the mini world with the base, two control methods and the ground truth."""
    return save(
        tmp_path / "control",
        result("scenes", 0.01),
        result(MINI, 0.2),
        result(CONTROL, 0.26, 8_000_000),
        result(PLUGIN, 0.201, 6_050_000),
    )


def found_base(method: str, *others: dict[str, Any], **settings: Any) -> Any:
    run = Run.model_validate(run_of(*others, result(method, **settings)))
    return base_of(run.results[-1], run)


@pytest.mark.parametrize(
    ("method", "base"),
    [
        (CONTROL, MINI),
        ("controlnet[condition=canny]", "sd15"),
        ("controlnet[condition=canny,base=sd15]", f"sd15[checkpoint={SD15}]"),
        ("t2i-adapter[base=sd15[until=1,checkpoint=a/b]]", "sd15[checkpoint=a/b]"),
        ("mediapipe-plugin[checkpoint=p,base=snapfusion[checkpoint=s]]", "snapfusion[checkpoint=s]"),
        ("controlnet[base=sd15[checkpoint=a/b],lora=style]", "sd15[checkpoint=a/b,lora=style]"),
        ("controlnet[base=sd15[checkpoint=a/b,lora=style]]", "sd15[checkpoint=a/b,lora=style]"),
        ("my.module:Steered[base=sd15[checkpoint=a/b]]", "sd15[checkpoint=a/b]"),
    ],
)
def test_the_base_is_the_row_of_the_method_that_base_names(method: str, base: str) -> None:
    others = ["scenes", "sd15[checkpoint=other]", "sd15[checkpoint=a/b,lora=other]", base, "sdedit"]
    row, reason = found_base(method, *map(result, others))
    assert reason is None
    assert row.method == base


@pytest.mark.parametrize("method", ["sd15", "scenes", "folder:a[b", "diffusers:a/b", "my.module:Class", "jpeg"])
def test_methods_that_sit_on_nothing_have_no_base(method: str) -> None:
    assert found_base(method, result(MINI)) == (None, None)


def test_a_base_without_a_row_is_named() -> None:
    assert found_base(CONTROL, result("sd15")) == (None, f"its run has no row of its base '{MINI}'")
    _, reason = found_base("controlnet[base=sd15,lora=style]", result("sd15"))
    assert reason is not None


def test_of_several_rows_of_a_base_it_is_that_of_equal_settings() -> None:
    slow, fast = result("sd15[steps=50]"), result("sd15[steps=20]", steps=20)
    row, _ = found_base("controlnet[base=sd15,steps=20]", slow, fast, steps=20)
    assert row.method == "sd15[steps=20]"
    row, _ = found_base("controlnet[base=sd15[steps=50]]", fast, slow)
    assert row.method == "sd15[steps=50]"


def test_rows_of_a_run_stand_above_the_published_ones(bench: Bench, control: Path) -> None:
    status, out, err = bench("table", "mediapipe-plugin", control, "--json")
    assert (status, err) == (0, "")
    read = json.loads(out)
    rows = {row["method"]: row for row in read["rows"]}
    assert list(rows)[:4] == [MINI, CONTROL, PLUGIN, "Base"]
    assert read["table"] == "mediapipe-plugin"
    assert rows[MINI]["cells"]["overhead"]["value"] is None
    assert rows[CONTROL]["cells"]["overhead"]["value"] == pytest.approx(30)
    assert rows[PLUGIN]["cells"]["overhead"]["value"] == pytest.approx(0.5)
    assert rows[PLUGIN]["cells"]["added_params"]["value"] == pytest.approx(0.05)
    theirs = [row["cells"] for row in read["rows"] if row["status"] == "published"]
    statuses = {cell["status"] for cells in theirs for cell in cells.values() if cell["value"] is not None}
    assert statuses == {"not comparable"}, "a miniature is never compared with a published number"
    assert any("miniature" in cells["fid"]["reason"] for cells in theirs if cells["fid"]["value"])
    assert "Mini world: miniature models." in read["notes"]
    assert "Rows of the runs that are no part of this table: scenes" in read["notes"]
    assert any("control: suite mini-control, 512 of 2,048 of scenes" in note for note in read["notes"])


def test_the_terminal_and_every_form_show_the_rows(bench: Bench, control: Path) -> None:
    for form in ([], ["--markdown"], ["--csv"], ["--latex"], ["--html"]):
        status, out, _ = bench("table", "mediapipe-plugin", control, *form)
        assert status == 0
        assert "+30.0" in out or form == ["--csv"]
        assert "3.50" in out or "3.5," in out
        assert "10.32" in out
    status, out, _ = bench("table", "mediapipe-plugin", control / "run.json", "--csv")
    assert [row["run"] for row in csv.DictReader(io.StringIO(out))][:3] == ["control"] * 3


def test_rows_of_several_runs_are_told_apart_where_methods_repeat(bench: Bench, control: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "again", result(MINI), result("t2i-adapter[base=sd15]"))
    same = save(tmp_path / "elsewhere" / "again", result("my.module:Own", 0.1))
    status, out, _ = bench("table", "mediapipe-plugin", control, other, "--json")
    assert status == 0
    assert [(row["method"], row["run"]) for row in json.loads(out)["rows"][:5]] == [
        (MINI, "control"), (CONTROL, "control"), (PLUGIN, "control"),
        (MINI, "again"), ("t2i-adapter[base=sd15]", "again"),
    ]  # fmt: skip
    adapter = json.loads(out)["rows"][4]["cells"]["overhead"]
    assert adapter["reason"] == "its run has no row of its base 'sd15'", "and that of another run does not count"
    status, out, _ = bench("table", "mediapipe-plugin", control, other, same, "--markdown")
    assert f"`{MINI} (control)`" in out
    assert f"`{MINI} ({other})`" in out, "by the whole path where folders have one name"
    assert "`my.module:Own`" in out, "a method of the user's own always belongs"
    assert "separate runs cannot be compared" in out


def test_codecs_have_a_table_of_their_own(bench: Bench, tmp_path: Path) -> None:
    psnr = {"value": 30.0, "n": 12, "identity": "psnr:rgb:n12:v1", "higher_is_better": True}
    codec = result("taef2") | {"metrics": {"psnr": psnr}, "codec": {"latent_channels": 32, "decoder_params": 1_340_000}}
    data = run_of(codec) | {"suite": run_of()["suite"] | {"kind": "codec", "dataset": "kodak"}}
    (tmp_path / "run.json").write_text(json.dumps(data | {"results": [codec | {"checkpoint": None}]}))
    status, out, _ = bench("table", "mobilediffusion-decoders", tmp_path, "--json")
    assert status == 0
    ours, sd, *_ = json.loads(out)["rows"]
    assert ours["cells"]["decoder_params"]["value"] == 1.34
    assert sd["cells"]["psnr"]["status"] == "not comparable"
    assert sd["cells"]["psnr"]["reason"] == "which pictures were measured is not stated"
    assert sd["cells"]["decoder_params"]["status"] == "published"


def test_bad_input_is_one_line(bench: Bench, control: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    edits = save(tmp_path / "edits", result("sdedit"), result("scenes"))
    for arguments, message in (
        (["mediapipe-plugins", control], "did you mean 'mediapipe-plugin'?"),
        (["mediapipe-plugin", tmp_path / "empty"], "no run at"),
        (["mediapipe-plugin", tmp_path / "none"], "no run at"),
        (["mediapipe-plugin", control, "--csv", "--json"], "leave out all but one of --csv, --json"),
        (["mediapipe-plugin", edits], "run 'edits' has no row for table 'mediapipe-plugin'"),
        (["snapfusion-architecture", control], "leave out RUN"),
        (["architecture", control], "takes no RUN"),
        (["architecture", "--latex"], "no form but --json"),
    ):
        status, out, err = bench("table", *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), arguments
        assert err.startswith("bench: error: ")
        assert message in err


def test_a_table_without_runs_is_as_it_is_printed(bench: Bench) -> None:
    status, out, _ = bench("table", "mediapipe-plugin")
    assert status == 0
    assert "+58.3" in out
    assert "≠" not in out
    status, out, _ = bench("table", "mediapipe-plugin", "--json")
    assert json.loads(out)["rows"][0]["values"]["fid"] == "10.32"
    status, out, _ = bench("table", "mediapipe-plugin-latency", "--csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert row["Pixel 4 (ms)"] == "128.0"


def test_the_blocks_of_our_networks_are_those_of_snapfusions_table(bench: Bench) -> None:
    status, out, _ = bench("table", "snapfusion-architecture", "--json")
    assert status == 0
    rows = json.loads(out)["rows"]
    assert len(rows) == 7
    for row in rows:
        cells = row["cells"]
        for key in ("sd_attentions", "sd_resnets", "attentions", "resnets"):
            counted = cells[f"{key}_counted"]
            assert (counted["value"], counted["status"]) == (cells[key]["value"], "reproduced"), (row["method"], key)
    status, out, _ = bench("table", "snapfusion-architecture", "--markdown")
    assert "| Mid (H/64) | 1280 | 1 | 1 ≈ | 1 | 1 ≈ | 7 | 7 ≈ | 4 | 4 ≈ |" in out


def test_blocks_are_counted_and_not_stated() -> None:
    from t2ibench.adapters.networks.efficient_unet import EfficientUNet

    unet = EfficientUNet(
        block_out_channels=(8, 8, 8, 8), norm_num_groups=4, num_attention_heads=2, cross_attention_dim=8,
        down_resnets=(1, 2, 3, 1), down_attentions=(2, 0, 1, 1), mid_resnets=0, mid_attentions=0,
    )  # fmt: skip
    found = blocks(unet)
    assert found["Down-1"] == {"attentions": 2, "resnets": 1}
    assert found["Down-3"] == {"attentions": 1, "resnets": 3}
    assert found["Mid"] == {"attentions": 1, "resnets": 3}
    assert found["Up-1"] == {"attentions": 6, "resnets": 2}


def test_a_sweep_stands_in_the_table_of_the_curves(bench: Bench, tmp_path: Path) -> None:
    swept = [
        result(f"sd15[checkpoint=zoo:mini-sd,guidance={value}]", guidance=value)
        | {"swept": {"setting": "guidance", "value": value, "method": MINI}}
        for value in (1.0, 4.0)
    ]
    status, out, _ = bench("table", "snapfusion-curves", save(tmp_path / "sweep", *swept), "--json")
    assert status == 0
    first, second, paper, _ = json.loads(out)["rows"]
    assert [row["cells"]["guidance"]["value"] for row in (first, second)] == [1.0, 4.0]
    assert paper["cells"]["guidance"]["text"] == "1.0–10.0"
    assert paper["cells"]["clip_gain"]["interval"] == [0.004, 0.01]


def test_the_page_of_the_curves_draws_each_sweep(bench: Bench, control: Path, tmp_path: Path) -> None:
    score = {"n": 512, "identity": "mini_clip_score:x:n512:v1", "higher_is_better": True}
    swept = []
    for place, value in enumerate((1.0, 4.0)):
        row = result(f"sd15[checkpoint=zoo:mini-sd,guidance={value}]", guidance=value)
        row["metrics"]["mini_clip_score"] = score | {"value": 0.9 + place / 50}
        swept.append(row | {"swept": {"setting": "guidance", "value": value, "method": MINI}})
    one, other = save(tmp_path / "one", *swept), save(tmp_path / "other", *swept)
    _, page, _ = bench("table", "snapfusion-curves", one, "--html")
    ((figure,),) = figures(page)
    (trace,) = figure["data"]
    assert (trace["x"], trace["y"], trace["text"]) == ([0.9, 0.92], [3.5, 3.5], ["1", "4"])
    assert "Plotly" in page
    _, page, _ = bench("table", "snapfusion-curves", one, other, "--html")
    assert len(figures(page)) == 2
    assert "Distance over CLIP score: other" in page
    for arguments in (["snapfusion-curves", control], ["mediapipe-plugin", one], ["snapfusion-curves"]):
        _, page, _ = bench("table", *arguments, "--html")
        assert "<script" not in page, "nothing to draw, no script"


def figures(page: str) -> list[Any]:
    (found,) = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    return list(json.loads(found))


def test_seconds_keep_how_they_were_measured() -> None:
    def record(batch: int, warm: bool, seconds: float) -> Record:
        return Record(key="k", method="m", prompt_id="p", sample=0, image="", suffix="", size=0,
                      seconds={"end_to_end": seconds}, warm=warm, batch=batch, threads=2)  # fmt: skip

    warm = latency([record(4, False, 9.0), record(4, True, 1.0), record(8, True, 2.0)], "cpu")["end_to_end"]
    assert (warm.batch_sizes, warm.threads, warm.warm, warm.median_s) == ([4, 8], [2], True, 1.5)
    assert not latency([record(4, False, 9.0)], "cpu")["end_to_end"].warm
    assert Result.model_validate(result("sd15")).latency["end_to_end"].batch_sizes == [16]
