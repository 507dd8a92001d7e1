"""Folders of faces: captions and their photos; photos without a face are left out."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import MissingWeights, WeightsFinder
from t2ibench.datasets.catalog import DATASETS
from t2ibench.datasets.faces import FaceFolder, read_captions
from t2ibench.datasets.landmarks import FaceLandmarks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photos, the second black."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.jpg")):
        level = 0 if name == "b.png" else 90 + number
        Image.fromarray(np.full((40, 60, 3), level, np.uint8)).save(folder / name)
    return folder


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder


@pytest.fixture
def dataset(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FaceFolder:
    """A stand-in of MediaPipe sees a face in pictures that are not black."""
    write(folder, "captions.csv", "image,caption\na.png,a woman\nb.png,nobody\nc.jpg,a man\n")
    model = tmp_path / "face_landmarker.task"
    model.write_bytes(b"model")
    found = np.full((478, 3), 20, np.float32)
    monkeypatch.setattr(FaceLandmarks, "detect", lambda self, picture: found if picture.any() else None)
    dataset = DATASETS.get("faces").using(WeightsFinder({"face_landmarker": model})).at(folder)
    assert isinstance(dataset, FaceFolder)
    return dataset


def test_photos_without_a_face_are_left_out_and_reported(dataset: FaceFolder, tmp_path: Path) -> None:
    assert [(each.text, each.image) for each in dataset.prompts(tmp_path)] == [("a woman", "a.png"), ("a man", "c.jpg")]
    assert dataset.notes(tmp_path) == ["1 of 3 photos are left out, for no face is found in them: b.png"]
    assert [path.name for path in dataset.reference(tmp_path)] == ["a.png", "c.jpg"]


def test_every_prompt_has_landmarks_a_photo_and_edges(dataset: FaceFolder, tmp_path: Path) -> None:
    for prompt in dataset.prompts(tmp_path):
        for kind in ("landmarks", "canny"):
            condition = dataset.condition(tmp_path, prompt, kind, 32, 32)
            assert condition is not None and condition.read().shape == (32, 32, 3)
        asked = dataset.asked(tmp_path, prompt, "landmarks", 32, 32)
        assert asked is not None and asked.read().shape == (478, 2)


def test_nothing_to_report_where_all_have_faces(dataset: FaceFolder, folder: Path, tmp_path: Path) -> None:
    write(folder, "captions.csv", "image,caption\na.png,a woman\n")
    assert dataset.notes(tmp_path) == []
    write(folder, "captions.csv", "image,caption\nb.png,nobody\n")
    with pytest.raises(BenchError, match="no face is found in any photo"):
        dataset.prompts(tmp_path)


def test_a_missing_model_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("T2IBENCH_WEIGHTS", str(tmp_path))
    write(folder, "captions.txt", "a\nb\nc\n")
    with pytest.raises(MissingWeights, match="'face_landmarker' are missing"):
        FaceFolder(folder, weights=WeightsFinder(offline=True)).prompts(tmp_path)


def test_a_folder_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="--images DIR"):
        FaceFolder().prompts(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("captions.tsv", "file_name\ttext\nc\tthe c\na.png\tthe a\n"),
        ("captions.jsonl", "\n".join(json.dumps({"image": name, "prompt": f"the {name[0]}"}) for name in ("c", "a"))),
    ],
)
def test_captions_name_their_photos_with_or_without_suffix(folder: Path, name: str, text: str) -> None:
    found = read_captions(write(folder, name, text))
    assert [(each.text, each.image) for each in found] == [("the c", "c.jpg"), ("the a", "a.png")]


def test_plain_captions_follow_the_order_of_the_names(folder: Path) -> None:
    found = read_captions(write(folder, "captions.txt", "one\ntwo\nthree\n"))
    assert [(each.text, each.image) for each in found] == [("one", "a.png"), ("two", "b.png"), ("three", "c.jpg")]
    with pytest.raises(BenchError, match=r"captions\.txt: 2 captions for 3 photos"):
        read_captions(write(folder, "captions.txt", "one\ntwo\n"))


def test_captions_that_cannot_be_matched(folder: Path) -> None:
    with pytest.raises(BenchError, match=r"no captions of the photos \(captions\.csv or"):
        read_captions(folder)
    with pytest.raises(BenchError, match=r"captions\.csv: row 3: no photo 'd\.png' in "):
        read_captions(write(folder, "captions.csv", "image,text\na.png,x\nd.png,y\n"))
    with pytest.raises(BenchError, match=r"both captions\.csv and captions\.txt are there: keep one"):
        read_captions(write(folder, "captions.txt", "x"))


@pytest.mark.data
def test_real_faces(tmp_path: Path) -> None:
    data = Path(os.environ["T2IBENCH_DATA"])
    for photo in (data / "faces" / "astronaut.png", data / "faces" / "face.jpg", data / "kodak" / "01.png"):
        shutil.copy(photo, tmp_path)
    write(tmp_path, "captions.csv", "image,text\nastronaut,an astronaut\nface,a man\n01,a door\n")
    dataset = FaceFolder(tmp_path, weights=WeightsFinder(offline=True))
    assert [prompt.text for prompt in dataset.prompts(tmp_path)] == ["an astronaut", "a man"]
    assert "01.png" in dataset.notes(tmp_path)[0]
