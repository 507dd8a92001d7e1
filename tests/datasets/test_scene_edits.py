"""Edits of drawn scenes as a dataset: what changes, what stays, and that captions say so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from t2ibench.core.errors import BenchError
from t2ibench.datasets import scene_edits
from t2ibench.datasets.catalog import DATASETS
from t2ibench.datasets.prompts import Prompt
from t2ibench.datasets.scene_captions import read_caption
from t2ibench.datasets.scene_edits import KINDS, SOURCE_COUNT, Edit, edit_of
from t2ibench.datasets.scene_reader import compare, read_picture
from t2ibench.datasets.scenes import held_out, scene

ROOT = Path()
DATASET = DATASETS.get("scene-edits")
PROMPTS = DATASET.prompts(ROOT)
EDITS = [edit_of(prompt.id, prompt.text) for prompt in PROMPTS[:40]]


def test_two_edits_of_each_source_follow_one_another_and_kinds_are_as_many() -> None:
    numbers = [prompt.id.split("-")[0] for prompt in PROMPTS]
    assert len(PROMPTS) == 2 * SOURCE_COUNT == len({prompt.id for prompt in PROMPTS})
    assert numbers[::2] == numbers[1::2]
    assert len(set(numbers)) == SOURCE_COUNT
    assert [DATASET.kind_of(prompt) for prompt in PROMPTS] == [prompt.id.split("-")[1] for prompt in PROMPTS]
    for count in (10, 20, 40, 510):
        kinds = Counter(prompt.id.split("-")[1] for prompt in PROMPTS[:count])
        assert kinds == dict.fromkeys(KINDS, count // len(KINDS))


def test_captions_are_of_the_grammar_and_of_the_validation_split() -> None:
    for prompt in PROMPTS:
        words = read_caption(prompt.text)
        assert words is not None
        assert words.text == prompt.text
        assert held_out(prompt.text)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.id)
def test_an_edit_changes_what_its_mask_covers_and_nothing_else(edit: Edit) -> None:
    before, after = edit.before.image, edit.after.image
    np.testing.assert_array_equal(before[~edit.mask], after[~edit.mask])
    assert (before != after).any()
    assert edit.after.caption == edit.caption != edit.before.caption
    assert edit.layout.any((1, 2)).all()
    changed = abs(before.astype(int) - after).max(-1) > 0
    if edit.kind in ("colour", "shape", "remove"):  # no more than what changes, and REACH around it
        assert edit.mask.sum() < (2 * scene_edits.REACH + 1) ** 2 * changed.sum()
        assert edit.mask.mean() < 0.5


def test_the_pictures_show_what_the_captions_say() -> None:
    for edit in EDITS[:20]:
        for drawn in (edit.before, edit.after):
            obeyed = compare(read_picture(drawn.image), drawn.words)
            assert obeyed.right
            assert obeyed.background
        assert not compare(read_picture(edit.before.image), edit.after.words).right or edit.kind == "background"


def test_kinds_do_what_they_are_called() -> None:
    for edit in EDITS:
        before, after = edit.before, edit.after
        shapes, colours = ([[getattr(thing, name) for thing in drawn.things] for drawn in (before, after)]
                           for name in ("shape", "colour"))  # fmt: skip
        more = len(after.things) - len(before.things)
        assert more == {"add": 1, "remove": -1}.get(edit.kind, 0)
        if not more:
            assert (shapes[0] != shapes[1]) == (edit.kind == "shape")
            assert (colours[0] != colours[1]) == (edit.kind == "colour")
        assert (before.ground != after.ground) == (edit.kind == "background")
        assert before.ground.pattern == after.ground.pattern


def test_the_place_of_an_added_object_is_open_as_far_as_its_caption_leaves_it() -> None:
    edit = next(edit for edit in EDITS if edit.id == "200003-add")  # a purple circle left of an orange diamond
    diamond = edit.after.things[1]
    assert edit.mask[:, : int(diamond.x) - 12].mean() > 0.8
    assert not edit.mask[:, int(diamond.x) + 2 :].any()
    assert not (edit.mask & edit.before.masks.any(0) & ~edit.after.masks[-1]).sum() > 40


def test_the_file_is_what_the_code_writes() -> None:
    assert (SOURCE_COUNT - 1) % len(scene_edits._PAIRS) == 5
    found = scene_edits._find(200002, scene_edits._PAIRS[0])
    assert found == EDITS[:2], "run: python -m t2ibench.datasets.scene_edits"
    assert scene_edits._find(200000, scene_edits._PAIRS[0]) is None


def test_a_request_gets_the_scene_before_and_the_truth_is_that_after() -> None:
    edit, prompt = EDITS[0], PROMPTS[0]
    source = DATASET.source(ROOT, prompt, 64, 64)
    assert source is not None and source.edit is not None
    np.testing.assert_array_equal(source.picture.read(), edit.before.image)
    assert source.prompt == edit.before.caption == scene(edit.number, "validation").caption
    np.testing.assert_array_equal(source.edit.read(), edit.mask)
    asked = {
        kind: DATASET.asked(ROOT, prompt, kind, 64, 64).read()
        for kind in ("source", "edit", "edited", "regions", "depth")
    }
    np.testing.assert_array_equal(asked["source"], edit.before.image)
    np.testing.assert_array_equal(asked["edit"], edit.mask)
    np.testing.assert_array_equal(asked["edited"], [edit.before.image, edit.after.image])
    np.testing.assert_array_equal(asked["regions"], edit.before.masks)
    np.testing.assert_array_equal(asked["depth"], edit.after.depth)
    removed = next(edit for edit in EDITS if edit.kind == "remove")
    assert len(removed.layout) == len(removed.before.things) - 1
    with pytest.raises(BenchError, match="does not know"):
        DATASET.asked(ROOT, prompt, "smell", 64, 64)


def test_other_prompts_and_sizes_are_refused() -> None:
    for prompt in (Prompt("000000", PROMPTS[0].text), Prompt(PROMPTS[0].id, "a red circle")):
        with pytest.raises(BenchError, match="is no edit of dataset 'scene-edits'"):
            DATASET.source(ROOT, prompt, 64, 64)
    with pytest.raises(BenchError, match="has pictures of 64×64, not 32×64"):
        DATASET.source(ROOT, PROMPTS[0], 64, 32)
