"""Pictures against what they were asked to show: the observers of drawn scenes, alone and in a run."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from t2ibench.bench.observers import observers_of
from t2ibench.core.weights import WeightsFinder
from t2ibench.datasets.catalog import DATASETS
from t2ibench.datasets.images import load_rgb
from t2ibench.datasets.prompts import Prompt
from t2ibench.datasets.scene_dataset import SCENE_FACES, SCENES
from t2ibench.datasets.scene_edits import SCENE_EDITS, edit_of
from t2ibench.datasets.scene_reader import read_picture
from t2ibench.datasets.scene_regions import SCENE_REGIONS, name_of, named_masks
from t2ibench.datasets.scenes import Scene, scenes
from t2ibench.metrics.control import depth_rmse, edge_f1, landmark_error
from t2ibench.metrics.editing import Outcome
from t2ibench.metrics.metric import CannotMeasure
from t2ibench.metrics.regions import region_iou

DRAWN = list(scenes(60, "validation", start=4_000))
FACES = [scene for scene in DRAWN if scene.face]
OBJECTS = [scene for scene in DRAWN if scene.things]
LOOK = observers_of(SCENES, ("canny", "depth", "landmarks", "regions"), WeightsFinder())


def overlap(picture: np.ndarray, masks: np.ndarray) -> float:
    return region_iou(LOOK["regions"](picture, masks), masks).mean


def test_the_true_picture_shows_what_was_asked_and_another_does_not() -> None:
    for scene in OBJECTS:
        assert overlap(scene.image, scene.masks) > 0.85
    others = [overlap(b.image, a.masks) for a, b in itertools.pairwise(OBJECTS)]
    assert np.mean(others) < 0.3
    edges = [LOOK["canny"](scene.image, None) for scene in OBJECTS]
    assert np.mean([edge_f1(b, a).f1 for a, b in itertools.pairwise(edges)]) < 0.6


def test_objects_count_where_they_are_under_their_own_names() -> None:
    look = observers_of(SCENE_REGIONS, ("objects",), WeightsFinder())["objects"]
    for scene in [scene for scene in OBJECTS if len(scene.things) > 1][:10]:
        names = [name_of(words) for words in scene.words.objects]
        right, swapped = (named_masks(each, scene.masks) for each in (names, [*names[1:], names[0]]))
        assert region_iou(look(scene.image, right), scene.masks).mean > 0.85
        assert region_iou(look(scene.image, swapped), scene.masks).mean < 0.02
        mirrored = scene.image[:, ::-1]
        assert region_iou(look(mirrored, right), scene.masks).mean < 0.6
        other = named_masks(["pink star"] * len(names), scene.masks)
        assert not look(scene.image, other).any()


def depth_error(shown: Scene, asked: Scene) -> float:
    return depth_rmse(LOOK["depth"](shown.image, asked.depth), asked.depth)


def test_depth_of_the_true_picture_is_that_asked_for_and_another_is_not() -> None:
    errors = [depth_error(scene, scene) for scene in OBJECTS]
    assert np.mean(errors) < 0.02 and max(errors) < 0.1
    assert np.mean([depth_error(scene, scene) for scene in FACES]) < 0.06
    others = [depth_error(b, a) for a, b in itertools.pairwise(DRAWN)]
    assert np.mean(others) > 0.2


def test_depth_tells_what_is_missing_too_many_or_moved() -> None:
    worse: dict[str, list[float]] = {"missing": [], "too many": [], "moved": []}
    for scene in OBJECTS:
        if len(scene.things) > 1:
            alone = replace(scene, things=scene.things[:1], order=(0,))
            moved = replace(scene, things=tuple(replace(thing, x=thing.x - 3) for thing in scene.things))
            worse["missing"].append(depth_error(alone, scene) - depth_error(scene, scene))
            worse["too many"].append(depth_error(scene, alone) - depth_error(alone, alone))
            worse["moved"].append(depth_error(moved, scene) - depth_error(scene, scene))
    assert all(min(found) > 0.02 for found in worse.values())
    assert all(np.mean(found) > 0.1 for found in worse.values())
    empty = replace(OBJECTS[0], things=(), order=())
    assert depth_error(empty, OBJECTS[0]) == pytest.approx(OBJECTS[0].depth.std())


def test_depth_tells_who_hides_whom() -> None:
    pairs = [scene for scene in OBJECTS if np.sum([thing.inside for thing in scene.things], axis=0).max() > 1]
    worse = [depth_error(replace(scene, order=scene.order[::-1]), scene) - depth_error(scene, scene) for scene in pairs]
    assert len(worse) > 5
    assert min(worse) > 0.005 and np.mean(worse) > 0.02


def test_a_face_bulges_and_its_hair_is_farther() -> None:
    for scene in FACES:
        seen, hair = LOOK["depth"](scene.image, scene.depth), scene.depth == 0.4
        assert seen.max() > 0.98
        assert abs(seen - scene.depth)[scene.depth > 0.6].mean() < 0.05
        assert (seen[hair] == 0.4).mean() > 0.85
        assert depth_error(OBJECTS[0], scene) > 0.25


EDITS = [edit_of(prompt.id, prompt.text) for prompt in SCENE_EDITS.prompts(Path())[:30]]
LOOK_AT_EDITS = observers_of(SCENE_EDITS, ("edited", "regions"), WeightsFinder())


def outcome(picture: np.ndarray, place: int) -> Outcome:
    edit = EDITS[place]
    return LOOK_AT_EDITS["edited"](picture, np.stack([edit.before.image, edit.after.image]))


def test_the_true_edit_is_done_and_keeps_all_and_the_source_only_keeps_all() -> None:
    for place, edit in enumerate(EDITS):
        true, same = outcome(edit.after.image, place), outcome(edit.before.image, place)
        left_alone = len(edit.before.things) - (edit.kind in ("colour", "shape", "remove"))
        assert true == Outcome(True, (True,) * left_alone)
        assert same == Outcome(False, (True,) * left_alone)


def test_the_source_has_the_whole_layout() -> None:
    overlaps = [region_iou(LOOK_AT_EDITS["regions"](e.before.image, e.layout), e.layout).mean for e in EDITS]
    assert np.mean(overlaps) > 0.95


def test_an_edit_that_moves_recolours_or_loses_the_others_does_not_keep_them() -> None:
    place = next(p for p, edit in enumerate(EDITS) if edit.kind == "remove" and len(edit.after.things) == 2)
    after = EDITS[place].after
    first, second = after.things
    moved = replace(after, things=(replace(first, x=first.x - 20 if first.x > 32 else first.x + 20), second))
    redrawn = replace(after, things=(replace(first, rgb=(215, 215, 40)), second))
    lost = replace(after, things=(first,), order=(0,))
    kept = [sorted(outcome(drawn.image, place).kept) for drawn in (after, moved, redrawn, lost)]
    assert kept == [[True, True], [False, True], [False, True], [False, True]]
    assert all(outcome(drawn.image, place).done for drawn in (after, moved, lost))


def test_half_an_edit_is_none() -> None:
    place = next(p for p, edit in enumerate(EDITS) if edit.kind == "colour" and len(edit.before.things) == 1)
    edit = EDITS[place]
    (old,), (new,) = edit.before.things, edit.after.things
    beside = replace(old, x=63 - old.x, y=63 - old.y)
    both = replace(edit.after, things=(new, beside), order=(0, 1))
    assert not outcome(both.image, place).done
    assert outcome(replace(edit.after, things=(replace(new, x=63 - new.x),)).image, place).done
    red, cyan = replace(old, rgb=(120, 90, 60)), replace(new, x=63 - new.x, y=63 - new.y)
    rest = replace(edit.after, things=(cyan, red), order=(0, 1))  # in its place, and neither the old nor the new one
    assert not outcome(rest.image, place).done
    for kind, done in (("add", False), ("remove", True), ("background", True)):
        place = next(p for p, edit in enumerate(EDITS) if edit.kind == kind)
        nothing = outcome(replace(EDITS[place].after, things=(), order=()).image, place)
        assert nothing.done is done
        assert not any(nothing.kept)


def test_faces_are_looked_at_as_all_scenes_are() -> None:
    kinds = ("canny", "depth", "landmarks", "regions")
    found = observers_of(SCENE_FACES, kinds, WeightsFinder())
    assert {kind: found[kind].label for kind in kinds} == {kind: LOOK[kind].label for kind in kinds}


def test_what_nothing_overlaps_is_matched_with_nothing() -> None:
    reading = read_picture(OBJECTS[0].image)
    elsewhere = ~np.any([thing.mask for thing in reading.objects], axis=0)
    assert reading.objects and elsewhere.any()
    assert not LOOK["regions"](OBJECTS[0].image, elsewhere[None]).any()


def test_a_face_fills_its_head_and_has_its_landmarks() -> None:
    for scene in FACES:
        assert overlap(scene.image, scene.masks) > 0.8
        assert np.abs(LOOK["landmarks"](scene.image, None) - scene.landmarks).mean() < 1
    assert LOOK["landmarks"](OBJECTS[0].image, None) is None


def test_pictures_of_another_size_are_declined() -> None:
    with pytest.raises(CannotMeasure, match="needs pictures of 64×64, not 32×48"):
        LOOK["regions"](np.zeros((48, 32, 3), np.uint8), np.ones((1, 48, 32), bool))


def test_the_dataset_tells_the_truth_and_where_there_is_none(tmp_path: Path) -> None:
    prompts = SCENES.prompts(tmp_path)[:40]
    found = [SCENES.asked(tmp_path, prompt, "landmarks", 64, 64) for prompt in prompts]
    assert {points is None for points in found} == {True, False}
    assert [points is None for points in found] == [
        SCENES.condition(tmp_path, prompt, "landmarks", 64, 64) is None for prompt in prompts
    ]
    first = Prompt(prompts[0].id, prompts[0].text)
    edges, again = (SCENES.asked(tmp_path, first, "canny", 64, 64) for _ in range(2))
    assert edges is not None and edges == again
    assert edges.read().dtype == np.bool_


def test_a_run_measures_control_of_every_method(bench: Callable, tmp_path: Path) -> None:
    suite = tmp_path / "control.toml"
    suite.write_text(
        """
        name = "control"
        version = 1
        summary = "What drawn scenes and other scenes show of the truth"
        dataset = "scenes"
        methods = ["scenes", "scenes[offset=1]"]
        metrics = ["edge_f1", "landmark_error", "face_detection", "region_iou", "depth_rmse"]
        n = 24
        [sampling]
        size = 64
        """
    )
    code, _, err = bench("run", "--suite", suite, "--out", tmp_path / "run")
    assert code == 0, err
    results = json.loads((tmp_path / "run" / "run.json").read_text())["results"]
    truth, other = (result["metrics"] for result in results)
    assert truth["edge_f1"]["value"] == 1
    assert other["edge_f1"]["value"] < 0.6
    assert truth["landmark_error"]["value"] < 0.1
    assert truth["face_detection"]["value"] == 1
    assert truth["face_detection"]["n"] < 24
    assert truth["region_iou"]["value"] > 0.85 > other["region_iou"]["value"]
    assert truth["depth_rmse"]["value"] < 0.04
    assert other["depth_rmse"]["value"] > 0.2
    assert ":scene-reader@" in truth["depth_rmse"]["identity"]
    assert ":skimage-canny-rgb:" in truth["edge_f1"]["identity"]


def test_a_model_that_is_not_at_hand_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = DATASETS.get("faces")
    monkeypatch.setenv("T2IBENCH_WEIGHTS", str(tmp_path))
    looking = observers_of(photos, ("canny", "landmarks"), WeightsFinder(offline=True))
    assert looking["canny"](np.zeros((32, 32, 3), np.uint8), None).shape == (32, 32)
    with pytest.raises(CannotMeasure, match="face_landmarker"):
        looking["landmarks"](np.zeros((32, 32, 3), np.uint8), None)


@pytest.mark.data
def test_faces_of_photos_are_found_where_they_were_asked_for() -> None:
    photo = load_rgb(Path(os.environ["T2IBENCH_DATA"]) / "faces" / "astronaut.png")
    look = observers_of(DATASETS.get("faces"), ("landmarks",), WeightsFinder())["landmarks"]
    points = look(photo, None)
    assert points.shape == (478, 2)
    moved = look(np.roll(photo, 16, axis=1), points)
    expected = landmark_error([points + np.array([16, 0])], [points]).error
    assert landmark_error([moved], [points]).error == pytest.approx(expected, rel=0.1)
