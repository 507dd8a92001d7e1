"""Condition maps of scenes."""

from __future__ import annotations

import numpy as np
import pytest

from t2ibench.core.errors import BenchError
from t2ibench.datasets.scene_conditions import canny, condition_map
from t2ibench.datasets.scenes import Scene, scenes

DRAWN = list(scenes(40, "validation", start=3_000))
FACES = [scene for scene in DRAWN if scene.face]
OBJECTS = [scene for scene in DRAWN if scene.things]


@pytest.mark.parametrize("scene", OBJECTS[:8], ids=lambda scene: scene.caption[:30])
def test_edges_run_along_every_object(scene: Scene) -> None:
    edges = canny(scene.image)
    for mask in scene.masks:
        inner = mask & np.roll(mask, 1, 0) & np.roll(mask, -1, 0) & np.roll(mask, 1, 1) & np.roll(mask, -1, 1)
        rows, columns = np.nonzero(mask & ~inner)
        near = [edges[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].any() for y, x in zip(rows, columns, strict=True)]
        assert np.mean(near) > 0.9


def test_depth_is_bright_where_near_and_black_behind() -> None:
    for scene in OBJECTS:
        depth = condition_map(scene, "depth")
        assert depth.shape == (64, 64, 3) and depth.dtype == np.uint8
        assert not depth[~scene.masks.any(0)].any()
        levels = [depth[scene.masks[number]].mean() for number in scene.order]
        assert levels == sorted(levels) and levels[-1] == 255


def test_landmarks_are_drawn_where_they_are() -> None:
    for scene in FACES:
        drawn = condition_map(scene, "landmarks")
        assert scene.landmarks is not None
        for x, y in scene.landmarks:
            assert drawn[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].any()
        far = [
            np.hypot(*(scene.landmarks - (x, y)).T).min() > 9 for y, x in zip(*np.nonzero(drawn.any(-1)), strict=True)
        ]
        assert not any(far)


def test_what_has_no_map_is_named() -> None:
    with pytest.raises(BenchError, match="has no face"):
        condition_map(OBJECTS[0], "landmarks")
    with pytest.raises(BenchError, match=r"unknown condition 'pose' \(known: canny, depth, landmarks\)"):
        condition_map(OBJECTS[0], "pose")  # type: ignore[arg-type]
