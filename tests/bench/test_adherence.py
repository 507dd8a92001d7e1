"""A picture against the condition it was asked to keep to."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from t2ibench.bench.adherence import _matched, adherence
from t2ibench.datasets.scene_reader import read_picture
from t2ibench.datasets.scenes import scenes
from t2ibench.metrics.metric import CannotMeasure

DRAWN = list(scenes(60, "validation", start=4_000))
FACES = [scene for scene in DRAWN if scene.face]
OBJECTS = [scene for scene in DRAWN if scene.things]


def test_the_true_picture_adheres_and_another_does_not() -> None:
    for scene in OBJECTS:
        assert adherence(scene.image, scene, "canny") == 1
        depth = adherence(scene.image, scene, "depth")
        assert depth is not None and depth > 0.85
    others = [adherence(b.image, a, "depth") for a, b in itertools.pairwise(OBJECTS)]
    assert np.mean([value or 0 for value in others]) < 0.3
    others = [adherence(b.image, a, "canny") for a, b in itertools.pairwise(OBJECTS)]
    assert np.mean([value or 0 for value in others]) < 0.6


def test_what_nothing_overlaps_is_matched_with_nothing() -> None:
    reading = read_picture(OBJECTS[0].image)
    elsewhere = ~np.any([thing.mask for thing in reading.objects], axis=0)
    assert reading.objects and elsewhere.any()
    assert not _matched(reading, elsewhere[None]).any()


def test_landmarks_are_measured_in_eye_distances() -> None:
    for scene, other in itertools.pairwise(FACES):
        own, wrong = adherence(scene.image, scene, "landmarks"), adherence(other.image, scene, "landmarks")
        assert own is not None and own < 0.15
        assert wrong is None or wrong > own
    assert adherence(OBJECTS[0].image, FACES[0], "landmarks") is None
    with pytest.raises(CannotMeasure, match="no face"):
        adherence(FACES[0].image, OBJECTS[0], "landmarks")


def test_a_face_fills_its_head() -> None:
    depth = [adherence(scene.image, scene, "depth") for scene in FACES]
    assert min(value or 0 for value in depth) > 0.8
