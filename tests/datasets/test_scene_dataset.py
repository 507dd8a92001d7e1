"""The validation scenes as a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import cache_dir
from t2ibench.datasets import scene_dataset
from t2ibench.datasets.catalog import DATASETS
from t2ibench.datasets.images import load_rgb
from t2ibench.datasets.scene_captions import read_caption
from t2ibench.datasets.scene_dataset import (
    PROMPT_COUNT,
    REFERENCE_COUNT,
    REFERENCE_START,
    SCENE_FACES,
    SCENES,
    scene_of,
)
from t2ibench.datasets.scenes import held_out, scene


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the scenes that were drawn so far."""
    numbers: list[int] = []

    def counted(number: int, split: str):
        numbers.append(number)
        return scene(number, split)

    monkeypatch.setattr(scene_dataset, "scene", counted)
    return numbers


def test_prompts_are_the_captions_of_the_first_validation_scenes(tmp_path: Path) -> None:
    prompts = DATASETS.get("scenes").prompts(tmp_path)
    assert [prompt.id for prompt in prompts] == [f"{number:06d}" for number in range(PROMPT_COUNT)]
    assert all(held_out(prompt.text) and read_caption(prompt.text) for prompt in prompts)
    for number in (0, 1, 700, 1400, PROMPT_COUNT - 1):
        assert prompts[number].text == scene(number, "validation").caption, (
            "run: python -m t2ibench.datasets.scene_dataset"
        )


def test_the_reference_is_drawn_once_into_the_cache_and_as_far_as_it_is_missing(
    tmp_path: Path, drawn: list[int]
) -> None:
    three = SCENES.reference(tmp_path, 3)
    assert drawn == [REFERENCE_START, REFERENCE_START + 1, REFERENCE_START + 2]
    assert SCENES.reference(tmp_path, 5)[:3] == three
    assert drawn[3:] == [REFERENCE_START + 3, REFERENCE_START + 4]
    three[1].unlink()
    assert len(SCENES.reference(tmp_path, 5)) == 5
    assert drawn[5:] == [REFERENCE_START + 1]
    for place, file in enumerate(three):
        assert file.is_relative_to(cache_dir())
        np.testing.assert_array_equal(load_rgb(file), scene(REFERENCE_START + place, "validation").image)
    assert not list(tmp_path.iterdir())


def test_drawing_is_told_of_where_something_is_missing(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    SCENES.reference(tmp_path, 2, lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]
    SCENES.reference(tmp_path, 3, lambda done, total: told.append((done, total)))
    assert told[3:] == [(0, 1), (1, 1)]
    SCENES.reference(tmp_path, 3, lambda done, total: told.append((done, total)))
    assert len(told) == 5


def test_other_code_draws_into_another_folder(
    tmp_path: Path, drawn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = SCENES.reference(tmp_path, 1)
    monkeypatch.setattr(scene_dataset, "sha256_file", lambda path: "another version")
    (after,) = SCENES.reference(tmp_path, 1)
    assert before.parent != after.parent
    assert len(drawn) == 2


def test_the_reference_and_the_captions_are_disjoint() -> None:
    assert PROMPT_COUNT <= REFERENCE_START
    assert REFERENCE_COUNT == 2048


def test_a_reference_that_cannot_be_kept_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("T2IBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(BenchError, match="cannot write"):
        SCENES.reference(tmp_path, 1)


def test_scene_of_a_prompt() -> None:
    caption = scene(7, "validation").caption
    assert scene_of("000007", caption) == scene(7, "validation")
    assert scene_of("000007", caption, offset=2) == scene(9, "validation")
    for name, text in (("7", caption), ("000008", caption), ("٠٠٠٠٠٧", caption), ("000007", f"{caption}.")):
        with pytest.raises(BenchError, match="is no caption of dataset 'scenes'"):
            scene_of(name, text)


def test_the_scenes_with_a_face_are_a_dataset_of_their_own(tmp_path: Path) -> None:
    faces = DATASETS.get("scene-faces").prompts(tmp_path)
    assert len({prompt.id for prompt in faces}) == len(faces) == PROMPT_COUNT
    assert [prompt.id for prompt in faces] == sorted(prompt.id for prompt in faces)
    among_all = [prompt for prompt in SCENES.prompts(tmp_path) if (words := read_caption(prompt.text)) and words.face]
    assert faces[: len(among_all)] == among_all
    for place in (len(among_all), 1000, PROMPT_COUNT - 1):
        prompt = faces[place]
        assert scene_of(prompt.id, prompt.text).face, "run: python -m t2ibench.datasets.scene_dataset"
        assert SCENE_FACES.condition(tmp_path, prompt, "landmarks", 64, 64) is not None
        asked = SCENE_FACES.asked(tmp_path, prompt, "landmarks", 64, 64)
        assert asked is not None and asked.read().shape == (10, 2)
    with pytest.raises(BenchError, match="dataset 'scene-faces' has pictures of 64×64, not 64×128"):
        SCENE_FACES.condition(tmp_path, faces[0], "canny", 128, 64)


def test_the_reference_of_faces_is_of_other_faces(tmp_path: Path, drawn: list[int]) -> None:
    numbers = SCENE_FACES.reference_numbers()
    assert len(set(numbers)) == REFERENCE_COUNT
    assert min(numbers) >= REFERENCE_START
    for number in (numbers[0], numbers[700], numbers[-1]):
        assert scene(number, "validation").face
    first = next(number for number in range(REFERENCE_START, REFERENCE_START + 99) if scene(number, "validation").face)
    assert numbers[0] == first
    SCENES.reference(tmp_path, first - REFERENCE_START + 1)
    drawn.clear()
    files = SCENE_FACES.reference(tmp_path, 3)
    assert drawn == list(numbers[1:3])  # the first is there already
    assert [int(file.stem) for file in files] == list(numbers[:3])


def test_a_scene_is_drawn_once_for_all_rows(tmp_path: Path, drawn: list[int]) -> None:
    scene_dataset._numbered.cache_clear()
    (prompt, *_) = SCENE_FACES.prompts(tmp_path)
    for kind in ("canny", "depth", "landmarks"):
        SCENE_FACES.condition(tmp_path, prompt, kind, 64, 64)
        SCENE_FACES.asked(tmp_path, prompt, kind, 64, 64)
    assert drawn == [int(prompt.id)]
