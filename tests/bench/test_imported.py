"""``import:FILE``: what another machine measured and made, in ``bench latency``, ``bench run`` and ``bench table``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from t2ibench.bench.devices.imported import imported_rows
from t2ibench.core.errors import BenchError
from t2ibench.datasets.imported import read_imported
from t2ibench.reports.latency import load_latency
from t2ibench.reports.schema import load_run

Bench = Callable[..., tuple[int, str, str]]
EXAMPLE = Path(__file__).parents[2] / "docs" / "imported-example.json"
SD15, PLUGIN = (row["method"] for row in json.loads(EXAMPLE.read_text())["rows"])


def changed(folder: Path, path: str, value: Any) -> Path:
    """The example with one field put in another way; ``...`` takes it out."""
    data = json.loads(EXAMPLE.read_text())
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split("/")]
    place = data
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    file = folder / "phone.json"
    file.write_text(json.dumps(data))
    return file


def test_the_example_is_read_as_it_states() -> None:
    base, plugin = imported_rows(read_imported(EXAMPLE))
    assert (base.method, base.device, base.dtype) == (SD15, "iPhone 14 Pro", "fp16")
    unet = base.stages["unet"].timing
    assert unet.median_s == 0.2 and unet.rounds == [[0.201, 0.199, 0.2, 0.204, 0.2]] and unet.n == 5
    assert base.stages["text_encoder"].timing.rounds == [] and base.stages["text_encoder"].timing.p90_s is None
    assert base.stages["decoder"].params is None and base.params is None  # not all of them are stated
    assert base.end_to_end.median_s == 8.6 and base.composed.median_s == pytest.approx(2 * 0.004 + 40 * 0.2 + 0.37)
    assert base.composition == "2 × text encoder + 40 × unet + 1 × decoder"
    assert base.memory.accelerator_peak_bytes == 1_900_000_000 and base.memory.peak_bytes is None
    assert base.energy.joules_per_image == 38 and plugin.energy.reason
    assert plugin.load_s is None and plugin.weights_bytes is None and plugin.end_to_end is None
    assert base.imported.startswith("imported-example.json (sha256 ")
    assert any("measured elsewhere" in note and "Core ML 7" in note for note in base.notes)
    assert plugin.notes[-1] == "the plugin ran on the processor"


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("schema", 2, "has schema 2, expected 1"),
        ("kind", "latency", "kind: Input should be 'imported'"),
        ("device/name", ..., "device.name: Field required"),
        ("rows", [], "rows: List should have at least 1"),
        ("rows/0/stages/unet/forwards", 0, "rows.0.stages.unet.forwards: Input should be greater than"),
        ("rows/0/stages/unet/median_ms", 3, "rows.0.stages.unet.median_ms: Extra inputs"),
        ("rows/0/stages/unet/samples_s", [0.2, -1], "rows.0.stages.unet.samples_s.1: is no number above 0"),
        ("rows/0/stages/unet/median_s", 0.3, "rows.0.stages.unet: median_s 0.3 is not that of samples_s, 0.2"),
        ("rows/0/stages/unet/n", 4, "rows.0.stages.unet: n 4 is not the number of samples_s, 5"),
        ("rows/0/stages/decoder/p90_s", 0.1, "rows.0.stages.decoder: p90_s 0.1 is below the median"),
        ("rows/0/stages/decoder/median_s", ..., "rows.0.stages.decoder: median_s or samples_s must be there"),
        ("rows/1/method", SD15, "two rows are of 'sd15"),
        ("rows/1", {"method": "sd15"}, "rows.1: holds neither stages, nor end_to_end, nor pictures"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_the_field(
    tmp_path: Path, path: str, value: Any, complaint: str
) -> None:
    file = changed(tmp_path, path, value)
    with pytest.raises(BenchError) as caught:
        read_imported(file)
    assert complaint in str(caught.value) and str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_no_file_and_no_json_are_told(tmp_path: Path, bench: Bench) -> None:
    assert "cannot read" in bench("latency", "--device", f"import:{tmp_path / 'none'}")[2]
    (tmp_path / "broken.json").write_text("{")
    assert "is not valid JSON" in bench("latency", "--device", f"import:{tmp_path / 'broken.json'}")[2]
    assert "import needs a file" in bench("latency", "--device", "import")[2]
    assert "name a METHOD, or a --suite" in bench("latency")[2]


def test_the_rows_stand_in_the_report_without_a_verdict(bench: Bench, tmp_path: Path) -> None:
    dashboard = tmp_path / "benchmark.json"
    asked = ["--device", f"import:{EXAMPLE}", "--out", tmp_path, "--pytest-benchmark-json", dashboard]
    status, out, err = bench("latency", *asked)
    assert status == 0, err
    told = {stage for row in json.loads(EXAMPLE.read_text())["rows"] for stage, found in row["stages"].items()
            if "samples_s" in found}  # fmt: skip
    assert {found["group"] for found in json.loads(dashboard.read_text())["benchmarks"]} - {"end_to_end"} == told
    run = load_latency(tmp_path)
    assert [row.method for row in run.rows] == [SD15, PLUGIN] and not run.failed
    (unet,) = [found for found in run.comparisons if found.what == "unet"]
    assert unet.verdict == "not ranked" and unet.ratio == 1 and "not in turns" in unet.words
    assert "iPhone 14 Pro" in out and "measured elsewhere, not by bench" in out
    assert bench("latency", "sd15", "--device", f"import:{EXAMPLE}", "--out", tmp_path)[0] == 0
    assert [row.method for row in load_latency(tmp_path).rows] == [SD15]
    status, _, err = bench("latency", "controlnet", "--device", f"import:{EXAMPLE}", "--out", tmp_path)
    assert status == 2 and "has no row of 'controlnet'" in err and "mediapipe-plugin[" in err


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """The example with pictures of the first captions of the mini world, in a folder and by an index."""
    (tmp_path / "pictures" / "sd15").mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(4):
        pixels = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / "sd15" / f"{number:06d}.png")
    return changed(tmp_path, "measured", "in a test")


RUN = ("run", "--suite", "mini", "--metrics", "caption_accuracy")


def test_pictures_are_measured_here_and_seconds_are_taken_as_stated(scenes: Path, bench: Bench, tmp_path: Path) -> None:
    status, _, err = bench(*RUN, "--device", f"import:{scenes}", "--out", tmp_path / "run")
    assert status == 0, err
    (row,) = load_run(tmp_path / "run").results
    assert row.method == SD15 and row.n == 4 and row.metrics["caption_accuracy"].value is not None
    assert (row.settings.scheduler, row.settings.steps, row.settings.dtype) == ("ddim", 20, "fp16")
    assert row.device == row.settings.device == "iPhone 14 Pro" and row.imported.startswith("phone.json")
    assert row.latency["end_to_end"].median_s == 8.6 and row.latency["unet"].median_s == pytest.approx(8)
    assert row.cost.forwards["unet"] == 40 and row.cost.peak_memory_bytes == 1_900_000_000
    assert any("measured elsewhere" in note for note in row.notes)
    folder = bench(*RUN, "--methods", f"folder:{scenes.parent / 'pictures' / 'sd15'}", "--out", tmp_path / "folder")
    assert folder[0] == 0, folder[2]
    (same,) = load_run(tmp_path / "folder").results
    assert same.metrics["caption_accuracy"] == row.metrics["caption_accuracy"] and not same.latency


def test_pictures_that_are_not_there_are_told(scenes: Path, bench: Bench, tmp_path: Path) -> None:
    status, _, err = bench(*RUN, "--methods", PLUGIN, "--device", f"import:{scenes}", "--out", tmp_path / "run")
    assert status == 2 and f"the row '{PLUGIN}' has no pictures" in err
    away = changed(tmp_path, "rows/0/pictures/folder", "../other")
    status, _, err = bench(*RUN, "--device", f"import:{away}", "--out", tmp_path / "run")
    assert status == 2 and "pictures.folder '../other' lies outside" in err
    gone = changed(tmp_path, "rows/0/pictures/folder", "nowhere")
    assert "pictures.folder 'nowhere'" in bench(*RUN, "--device", f"import:{gone}", "--out", tmp_path / "run")[2]
    none = changed(tmp_path, "rows/0/pictures", ...)
    assert "holds no pictures" in bench(*RUN, "--device", f"import:{none}", "--out", tmp_path / "run")[2]
