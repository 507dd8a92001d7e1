"""Condition maps of photos: edges, depth by a small random model, landmarks by a stand-in of MediaPipe."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import MissingWeights, WeightsFinder, cache_dir
from t2ibench.datasets.conditions import canny, photo_condition, photo_pixels, photo_truth
from t2ibench.datasets.depth import DepthModel, find_depth_model
from t2ibench.datasets.images import fit, load_rgb
from t2ibench.datasets.landmarks import LANDMARKERS, FaceLandmarks

OFFLINE = WeightsFinder(offline=True)


def save(path: Path, picture: np.ndarray) -> Path:
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A grey square on black in a picture that is cut on the left and right."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[16:48, 32:64] = 200
    return save(tmp_path / "photo.png", picture)


def step(height: int) -> np.ndarray:
    """A vertical edge; Sobel's gradient of it is four times its height, over two columns."""
    picture = np.full((32, 32, 3), 60, np.uint8)
    picture[:, 16:] += height
    return picture


def test_edges_have_the_thresholds_that_they_say() -> None:
    assert not canny(step(24)).any()  # 96: below the low threshold
    assert not canny(step(40)).any()  # 160: between the two, with nothing above the high one
    assert canny(step(60)).any(axis=1).all()  # 240
    fading = step(40)
    fading[:8, 16:] = 120
    assert canny(fading).any(axis=1).all()  # goes on from where it is strong


def test_an_edge_map_is_white_on_black_and_of_the_cut_photo(photo: Path) -> None:
    found = photo_condition(photo, "canny", 32, 32, OFFLINE)
    assert found is not None
    picture = found.read()
    assert picture.shape == (32, 32, 3) and picture.dtype == np.uint8
    assert set(np.unique(picture)) == {0, 255}
    assert np.array_equal(picture[..., 0] > 0, canny(fit(load_rgb(photo), 32, 32)))
    assert not picture[12:20, 12:20].any()


def test_the_photo_itself_is_cut_too(photo: Path) -> None:
    assert np.array_equal(photo_pixels(photo, 32, 32).read(), fit(load_rgb(photo), 32, 32))


