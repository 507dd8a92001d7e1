"""The feature cache: what it keeps, and that it never fails a run."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from t2ibench.metrics.cache import FeatureCache

VECTORS = {f"digest{index}": np.arange(4, dtype=np.float32) + index for index in range(3)}


def test_vectors_come_back_bit_for_bit(tmp_path):
    FeatureCache(tmp_path).put("net", VECTORS)
    found = FeatureCache(tmp_path).get("net", [*VECTORS, "another"])
    assert found.keys() == VECTORS.keys()
    for digest, vector in VECTORS.items():
        np.testing.assert_array_equal(found[digest], vector)


def test_extractors_do_not_share_vectors(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.put("net", VECTORS)
    assert cache.get("net:bf16", list(VECTORS)) == {}


def test_pictures_without_a_digest_are_not_kept(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.put("net", {"": np.ones(3, np.float32)})
    assert cache.get("net", [""]) == {}


def test_without_a_folder_nothing_is_kept():
    cache = FeatureCache(None)
    cache.put("net", VECTORS)
    assert cache.get("net", list(VECTORS)) == {} and cache.note is None


def test_two_of_them_share_a_file(tmp_path):
    one, other = FeatureCache(tmp_path), FeatureCache(tmp_path)
    one.put("net", {"a": np.ones(2, np.float32)})
    other.put("net", {"b": np.ones(2, np.float32)})
    assert one.get("net", ["a", "b"]).keys() == {"a", "b"}


def test_it_opens_again_after_closing(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.put("net", VECTORS)
    cache.close()
    cache.close()
    assert cache.get("net", list(VECTORS)).keys() == VECTORS.keys()


def broken(folder: Path) -> None:
    folder.mkdir()
    (folder / "features.sqlite").write_bytes(b"not a database at all" * 400)


def file_in_the_way(folder: Path) -> None:
    folder.write_text("a file where the folder should be")


def another_table(folder: Path) -> None:
    folder.mkdir()
    with sqlite3.connect(folder / "features.sqlite") as connection:
        connection.execute("CREATE TABLE features (other TEXT)")


@pytest.mark.parametrize("spoil", [broken, file_in_the_way, another_table])
def test_a_folder_that_cannot_be_used_is_noted_and_done_without(tmp_path, spoil):
    spoil(tmp_path / "cache")
    cache = FeatureCache(tmp_path / "cache")
    assert cache.get("net", list(VECTORS)) == {}
    cache.put("net", VECTORS)
    assert cache.get("net", list(VECTORS)) == {}
    assert cache.note is not None and "features are not kept: '" in cache.note and "features.sqlite'" in cache.note


def test_a_folder_that_cannot_be_written_is_noted(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    cache = FeatureCache(tmp_path / "cache")
    cache.put("net", VECTORS)
    assert "Permission denied" in (cache.note or "")


def test_a_vector_cut_short_is_not_returned(tmp_path):
    FeatureCache(tmp_path).put("net", VECTORS)
    with sqlite3.connect(tmp_path / "features.sqlite") as connection:
        connection.execute("UPDATE features SET vector = x'0102'")
    cache = FeatureCache(tmp_path)
    assert cache.get("net", list(VECTORS)) == {} and cache.note is not None
