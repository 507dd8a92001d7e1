"""COCO's instance annotations: masks, and the regions, conditions and sources that photos give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import WeightsFinder
from t2ibench.datasets.coco import COCO5K, COCO30K, COCO_REGIONS
from t2ibench.datasets.coco_instances import Instance, decode_runs, fill_polygons, read_instances
from t2ibench.datasets.conditions import canny
from t2ibench.datasets.images import fit, load_rgb
from t2ibench.datasets.prompts import Prompt

CATEGORIES = {1: "person", 3: "car", 17: "cat", 22: "elephant", 44: "bottle"}
HEIGHT, WIDTH = 60, 100


def runs_of(mask: np.ndarray) -> list[int]:
    """Lengths of runs down the columns, outside first."""
    flat = mask.ravel(order="F").astype(int)
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
    return np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()


def compressed(runs: list[int]) -> str:
    """COCO's text for runs: groups of 5 bits, from the fourth number on differences to the last but one."""
    text = ""
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        more = True
        while more:
            group, value = value & 31, value >> 5
            more = value != (-1 if group & 16 else 0)
            text += chr((group | (32 if more else 0)) + 48)
    return text


def blob(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.hypot(x - rng.integers(20, 80), 2 * (y - rng.integers(20, 40))) < rng.integers(15, 40)


@pytest.mark.parametrize("seed", range(5))
def test_both_forms_of_run_length_codes(seed: int) -> None:
    mask = blob(seed)
    runs = runs_of(mask)
    assert np.array_equal(decode_runs(runs, HEIGHT, WIDTH), mask)
    assert np.array_equal(decode_runs(compressed(runs), HEIGHT, WIDTH), mask)


def test_a_code_that_pycocotools_wrote() -> None:
    y, x = np.mgrid[0:12, 0:15]
    mask = np.hypot(x - 7, y - 6) < 5
    mask[0:2, 12:] = True
    assert np.array_equal(decode_runs("X1562N2O00000001N2NMM70000", 12, 15), mask)


def test_runs_that_do_not_fill_the_mask() -> None:
    with pytest.raises(BenchError, match="run-length code of 9 pixels does not fit a mask of 5×4"):
        decode_runs([5, 4], 4, 5)


def test_polygons_fill_the_pixels_inside() -> None:
    square = np.array([[10, 20], [30, 20], [30, 50], [10, 50]], np.float32)
    apart = square + np.array([50, 0], np.float32)
    wanted = np.zeros((HEIGHT, WIDTH), bool)
    wanted[20:50, 10:30] = wanted[20:50, 60:80] = True
    assert np.array_equal(fill_polygons([square, apart], HEIGHT, WIDTH), wanted)


def test_a_round_polygon_has_its_area() -> None:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    circle = np.stack([50 + 25 * np.cos(angle), 30 + 25 * np.sin(angle)], axis=1).astype(np.float32)
    assert abs(fill_polygons([circle], HEIGHT, WIDTH).sum() / (np.pi * 25**2) - 1) < 0.01


def box(image: int, category: int, left: int, top: int, right: int, bottom: int, **more: Any) -> dict[str, Any]:
    return {
        "id": 1000 * image + left,
        "image_id": image,
        "category_id": category,
        "area": (right - left) * (bottom - top),
        "iscrowd": 0,
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
    } | more


def crowd(image: int, category: int) -> dict[str, Any]:
    return box(image, category, 0, 0, 100, 60, iscrowd=1, segmentation={"size": [60, 100], "counts": [0, 6000]})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four photos of 100×60; cut to a square, columns 20 to 79 stay."""
    texts = {1: "a cat beside a car", 2: "an elephant", 3: "people", 4: "cars at the rim"}
    annotations = [
        box(1, 17, 20, 0, 44, 60), box(1, 3, 50, 10, 78, 50), box(1, 44, 60, 52, 70, 58),  # the last has 1 %
        crowd(1, 44),
        box(2, 22, 25, 5, 75, 55),
        box(3, 1, 20, 0, 44, 60), box(3, 17, 50, 0, 79, 60), box(3, 3, 80, 0, 99, 60),
        box(4, 3, 0, 0, 19, 60), box(4, 17, 81, 0, 100, 60), box(4, 22, 30, 0, 60, 60),
    ]  # fmt: skip
    folder = tmp_path / "coco"
    (folder / "val2017").mkdir(parents=True)
    (folder / "captions_val2017.json").write_text(
        json.dumps({"annotations": [{"id": n, "image_id": n, "caption": text} for n, text in texts.items()]})
    )
    write_instances(folder / "instances_val2017.json", annotations)
    for number in texts:
        picture = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "val2017" / f"{number:012d}.jpg")
    return tmp_path


def write_instances(path: Path, annotations: list[dict[str, Any]]) -> None:
    images = [{"id": number, "height": HEIGHT, "width": WIDTH} for number in range(1, 5)]
    categories = [{"id": number, "name": name} for number, name in CATEGORIES.items()]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))


SMALL = replace(COCO5K, count=4, pictures=replace(COCO5K.pictures, files=4))
REGIONS = replace(COCO_REGIONS, count=4, pictures=SMALL.pictures)


def prompt(number: int) -> Prompt:
    return Prompt(f"{number:012d}", "text", f"{number:012d}.jpg")


def test_regions_are_the_large_objects_the_largest_first(root: Path) -> None:
    regions = SMALL.regions(root, prompt(1), 64, 64)
    assert [region.prompt for region in regions] == ["a cat", "a car"]
    cat, car = (region.mask.read() for region in regions)
    assert cat.shape == (64, 64) and cat.dtype == bool
    assert cat[:, 2:24].all() and not cat[:, 27:].any()  # columns 20 to 44 of 20 to 80, at 64 pixels
    assert car[12:52, 34:60].all() and not car[:10].any()


def test_an_article_and_people(root: Path) -> None:
    assert [region.prompt for region in SMALL.regions(root, prompt(2), 64, 64)] == ["an elephant"]
    assert [region.prompt for region in SMALL.regions(root, prompt(3), 64, 64)] == ["a cat", "a person"]


def test_what_is_cut_off_is_no_region(root: Path) -> None:
    assert [region.prompt for region in SMALL.regions(root, prompt(4), 64, 64)] == ["an elephant"]
    whole = SMALL.regions(root, prompt(4), 60, 100)
    assert [region.prompt for region in whole] == ["an elephant", "a car", "a cat"]


def test_at_most_four_regions(root: Path) -> None:
    many = [box(2, 44, 20 + 10 * n, 0, 30 + 10 * n, 40 - n) for n in range(6)]
    write_instances(root / "coco" / "instances_val2017.json", many)
    assert len(SMALL.regions(root, prompt(2), 64, 64)) == 4


def test_digests_of_masks_tell_them_apart(root: Path) -> None:
    regions = [SMALL.regions(root, prompt(1), side, side) for side in (64, 48)]
    assert len({region.mask.digest for found in regions for region in found}) == 4
    assert regions[0] == SMALL.regions(root, prompt(1), 64, 64)


def test_the_photos_of_objects(root: Path) -> None:
    assert [each.text for each in REGIONS.prompts(root)] == ["a cat beside a car", "cars at the rim"]
    assert len(REGIONS.regions(root, prompt(1), 64, 64)) == 2
    assert REGIONS.regions(root, prompt(4), 64, 64) == ()  # one is left of three
    assert len(REGIONS.photos(root)) == 4


def test_a_photo_without_annotations_has_no_regions(root: Path) -> None:
    write_instances(root / "coco" / "instances_val2017.json", [])
    assert SMALL.regions(root, prompt(1), 64, 64) == ()
    assert REGIONS.prompts(root) == []


def test_conditions_and_sources_are_the_photos(root: Path) -> None:
    cut = fit(load_rgb(root / "coco" / "val2017" / "000000000002.jpg"), 48, 48)
    source = SMALL.source(root, prompt(2), 48, 48)
    assert source is not None and source.prompt == "text" and source.edit is None
    assert np.array_equal(source.picture.read(), cut)
    condition = SMALL.condition(root, prompt(2), "canny", 48, 48)
    assert condition is not None
    assert np.array_equal(condition.read()[..., 0] > 0, canny(cut))


def test_what_metrics_hold_pictures_against(root: Path) -> None:
    cut = fit(load_rgb(root / "coco" / "val2017" / "000000000001.jpg"), 64, 64)
    asked = {kind: SMALL.asked(root, prompt(1), kind, 64, 64) for kind in ("canny", "regions", "source", "edit")}
    assert asked["canny"] is not None and np.array_equal(asked["canny"].read(), canny(cut))
    assert asked["regions"] is not None and asked["regions"].read().shape == (2, 64, 64)
    assert asked["source"] is not None and np.array_equal(asked["source"].read(), cut)
    assert asked["edit"] is None
    write_instances(root / "coco" / "instances_val2017.json", [])
    assert SMALL.asked(root, prompt(1), "regions", 64, 64) is None


def test_the_finder_of_models_is_handed_on(root: Path) -> None:
    weights = WeightsFinder({"face_landmarker": root / "nowhere.task"})
    with pytest.raises(BenchError, match=r"--weights face_landmarker=.*nowhere\.task: no such file"):
        SMALL.using(weights).condition(root, prompt(1), "landmarks", 64, 64)


def test_what_is_not_at_hand_is_to_be_fetched(root: Path, tmp_path: Path) -> None:
    (root / "coco" / "val2017" / "000000000002.jpg").unlink()
    for ask in (SMALL.source, lambda *where: SMALL.condition(*where[:2], "canny", *where[2:])):
        with pytest.raises(BenchError, match=r"coco5k: no photo .*000000000002\.jpg: run 'bench fetch coco5k'"):
            ask(root, prompt(2), 64, 64)
    (root / "coco" / "instances_val2017.json").unlink()
    message = r"coco5k: no instance annotations in .*: run 'bench fetch coco5k' .* holds coco/instances_val2017\.json"
    with pytest.raises(BenchError, match=message):
        SMALL.regions(root, prompt(2), 64, 64)
    with pytest.raises(BenchError, match=r"coco/instances_val2014\.json"):
        COCO30K.regions(root, prompt(2), 64, 64)
    with pytest.raises(BenchError, match="bench fetch regions"):
        REGIONS.prompts(root)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"images": [], "categories": []}',
        '{"images": [], "categories": [], "annotations": [{"image_id": 1}]}',
    ],
)
def test_a_file_of_no_instances(tmp_path: Path, content: str) -> None:
    path = tmp_path / "instances.json"
    path.write_text(content)
    with pytest.raises(BenchError, match=r"instances\.json: not a COCO file of instances"):
        read_instances(path)


def test_a_code_of_another_size_than_its_photo(tmp_path: Path) -> None:
    path = tmp_path / "instances.json"
    write_instances(path, [box(1, 3, 0, 0, 1, 1, iscrowd=1, segmentation={"size": [1, 1], "counts": [1]})])
    with pytest.raises(BenchError, match=r"annotation 1000 is of size \[1, 1\], its photo 60×100"):
        read_instances(path)


@pytest.mark.parametrize("size", [(64, 64), (48, 96), (96, 48)])
def test_no_object_is_passed_over_that_fills_its_share(size: tuple[int, int]) -> None:
    """``may_fill`` may be wrong in one direction only."""
    from t2ibench.datasets.images import fit_mask

    for left in range(0, 90, 7):
        for wide in (3, 6, 9, 30):
            corners = np.array([[left, 0], [left + wide, 0], [left + wide, 60], [left, 60]], np.float32)
            instance = Instance("car", 60, 100, min(wide, 100 - left) * 60 / 6000, False, [corners])
            if fit_mask(instance.mask(), *size).mean() >= 0.05:
                assert instance.may_fill(0.05, *size)


def test_masks_are_not_made_again_to_choose_among_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = SMALL.regions(root, prompt(1), 64, 64)
    monkeypatch.setattr(Instance, "mask", lambda self: pytest.fail("made again"))
    assert SMALL.regions(root, prompt(1), 64, 64) == first
