"""The run folder survives what happens to run folders."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from t2ibench.bench.store import Produced, Record, Store
from t2ibench.core.errors import BenchError


def picture(value: int) -> np.ndarray:
    return np.full((8, 8, 3), value, np.uint8)


def produced(key: str, value: int = 0) -> Produced:
    return Produced(picture(value), Record(key, "m", f"prompt {key}", 0, "", "", 0, seconds={"end_to_end": 0.1}))


def fill(directory: Path, keys: str = "abc") -> Store:
    with Store(directory) as store:
        store.add([produced(key, ord(key)) for key in keys])
        store.flush()
    return store


def test_what_was_added_is_read_back(tmp_path: Path) -> None:
    store = fill(tmp_path)
    again = Store.read(tmp_path)
    assert again == store.records
    assert again["b"].prompt_id == "prompt b"
    from PIL import Image

    assert (np.asarray(Image.open(store.path(again["b"]))) == ord("b")).all()


def test_equal_pictures_are_kept_once(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.add([produced("a", 7), produced("b", 7)])
        store.flush()
    assert len(list((tmp_path / "images").rglob("*.png"))) == 1
    assert set(Store.read(tmp_path)) == {"a", "b"}


def test_a_half_written_last_line_is_dropped_and_written_over(tmp_path: Path) -> None:
    fill(tmp_path)
    log = tmp_path / "log" / "worker-0.jsonl"
    whole = log.read_text()
    log.write_text(whole + whole.splitlines()[0][:25])
    assert set(Store.read(tmp_path)) == {"a", "b", "c"}
    fill(tmp_path, "d")
    assert set(Store.read(tmp_path)) == {"a", "b", "c", "d"}


def test_a_record_whose_picture_is_gone_or_cut_counts_as_missing(tmp_path: Path) -> None:
    store = fill(tmp_path)
    store.path(store.records["a"]).unlink()
    cut = store.path(store.records["b"])
    cut.write_bytes(cut.read_bytes()[:-5])
    assert set(Store.read(tmp_path)) == {"c"}
    fill(tmp_path, "ab")
    assert set(Store.read(tmp_path)) == {"a", "b", "c"}


def test_a_broken_line_names_file_and_line(tmp_path: Path) -> None:
    fill(tmp_path)
    log = tmp_path / "log" / "worker-0.jsonl"
    log.write_text("garbage\n" + log.read_text())
    with pytest.raises(BenchError, match=r"worker-0\.jsonl' line 1 is not a sample record"):
        Store.read(tmp_path)


def test_clear_takes_all_that_a_run_left_and_nothing_else(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "mine.txt").write_text("mine")
    with Store(tmp_path) as store:
        store.clear()
        assert store.records == {}
    assert not list(tmp_path.rglob("*.png"))
    assert not (tmp_path / "run.json").exists()
    assert (tmp_path / "mine.txt").exists()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.png").write_text("mine")
    for _ in range(2):
        with pytest.raises(BenchError, match="is not the folder of a run"):
            Store(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["images", "mine.png"]


def test_two_runs_do_not_write_one_folder(tmp_path: Path) -> None:
    with Store(tmp_path), pytest.raises(BenchError, match="another 'bench run' is writing"):
        Store(tmp_path)


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "ab")
    real = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        real(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with Store(tmp_path) as store:
        store.add([produced("c", 99)])
        with pytest.raises(BenchError, match="No space left on device; free some space and run the same"):
            store.flush()
    monkeypatch.undo()
    assert set(Store.read(tmp_path)) == {"a", "b"}
    assert not [path for path in tmp_path.rglob(".*") if path.name != ".t2ibench"]
    fill(tmp_path, "c")
    assert set(Store.read(tmp_path)) == {"a", "b", "c"}


def test_batches_behind_a_failed_one_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would stand in the log behind a gap, or be glued to a half-written line."""
    import json

    from t2ibench.bench import store as module

    real = json.dumps

    def failing(record: dict) -> str:
        if record["key"] == "b":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(record)

    monkeypatch.setattr(module.json, "dumps", failing)
    with Store(tmp_path) as store:
        store.add([produced("a")])
        store.add([produced("b")])
        with pytest.raises(OSError, match="No space"):
            store.flush()
    monkeypatch.undo()
    assert set(Store.read(tmp_path)) == {"a"}
