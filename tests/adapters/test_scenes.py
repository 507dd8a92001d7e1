"""The method that draws the ground truth of the mini world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from t2ibench.adapters import make_adapter
from t2ibench.adapters.base import Settings
from t2ibench.adapters.codecs import make_codec
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Request
from t2ibench.datasets.scene_dataset import scenes_digest
from t2ibench.datasets.scene_edits import SCENE_EDITS, edit_of
from t2ibench.datasets.scenes import scene


def request(number: int) -> Request:
    return Request(f"{number:06d}", scene(number, "validation").caption, height=64, width=64)


def pictures(method: str, *numbers: int) -> np.ndarray:
    made = make_adapter(method, Settings("ddim", 50, 4.0))
    made.load("cpu", "fp32")
    return made.generate([request(number) for number in numbers])


def test_draws_the_scene_of_each_caption() -> None:
    expected = np.stack([scene(number, "validation").image for number in (3, 0)])
    np.testing.assert_array_equal(pictures("scenes", 3, 0), expected)


def test_an_offset_gives_other_scenes() -> None:
    np.testing.assert_array_equal(pictures("scenes[offset=40]", 2)[0], scene(42, "validation").image)


def test_of_an_edit_it_is_the_scene_after_it_or_before() -> None:
    prompt = SCENE_EDITS.prompts(Path())[3]
    asked = Request(prompt.id, prompt.text, height=64, width=64)
    edit = edit_of(prompt.id, prompt.text)
    for method, expected in (("scenes", edit.after), ("scenes[show=source]", edit.before)):
        np.testing.assert_array_equal(make_adapter(method).generate([asked])[0], expected.image)
    with pytest.raises(BenchError, match=r"no scene is 1 after the edit .*: leave offset out"):
        make_adapter("scenes[offset=1]").generate([asked])
    with pytest.raises(BenchError, match="is no edit of dataset 'scene-edits'"):
        make_adapter("scenes[show=source]").generate([request(1)])


@pytest.mark.parametrize("codec", ["bicubic[factor=2]", "vae:zoo:mini-sd"])
def test_a_codec_is_gone_through_once(zoo: Path, codec: str) -> None:
    plain = make_codec(codec)
    plain.load("cpu", "fp32")
    expected = plain.decode(plain.encode(scene(1, "validation").image[None]))
    np.testing.assert_array_equal(pictures(f"scenes[codec={codec}]", 1), (expected * 255).round().astype(np.uint8))


def test_the_checkpoint_is_that_of_the_codec(zoo: Path) -> None:
    assert make_adapter("scenes[codec=vae:zoo:mini-sd]").checkpoint == "zoo:mini-sd"
    assert make_adapter("scenes").checkpoint is None


def test_the_fingerprint_is_of_the_code_that_draws_and_of_the_codec(zoo: Path) -> None:
    methods = ("scenes", "scenes[codec=bicubic[factor=2]]", "scenes[codec=vae:zoo:mini-sd]")
    found = [make_adapter(method).fingerprint() for method in methods]
    assert len(set(found)) == 3
    assert all(text.startswith(scenes_digest()) for text in found)


def test_it_has_no_settings_of_a_sampler() -> None:
    assert make_adapter("scenes", Settings("ddim", 50, 4.0)).settings == Settings()
    with pytest.raises(BenchError, match="takes no scheduler, steps or guidance"):
        make_adapter("scenes[steps=4]")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt_id": "00001"}, "prompt '00001' .* is no caption of dataset 'scenes'"),
        ({"prompt_id": "bus"}, "prompt 'bus' .* is no caption"),
        ({"prompt": "a photo of a bus"}, r"\('a photo of a bus'\) is no caption"),
        ({"height": 128}, "draws 64×64 pixels, not 64×128: set sampling.size=64"),
    ],
)
def test_requests_that_are_no_scenes(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        make_adapter("scenes").generate([replace(request(1), **changes)])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("offset=-1", "offset=-1 is no whole number"),
        ("offset=many", "offset=many is no whole number"),
        ("show=sources", "show=sources must be one of caption, source"),
        ("codec=vea:zoo:mini-sd", "unknown codec 'vea'; did you mean 'vae'"),
        ("ofset=3", "did you mean 'offset'"),
    ],
)
def test_bad_options_are_one_line(option: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        make_adapter(f"scenes[{option}]")
