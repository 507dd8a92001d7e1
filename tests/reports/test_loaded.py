"""A run in notebooks and scripts: frames, LaTeX, a model card's results, what Jupyter shows."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from huggingface_hub import ModelCard
from pandas.testing import assert_frame_equal

import t2ibench
from t2ibench.core.errors import BenchError
from t2ibench.metrics.value import MetricValue
from t2ibench.reports.loaded import LoadedRun
from t2ibench.reports.model_index import MINI
from t2ibench.reports.schema import Result, Run, SuiteInfo

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
FID = "fid:inception-2015-12-05@6726825d:gen=as-is,ref=as-is:tf-bilinear:fp32:n5000:ref-aa:v1"
HOSTILE = "own.module:Class[prompt=</td><script>alert(1)</script> 'x\": - {y}\u202e,z=🐈]"


def value(number: float | None, **more: Any) -> MetricValue:
    return MetricValue.model_validate(
        {"value": number, "n": 5000, "identity": FID, "higher_is_better": False, "interval": [9, 11]} | more
    )


def result(method: str, **more: Any) -> Result:
    data = {
        "method": method,
        "checkpoint": SD15,
        "n": 5000,
        "settings": {"scheduler": "ddim", "steps": 50, "guidance": 7.5, "size": "512x512", "dtype": "fp16"},
        "metrics": {"fid": value(10.0)},
        "latency": {"end_to_end": {"median_s": 2.0, "p90_s": 2.1, "n": 10, "device": "cuda:0"}},
        "cost": {"params": 1_066_000_000},
    }
    return Result.model_validate(data | more)


def save(folder: Path, *results: Result, **changes: Any) -> Path:
    suite = {
        "name": "trial", "version": 2, "kind": "generate", "summary": "A <b>trial</b>", "seed": 7, "dataset": "coco5k",
        "items": 100, "total": 5000, "notes": ["Not much & <i>small</i>"],
    }  # fmt: skip
    run = Run(
        suite=SuiteInfo.model_validate(suite | changes),
        created="2026-02-03T10:11:12Z",
        environment={},
        results=list(results),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(run.to_json(), encoding="utf-8")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> LoadedRun:
    """Two methods: one with all, one without a value, without steps, and with a strange name."""
    lost = {"fid": value(None, reason="needs photos", interval=None), "clip_score": value(0.3, higher_is_better=True)}
    settings = {"size": "512x512", "dtype": "fp32"}
    strange = result(HOSTILE, metrics=lost, settings=settings, latency={}, checkpoint=None, cost={})
    return t2ibench.load_run(save(tmp_path / "run", result("sd15"), strange))


def test_a_loaded_run_is_a_run(run: LoadedRun, tmp_path: Path) -> None:
    assert isinstance(run, t2ibench.Run)
    assert run.suite.name == "trial"
    assert run.to_json() == (tmp_path / "run" / "run.json").read_text(encoding="utf-8")
    assert t2ibench.load_run(tmp_path / "run" / "run.json") == run
    with pytest.raises(BenchError, match="no run at"):
        t2ibench.load_run(tmp_path)


def test_a_row_per_method_and_metric(run: LoadedRun) -> None:
    frame = run.to_frame()
    assert list(zip(frame["method"], frame["metric"], strict=True)) == [
        ("sd15", "fid"), (HOSTILE, "fid"), (HOSTILE, "clip_score")
    ]  # fmt: skip
    first, lost, _ = frame.to_dict("records")
    assert (first["value"], first["low"], first["high"], first["n"], first["identity"]) == (10, 9, 11, 5000, FID)
    assert (first["suite"], first["dataset"], first["seed"], first["checkpoint"]) == ("trial", "coco5k", 7, SD15)
    assert (first["scheduler"], first["steps"], first["guidance"], first["size"]) == ("ddim", 50, 7.5, "512x512")
    assert not first["higher_is_better"] and not first["mini_world"]
    assert pd.isna(lost["value"]) and lost["reason"] == "needs photos" and pd.isna(lost["steps"])
    assert frame["steps"].dtype == frame["n"].dtype == "Int64", "whole numbers stay whole beside missing ones"
    assert frame["value"].dtype == "float64"


def test_a_row_per_method(run: LoadedRun) -> None:
    frame = run.to_frame(wide=True)
    assert list(frame["method"]) == ["sd15", HOSTILE]
    first, other = frame.to_dict("records")
    assert (first["fid"], first["fid_low"], first["fid_high"], first["fid_identity"]) == (10, 9, 11, FID)
    assert (first["end_to_end_s"], first["params"], first["n"]) == (2.0, 1_066_000_000, 5000)
    assert pd.isna(first["clip_score"]) and other["clip_score"] == 0.3
    assert pd.isna(other["fid"]) and pd.isna(other["end_to_end_s"]) and pd.isna(other["params"])
    assert frame["params"].dtype == "Int64"


@pytest.mark.parametrize("wide", [False, True])
def test_frames_go_through_parquet_and_csv(run: LoadedRun, tmp_path: Path, wide: bool) -> None:
    frame = run.to_frame(wide)
    frame.to_parquet(tmp_path / "f.parquet")
    assert_frame_equal(pd.read_parquet(tmp_path / "f.parquet"), frame, check_dtype=False)
    frame.to_csv(tmp_path / "f.csv", index=False)
    assert list(pd.read_csv(tmp_path / "f.csv")["method"]) == list(frame["method"])


def test_swept_rows_and_codecs_bring_their_own_columns(tmp_path: Path) -> None:
    swept = {"setting": "strength", "value": 0.5, "method": "x[{}]"}
    loaded = t2ibench.load_run(save(tmp_path, result("x[0.5]", swept=swept, codec={"latent_channels": 8}), result("y")))
    for frame in (loaded.to_frame(), loaded.to_frame(wide=True)):
        assert frame.loc[0, "swept"] == "strength" and frame.loc[0, "swept_value"] == 0.5
        assert pd.isna(frame.loc[1, "swept_value"])
    assert loaded.to_frame(wide=True).loc[0, "latent_channels"] == 8


def test_a_run_without_rows_has_empty_frames(tmp_path: Path) -> None:
    loaded = t2ibench.load_run(save(tmp_path))
    assert len(loaded.to_frame()) == len(loaded.to_frame(wide=True)) == 0
    assert yaml.safe_load(loaded.model_index()) == {"model-index": []}
    assert "trial" in loaded._repr_html_()


def test_scores_are_those_of_single_pictures(run: LoadedRun, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot read .*scores\.parquet"):
        run.scores()
    scores = pd.DataFrame([("sd15", "p0", 0, "fid", 0.1)], columns=["method", "prompt_id", "sample", "metric", "value"])
    scores.to_parquet(tmp_path / "run" / "scores.parquet")
    assert_frame_equal(run.scores(), scores)
    assert_frame_equal(t2ibench.load_run(tmp_path / "run" / "run.json").scores(), scores)
    (tmp_path / "run" / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(BenchError, match=r"cannot read .*scores\.parquet"):
        run.scores()


def test_reading_a_run_imports_neither_pandas_nor_torch(run: LoadedRun, tmp_path: Path) -> None:
    code = f"import sys, t2ibench; t2ibench.load_run({str(tmp_path / 'run')!r}); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pandas", "torch", "jinja2", "huggingface_hub"} & set(found)


# LaTeX and Jupyter


def test_latex_has_the_table_with_its_title_and_notes(run: LoadedRun) -> None:
    text = run.to_latex()
    assert r"\caption{trial: A \textless{}b\textgreater{}trial" in text
    assert r"10.00 $\pm$1.00" in text
    assert "Suite trial, version 2" in text
    assert r"Not much \& \textless{}i" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: list[str] = []
        self.text = ""
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.names += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_jupyter_shows_the_table_and_strangers_text_as_text(run: LoadedRun) -> None:
    page = Page(run._repr_html_())
    assert not page.tags & {"script", "b", "i", "img", "iframe", "link"}
    assert not {name for name in page.attributes if name.startswith("on")} | (page.attributes & {"src", "style"})
    assert "<script>alert(1)</script>" in page.text
    assert "trial: A <b>trial</b>" in page.text
    assert "Not much & <i>small</i>" in page.text
    assert "needs photos" in page.text


def test_two_tables_of_a_notebook_have_footnotes_of_their_own(run: LoadedRun, tmp_path: Path) -> None:
    other = t2ibench.load_run(tmp_path / "run")
    one, two = Page(run._repr_html_()), Page(other._repr_html_())
    assert one.names and not set(one.names) & set(two.names)


# Model cards


def index(text: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = yaml.safe_load(text)["model-index"]
    return entries


def test_a_model_card_says_of_each_metric_what_it_is(run: LoadedRun) -> None:
    first, other = index(run.model_index())
    assert (first["name"], other["name"]) == ("sd15", HOSTILE)
    (found,) = first["results"]
    assert found["task"] == {"type": "text-to-image", "name": "Text-to-Image"}
    assert (found["dataset"]["type"], found["dataset"]["name"]) == ("coco5k", "coco5k, 100 of 5,000")
    assert found["dataset"]["args"]["suite"] == "trial" and found["dataset"]["args"]["steps"] == 50
    (fid,) = found["metrics"]
    assert (fid["type"], fid["name"], fid["value"], fid["verified"]) == ("fid", "FID", 10.0, False)
    assert fid["args"] == {"identity": FID, "n": 5000, "higher_is_better": False, "interval_95": [9.0, 11.0]}
    (score,) = other["results"][0]["metrics"]
    assert score["type"] == "clip_score", "a metric without a value is left out"


def test_the_hub_reads_the_card(run: LoadedRun) -> None:
    card = ModelCard(f"---\n{run.model_index('sd15', name='my-model')}---\n# My model\n")
    assert card.data.model_name == "my-model"
    (found,) = card.data.eval_results
    assert (found.metric_type, found.metric_value, found.verified) == ("fid", 10.0, False)
    assert found.metric_args["identity"] == FID
    again = ModelCard(str(card))
    assert again.data.eval_results == card.data.eval_results


@pytest.mark.parametrize(
    ("dataset", "checkpoint", "mini"),
    [("scenes", SD15, True), ("coco5k", "zoo:mini-sd", True), ("coco5k", SD15, False)],
)
def test_the_mini_world_is_labelled(tmp_path: Path, dataset: str, checkpoint: str, mini: bool) -> None:
    loaded = t2ibench.load_run(save(tmp_path, result("sd15", checkpoint=checkpoint), dataset=dataset))
    ((found,),) = (entry["results"] for entry in index(loaded.model_index()))
    assert (MINI in found["dataset"]["name"]) == mini
    assert found["metrics"][0]["name"] == ("FID (mini world)" if mini else "FID")
    assert loaded.to_frame()["mini_world"].tolist() == [mini]


def test_what_a_card_cannot_hold_is_left_out_and_notes_are_kept(tmp_path: Path) -> None:
    metrics = {"psnr": value(30.0), "fid": value(10.0, note="Inception weights are not the official ones")}
    loaded = t2ibench.load_run(save(tmp_path, result("jpeg", metrics=metrics), kind="codec"))
    loaded.results[0].metrics["psnr"].value = float("inf")
    (found,) = index(loaded.model_index())[0]["results"]
    assert [metric["type"] for metric in found["metrics"]] == ["fid"]
    assert found["metrics"][0]["args"]["note"] == "Inception weights are not the official ones"
    assert found["task"]["type"] == "image-to-image"


def test_a_card_of_one_method_is_chosen_by_its_name(run: LoadedRun) -> None:
    (entry,) = index(run.model_index("sd15"))
    assert entry["name"] == "sd15"
    with pytest.raises(BenchError, match="no method 'sd51'; did you mean 'sd15'"):
        run.model_index("sd51")
    with pytest.raises(BenchError, match="one name for 2 methods"):
        run.model_index(name="mine")
