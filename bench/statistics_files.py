"""Statistics files in place of pictures: checked before use, and written so that other tools read them.

A file of ours holds ``mu``, ``sigma`` and ``n`` as pytorch-fid and clean-fid have them, and ``identity``: JSON that
says which extractor and transform made them, which other tools pass over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from ..core.errors import BenchError
from ..core.files import write_atomic
from ..datasets.sources import shown
from ..metrics.cache import FeatureCache
from ..metrics.engine import Engine
from ..metrics.extractors.base import Extractor
from ..metrics.features import FeatureFile, FeatureSet
from ..metrics.frechet import Gaussian, Statistics, load_statistics
from ..metrics.passes import Pass
from ..metrics.sample import Sample

_ASYMMETRY = 1e-5
"""Of the largest covariance: more than the rounding of files in float32 leaves."""


class Recorded(NamedTuple):
    """What made the statistics."""

    extractor: str
    """Network with weights, preprocessing and number format: ``inception-2015-12-05@6726825d:tf-bilinear:fp32``."""
    transform: str
    """What the pictures went through before: ``as-is``."""


@dataclass(frozen=True)
class StatisticsFile:
    """A statistics file that was read and found sound."""

    path: Path
    gaussian: Gaussian
    digest: str
    recorded: Recorded | None = None
    """None for files of other tools, which do not say."""

    @property
    def side(self) -> FeatureSet:
        """As set metrics take it."""
        return FeatureSet(self.gaussian)


def read_statistics(path: Path) -> StatisticsFile:
    """Read an ``.npz`` of this package, pytorch-fid, clean-fid or ADM.

    Raises BenchError, naming the file, where it cannot be read, lacks mu or sigma, or holds values that are NaN or
    infinite, or a covariance that is not symmetric or has a negative variance.
    """
    found = _loaded(path)
    mean, covariance, n = found.gaussian
    if problem := _problem(mean, covariance):
        raise BenchError(f"statistics '{shown(path)}': {problem}; make the file anew")
    count, recorded = _extras(path)
    return StatisticsFile(path, Gaussian(mean, covariance, n or count), found.digest, recorded)


def check_name(path: Path) -> None:
    """Raise BenchError where a file to write is not called .npz, which other tools go by."""
    if path.suffix != ".npz":
        raise BenchError(f"{shown(path)}: a statistics file is an .npz; name it so, other tools go by it")


def save_statistics(path: Path, side: FeatureSet, recorded: Recorded) -> None:
    """Write mu, sigma, n and identity, whole or not at all."""
    mean, covariance, n = side.gaussian
    buffer = BytesIO()
    np.savez(buffer, mu=mean, sigma=covariance, n=n or 0, identity=json.dumps(recorded._asdict()))
    write_atomic(path, buffer.getvalue())


def check_made_alike(file: StatisticsFile, engine: Engine, network: str, transform: str, option: str) -> None:
    """Raise BenchError where the file says that another extractor or transform made it than are asked for now."""
    if file.recorded is None:
        return
    extractor = _extractor(engine, network).identity
    if file.recorded.extractor != extractor:
        raise BenchError(
            f"statistics '{shown(file.path)}' were made with {file.recorded.extractor}, not {extractor}: they cannot "
            "be compared; make the file anew"
        )
    check_transform(file, transform, option)


def check_transform(file: StatisticsFile, transform: str, option: str) -> None:
    """Raise BenchError where the pictures behind the file went through another transform; ``option`` is the mend."""
    if file.recorded and file.recorded.transform != transform:
        made = file.recorded.transform
        raise BenchError(
            f"statistics '{shown(file.path)}' are of pictures {made}, not {transform}: give {option} {made}"
        )


def check_width(file: StatisticsFile, engine: Engine, network: str, sample: Sample, transform: str) -> None:
    """Raise BenchError where the features are not as wide as those of a picture; the features of that are kept."""
    batches = _pass(engine, network, transform).batches([sample])
    width = next(iter(batches)).features[network].shape[1]
    if len(file.gaussian.mean) != width:
        raise BenchError(
            f"statistics '{shown(file.path)}' are {len(file.gaussian.mean)} wide, the features of {network} {width}: "
            "they were made with another extractor; make the file anew"
        )


def feature_side(
    engine: Engine, network: str, samples: Sequence[Sample], transform: str, report: Callable[[int], None]
) -> tuple[FeatureSet, TemporaryDirectory[str]]:
    """Return the features of pictures, and the folder they are in, which has to outlive them."""
    folder: TemporaryDirectory[str] = TemporaryDirectory(prefix="t2ibench-features-")
    file = FeatureFile(Path(folder.name), engine.network(network))
    done = 0
    for batch in _pass(engine, network, transform).batches(samples):
        file.add(batch.features[network])
        done += len(batch.samples)
        report(done)
    return file.close(), folder


def recorded(engine: Engine, network: str, transform: str) -> Recorded:
    """Return what is written beside statistics made now."""
    return Recorded(_extractor(engine, network).identity, transform)


def _pass(engine: Engine, network: str, transform: str) -> Pass:
    setup = engine.setup
    return Pass({network: _extractor(engine, network)}, transform, FeatureCache(setup.cache), setup.batch_size)


def _extractor(engine: Engine, network: str) -> Extractor:
    found = engine.network(network)
    if not isinstance(found, Extractor):
        raise BenchError(f"'{network}' compares pictures and has no features")
    return found


def _loaded(path: Path) -> Statistics:
    try:
        return load_statistics(path)
    except BenchError as error:
        if path.name in str(error):
            raise
        raise BenchError(f"statistics '{shown(path)}': {error}") from error


def _problem(mean: np.ndarray, covariance: np.ndarray) -> str | None:
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        return "NaN or infinite values in it"
    if covariance.shape != (len(mean),) * 2 or not len(mean):
        return f"covariance {covariance.shape} does not fit mean {mean.shape}"
    largest = float(np.abs(covariance).max())
    if float(np.abs(covariance - covariance.T).max()) > _ASYMMETRY * largest:
        return "its covariance is not symmetric"
    return "its covariance has negative variances" if float(covariance.diagonal().min()) < 0 else None


def _extras(path: Path) -> tuple[int | None, Recorded | None]:
    """The count and the identity, where the file has them."""
    try:
        with np.load(path, allow_pickle=False) as file:
            count = int(file["n"]) if "n" in file else None
            made = Recorded(**json.loads(str(file["identity"]))) if "identity" in file else None
    except (OSError, ValueError, TypeError, BadZipFile) as error:
        raise BenchError(f"statistics '{shown(path)}': n or identity cannot be read ({error}); remove them") from error
    return count or None, made
