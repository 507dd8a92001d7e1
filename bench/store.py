"""A run's folder: content-addressed pictures, append-only logs, atomic writes.

``images/ab/abcd….png`` holds a picture under the sha256 of its file; ``log/worker-N.jsonl`` has one line per sample,
written after the picture is on disk and flushed per batch. What a killed run leaves is therefore always whole: at worst
a half-written last line, which is dropped, or a picture without a line, which is made again under the same name.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..core.files import write_atomic


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

    def __init__(self, directory: Path, fresh: bool = False) -> None:
        self.directory = directory
        if fresh:
            for name in ("images", "log"):
                shutil.rmtree(directory / name, ignore_errors=True)
        with _one_line(directory):
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

    def path(self, record: Record) -> Path:
        """Where the picture of a record lies."""
        return image_path(self.directory, record)

    def add(self, batch: Sequence[Produced], done: Callable[[int], None] = lambda count: None) -> None:
        """Hand over a batch, to be written behind the next one's computation; ``done(count)`` tells when it is on disk.

        Raises BenchError where an earlier batch could not be written, for example on a full disk.
        """
        # One batch may wait: more would only hold memory, the writer is much faster than any method.
        while len(self._pending) > 1:
            self._pending.pop(0).result()
        self._pending.append(self._writer.submit(self._write, list(batch), done))

    def flush(self) -> None:
        """Wait until all that was handed over is on disk. Raises as ``add``."""
        while self._pending:
            self._pending.pop(0).result()

    def save(self, name: str, data: bytes | str) -> Path:
        """Write a file of the run atomically. Raises BenchError where that fails."""
        with _one_line(path := self.directory / name):
            write_atomic(path, data)
        return path

    def _write(self, batch: list[Produced], done: Callable[[int], None]) -> None:
        with _one_line(self.directory):
            records = [self._put(item) for item in batch]
            with (self.directory / "log" / "worker-0.jsonl").open("a", encoding="utf-8") as log:
                log.write("".join(json.dumps(asdict(record)) + "\n" for record in records))
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

        A half-written last line is passed over. Raises BenchError for any other line that is no record.
        """
        records = {}
        for log in sorted((directory / "log").glob("*.jsonl")):
            lines = log.read_text(encoding="utf-8").split("\n")
            for number, line in enumerate(lines[:-1], 1):
                record = _parse(line, log, number)
                if _size(image_path(directory, record)) == record.size:
                    records[record.key] = record
        return records


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


def _drop_half_line(log: Path) -> None:
    data = log.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(log, whole)


def _lock(directory: Path) -> IO[Any]:
    file = (directory / ".lock").open("w")
    try:
        import fcntl
    except ImportError:  # Windows: two runs in one folder are then the user's own care
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise BenchError(
            f"another 'bench run' is writing to '{directory}': wait for it, or use another --out"
        ) from error
    return file


class _one_line:  # noqa: N801 - reads as a statement
    """Turn failures to write into one line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            why = "the disk is full: free some space" if full else f"{error.strerror or error}: mend that"
            raise BenchError(
                f"cannot write to '{error.filename or self.path}': {why} and run the same command again, "
                "finished pictures are kept"
            ) from error
