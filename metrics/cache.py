"""Features on disk, by what they are of and what made them, so that no picture goes through a network twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError

Vector = NDArray[np.float32]


class FeatureCache:
    """Vectors by (extractor identity, digest of the picture or prompt) in ``features.sqlite`` of a folder.

    SQLite writes whole batches or nothing, also when the process is killed, and several processes may share the file.
    A changed file has another digest and so is computed anew. Without a folder nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, extractor: str, digests: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors that are there, float32 (d,), by digest."""
        if self._folder is None or not digests:
            return {}
        marks = ",".join("?" * len(digests))
        query = f"SELECT digest, vector FROM features WHERE extractor = ? AND digest IN ({marks})"
        with self._errors():
            rows = self._connection.execute(query, (extractor, *digests)).fetchall()
        return {digest: np.frombuffer(blob, np.float32) for digest, blob in rows}

    def put(self, extractor: str, vectors: Mapping[str, Vector]) -> None:
        """Keep ``vectors`` by digest; one transaction."""
        if self._folder is None or not vectors:
            return
        rows = [
            (extractor, digest, vector.astype(np.float32).tobytes()) for digest, vector in vectors.items() if digest
        ]
        with self._errors(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", rows)

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._file, timeout=30)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS features"
            " (extractor TEXT, digest TEXT, vector BLOB, PRIMARY KEY (extractor, digest))"
        )
        return connection

    @property
    def _file(self) -> Path:
        return (self._folder or Path()) / "features.sqlite"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise BenchError(f"feature cache '{self._file}': {error}; free disk space, or delete the file") from error
