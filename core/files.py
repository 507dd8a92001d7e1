"""Files that are whole or not there: atomic writes, digests, downloads that resume."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all; 0 where not known)."""


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write ``data`` to ``path`` through a temporary file beside it and a rename: readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data.encode("utf-8") if isinstance(data, str) else data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(url: str, path: Path, *, size: int | None = None, sha256: str | None = None, progress: Progress | None = None) -> Path:
    """Fetch ``url`` into ``path``; goes on from a ``.part`` file beside it, checks size (bytes) and sha256 (a prefix will do).

    Raises BenchError where the server fails, or where what came has another size or digest (the part file is removed).
    """
    raise NotImplementedError  # written by the datasets piece
