"""What models found in photos, kept in the cache folder so that they need not look twice."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.files import write_atomic
from ..core.weights import cache_dir


def keep(kind: str, identity: Sequence[Any], make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Return the array that ``make`` returns, from the cache folder where it was made before.

    ``identity`` is all that decides it, as JSON can hold it. A damaged file is made anew. Raises WriteError where the
    disk fails.
    """
    name = digest(identity)
    path = cache_dir() / kind / name[:2] / f"{name}.npz"
    try:
        with np.load(path) as kept:
            return np.asarray(kept["array"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        array = make()
    buffer = BytesIO()
    np.savez_compressed(buffer, array=array)
    write_atomic(path, buffer.getvalue())
    return array


def digest(identity: Sequence[Any]) -> str:
    """Return 32 hex digits that change with ``identity``, which JSON can hold."""
    return hashlib.sha256(json.dumps(list(identity)).encode()).hexdigest()[:32]
