"""The control networks that ship steer the base; a fault planted in them is noticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from t2ibench.adapters import make_adapter
from t2ibench.datasets.request import ConditionMap, Pixels, Request
from t2ibench.datasets.scene_conditions import Condition, canny, condition_map
from t2ibench.datasets.scene_reader import read_picture
from t2ibench.datasets.scenes import Scene, scenes
from t2ibench.metrics.control import edge_f1, landmark_error

pytestmark = pytest.mark.slow

Pictures = NDArray[np.uint8]

BASE = "sd15[checkpoint=zoo:mini-sd,scheduler=ddim,steps=5,guidance=3{}]"
NETWORKS = {
    "controlnet": "controlnet[condition={0},checkpoint=zoo:mini-controlnet-{0},base={1}]",
    "t2i-adapter": "t2i-adapter[condition={0},checkpoint=zoo:mini-t2i-adapter-{0},base={1}]",
    "plugin": "mediapipe-plugin[condition={0},checkpoint=zoo:mini-plugin-{0},base={1}]",
}
STRENGTH = {"controlnet": "scale", "t2i-adapter": "scale", "plugin": "strength"}
EYES = (0, 1)


@cache
def cases(kind: Condition, count: int = 8) -> tuple[Scene, ...]:
    """Scenes that no network has seen, with faces where these are asked for."""
    drawn = scenes(20 * count, "validation", start=70_000)
    return tuple(scene for scene in drawn if scene.face or kind != "landmarks")[:count]


def requests(kind: Condition, mirrored: bool = False) -> list[Request]:
    def request(number: int, scene: Scene) -> Request:
        picture = condition_map(scene, kind)
        picture = np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture
        maps = (ConditionMap(kind, Pixels.of(picture)),)
        return Request(str(number), scene.caption, height=64, width=64, conditions=maps)

    return [request(number, scene) for number, scene in enumerate(cases(kind))]


def loaded(method: str) -> Any:
    adapter = make_adapter(method)
    adapter.load("cpu", "fp32")
    return adapter


@cache
def pictures(method: str, kind: Condition) -> Pictures:
    made: Pictures = loaded(method).generate(requests(kind))
    return made


def network(name: str, kind: Condition, base: str = "", more: str = "") -> str:
    method = NETWORKS[name].format(kind, BASE.format(base))
    return f"{method[:-1]}{more}]"


def edges(found: Pictures) -> float:
    """Mean F1 of the edges of pictures against those asked for."""
    pairs = zip(found, cases("canny"), strict=True)
    return float(np.mean([edge_f1(canny(picture), canny(scene.image)).f1 for picture, scene in pairs]))


def landmarks(found: Pictures) -> tuple[float, float]:
    """Normalised error of face landmarks, and the share of faces found."""
    faces = [read_picture(picture).face for picture in found]
    seen = [face.landmarks if face else None for face in faces]
    wanted = [scene.landmarks for scene in cases("landmarks") if scene.landmarks is not None]
    result = landmark_error(seen, wanted, EYES)
    assert result.error is not None
    return result.error, result.detection_rate


def shifted(levels: Sequence[Any]) -> list[Any]:
    """What each level should get, at the level before it; channels cut or filled up with zeros."""
    from torch.nn.functional import interpolate, pad

    moved = []
    for level, after in zip(levels, [*levels[1:], levels[-1]], strict=True):
        sized = interpolate(after, size=level.shape[-2:])[:, : level.shape[1]]
        moved.append(pad(sized, (0, 0, 0, 0, 0, level.shape[1] - sized.shape[1])))
    return moved


def broken(adapter: Any, change: Callable[[Sequence[Any]], Sequence[Any]]) -> Any:
    """The method with a fault in what its network gives to the levels of the UNet."""

    def spoil(module: Any, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):  # ControlNet's: the skip connections, and the middle
            down, middle = output
            return change(down), change([middle])[0]
        return change(output)

    (module,) = adapter.networks
    module.register_forward_hook(spoil)
    return adapter


@pytest.mark.parametrize("name", NETWORKS)
def test_edges_are_followed(name: str) -> None:
    base = edges(pictures(BASE.format(""), "canny"))
    assert edges(pictures(network(name, "canny"), "canny")) >= base + 0.2


@pytest.mark.parametrize("name", NETWORKS)
def test_faces_are_where_they_were_asked_for(name: str) -> None:
    error, rate = landmarks(pictures(network(name, "landmarks"), "landmarks"))
    base, base_rate = landmarks(pictures(BASE.format(""), "landmarks"))
    assert error <= 0.6 * base
    assert rate >= base_rate - 0.07  # less than one face of 8


@pytest.mark.parametrize("name", NETWORKS)
def test_more_strength_is_more_control(name: str) -> None:
    half, whole = (edges(pictures(network(name, "canny", more=f",{STRENGTH[name]}={s}"), "canny")) for s in (0.5, 1))
    nothing = pictures(network(name, "canny", more=f",{STRENGTH[name]}=0"), "canny")
    assert np.array_equal(nothing, pictures(BASE.format(""), "canny"))
    assert edges(nothing) < half < whole


@pytest.mark.parametrize("name", NETWORKS)
def test_control_is_seen_in_the_first_fifth_of_the_steps(name: str) -> None:
    early = edges(pictures(network(name, "canny", base=",until=0.2"), "canny"))
    assert early >= edges(pictures(BASE.format(",until=0.2"), "canny")) + 0.1


def test_the_plugin_steers_a_base_that_it_was_not_trained_on() -> None:
    warm = pictures(network("plugin", "canny", base=",lora=zoo:mini-lora-warm"), "canny")
    plain = pictures(BASE.format(""), "canny")
    # Warm light leaves red, and takes nearly half of blue.
    assert (warm[..., 2].mean() / warm[..., 0].mean()) < 0.75 * (plain[..., 2].mean() / plain[..., 0].mean())
    own = edges(pictures(network("plugin", "canny"), "canny")) - edges(plain)
    other = edges(warm) - edges(pictures(BASE.format(",lora=zoo:mini-lora-warm"), "canny"))
    assert other >= 0.6 * own


def test_the_plugin_steers_a_student_of_few_steps() -> None:
    student = "snapfusion[checkpoint=zoo:mini-snapfusion,scheduler=ddim,steps=8,guidance=3]"
    steered = NETWORKS["plugin"].format("canny", student)
    own = edges(pictures(network("plugin", "canny"), "canny")) - edges(pictures(BASE.format(""), "canny"))
    assert edges(pictures(steered, "canny")) - edges(pictures(student, "canny")) >= 0.6 * own


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("fault", ["one level off", "scaled to nothing", "mirrored condition"])
def test_a_planted_fault_is_seen(name: str, fault: str) -> None:
    adapter = loaded(network(name, "canny"))
    if fault == "one level off":
        adapter = broken(adapter, shifted)
    if fault == "scaled to nothing":
        adapter = broken(adapter, lambda levels: [0 * level for level in levels])
    found = adapter.generate(requests("canny", mirrored=fault == "mirrored condition"))
    # What test_edges_are_followed asks for is not there any more.
    assert edges(found) < edges(pictures(BASE.format(""), "canny")) + 0.2
