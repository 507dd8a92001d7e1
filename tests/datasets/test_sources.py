"""Sources of pictures: what becomes of names; the rest is tested through ``bench score``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from t2ibench.core.errors import BenchError
from t2ibench.datasets.sources import Names, canonical, is_statistics, matched, open_pictures, shown


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("COCO_val2014_000000000285.jpg", "285"),
        ("a/b/00012.PNG", "12"),
        ("000", "0"),
        ("v1.2", "v1.2"),
        ("12_a.png", "12_a"),
    ],
)
def test_names_are_compared_without_folder_suffix_and_zeros(name: str, stem: str) -> None:
    assert canonical(name) == stem


def test_a_path_goes_before_a_stem() -> None:
    names = Names.of(["a/1.png", "b/1.png", "2.png"])
    assert names.find("b/1.jpg") == "b/1.png"
    assert names.find("0002") == "2.png"
    assert names.find("3") is None
    with pytest.raises(BenchError, match="are both the picture of '1'"):
        names.find("1")


def test_matched_gives_the_name_of_each_picture() -> None:
    assert matched(["01.png", "x.png"], {"1": None, "y": None}) == {"01.png": "1"}
    with pytest.raises(BenchError, match="'1' and '01' both mean"):
        matched(["1.png"], {"1": None, "01": None})


def test_bytes_that_are_not_utf_8_can_be_printed() -> None:
    assert shown(os.fsdecode(b"a\xff.png")) == r"a\xff.png"
    assert shown("ä.png") == "ä.png"


def test_arrays_are_mapped_and_not_read(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    np.savez(tmp_path / "x.npz", pictures, labels=np.arange(3))
    items = open_pictures(tmp_path / "x.npz").items
    np.testing.assert_array_equal(np.stack([item.load() for item in items]), pictures)
    assert len({item.digest for item in items}) == 3
    assert items[0].load().flags.writeable


def test_statistics_go_before_pictures_in_one_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "adm.npz", arr_0=np.zeros((2, 4, 4, 3), np.uint8), mu=np.zeros(4), sigma=np.eye(4))
    assert is_statistics(tmp_path / "adm.npz")
    assert not is_statistics(tmp_path)
    assert not is_statistics(tmp_path / "nowhere.npz")
