"""The procedural world: its scenes, their captions and their exact truth."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from t2ibench.datasets.scene_captions import read_caption
from t2ibench.datasets.scenes import KINDS, LANDMARKS, LIP_RGB, RADII, SIZE, held_out, scene, scenes


@pytest.fixture(scope="module")
def drawn():
    return list(scenes(160, "validation"))


@pytest.fixture(scope="module")
def faces(drawn):
    return [one for one in drawn if one.face]


@pytest.fixture(scope="module")
def crowds(drawn):
    return [one for one in drawn if one.things]


def off(pixel, rgb):
    return np.abs(np.asarray(pixel, dtype=float) - rgb).max()


def at(picture, position):
    x, y = np.round(position).astype(int)
    return picture[y, x].astype(float)


def test_an_index_gives_the_same_scene_whatever_was_drawn_before(drawn):
    again = scene(7, "validation")
    assert again == drawn[7] and np.array_equal(again.image, drawn[7].image)
    assert again != scene(7, "validation", seed=1) and again != scene(7, "train")
    assert list(scenes(2, "validation", start=6)) == drawn[6:8]


def test_the_world_is_the_one_that_published_models_know(drawn):
    assert [one.caption for one in drawn[:3]] == [
        "a cyan diamond right of a small yellow diamond on a mint background",
        "a neutral face with short blond hair looking left on a cream background",
        "a red square left of a small orange cross and a cyan diamond above the orange cross "
        "on a striped white background",
    ]


def test_no_caption_of_one_split_is_in_the_other(drawn):
    train = {one.caption for seed in (0, 1) for one in scenes(100, "train", seed)}
    validation = {one.caption for one in drawn} | {one.caption for one in scenes(60, "validation", seed=1)}
    assert not train & validation
    assert all(map(held_out, validation)) and not any(map(held_out, train))


def test_pictures_are_as_often_of_each_kind_as_is_said(drawn):
    more = [*drawn, *scenes(240, "train")]
    counts = Counter("face" if one.face else str(len(one.things)) for one in more)
    assert counts.keys() == KINDS.keys()
    assert all(abs(counts[kind] / len(more) - share) < 0.06 for kind, share in KINDS.items())


@pytest.mark.parametrize("split", ["train", "validation"])
def test_captions_are_read_back_as_they_were_meant(split):
    for one in scenes(150, split):
        words = read_caption(one.caption)
        assert words.text == one.caption
        assert (words.face, words.relations, words.background) == (
            one.words.face,
            one.words.relations,
            one.ground.colour,
        )
        assert [(said.shape, said.colour) for said in words.objects] == [(it.shape, it.colour) for it in one.things]


def test_captions_are_read_in_any_case_and_without_a_background():
    assert read_caption(" A red Circle above a blue square. ").text == "a red circle above a blue square"
    assert read_caption("a face").text == "a face"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a photo of a cat",
        "a red hexagon",
        "red circle",
        "a red circle beside a blue square",
        "a red circle left of a blue square and a green cross above the yellow square",
        "a red circle left of a red circle and a green cross above the red circle",
        "a red circle on a pink background",
        "a laughing face",
        "a smiling face in front of a red circle",
    ],
)
def test_other_texts_are_no_captions(text):
    assert read_caption(text) is None


def test_captions_tell_the_truth(drawn):
    for one in drawn:
        assert (one.words.background, one.words.pattern) == (one.ground.colour, one.ground.pattern)
        for thing, said in zip(one.things, one.words.objects, strict=True):
            assert said.size in (None, thing.size)
            assert RADII[thing.size][0] <= thing.radius <= RADII[thing.size][1]
        if one.face:
            said = {name: word for name, word in vars(one.words.face).items() if word}
            assert said == {name: getattr(one.face, name) for name in said}


def test_objects_stand_as_the_relations_say(crowds):
    seen = Counter()
    for one in crowds:
        for relation in one.words.relations:
            a, b = one.things[relation.subject], one.things[relation.target]
            seen[relation.name] += 1
            if relation.name in ("in front of", "behind"):
                near, far = (a, b) if relation.name == "in front of" else (b, a)
                both = (near.coverage > 0.5) & (far.coverage > 0.5)
                assert both.sum() >= 16
                assert one.masks[one.things.index(near)][both].all()
                assert off(np.median(one.image[both & (near.coverage == 1)], 0), near.rgb) <= 1
            else:
                apart = {"left of": b.x - a.x, "right of": a.x - b.x, "above": b.y - a.y, "below": a.y - b.y}
                assert apart[relation.name] >= 10
    assert len(seen) == 6


def test_masks_show_the_objects_and_share_no_pixel(crowds):
    for one in crowds:
        assert (one.masks.sum(0) <= 1).all()
        for thing, mask in zip(one.things, one.masks, strict=True):
            assert off(np.median(one.image[mask], 0), thing.rgb) <= 1
            assert mask.sum() >= 0.6 * (thing.coverage > 0.5).sum()


def test_boxes_are_those_of_the_masks(drawn):
    for one in drawn:
        for mask, (left, top, right, bottom) in zip(one.masks, one.boxes, strict=True):
            inside = mask[top:bottom, left:right]
            assert inside.sum() == mask.sum()
            assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


def test_depth_rises_from_the_background_to_the_nearest(drawn):
    for one in drawn:
        assert one.depth.shape == (SIZE, SIZE) and one.depth[0, 0] == 0 and 0.9 < one.depth.max() <= 1
        depths = [one.depth[one.masks[number]].mean() for number in one.order]
        assert all(far < near for far, near in pairwise(depths))


def test_landmarks_lie_on_the_features(faces):
    for one in faces:
        marks = dict(zip(LANDMARKS, one.landmarks, strict=True))
        for side, outward in (("left", -1), ("right", 1)):
            assert at(one.image, marks[f"{side} pupil"]).mean() < 60
            away = {"left": 1, "right": -1}.get(one.face.gaze, outward)  # where the pupil is not
            assert at(one.image, marks[f"{side} eye"] + (away * 0.17 * one.face.half_width, 0)).min() > 200
        assert off(at(one.image, marks["nose"]), 0.72 * np.array(one.face.skin_rgb)) < 20
        assert off(at(one.image, (marks["mouth top"] + marks["mouth bottom"]) / 2), LIP_RGB) < 20
        for corner, inward in (("mouth left", 1), ("mouth right", -1)):
            assert off(at(one.image, marks[corner] + (inward, 0)), LIP_RGB) < 60
        assert off(at(one.image, marks["chin"] - (0, 1.5)), one.face.skin_rgb) <= 2
        assert off(at(one.image, marks["chin"] + (0, 1.5)), one.face.skin_rgb) > 5


def test_features_follow_the_words(faces):
    for one in faces:
        eyes, pupils, corners, lips = (one.landmarks[i : i + 2].mean(0) for i in (0, 2, 5, 7))
        signs = {"left": -1, "right": 1, "ahead": 0, "forward": 0}
        assert np.sign((pupils - eyes)[0].round(6)) == signs[one.face.gaze]
        assert np.sign((eyes[0] - one.face.x).round(6)) == signs[one.face.pose]
        bend = {"smiling": 1, "sad": -1}.get(one.face.expression, 0)
        assert np.sign((lips - corners)[1].round(6)) == bend
        below_the_ear = at(one.image, (one.face.x - one.face.half_width - 1.5, one.face.y + 0.4 * one.face.half_height))
        if one.ground.colour != "black":  # there is black hair on black
            assert (off(below_the_ear, one.face.hair_rgb) < 20) == (one.face.hairstyle == "long")


def test_an_edited_scene_has_its_own_truth(faces, crowds):
    face = next(one for one in faces if one.face.expression == "smiling")
    sad = replace(face, face=replace(face.face, expression="sad"))
    changed = np.flatnonzero((face.image != sad.image).any((1, 2)))
    assert changed.min() > face.landmarks[4, 1]  # below the nose
    assert (face.landmarks != sad.landmarks).any(1).tolist() == [False] * 5 + [True] * 4 + [False]

    pair = next(one for one in crowds if len(one.things) == 2)
    alone = replace(pair, things=pair.things[:1], order=(0,))
    assert alone.boxes.shape == (1, 4)
    assert np.array_equal(alone.image[pair.masks[0]], pair.image[pair.masks[0]]) or pair.order == (1, 0)
