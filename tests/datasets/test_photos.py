"""Folders of photos, scikit-image's photos, and the catalog."""

import pytest

from t2ibench.core.errors import BenchError
from t2ibench.datasets.catalog import DATASETS
from t2ibench.datasets.dataset import Dataset, data_root
from t2ibench.datasets.images import load_rgb
from t2ibench.datasets.photos import Photo, PhotoFolder


def test_ids_are_stems_or_paths_below_the_folder(tmp_path):
    for name in ("a/x.png", "b/x.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert PhotoFolder(tmp_path).photos(tmp_path) == [
        Photo("a/x", tmp_path / "a" / "x.png"),
        Photo("b/x", tmp_path / "b" / "x.png"),
    ]
    assert PhotoFolder(tmp_path / "a").reference(tmp_path) == [tmp_path / "a" / "x.png"]


def test_two_photos_of_one_stem(tmp_path):
    for name in ("x.png", "x.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(BenchError, match=r"x\.png: differs only by its suffix from x\.jpg; rename one"):
        PhotoFolder(tmp_path).photos(tmp_path)


def test_no_folder_named(tmp_path):
    with pytest.raises(BenchError, match="--images DIR"):
        PhotoFolder().photos(tmp_path)


def test_photos_that_ship_with_scikit_image(tmp_path):
    photos = DATASETS.get("skimage-photos").photos(tmp_path)
    assert len({photo.id for photo in photos}) == 8
    assert load_rgb(photos[0].path).shape == (512, 512, 3)


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_dataset_is_what_the_catalog_says(name):
    dataset = DATASETS.get(name)
    assert isinstance(dataset, Dataset)
    assert dataset.name == name
    assert dataset.kind in ("prompts", "photos")


def test_data_root(tmp_path, monkeypatch):
    monkeypatch.delenv("T2IBENCH_DATA", raising=False)
    assert data_root().parts[-2:] == ("t2ibench", "data")
    monkeypatch.setenv("T2IBENCH_DATA", str(tmp_path))
    assert data_root() == tmp_path
    assert data_root(tmp_path / "other") == tmp_path / "other"
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match="the data root is not a folder"):
        data_root(tmp_path / "file")
