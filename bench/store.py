"""A run's folder: content-addressed pictures, append-only logs, atomic writes.

``images/ab/abcd….png`` holds a picture under the sha256 of its file; ``log/worker-N.jsonl`` has one line per sample,
written after the picture is on disk and flushed per batch. What a killed run leaves is therefore always whole: at worst
a half-written last line, which is dropped, or a picture without a line, which is made again under the same name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..core.files import write_atomic, writing
from ..datasets.request import Pixels

OURS = ("images", "conditions", "reference", "log", "rows", "run.json", "gate.json", "scores.parquet", "pictures.json",
        "report.md", "report.html", "latents.safetensors")  # fmt: skip
"""All that a run leaves in its folder, beside MARK."""
MARK = ".t2ibench"
"""The file that marks a folder as a run's; locked while one writes there."""


@dataclass(frozen=True)
class Record:
    """One sample of the log."""

    key: str
    """Digest of all that decides the picture: method, weights, settings, prompt, seed, sample."""
    method: str
    prompt_id: str
    sample: int
    image: str
    """sha256 of the picture's file."""
    suffix: str
    size: int
    """Bytes of the picture's file."""
    noise: str | None = None
    """Digest of the noise that the picture started from."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Per picture, by stage."""
    warm: bool = True
    """False for the first batch after loading."""
    batch: int = 1
    threads: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Produced:
    """A picture not yet in the store, as pixels or as a file to be taken as it is; its record lacks the file."""

    pixels: NDArray[np.uint8] | Path
    record: Record


class Store:
    """Reads and writes the folder of one run."""

    def __init__(self, directory: Path) -> None:
        """Take the folder, made where it is missing; BenchError where another run or somebody's files have it."""
        self.directory = directory
        _check_ours(directory)
        with writing(directory):
            (directory / "log").mkdir(parents=True, exist_ok=True)
            self._lock = _lock(directory)
        for log in (directory / "log").glob("*.jsonl"):
            _drop_half_line(log)
        self.records = self.read(directory)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._pending: list[Future[None]] = []

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown()
        self._lock.close()

    def clear(self) -> None:
        """Delete all that a run has left here."""
        for name in OURS:
            path = self.directory / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        (self.directory / "log").mkdir()
        self.records = {}

    def path(self, record: Record) -> Path:
        """Where the picture of a record lies."""
        return image_path(self.directory, record)

    def add(self, batch: Sequence[Produced], done: Callable[[int], None] = lambda count: None) -> None:
        """Hand over a batch, to be written behind the next one's computation; ``done(count)`` tells when it is on disk.

        Raises WriteError where an earlier batch could not be written, for example on a full disk.
        """
        # One batch may wait: more would only hold memory, the writer is much faster than any method.
        while len(self._pending) > 1:
            self._wait()
        self._pending.append(self._writer.submit(self._write, list(batch), done))

    def flush(self) -> None:
        """Wait until all that was handed over is on disk. Raises as ``add``."""
        while self._pending:
            self._wait()

    def save(self, name: str, data: bytes | str) -> Path:
        """Write a file of the run atomically. Raises WriteError where that fails."""
        write_atomic(path := self.directory / name, data)
        return path

    def keep(self, condition: Pixels) -> Path:
        """Write a condition map, unless it is there, and return its file. Raises as ``save``."""
        name = f"conditions/{condition.digest}.png"
        path = self.directory / name
        return path if path.is_file() else self.save(name, _encode(condition.read())[0])

    def _wait(self) -> None:
        try:
            self._pending.pop(0).result()
        except BaseException:
            for waiting in self._pending:
                waiting.cancel()
            self._pending.clear()
            raise

    def _write(self, batch: list[Produced], done: Callable[[int], None]) -> None:
        records = [self._put(item) for item in batch]
        _append(self.directory / "log" / "worker-0.jsonl", "".join(json.dumps(asdict(r)) + "\n" for r in records))
        self.records.update({record.key: record for record in records})
        done(len(records))

    def _put(self, item: Produced) -> Record:
        data, suffix = _encode(item.pixels)
        digest = hashlib.sha256(data).hexdigest()
        record = dataclasses.replace(item.record, image=digest, suffix=suffix, size=len(data))
        if _size(path := self.path(record)) != len(data):
            write_atomic(path, data)
        return record

    @staticmethod
    def read(directory: Path) -> dict[str, Record]:
        """Return the finished samples of a run's folder by key: those whose picture is there, whole.

        Raises as ``logged``.
        """
        records = logged(directory)
        return {record.key: record for record in records if _size(image_path(directory, record)) == record.size}


def logged(directory: Path) -> Iterator[Record]:
    """Yield all lines of a run's logs, whether their pictures are there or not.

    A half-written last line is passed over. Raises BenchError for any other line that is no record.
    """
    for log in sorted((directory / "log").glob("*.jsonl")):
        lines = log.read_text(encoding="utf-8").split("\n")
        yield from (_parse(line, log, number) for number, line in enumerate(lines[:-1], 1))


def image_path(directory: Path, record: Record) -> Path:
    """Where the picture of a record lies in a run's folder."""
    return directory / "images" / record.image[:2] / f"{record.image}{record.suffix}"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _encode(pixels: NDArray[np.uint8] | Path) -> tuple[bytes, str]:
    if isinstance(pixels, Path):
        return pixels.read_bytes(), pixels.suffix.lower()
    from PIL import Image

    buffer = io.BytesIO()
    # Level 1 is three times as fast as the default and costs a tenth more disk.
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), ".png"


def _parse(line: str, log: Path, number: int) -> Record:
    try:
        return Record(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise BenchError(
            f"'{log}' line {number} is not a sample record: remove the line, or start anew with --fresh"
        ) from error


def _append(log: Path, lines: str) -> None:
    with writing(log), log.open("ab") as file:
        before = file.seek(0, os.SEEK_END)
        try:
            file.write(lines.encode())
            file.flush()
        except BaseException:  # no half line, or the next one would be glued to it
            file.truncate(before)
            raise


def _drop_half_line(log: Path) -> None:
    data = log.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(log, whole)


def _check_ours(directory: Path) -> None:
    """Keep away from folders that hold files by our names and were never a run's."""
    if (directory / MARK).exists():
        return
    foreign = next((name for name in OURS if (directory / name).exists()), None)
    if foreign:
        raise BenchError(f"'{directory}' holds '{foreign}' and is not the folder of a run: choose another --out")


def _lock(directory: Path) -> IO[Any]:
    file = (directory / MARK).open("w")
    try:
        _exclusive(file)
    except OSError as error:
        file.close()
        raise BenchError(
            f"another 'bench run' is writing to '{directory}': wait for it, or use another --out"
        ) from error
    return file


def _exclusive(file: IO[Any]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