def test_a_digest_changes_with_photo_kind_and_size(photo: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other.png", step(60))
    asked = [(photo, 32, 32), (photo, 32, 40), (photo, 40, 32), (other, 32, 32)]
    maps = [photo_condition(path, "canny", height, width, OFFLINE) for path, height, width in asked]
    plain = [photo_pixels(path, height, width) for path, height, width in asked]
    truths = [photo_truth(path, "canny", height, width, OFFLINE) for path, height, width in asked]
    assert len({each.digest for each in (*maps, *plain, *truths) if each}) == 12
    copied = shutil.copy(photo, tmp_path / "copy.png")
    assert photo_condition(Path(copied), "canny", 32, 32, OFFLINE) == maps[0]


def test_nothing_is_read_before_it_is_needed(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    found = photo_condition(broken, "canny", 32, 32, OFFLINE)
    assert found is not None
    with pytest.raises(BenchError, match="not a picture"):
        found.read()


def test_other_kinds_are_refused(photo: Path) -> None:
    with pytest.raises(BenchError, match=r"no sketch condition .* \(known: canny, depth, landmarks, pose, holistic\)"):
        photo_condition(photo, "sketch", 32, 32, OFFLINE)


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("landmarks", "face_landmarker.task"),
        ("pose", "pose_landmarker_lite.task"),
        ("holistic", "holistic_landmarker.task"),
        ("depth", "dpt-hybrid-midas/model.safetensors"),
    ],
)
def test_a_model_that_is_missing_is_named(
    photo: Path, kind: str, file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("T2IBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match=f"{file}.* get it from "):
        photo_condition(photo, kind, 32, 32, WeightsFinder(offline=True))


@pytest.mark.parametrize("kind", LANDMARKERS)
def test_a_file_that_is_no_model_is_named(photo: Path, kind: str, tmp_path: Path) -> None:
    known = LANDMARKERS[kind].weights
    file = tmp_path / known.filename
    file.write_bytes(b"no model")
    with pytest.raises(BenchError, match=rf"'{known.name}': MediaPipe cannot read '.*{file.name}' .*get it again"):
        photo_condition(photo, kind, 32, 32, WeightsFinder({known.name: file}))


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[np.ndarray]:
    """A stand-in of MediaPipe that sees a face in pictures that are not black; returns what it was shown."""
    shown: list[np.ndarray] = []

    def detect(self: FaceLandmarks, picture: np.ndarray) -> np.ndarray | None:
        shown.append(picture)
        return np.full((478, 3), 8, np.float32) if picture.any() else None

    monkeypatch.setattr(FaceLandmarks, "detect", detect)
    (tmp_path / "face_landmarker.task").write_bytes(b"model")
    monkeypatch.setenv("T2IBENCH_WEIGHTS", str(tmp_path))
    return shown


def test_a_photo_is_looked_at_once(photo: Path, faces: list[np.ndarray], tmp_path: Path) -> None:
    black = save(tmp_path / "black.png", np.zeros((64, 64, 3), np.uint8))
    for _ in range(2):
        found = photo_condition(photo, "landmarks", 32, 32, WeightsFinder())
        assert found is not None and found.read()[8, 8].any()
        assert photo_condition(black, "landmarks", 32, 32, WeightsFinder()) is None
    assert len(faces) == 2
    assert np.array_equal(faces[0], fit(load_rgb(photo), 32, 32))


def test_another_model_looks_anew(photo: Path, faces: list[np.ndarray], tmp_path: Path) -> None:
    other = tmp_path / "other.task"
    other.write_bytes(b"another model")
    first = photo_condition(photo, "landmarks", 32, 32, WeightsFinder())
    second = photo_condition(photo, "landmarks", 32, 32, WeightsFinder({"face_landmarker": other}))
    assert len(faces) == 2
    assert first != second


@pytest.mark.parametrize("damaged", [lambda data: data[:50], lambda data: data[:60] + b"\xff" * 60 + data[120:]])
def test_what_is_damaged_in_the_cache_is_made_anew(
    photo: Path, faces: list[np.ndarray], damaged: Callable[[bytes], bytes]
) -> None:
    before = photo_condition(photo, "landmarks", 32, 32, WeightsFinder())
    (kept,) = cache_dir().rglob("*.npz")
    kept.write_bytes(damaged(kept.read_bytes()))
    after = photo_condition(photo, "landmarks", 32, 32, WeightsFinder())
    assert before is not None and before == after
    assert np.array_equal(before.read(), after.read())
    assert len(faces) == 2


@pytest.fixture(scope="module")
def depth_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random depth model in transformers' layout."""
    import torch
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    torch.manual_seed(0)
    config = DPTConfig(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8,
        neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8, backbone_out_indices=[0, 1, 2, 3],
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("depth") / "dpt-hybrid-midas"
    DPTForDepthEstimation(config).save_pretrained(folder)
    DPTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_depth_goes_from_black_to_white(photo: Path, depth_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T2IBENCH_WEIGHTS", str(depth_folder.parent))
    found = photo_condition(photo, "depth", 48, 48, WeightsFinder(offline=True))
    assert found is not None
    picture = found.read()
    assert picture.shape == (48, 48, 3) and picture.dtype == np.uint8
    assert (picture.min(), picture.max()) == (0, 255)
    assert np.array_equal(picture[..., 0], picture[..., 1]) and np.array_equal(picture[..., 0], picture[..., 2])


def test_depth_is_what_transformers_gives(photo: Path, depth_folder: Path) -> None:
    from transformers import pipeline

    found = photo_truth(photo, "depth", 32, 32, WeightsFinder({"depth": depth_folder / "model.safetensors"}))
    assert found is not None
    picture = Image.fromarray(fit(load_rgb(photo), 32, 32))
    wanted = pipeline("depth-estimation", model=str(depth_folder))(picture)["predicted_depth"].squeeze().numpy()
    wanted = (wanted - wanted.min()) / (wanted.max() - wanted.min()) * 255
    assert np.abs(found.read() - wanted).max() < 1


def test_metric_depth_is_turned_round(photo: Path, depth_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = load_rgb(photo)
    weights = depth_folder / "model.safetensors"
    near = DepthModel(depth_folder, weights).nearness(picture).astype(int)
    monkeypatch.setattr("t2ibench.datasets.depth.METRIC", ("dpt",))
    assert np.abs(255 - DepthModel(depth_folder, weights).nearness(picture) - near).max() <= 1


def test_depth_is_computed_once(photo: Path, depth_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = WeightsFinder({"depth": depth_folder / "model.safetensors"})
    found = photo_condition(photo, "depth", 32, 32, weights)
    assert found is not None
    first = found.read()
    monkeypatch.setattr(DepthModel, "nearness", lambda *_: pytest.fail("computed again"))
    assert np.array_equal(found.read(), first)


def test_a_depth_model_without_its_configuration(tmp_path: Path, depth_folder: Path) -> None:
    alone = Path(shutil.copy(depth_folder / "model.safetensors", tmp_path))
    with pytest.raises(BenchError, match=r"config\.json"):
        find_depth_model(WeightsFinder({"depth": alone}, offline=True))
