"""Who finds in pictures what they were asked to show: edges, faces, depth, objects; in drawn scenes and in photos."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..core.weights import WeightsFinder
from ..datasets.captioned import CaptionedPhotos
from ..datasets.dataset import Dataset
from ..datasets.scene_dataset import Scenes
from ..metrics.editing import Outcome
from ..metrics.metric import CannotMeasure, Observer

if TYPE_CHECKING:
    from ..datasets.scene_reader import Reading, SeenObject

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

MOST_OBJECTS = 3
"""Of a scene; its depth has a level for each of them."""
SAME_PLACE = 0.5
"""Least overlap (IoU) of an object with itself where it has not moved."""


@dataclass(frozen=True)
class Looking:
    """An observer that calls a function."""

    label: str
    look: Callable[[Picture, Any], Any]

    def __call__(self, picture: Picture, asked: Any) -> Any:
        return self.look(picture, asked)


def observers_of(dataset: Dataset, kinds: Collection[str], weights: WeightsFinder) -> Mapping[str, Observer]:
    """Return who looks at pictures of a dataset for these kinds (``metrics.metric.Observed``), of those that can be.

    They look as the dataset's own conditions were made. One whose model file is not at hand says so when it is asked.
    """
    makers = _SCENES if isinstance(dataset, Scenes) else _PHOTOS if isinstance(dataset, CaptionedPhotos) else {}
    return {kind: _made(maker, weights) for kind, maker in makers.items() if kind in kinds}


def _made(maker: Callable[[WeightsFinder], Looking], weights: WeightsFinder) -> Looking:
    try:
        return maker(weights)
    except BenchError as error:
        why = str(error)

        def decline(picture: Picture, asked: Any) -> None:
            raise CannotMeasure(why)

        return Looking("missing", decline)


def _photo_edges(weights: WeightsFinder) -> Looking:
    from ..datasets.conditions import CANNY_HIGH, CANNY_LOW, canny

    return Looking(f"opencv-canny-{CANNY_LOW}-{CANNY_HIGH}", lambda picture, asked: canny(picture))


def _photo_landmarks(weights: WeightsFinder) -> Looking:
    from ..datasets.landmarks import find_landmarker

    landmarker = find_landmarker("landmarks", weights)

    def look(picture: Picture, asked: Any) -> NDArray[np.float32] | None:
        points = landmarker.detect(picture)
        return None if points is None else points[:, :2]  # without visibility

    return Looking(_label(landmarker.identity), look)


def _photo_depth(weights: WeightsFinder) -> Looking:
    from ..datasets.depth import find_depth_model

    model = find_depth_model(weights)
    return Looking(_label(model.identity), lambda picture, asked: model.nearness(picture) / 255)


def _label(identity: object) -> str:
    """Without the colons that part identities."""
    return str(identity).replace(":", "-").replace(" ", "")


def _reader() -> str:
    from ..datasets.scene_reader import VERSION

    return f"scene-reader@{VERSION}"


def _scene_edges(picture: Picture, asked: Mask) -> Mask:
    from ..datasets.scene_conditions import canny

    return canny(picture)


def _scene_landmarks(picture: Picture, asked: NDArray[np.float64]) -> NDArray[np.float64] | None:
    from ..datasets.scene_reader import read_picture

    face = read_picture(_of_scene_size(picture)).face
    return face.landmarks if face else None


def _scene_regions(picture: Picture, asked: Mask) -> Mask:
    """The seen mask, of an object or a head, that overlaps most with each one asked for; empty where none does."""
    from ..datasets.scene_reader import read_picture

    seen = _masks(read_picture(_of_scene_size(picture)))
    return np.array([_overlapping(seen, each) for each in asked])


def _scene_objects(picture: Picture, asked: NDArray[np.void]) -> Mask:
    """The seen mask of an object of each name asked for, that which overlaps most; empty where none is called so."""
    from ..datasets.scene_reader import read_picture

    seen = read_picture(_of_scene_size(picture)).objects
    called = {name: [thing.mask for thing in seen if f"{thing.colour} {thing.shape}" == name] for name in asked["name"]}
    return np.array([_overlapping(called[each["name"]], each["mask"]) for each in asked])


def _scene_depth(picture: Picture, asked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearness of what is seen, (H, W), on the levels that were asked for: pixels alone show who hides whom, no more.

    The seen mask that overlaps most with a level is as near as that, what overlaps with none as the farthest one. A
    face has no levels: it bulges, and is as near as scenes would draw it.
    """
    from ..datasets.scene_reader import read_picture

    reading = read_picture(_of_scene_size(picture))
    seen = _masks(reading)
    levels = np.unique(asked[asked > 0])
    nearness = np.zeros_like(asked)
    for mask in seen:
        nearness[mask] = levels[0]
    if len(levels) <= MOST_OBJECTS:
        for level in levels:  # the nearest last
            nearness[_overlapping(seen, asked == level)] = level
    elif reading.face:
        nearness = np.where(reading.face.nearness, reading.face.nearness, nearness)
    return nearness


