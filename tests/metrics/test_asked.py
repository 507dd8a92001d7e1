"""Metrics of what pictures were asked to show or keep: control, regions, edits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from t2ibench.metrics.engine import Engine
from t2ibench.metrics.metric import CannotMeasure
from t2ibench.metrics.sample import Asked
from t2ibench.metrics.setup import Setup


class Brightness:
    """Sees edges where a picture is bright, a face where it is not black, and of regions whatever was asked for."""

    def __init__(self, kind: str) -> None:
        self.kind, self.label, self.looked = kind, f"brightness-{kind}@1", 0

    def __call__(self, picture: np.ndarray, asked: object) -> object:
        self.looked += 1
        if self.kind == "landmarks":
            return np.argwhere(picture[..., 0] > 127).astype(float) if picture.any() else None
        return asked if self.kind == "regions" else picture[..., 0] > 127


def bright_at(*places: tuple[int, int]) -> np.ndarray:
    picture = np.zeros((16, 16, 3), np.uint8)
    for place in places:
        picture[place] = 255
    return picture


def asked_for(sample, key: str, picture: np.ndarray, **asked: object):
    found = {kind: Asked(f"{kind}-{key}", lambda value=value: value) for kind, value in asked.items()}
    return replace(sample(key, picture), asked=found)


def measure(samples, name: str, *kinds: str):
    observers = {kind: Brightness(kind) for kind in kinds}
    return Engine(Setup(observers=observers)).measure(samples, [name])[name], observers


def test_edges_seen_are_held_against_those_asked_for_and_others_left_out(sample) -> None:
    edges = bright_at((2, 2), (9, 9))[..., 0] > 0
    samples = [
        asked_for(sample, "kept", bright_at((2, 2), (9, 9)), canny=edges),
        asked_for(sample, "half", bright_at((2, 2)), canny=edges),
        sample("plain", bright_at((5, 5))),
    ]
    value, observers = measure(samples, "edge_f1", "canny")
    assert value.per_image == {"kept": 1, "half": pytest.approx(2 / 3)}
    assert value.n == 2
    assert value.identity.startswith("edge_f1:brightness-canny@1:n2:ref-")
    assert observers["canny"].looked == 2


def test_faces_not_found_are_counted_and_left_out_of_the_error(sample) -> None:
    points = np.array([[4.0, 4.0], [4.0, 8.0]])
    samples = [
        asked_for(sample, "right", bright_at((4, 4), (4, 8)), landmarks=points),
        asked_for(sample, "lower", bright_at((5, 4), (5, 8)), landmarks=points),
        asked_for(sample, "none", bright_at(), landmarks=points),
    ]
    observer = Brightness("landmarks")
    values = Engine(Setup(observers={"landmarks": observer})).measure(samples, ["landmark_error", "face_detection"])
    assert values["landmark_error"].value == pytest.approx(0.125)
    assert values["landmark_error"].per_image.keys() == {"right", "lower"}
    assert "1 of 3 pictures are without a face" in values["landmark_error"].note
    assert values["face_detection"].value == pytest.approx(2 / 3)
    assert observer.looked == 3  # once a picture for both metrics


def test_no_face_at_all_is_a_reason_and_not_a_number(sample) -> None:
    samples = [asked_for(sample, "none", bright_at(), landmarks=np.ones((2, 2)))]
    value, _ = measure(samples, "landmark_error", "landmarks")
    assert value.value is None
    assert "without a face" in value.reason


@pytest.mark.parametrize(("kinds", "reason"), [((), "needs an observer of 'canny'"), (("canny",), "asked for 'canny'")])
def test_what_lacks_is_the_reason(sample, kinds, reason) -> None:
    asked = {} if kinds else {"canny": np.ones((16, 16), bool)}
    value, _ = measure([asked_for(sample, "a", bright_at(), **asked)], "edge_f1", *kinds)
    assert value.value is None
    assert reason in value.reason


def test_regions_and_depth_come_from_their_observers(sample) -> None:
    masks = np.zeros((2, 16, 16), bool)
    masks[:, 3:5, 3:5] = True
    value, _ = measure([asked_for(sample, "a", bright_at(), regions=masks)], "region_iou", "regions")
    assert value.value == 1
    ramp = np.linspace(0, 1, 256).reshape(16, 16)
    picture = np.repeat((ramp > 0.5)[..., None], 3, 2).astype(np.uint8) * 255
    value, _ = measure([asked_for(sample, "a", picture, depth=ramp)], "depth_rmse", "depth")
    assert 0.1 < value.value < 0.2


def test_named_things_are_held_against_the_masks_asked_for(sample) -> None:
    things = np.empty(2, [("name", "U8"), ("mask", bool, (16, 16))])
    things["name"], things["mask"] = ["dot", "bar"], False
    things["mask"][0, 3:5, 3:5], things["mask"][1, 8] = True, True

    class Sees:
        label = "sees@1"

        def __call__(self, picture: np.ndarray, asked: np.ndarray) -> np.ndarray:
            return np.stack([(picture[..., 0] > 127) & (each["name"] == "dot") for each in asked])

    samples = [asked_for(sample, "dots", bright_at((3, 3), (3, 4)), objects=things)]
    value = Engine(Setup(observers={"objects": Sees()})).measure(samples, ["object_iou"])["object_iou"]
    assert value.value == pytest.approx((2 / 4 + 0) / 2)
    assert value.identity.startswith("object_iou:sees@1:n1:ref-")


def test_the_background_is_judged_outside_the_edit_alone(sample) -> None:
    source = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    edit = np.zeros((32, 32), bool)
    edit[:16] = True
    inside, outside = source.copy(), source.copy()
    inside[:16] = 0
    outside[20:] = 128
    samples = [
        asked_for(sample, "inside", inside, source=source, edit=edit),
        asked_for(sample, "outside", outside, source=source, edit=edit),
    ]
    engine = Engine(Setup())
    values = engine.measure(samples, ["background_psnr", "background_mse", "background_ssim"])
    assert np.isinf(values["background_psnr"].per_image["inside"])
    assert values["background_psnr"].per_image["outside"] < 15
    assert values["background_mse"].per_image["inside"] == 0
    assert values["background_ssim"].per_image["inside"] == pytest.approx(1)


@pytest.mark.parametrize("name", ["background_psnr", "background_mse", "background_ssim"])
def test_a_picture_that_is_edited_as_a_whole_has_no_background(sample, name) -> None:
    source = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    edit = np.zeros((32, 32), bool)
    edit[:16] = True
    samples = [
        asked_for(sample, "part", 255 - source, source=source, edit=edit),
        asked_for(sample, "style", 255 - source, source=source, edit=np.ones_like(edit)),
    ]
    value = Engine(Setup()).measure(samples, [name])[name]
    assert value.per_image.keys() == {"part"}
    assert value.value == value.per_image["part"]
    assert "1 of 2 pictures are edited as a whole" in value.note
    assert "edited as a whole" in Engine(Setup()).measure(samples[1:], [name])[name].reason


def test_an_observer_may_decline(sample) -> None:
    def declines(picture: np.ndarray, asked: object) -> None:
        raise CannotMeasure("pictures of another size")

    declines.label = "declines@1"
    engine = Engine(Setup(observers={"canny": declines}))
    value = engine.measure([asked_for(sample, "a", bright_at(), canny=np.ones((16, 16), bool))], ["edge_f1"])["edge_f1"]
    assert value.reason == "pictures of another size"
