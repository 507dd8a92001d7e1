"""Scenes by regions as a dataset: prompts, masks of each kind, and what is asked for."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from t2ibench.core.errors import BenchError
from t2ibench.datasets import scene_regions
from t2ibench.datasets.catalog import DATASETS
from t2ibench.datasets.prompts import Prompt
from t2ibench.datasets.scene_captions import read_caption
from t2ibench.datasets.scene_dataset import REFERENCE_START, SCENES
from t2ibench.datasets.scene_regions import CASE_COUNT, KINDS, LEAST, ORDER, REFERENCE_COUNT, ROOM
from t2ibench.datasets.scenes import held_out

ROOT = Path()
DATASET = DATASETS.get("scene-regions")
PROMPTS = DATASET.prompts(ROOT)


def of_kind(kind: str, count: int = 6) -> list[Prompt]:
    return list(islice((prompt for prompt in PROMPTS if DATASET.kind_of(prompt) == kind), count))


def masks(prompt: Prompt) -> np.ndarray:
    return np.stack([region.mask.read() for region in DATASET.regions(ROOT, prompt, 64, 64)])


def test_half_of_the_cases_are_plain_and_every_four_hold_all_kinds() -> None:
    kinds = [DATASET.kind_of(prompt) for prompt in PROMPTS]
    assert len(PROMPTS) == CASE_COUNT == len({prompt.id for prompt in PROMPTS})
    assert set(kinds) == set(KINDS)
    for start in range(0, CASE_COUNT, 4):
        assert Counter(kinds[start : start + 4]) == Counter(ORDER)
    assert SCENES.kind_of(PROMPTS[0]) is None


def test_captions_are_of_the_grammar_and_of_the_validation_split() -> None:
    for prompt in PROMPTS:
        words = read_caption(prompt.text)
        assert words is not None and words.text == prompt.text
        assert held_out(prompt.text)
        assert not words.face


def test_the_prompts_of_regions_and_background_say_together_what_the_caption_says() -> None:
    for prompt in PROMPTS[:8]:
        said = [region.prompt for region in DATASET.regions(ROOT, prompt, 64, 64)]
        assert prompt.text.startswith(said[0])
        assert all(text in prompt.text for text in said)
        assert prompt.text.endswith(f" on {DATASET.background(prompt)}")
        assert SCENES.background(prompt) is None


@pytest.mark.parametrize("kind", KINDS)
def test_objects_are_large_and_asked_for_where_they_are_seen(kind: str) -> None:
    for prompt in of_kind(kind):
        drawn = DATASET.shown(prompt)
        asked = DATASET.asked(ROOT, prompt, "objects", 64, 64).read()
        assert asked["name"].tolist() == [f"{thing.colour} {thing.shape}" for thing in drawn.things]
        np.testing.assert_array_equal(asked["mask"], drawn.masks)
        assert drawn.masks.mean((1, 2)).min() >= LEAST
        assert (drawn.masks & ~masks(prompt)).sum() == 0, "every mask holds its object"


def test_tight_masks_are_outlines() -> None:
    for prompt in of_kind("tight"):
        np.testing.assert_array_equal(masks(prompt), DATASET.shown(prompt).masks)


def test_plain_masks_have_room_and_do_not_meet() -> None:
    for prompt in of_kind("plain"):
        found, drawn = masks(prompt), DATASET.shown(prompt)
        assert found.sum(0).max() == 1
        for mask, thing in zip(found, drawn.things, strict=True):
            assert mask.sum() > 1.2 * thing.inside.sum()
            assert thing.distance[mask].max() <= ROOM + 1


def test_overlapping_masks_are_of_whole_objects_with_room() -> None:
    for prompt in of_kind("overlapping"):
        found, drawn = masks(prompt), DATASET.shown(prompt)
        assert found.sum(0).max() > 1
        for mask, thing in zip(found, drawn.things, strict=True):
            assert mask[thing.inside].all()


def test_the_reference_is_of_other_scenes_of_the_same_kinds() -> None:
    numbers = DATASET.reference_numbers()
    assert len(numbers) == REFERENCE_COUNT == len(set(numbers))
    assert min(numbers) >= REFERENCE_START
    kinds = [case.kind for case in scene_regions._cases() if case.number >= REFERENCE_START]
    assert Counter(kinds[:4]) == Counter(ORDER)


def test_the_file_is_what_the_scenes_give() -> None:
    lines = scene_regions.CASES.read_text("utf-8").splitlines()
    found = islice(scene_regions._found(0), 2)
    assert [f"{case.number} {case.kind} {case.caption}" for case in found] == lines[:2]


def test_other_prompts_and_sizes_are_one_line() -> None:
    with pytest.raises(BenchError, match="is no caption of dataset 'scenes'"):
        DATASET.regions(ROOT, Prompt("000012-plain", "a red circle"), 64, 64)
    with pytest.raises(BenchError, match="has pictures of 64×64, not 64×128"):
        DATASET.regions(ROOT, PROMPTS[0], 128, 64)
    with pytest.raises(BenchError, match="has pictures of 64×64"):
        DATASET.asked(ROOT, PROMPTS[0], "objects", 128, 64)