def _scene_outcome(picture: Picture, asked: Picture) -> Outcome:
    """What came of an edit of a scene, held against the true scenes before and after it."""
    from ..datasets.scene_reader import read_picture

    seen, before, after = (read_picture(_of_scene_size(each)) for each in (picture, *asked))
    shown, old, new = (_named(reading) for reading in (seen, before, after))
    gone = [thing for name, thing in old.items() if name not in new]
    rests = [thing for name, thing in shown.items() if name not in new and (name in old or _on_any(thing, gone))]
    there = new.keys() - old.keys() <= shown.keys()
    ground = before.background == after.background or seen.background == after.background
    kept = (name in shown and _same_place(shown[name], old[name]) for name in old if name in new)
    return Outcome(there and ground and not rests, tuple(kept))


def _named(reading: Reading) -> dict[tuple[str | None, str | None], SeenObject]:
    """The objects by shape and colour; of two that have both in common, the first."""
    return {(thing.shape, thing.colour): thing for thing in reversed(reading.objects)}


def _on_any(thing: SeenObject, others: Iterable[SeenObject]) -> bool:
    """Whether a thing is seen where one of the others was."""
    return any((thing.mask & other.mask).any() for other in others)


def _same_place(one: SeenObject, other: SeenObject) -> bool:
    either = one.extent | other.extent
    return bool((one.extent & other.extent).sum() >= SAME_PLACE * either.sum())


def _masks(reading: Reading) -> list[Mask]:
    """Where each object, and a head, is seen."""
    return [thing.mask for thing in reading.objects] + ([reading.face.head] if reading.face else [])


def _overlapping(seen: Sequence[Mask], asked: Mask) -> Mask:
    """The mask that overlaps most with the one asked for; empty where none does."""
    return max((np.zeros_like(asked), *seen), key=lambda mask: int((mask & asked).sum()))


def _of_scene_size(picture: Picture) -> Picture:
    from ..datasets.scenes import SIZE

    height, width = picture.shape[:2]
    if (height, width) != (SIZE, SIZE):
        raise CannotMeasure(f"needs pictures of {SIZE}×{SIZE}, not {width}×{height}")
    return picture


_SCENES: Mapping[str, Callable[[WeightsFinder], Looking]] = {
    "canny": lambda weights: Looking("skimage-canny-rgb", _scene_edges),
    "depth": lambda weights: Looking(_reader(), _scene_depth),
    "landmarks": lambda weights: Looking(_reader(), _scene_landmarks),
    "regions": lambda weights: Looking(_reader(), _scene_regions),
    "objects": lambda weights: Looking(_reader(), _scene_objects),
    "edited": lambda weights: Looking(_reader(), _scene_outcome),
}
_PHOTOS: Mapping[str, Callable[[WeightsFinder], Looking]] = {
    "canny": _photo_edges,
    "landmarks": _photo_landmarks,
    "depth": _photo_depth,
}
