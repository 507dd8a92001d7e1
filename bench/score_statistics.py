"""Metrics where a side is a statistics file: whether it fits, what it gives, and how it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..core.errors import BenchError
from ..datasets.sources import shown
from ..metrics import METRICS
from ..metrics.engine import Engine
from ..metrics.features import FeatureSet
from ..metrics.metric import CannotMeasure, Metric, SetMetric
from ..metrics.sample import Sample
from ..metrics.value import MetricValue
from .inputs import Inputs, Side
from .progress import task
from .statistics_files import (
    StatisticsFile,
    check_made_alike,
    check_transform,
    check_width,
    feature_side,
    recorded,
    save_statistics,
)

UNKNOWN = "a statistics file does not say which extractor and resize made it"


def check_statistics(inputs: Inputs, engine: Engine, names: Iterable[str]) -> None:
    """Raise BenchError, naming the file, where statistics do not fit the other side of one of the metrics."""
    for name in names:
        network = METRICS.get(name).network
        if is_moments(name) and network:
            _check_network(network, inputs, engine)


def _check_network(network: str, inputs: Inputs, engine: Engine) -> None:
    sides = _sides(inputs, engine)
    files = [(side, transform, option) for side, transform, option in sides if isinstance(side, StatisticsFile)]
    pictures = [(side, transform) for side, transform, _ in sides if isinstance(side, list)]
    for file, transform, option in files:
        if pictures:
            samples, own = pictures[0]
            check_made_alike(file, engine, network, transform, option)
            check_width(file, engine, network, samples[0], own)
        else:
            check_transform(file, transform, option)
    if len(files) == 2:
        _check_twins(files[0][0], files[1][0])


def _sides(inputs: Inputs, engine: Engine) -> list[tuple[Side | None, str, str]]:
    setup = engine.setup
    return [
        (inputs.generated, setup.generated_transform, "--transform"),
        (inputs.reference, setup.reference_transform, "--reference-transform"),
    ]


def _check_twins(a: StatisticsFile, b: StatisticsFile) -> None:
    made = [file.recorded.extractor if file.recorded else None for file in (a, b)]
    if None not in made and made[0] != made[1]:
        raise BenchError(
            f"statistics '{shown(a.path)}' were made with {made[0]}, '{shown(b.path)}' with {made[1]}: they cannot be "
            "compared; make one anew"
        )
    widths = [len(file.gaussian.mean) for file in (a, b)]
    if widths[0] != widths[1]:
        raise BenchError(f"statistics '{shown(a.path)}' are {widths[0]} wide, '{shown(b.path)}' {widths[1]}")


def is_moments(name: str) -> bool:
    """Whether a statistics file can stand in for the reference of metric ``name``."""
    metric = METRICS.get(name)
    return isinstance(metric, SetMetric) and metric.from_moments and "reference" in metric.needs


def of_statistics(metric: Metric, inputs: Inputs, engine: Engine) -> MetricValue:
    """A metric where the generated side is a statistics file."""
    file, reference = inputs.generated, inputs.reference
    assert isinstance(file, StatisticsFile)
    known = partial(MetricValue, n=file.gaussian.n or 0, higher_is_better=metric.higher_is_better)
    if not isinstance(metric, SetMetric) or not is_moments(metric.name):
        return known(value=None, reason=f"needs pictures: '{shown(file.path)}' holds only their mean and covariance")
    if reference is None:
        return known(value=None, reason="needs reference pictures or a statistics file")
    try:
        with _learned(metric, reference, engine) as other:
            found = metric.estimate(file.side, other)
    except CannotMeasure as error:
        return known(value=None, reason=str(error))
    identity = _identity(metric, inputs, engine)
    value = known(value=found.value, interval=found.interval, identity=identity, note=found.note)
    if "unofficial" in identity:
        value = with_note(value, "made with weights that are not the official ones")
    return value if file.recorded else with_note(value, UNKNOWN)


@contextmanager
def _learned(metric: SetMetric, side: Side, engine: Engine) -> Iterator[FeatureSet]:
    """The features of the reference side."""
    if isinstance(side, StatisticsFile):
        yield side.side
        return
    assert metric.network is not None
    with task("measure reference", len(side)) as report:
        features, folder = feature_side(engine, metric.network, side, engine.setup.reference_transform, report)
    with folder:
        yield features


def _identity(metric: SetMetric, inputs: Inputs, engine: Engine) -> str:
    """As the engine writes it; what the files do not say is called ``unknown``."""
    sides = [side for side in (inputs.generated, inputs.reference) if isinstance(side, StatisticsFile)]
    made = next((file.recorded.extractor for file in sides if file.recorded), "unknown")
    generated, reference = inputs.generated, inputs.reference
    assert isinstance(generated, StatisticsFile)
    against = reference.digest if isinstance(reference, StatisticsFile) else pictures_digest(reference or [])
    n = f"n{generated.gaussian.n}" if generated.gaussian.n else "n-unknown"
    gen = generated.recorded.transform if generated.recorded else "unknown"
    ref = "statistics" if isinstance(reference, StatisticsFile) else engine.setup.reference_transform
    label, _, computed = made.partition(":")
    parts = (label, metric.protocol, f"gen={gen},ref={ref}", computed, n, f"ref-{against}")
    return ":".join([metric.name, *filter(None, parts), f"v{metric.version}"])


def pictures_digest(samples: Sequence[Sample]) -> str:
    """8 hex digits of pictures in any order, as identities have them."""
    return hashlib.sha256("".join(sorted(sample.digest for sample in samples)).encode()).hexdigest()[:8]


def with_note(value: MetricValue, note: str) -> MetricValue:
    """Return the value with ``note`` beside those it has."""
    return value.model_copy(update={"note": "; ".join(filter(None, (value.note, note)))})


def save_side(path: Path, which: str, inputs: Inputs, engine: Engine, names: Sequence[str]) -> None:
    """Write the statistics of one side, from features that are in the cache by now."""
    option = "--save-stats" if which == "generated" else "--save-reference-stats"
    samples = inputs.generated if which == "generated" else inputs.reference
    if not isinstance(samples, list):
        raise BenchError(f"{option}: there are no {which} pictures to make statistics of")
    network = next((METRICS.get(name).network for name in names if is_moments(name)), None) or "inception"
    setup = engine.setup
    transform = setup.generated_transform if which == "generated" else setup.reference_transform
    with task("statistics", len(samples)) as report:
        features, folder = feature_side(engine, network, samples, transform, report)
    with folder:
        save_statistics(path, features, recorded(engine, network, transform))
