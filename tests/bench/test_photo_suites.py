"""Suites whose photos supply conditions, regions and pictures to edit, from the command line on a random checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from t2ibench.adapters import ADAPTERS, make_adapter
from t2ibench.adapters.spec import parse
from t2ibench.bench.suites import find_suite
from t2ibench.core.errors import BenchError
from t2ibench.datasets.coco import COCO_REGIONS
from t2ibench.datasets.landmarks import FaceLandmarks

Bench = Callable[..., tuple[int, str, str]]

SUITES = ("coco5k", "coco30k", "faces5k", "regions", "panorama", "editing")
SMALL = ("--set", "sampling.size=64", "--set", "sampling.steps=2", "--offline", "--json")


@pytest.mark.parametrize("name", SUITES)
def test_every_method_is_known_or_waits_for_a_checkpoint(name: str) -> None:
    for method in find_suite(name).methods:
        found = ADAPTERS.get(parse(method.method).name)
        with nullcontext() if found.public else pytest.raises(BenchError, match=r"public weights.*pass checkpoint="):
            make_adapter(method.method)


@pytest.mark.parametrize("name", ["coco5k", "coco30k"])
def test_coco_is_for_every_method_of_the_papers(name: str) -> None:
    others = {"diffusers", "scenes", "folder"}
    assert {parse(method.method).name for method in find_suite(name).methods} == set(ADAPTERS.names()) - others


def picture(seed: int, height: int = 64, width: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_faces(bench: Bench, tiny_sd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2):
        picture(number).save(photos / f"{number}.png")
    Image.new("RGB", (64, 64)).save(photos / "2.png")
    (photos / "captions.txt").write_text("a woman\na man\nnobody\n")
    (tmp_path / "face.task").write_bytes(b"model")
    face = np.full((478, 3), 20, np.float32)
    monkeypatch.setattr(FaceLandmarks, "detect", lambda self, given: face if given.any() else None)
    status, out, err = bench(
        "run", "--suite", "faces5k", "--images", photos, "--methods", f"sd15[checkpoint={tiny_sd}]", *SMALL,
        "--weights", f"face_landmarker={tmp_path / 'face.task'}", "--out", tmp_path / "run",
    )  # fmt: skip
    assert status == 0, err
    run = json.loads(out)
    assert [result["n"] for result in run["results"]] == [2]
    assert "1 of 3 photos are left out, for no face is found in them: 2.png" in run["suite"]["notes"]


def write_pie_bench(folder: Path) -> Path:
    entries: dict[str, Any] = {}
    for number in range(2):
        path = folder / "annotation_images" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number, 512, 512).save(path)
        entries[f"{number:012d}"] = {
            "image_path": path.name,
            "original_prompt": "a [cat]",
            "editing_prompt": "a [dog]",
            "editing_type_id": "1",
            "mask": [5000, 100],
        }
    (folder / "mapping_file.json").write_text(json.dumps(entries))
    return folder


def shown(run: Path) -> list[dict]:
    """The pictures of a finished run, with what they were made from."""
    return json.loads((run / "pictures.json").read_text(encoding="utf-8"))


def test_editing(bench: Bench, tiny_sd: Path, tmp_path: Path) -> None:
    status, out, err = bench(
        "run", "--suite", "editing", "--images", write_pie_bench(tmp_path / "pie"), *SMALL,
        "--methods", f"sdedit[base=sd15[checkpoint={tiny_sd}]]", "--out", tmp_path / "run",
    )  # fmt: skip
    assert status == 0, err
    (result,) = json.loads(out)["results"]
    assert result["n"] == 2
    assert [list(row["conditions"]) for row in shown(tmp_path / "run")] == [["source", "mask"]] * 2


def test_a_model_that_is_missing_is_the_reason_of_a_metric(bench: Bench, tiny_sd: Path, tmp_path: Path) -> None:
    status, _, err = bench(
        "run", "--suite", "editing", "--images", write_pie_bench(tmp_path / "pie"), *SMALL,
        "--methods", f"sdedit[base=sd15[checkpoint={tiny_sd}]]", "--metrics", "depth_rmse", "--out", tmp_path / "run",
    )  # fmt: skip
    assert status == 2
    assert "'depth' are missing" in err


def test_editing_without_the_benchmark(bench: Bench, tmp_path: Path) -> None:
    status, _, err = bench("run", "--suite", "editing", "--data-root", tmp_path, "--out", tmp_path / "run")
    assert status == 2
    assert "pie_bench/mapping_file.json: get the benchmark from https://github.com/cure-lab/PnPInversion" in err


def write_coco(root: Path) -> None:
    """Two photos of two boxes each; of the second one is beside the square that is cut out."""
    folder = root / "coco"
    (folder / "val2017").mkdir(parents=True)
    boxes = {1: ((20, 45), (50, 75)), 2: ((0, 15), (30, 70))}
    annotations = [
        {
            "id": left, "image_id": number, "category_id": 1, "iscrowd": 0, "area": (right - left) * 60,
            "segmentation": [[left, 0, right, 0, right, 60, left, 60]],
        }
        for number, sides in boxes.items() for left, right in sides
    ]  # fmt: skip
    images = [{"id": number, "height": 60, "width": 100} for number in boxes]
    instances = {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": annotations}
    (folder / "instances_val2017.json").write_text(json.dumps(instances))
    captions = [{"id": number, "image_id": number, "caption": "cats"} for number in boxes]
    (folder / "captions_val2017.json").write_text(json.dumps({"annotations": captions}))
    for number in boxes:
        picture(number, 60, 100).save(folder / "val2017" / f"{number:012d}.jpg")


def test_regions(bench: Bench, tiny_sd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_coco(tmp_path)
    small = replace(COCO_REGIONS, count=2, pictures=replace(COCO_REGIONS.pictures, files=2))
    monkeypatch.setattr("t2ibench.datasets.coco.COCO_REGIONS", small)
    base = f"sd15[checkpoint={tiny_sd}]"
    status, out, err = bench(
        "run", "--suite", "regions", "--data-root", tmp_path, *SMALL, "--out", tmp_path / "run",
        "--methods", f"{base},multidiffusion[mode=regions,base={base}]",
    )  # fmt: skip
    assert status == 0, err
    run = json.loads(out)
    assert [result["n"] for result in run["results"]] == [2, 1]
    assert any("1 of 2 prompts skipped: without regions" in note for note in run["suite"]["notes"])
    (drawn,) = {kind for row in shown(tmp_path / "run") for kind in row["conditions"]}
    assert drawn.startswith("regions: 1 ")


def test_methods_whose_inputs_are_not_at_hand_are_skipped(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_coco(tmp_path)
    monkeypatch.setenv("T2IBENCH_WEIGHTS", str(tmp_path))
    small = replace(COCO_REGIONS, count=2, pictures=replace(COCO_REGIONS.pictures, files=2))
    monkeypatch.setattr("t2ibench.datasets.coco.COCO5K", replace(small, name="coco5k"))
    status, out, err = bench("run", "--suite", "coco5k", "--data-root", tmp_path, "--dry-run", "--json", "--offline",
                             "--out", tmp_path / "run")  # fmt: skip
    assert status == 0, err
    reasons = {each["method"]: each["reason"] for each in json.loads(out)["skipped"]}
    assert "'face_landmarker' are missing" in reasons["controlnet[condition=landmarks]"]
    assert "'pose_landmarker' are missing" in reasons["t2i-adapter[condition=pose]"]
    assert "'depth' are missing" in reasons["controlnet[condition=depth]"]
    assert "pass checkpoint=" in reasons["snapfusion"]
    for method in ("sd15", "controlnet[condition=canny]", "multidiffusion[mode=regions]", "sdedit"):
        assert "stable-diffusion-v1-5" in reasons.get(method, "stable-diffusion-v1-5")  # where the hub has it not
