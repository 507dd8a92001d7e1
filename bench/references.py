"""The features that a run's distances were taken to, kept beside its pictures, for whoever compares runs."""

from __future__ import annotations

import io
import re
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..core.errors import BenchError
from ..metrics.engine import Engine
from ..metrics.features import FeatureSet, feature_set
from ..metrics.frechet import Gaussian
from ..metrics.identity import Against
from .store import Store

FOLDER = "reference"

_HALF = 60_000.0
"""Above, float16 ends. Below, it moves a feature by 1/2000 at most, on both sides of a comparison alike."""


def save_references(store: Store, engine: Engine) -> None:
    """Write the features of all that the sets of a run were compared with. Raises WriteError where that fails."""
    for network, against, features in engine.references():
        store.save(f"{FOLDER}/{_name(network, against)}", dump_reference(features))


def dump_reference(features: FeatureSet) -> bytes:
    """The bytes of a file: the features in half precision, or their moments where no more is known."""
    buffer = io.BytesIO()
    if features.stored is None:
        np.savez(buffer, mean=features.gaussian.mean, covariance=features.gaussian.covariance, n=features.n)
    else:
        np.savez(buffer, features=half_precision(features.stored))
    return buffer.getvalue()


def half_precision(rows: np.ndarray) -> np.ndarray:
    """Features in float16 where they fit."""
    return rows.astype(np.float16) if np.abs(rows).max(initial=0) < _HALF else np.asarray(rows)


def find_reference(directory: Path, network: str, identity: str) -> FeatureSet | None:
    """Return the features that a number of this identity was taken to; None where the run has none of them.

    Raises BenchError for a broken file.
    """
    against = _against(identity)
    file = directory / FOLDER / _name(network, against) if against else None
    if file is None or not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as arrays:
            if "features" in arrays:
                return feature_set(arrays["features"].astype(np.float32))
            known = Gaussian(arrays["mean"], arrays["covariance"], int(arrays["n"]) or None)
            return FeatureSet(known)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BenchError(
            f"cannot read '{file}' ({error}): run the suite again, it goes fast on finished pictures"
        ) from error


def _against(identity: str) -> Against | None:
    found = re.search(r"gen=[\w-]+,ref=([\w-]+):.*:ref-([0-9a-f]+):", identity)
    return Against(found[1], found[2]) if found else None


def _name(network: str, against: Against) -> str:
    return f"{network}-{against.transform}-{against.digest}.npz"
