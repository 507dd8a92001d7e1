"""Reports written anew: what else lies in the run's folder, and which pictures are inside."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from t2ibench.bench.gating.gate import Gate, GateRow, RunName
from t2ibench.bench.saved import GATE, LATENCY, PICTURES, dump_pictures, rewrite
from t2ibench.core.errors import BenchError
from t2ibench.metrics.value import MetricValue
from t2ibench.reports.latency import LatencyRow, LatencyRun, Machine, Memory, Protocol, StageResult, Timing
from t2ibench.reports.schema import Picture, Result, Run, RunSettings, SuiteInfo

COUNT = 30


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A finished run of one method in a folder of its own, each picture a file."""
    folder = tmp_path / "run"
    pictures = []
    for number in range(COUNT):
        file = folder / "images" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(file)
        pictures.append(Picture(method="a", prompt_id=f"p{number}", sample=0, prompt="a cat", file=file))
    value = MetricValue(value=0.3, n=COUNT, identity="clip_score:x", higher_is_better=True)
    result = Result(method="a", checkpoint=None, n=COUNT, settings=RunSettings(), metrics={"clip_score": value})
    suite = SuiteInfo(
        name="s", version=1, kind="generate", summary="s", seed=0, dataset="d", items=COUNT, total=COUNT
    )  # fmt: skip
    made = Run(suite=suite, created="2026-02-03T10:11:12Z", environment={}, results=[result])
    (folder / "run.json").write_text(made.to_json(), encoding="utf-8")
    (folder / PICTURES).write_text(dump_pictures(pictures, folder), encoding="utf-8")
    scores = pd.DataFrame(
        [("a", "p0", 0, "clip_score", 0.1)], columns=["method", "prompt_id", "sample", "metric", "value"]
    )
    scores.to_parquet(folder / "scores.parquet")
    return made


def gate_of(run: Run, created: str) -> Gate:
    side = RunName(path="runs/a", suite="s", created=created, seed=0)
    row = GateRow(
        method="a", metric="clip_score", kind="quality", base=0.4, head=0.3, higher_is_better=True, verdict="fail"
    )
    return Gate(
        verdict="fail", base=side, head=side, level=0.95, tests=1, rows=[row], only_base=[], only_head=[],
        notes=["Much worse."],
    )  # fmt: skip


def page(run: Run, tmp_path: Path, **options: str) -> str:
    (written,) = rewrite(run, tmp_path / "run", tmp_path / "run" / "out.html", None, **options)  # type: ignore[arg-type]
    return written.read_text(encoding="utf-8")


def test_the_verdict_of_this_run_is_said_first(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 'class="verdict' not in page(run, tmp_path)
    file = tmp_path / "run" / GATE
    file.write_text(gate_of(run, run.created).model_dump_json(by_alias=True), encoding="utf-8")
    text = page(run, tmp_path)
    assert text.index('class="verdict fail"') < text.index('id="results"')
    assert "Much worse." in text
    file.write_text(gate_of(run, "2026-01-01T00:00:00Z").model_dump_json(by_alias=True), encoding="utf-8")
    assert 'class="verdict' not in page(run, tmp_path)
    assert "judges another run" in capsys.readouterr().err
    file.write_text("{", encoding="utf-8")
    with pytest.raises(BenchError, match=r"cannot read .*gate\.json"):
        page(run, tmp_path)


def test_latencies_beside_the_run_are_drawn_by_stage(run: Run, tmp_path: Path) -> None:
    timing = Timing(median_s=0.25, p90_s=0.3, n=10, spread=0.01, rounds=[[0.25]])
    row = LatencyRow(
        method="a", device="cpu", dtype="fp32", fingerprint="x", settings={}, about={}, load_s=1, first_s=1,
        memory=Memory(), stages={"unet": StageResult(params=1, forwards=4, timing=timing)},
    )  # fmt: skip
    latency = LatencyRun(created="now", protocol=Protocol(), environment={}, machine=Machine(), rows=[row])
    (tmp_path / "run" / LATENCY).write_text(latency.to_json(), encoding="utf-8")
    text = page(run, tmp_path)
    assert "Latency by stage" in text
    assert "unet: 1.00 s of 1.00 s" in text


@pytest.mark.parametrize(("embed", "inside"), [("none", 0), ("thumbnails", 24 + 1), ("all", COUNT + 1)])
def test_what_is_inside_is_as_asked(run: Run, tmp_path: Path, embed: str, inside: int) -> None:
    text = page(run, tmp_path, embed=embed)
    assert text.count("data:image/webp") == inside  # the worst picture stands twice
    assert '"images/29.png"' in text  # every one is found beside the page


def test_a_page_elsewhere_must_hold_its_pictures(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "out.html"
    with pytest.raises(BenchError, match="write it into that of the run"):
        rewrite(run, tmp_path / "run", file, None, "none")
    rewrite(run, tmp_path / "run", file, None, "all")
    assert "images/29.png" not in file.read_text(encoding="utf-8")
