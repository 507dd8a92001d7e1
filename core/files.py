"""Files that are whole or not there: atomic writes, digests, downloads that resume."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from .errors import BenchError, WriteError

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all; 0 where not known)."""

_ATTEMPTS = 4
_PAUSE = 1.0
"""Seconds before the second attempt; grows with each failure in a row."""
_TIMEOUT = 30.0
"""Seconds without a byte before a connection counts as dropped."""
_CHUNK = 1 << 18


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write ``path`` into a WriteError that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "free some space and run the same command again, what is finished is kept" if full else "choose another"
        raise WriteError(f"cannot write '{path}': {error.strerror or error}; {mend}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; it becomes ``path`` if all goes well, else nothing is left.

    Readers see all of the file or nothing. Raises WriteError where the disk fails.
    """
    # Not tempfile: its files can be read by their owner alone.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write ``data`` to ``path``, all of it or nothing. Raises WriteError where the disk fails."""
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file, 64 hex digits; computed once per process unless the file changes."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(
    url: str, path: Path, *, size: int | None = None, sha256: str | None = None, progress: Progress | None = None
) -> Path:
    """Fetch ``url`` into ``path``; goes on from a ``.part`` file beside it, checks size and sha256.

    ``size`` is in bytes, ``sha256`` may be a prefix. A file that is there and passes the checks is returned without a
    request; a dropped connection is taken up again, as long as that brings something. Raises BenchError where the
    server fails, where the disk is full, or where what came has another size or digest (the part file is removed).
    """
    if path.is_file() and mismatch(path, size, sha256) is None:
        return path
    if not url.startswith(("http://", "https://")):
        raise BenchError(f"cannot download '{url}': only http:// and https:// addresses can be")
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _receive_all(url, part, size, progress)
        if problem := mismatch(part, size, sha256):
            part.unlink()
            raise BenchError(f"{url}: what came {problem}; it was removed, run again, or get the file another way")
        return part.replace(path)
    except OSError as error:
        raise BenchError(
            f"cannot write {part}: {error.strerror or error}; free space or choose another folder"
        ) from error


def mismatch(path: Path, size: int | None, sha256: str | None) -> str | None:
    """Say how a file differs from what it should be ("is 3 bytes, not 4"), or None; ``sha256`` may be a prefix."""
    actual = path.stat().st_size
    if size is not None and actual != size:
        return f"is {actual:,} bytes, not {size:,}"
    if sha256 and not (digest := sha256_file(path)).startswith(sha256.lower()):
        return f"has sha256 {digest[: len(sha256)]}, not {sha256}"
    return None


def _receive_all(url: str, part: Path, size: int | None, progress: Progress | None) -> None:
    """Fill ``part`` over as many connections as it takes; gives up after ``_ATTEMPTS`` that brought nothing new."""
    failures = 0
    while (have := _length(part)) != size:
        try:
            return _receive(url, part, size, progress)
        except _network_errors() as error:
            if getattr(error, "code", None) == 416:
                part.unlink(missing_ok=True)  # longer than the file there: of no use
            failures = 1 if _length(part) > have else failures + 1
            if failures >= _ATTEMPTS or _is_final(error):
                raise BenchError(f"cannot download {url}: {_reason(error)}{_kept(part)}") from error
        time.sleep(_PAUSE * failures)


def _receive(url: str, part: Path, size: int | None, progress: Progress | None) -> None:
    """Append what is missing of ``part`` over one connection; raises a network error where it ends early."""
    from urllib.request import Request, urlopen

    start = _length(part)
    if size is not None and start > size:
        start = 0
    headers = {"User-Agent": "t2ibench", "Accept-Encoding": "identity"} | (
        {"Range": f"bytes={start}-"} if start else {}
    )
    with urlopen(Request(url, headers=headers), timeout=_TIMEOUT) as response:
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            start = 0  # the server sends the whole file whatever was asked for
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else size or 0
        if size is not None and total != size:
            raise BenchError(
                f"{url} offers {total:,} bytes, not {size:,}: the file there has changed; get it another way"
            )
        done = _append(response, part, start, total, progress)
    if done < total:
        raise ConnectionError(f"the connection ended at {done:,} of {total:,} bytes")


def _append(response: IO[bytes], part: Path, start: int, total: int, progress: Progress | None) -> int:
    """Write the response into ``part`` from byte ``start`` on; returns the length it then has."""
    done = start
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        while chunk := _read(response):
            file.write(chunk)
            done += len(chunk)
            if progress:
                progress(done, total)
    return done


def _read(response: IO[bytes]) -> bytes:
    try:
        return response.read(_CHUNK)
    except OSError as error:  # told apart here from an error of the disk
        raise ConnectionError(str(error)) from error


def _network_errors() -> tuple[type[Exception], ...]:
    from http.client import HTTPException
    from ssl import SSLError
    from urllib.error import URLError

    return URLError, TimeoutError, ConnectionError, HTTPException, SSLError


def _is_final(error: Exception) -> bool:
    """Whether another try is useless: the server understood, and refused."""
    status = getattr(error, "code", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 416, 429)


def _reason(error: Exception) -> str:
    if status := getattr(error, "code", None):
        return f"the server answers {status} {getattr(error, 'reason', '')}".rstrip()
    return str(getattr(error, "reason", error)) or type(error).__name__


def _kept(part: Path) -> str:
    return f"; {part.stat().st_size:,} bytes are kept in {part}, run again to go on" if part.is_file() else ""


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
