"""PIE-Bench's layout: prompts of before and after, pictures and masks; and the prompts of panoramas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from t2ibench.core.errors import BenchError
from t2ibench.datasets.catalog import DATASETS
from t2ibench.datasets.dataset import Dataset
from t2ibench.datasets.pie_bench import decode_mask
from t2ibench.datasets.prompts import Prompt

BICYCLE = {
    "image_path": "0_random_140/000000000000.jpg",
    "original_prompt": "a slanted mountain bicycle on the road in front of a building",
    "editing_prompt": "a slanted [rusty] mountain bicycle on the road in front of a building",
    "editing_instruction": "Make the frame of the bike rusty",
    "editing_type_id": "0",
    "blended_word": "bicycle bicycle",
    "mask": [512 * 100 + 50, 30, 512 * 101 + 50, 30],
}
CAT = BICYCLE | {
    "image_path": "1_change_object_80/111000000000.jpg",
    "original_prompt": "a [cat]",
    "editing_prompt": "a [dog ]",
}


def write(root: Path, entries: dict[str, Any]) -> Path:
    folder = root / "pie_bench"
    picture = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    for entry in entries.values():
        path = folder / "annotation_images" / entry["image_path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    (folder / "mapping_file.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture
def dataset() -> Dataset:
    return DATASETS.get("pie-bench")


def test_prompts_are_those_of_after_without_marks(dataset: Dataset, tmp_path: Path) -> None:
    write(tmp_path, {"000000000000": BICYCLE, "111000000000": CAT})
    assert dataset.prompts(tmp_path) == [
        Prompt(
            "000000000000",
            "a slanted rusty mountain bicycle on the road in front of a building",
            "0_random_140/000000000000.jpg",
        ),
        Prompt("111000000000", "a dog", "1_change_object_80/111000000000.jpg"),
    ]


def test_a_source_has_its_prompt_and_the_mask(dataset: Dataset, tmp_path: Path) -> None:
    write(tmp_path, {"1": CAT})
    (prompt,) = dataset.prompts(tmp_path)
    source = dataset.source(tmp_path, prompt, 512, 512)
    assert source is not None and source.edit is not None
    assert source.prompt == "a cat"
    assert source.picture.read().shape == (512, 512, 3)
    mask = source.edit.read()
    assert mask.dtype == bool and mask.shape == (512, 512)
    assert mask[100:102, 50:80].all()
    assert mask[1:-1, 1:-1].sum() == 60
    asked = dataset.asked(tmp_path, prompt, "edit", 512, 512)
    assert asked == source.edit


def test_another_size(dataset: Dataset, tmp_path: Path) -> None:
    write(tmp_path, {"1": BICYCLE | {"mask": [512 * 256, 512 * 256]}})
    (prompt,) = dataset.prompts(tmp_path)
    source, whole = (dataset.source(tmp_path, prompt, side, side) for side in (64, 512))
    assert source is not None and source.edit is not None and whole is not None and whole.edit is not None
    assert source.picture.read().shape == (64, 64, 3)
    assert source.edit.read()[34:].all() and not source.edit.read()[2:30, 2:62].any()
    assert source.edit != whole.edit


def test_masks_end_with_the_picture_and_have_its_border() -> None:
    mask = decode_mask([512 * 512 - 10, 100])
    assert mask.shape == (512, 512)
    assert mask[0].all() and mask[-1].all() and mask[:, 0].all() and mask[:, -1].all()
    assert mask.sum() == 4 * 511


def test_a_folder_of_the_users(dataset: Dataset, tmp_path: Path) -> None:
    own = dataset.at(write(tmp_path, {"1": CAT}))
    assert own is not None
    assert [prompt.text for prompt in own.prompts(tmp_path / "nowhere")] == ["a dog"]


def test_what_is_missing(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"pie-bench: no .*pie_bench/mapping_file\.json: get the benchmark from https"):
        dataset.prompts(tmp_path)
    folder = write(tmp_path, {"1": CAT})
    (folder / "annotation_images" / CAT["image_path"]).unlink()
    with pytest.raises(BenchError, match=r"pie-bench: no picture .*111000000000\.jpg"):
        dataset.source(tmp_path, dataset.prompts(tmp_path)[0], 512, 512)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_path": "../x.jpg"}, "picture '../x.jpg' of 1 lies outside"),
        ({"image_path": "/etc/x.jpg"}, "lies outside"),
        ({"mask": [1, 2, 3]}, "the mask of 1 is no list of starts and lengths"),
        ({"mask": [-5, 2]}, "the mask of 1 is no list of starts and lengths"),
        ({"mask": None}, "TypeError"),
        ({"editing_prompt": "[ ]"}, "a prompt is empty"),
    ],
)
def test_entries_that_are_none(dataset: Dataset, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = write(tmp_path, {"1": CAT})
    (folder / "mapping_file.json").write_text(json.dumps({"1": CAT | change}))
    with pytest.raises(BenchError, match=rf"mapping_file\.json: not PIE-Bench's mapping file .*{message}"):
        dataset.prompts(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"1": {}}'])
def test_a_file_that_is_no_mapping(dataset: Dataset, tmp_path: Path, content: str) -> None:
    (tmp_path / "pie_bench").mkdir()
    (tmp_path / "pie_bench" / "mapping_file.json").write_text(content)
    with pytest.raises(BenchError, match="not PIE-Bench's mapping file"):
        dataset.prompts(tmp_path)


def test_prompts_of_panoramas(tmp_path: Path) -> None:
    dataset = DATASETS.get("panoramas")
    prompts = dataset.prompts(tmp_path)
    assert len({prompt.text for prompt in prompts}) == 6
    assert dataset.at(tmp_path) is None
    with pytest.raises(BenchError, match="has no photos"):
        dataset.reference(tmp_path)
