"""Features on disk, by what they are of and what made them, so that no picture goes through a network twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]

_TABLE = """CREATE TABLE IF NOT EXISTS features
    (extractor TEXT, digest TEXT, vector BLOB, PRIMARY KEY (extractor, digest))"""


class FeatureCache:
    """Vectors by (extractor identity, digest of the picture or prompt) in ``features.sqlite`` of a folder.

    SQLite writes whole batches or nothing, also when the process is killed, and several processes may share the file.
    A changed file has another digest and so is computed anew. Without a folder nothing is kept; where the folder
    cannot be used, nothing more is kept and ``note`` says why: what can be computed again never fails a run.
    """

    note: str | None = None
    """Why features are not kept although a folder is given."""

    def __init__(self, folder: Path | None) -> None:
        self._file = folder / "features.sqlite" if folder else None
        self._open: sqlite3.Connection | None = None

    def get(self, extractor: str, digests: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors that are there, float32 (d,), by digest."""
        marks = ",".join("?" * len(digests))
        query = f"SELECT digest, vector FROM features WHERE extractor = ? AND digest IN ({marks})"
        try:
            rows = self._connect().execute(query, (extractor, *digests)).fetchall() if self._file else []
            return {digest: np.frombuffer(blob, np.float32) for digest, blob in rows}
        except (sqlite3.Error, OSError, ValueError) as error:  # ValueError: a blob cut short
            self._give_up(error)
            return {}

    def put(self, extractor: str, vectors: Mapping[str, Vector]) -> None:
        """Keep ``vectors`` by digest, but for empty digests; one transaction."""
        rows = [
            (extractor, digest, vector.astype(np.float32).tobytes()) for digest, vector in vectors.items() if digest
        ]
        try:
            if self._file and rows:
                with self._connect() as connection:
                    connection.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", rows)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        if self._open:
            self._open.close()
        self._open = None

    def _connect(self) -> sqlite3.Connection:
        assert self._file is not None
        if self._open is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._open = sqlite3.connect(self._file, timeout=30)
            self._open.execute("PRAGMA journal_mode = WAL")
            self._open.execute("PRAGMA synchronous = NORMAL")
            self._open.execute(_TABLE)
        return self._open

    def _give_up(self, error: Exception) -> None:
        self.note = f"features are not kept: '{self._file}': {error}; free disk space, or delete the file"
        self.close()
        self._file = None
