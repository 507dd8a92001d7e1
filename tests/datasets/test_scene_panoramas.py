"""Captions of scenes for wide pictures."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from t2ibench.datasets import scene_panoramas
from t2ibench.datasets.catalog import DATASETS
from t2ibench.datasets.scene_captions import read_caption
from t2ibench.datasets.scene_dataset import REFERENCE_START
from t2ibench.datasets.scene_panoramas import PROMPT_COUNT, REFERENCE_COUNT
from t2ibench.datasets.scenes import held_out

DATASET = DATASETS.get("scene-panoramas")


def test_captions_are_of_one_object_and_of_the_validation_split() -> None:
    prompts = DATASET.prompts(Path())
    assert len(prompts) == PROMPT_COUNT == len({prompt.id for prompt in prompts})
    for prompt in prompts:
        words = read_caption(prompt.text)
        assert words is not None and len(words.objects) == 1
        assert held_out(prompt.text)
    assert DATASET.shown(prompts[0]).caption == prompts[0].text


def test_the_reference_is_of_other_scenes() -> None:
    numbers = DATASET.reference_numbers()
    assert len(numbers) == REFERENCE_COUNT == len(set(numbers))
    assert min(numbers) >= REFERENCE_START


def test_the_file_is_what_the_scenes_give() -> None:
    lines = scene_panoramas.CAPTIONS.read_text("utf-8").splitlines()
    found = list(islice(scene_panoramas._of_one_object(0), 3))
    assert found == [int(line.split(" ", 1)[0]) for line in lines[:3]]
