"""What two numbers of one metric can differ by, each as a change of everything that one of them was computed from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ..core.errors import BenchError
from ..datasets.sources import Names
from ..metrics.engine import Engine
from ..metrics.metric import Metric
from ..metrics.sample import Sample
from . import encoding
from .inputs import Inputs, Side
from .score_statistics import pictures_digest
from .statistics_files import StatisticsFile


class CannotChange(BenchError):  # noqa: N818
    """A factor cannot be changed alone; the text says why."""


class Factor(NamedTuple):
    """One thing that differs."""

    name: str
    describe: Callable[[Inputs, Inputs, Metric], str]
    """What it is for the first inputs, beside the second; equal texts mean that it does not differ."""
    change: Callable[[Inputs, Inputs], Inputs]
    """The first inputs with this of the second; CannotChange where that cannot be had."""


def _weights(inputs: Inputs, other: Inputs, metric: Metric) -> str:
    return Engine(inputs.setup).network(metric.network).label if metric.network else ""


def _change_weights(inputs: Inputs, to: Inputs) -> Inputs:
    return replace(inputs, setup=replace(inputs.setup, weights=to.setup.weights))


def _dtype(inputs: Inputs, other: Inputs, metric: Metric) -> str:
    return inputs.setup.dtype if metric.network else ""


def _change_dtype(inputs: Inputs, to: Inputs) -> Inputs:
    return replace(inputs, setup=replace(inputs.setup, dtype=to.setup.dtype))


def _device(inputs: Inputs, other: Inputs, metric: Metric) -> str:
    return inputs.setup.device if metric.network else ""


def _change_device(inputs: Inputs, to: Inputs) -> Inputs:
    return replace(inputs, setup=replace(inputs.setup, device=to.setup.device, batch_size=to.setup.batch_size))


def _resize(inputs: Inputs, other: Inputs, metric: Metric) -> str:
    if not metric.network:
        return ""
    setup = inputs.setup
    own = f"{setup.inception_resize}, " if metric.network == "inception" else ""
    same = setup.generated_transform == setup.reference_transform
    return own + (setup.generated_transform if same else f"{setup.generated_transform} / {setup.reference_transform}")


def _change_resize(inputs: Inputs, to: Inputs) -> Inputs:
    setup = replace(
        inputs.setup,
        inception_resize=to.setup.inception_resize,
        generated_transform=to.setup.generated_transform,
        reference_transform=to.setup.reference_transform,
    )
    return replace(inputs, setup=setup)


def _reference(inputs: Inputs, other: Inputs, metric: Metric) -> str:
    reference = inputs.reference if "reference" in metric.needs else None
    return "" if reference is None else _side_text(reference)


def _side_text(side: Side) -> str:
    if isinstance(side, StatisticsFile):
        return f"statistics {side.digest}"
    return f"{len(side)} pictures {pictures_digest(side)}"


def _change_reference(inputs: Inputs, to: Inputs) -> Inputs:
    if to.reference is None:
        raise CannotChange("the other side has no reference")
    return replace(inputs, reference=to.reference)


def _count(inputs: Inputs, other: Inputs, metric: Metric) -> str:
    generated = inputs.generated
    return str(generated.gaussian.n or "unknown" if isinstance(generated, StatisticsFile) else len(generated))


def _change_count(inputs: Inputs, to: Inputs) -> Inputs:
    """Those of the pictures that the other side has by name, else as many of the first."""
    samples, others = _samples(inputs), _samples(to)
    if len(others) > len(samples):
        raise CannotChange("it has no more pictures")
    names = Names.of(sample.key for sample in others)
    shared = [sample for sample in samples if names.find(sample.key)]
    return replace(inputs, generated=shared if len(shared) == len(others) else samples[: len(others)])


def _encoding(inputs: Inputs, other: Inputs, metric: Metric) -> str:
    if isinstance(inputs.generated, StatisticsFile):
        return "unknown"
    kept = {sample.key for sample in inputs.generated}
    return encoding.summary({key: item for key, item in inputs.items.items() if key in kept})


def _change_encoding(inputs: Inputs, to: Inputs) -> Inputs:
    """Each picture as the JPEG of the same name, or else the first one, would have kept it."""
    samples, others = _samples(inputs), _samples(to)
    if not all(encoding.encoding(inputs.items[sample.key]).lossless for sample in samples):
        raise CannotChange("what a lossy file lost cannot be brought back")
    names = Names.of(sample.key for sample in others)
    made = []
    for sample in samples:
        how = encoding.encoding(to.items[names.find(sample.key) or others[0].key])
        if how.format != "JPEG":
            raise CannotChange(f"a {how.format} does not say with which settings it was written")
        made.append(encoding.as_jpeg(sample, how))
    return replace(inputs, generated=made)


def _prompts(inputs: Inputs, other: Inputs, metric: Metric) -> str:
    return _beside(inputs, other, lambda sample: sample.prompt) if "prompts" in metric.needs else ""


def _change_prompts(inputs: Inputs, to: Inputs) -> Inputs:
    return _with_partner(inputs, to, lambda sample, other: replace(sample, prompt=other.prompt))


def _targets(inputs: Inputs, other: Inputs, metric: Metric) -> str:
    needed = "target" in metric.needs
    return _beside(inputs, other, lambda sample: sample.target.digest if sample.target else None) if needed else ""


def _change_targets(inputs: Inputs, to: Inputs) -> Inputs:
    return _with_partner(inputs, to, lambda sample, other: replace(sample, target=other.target))


def _beside(inputs: Inputs, other: Inputs, of: Callable[[Sample], str | None]) -> str:
    """A digest of what lies beside the pictures that both sides have."""
    if isinstance(inputs.generated, StatisticsFile) or isinstance(other.generated, StatisticsFile):
        return "none"
    names = Names.of(sample.key for sample in other.generated)
    found = [str(of(sample)) for sample in inputs.generated if names.find(sample.key)]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:8]


def _with_partner(inputs: Inputs, to: Inputs, take: Callable[[Sample, Sample], Sample]) -> Inputs:
    """Each picture with something of the picture of the same name on the other side."""
    others = {sample.key: sample for sample in _samples(to)}
    names = Names.of(others)
    keys = [names.find(sample.key) for sample in _samples(inputs)]
    if None in keys:
        raise CannotChange("the other side does not have all of its pictures by name")
    taken = [take(sample, others[key]) for sample, key in zip(_samples(inputs), keys, strict=True) if key is not None]
    return replace(inputs, generated=taken)


def _samples(inputs: Inputs) -> list[Sample]:
    if isinstance(inputs.generated, StatisticsFile):
        raise CannotChange("a statistics file holds no pictures")
    return inputs.generated


FACTORS = (
    Factor("weights", _weights, _change_weights),
    Factor("resize", _resize, _change_resize),
    Factor("dtype", _dtype, _change_dtype),
    Factor("device", _device, _change_device),
    Factor("reference", _reference, _change_reference),
    Factor("sample count", _count, _change_count),
    Factor("file encoding", _encoding, _change_encoding),
    Factor("prompts", _prompts, _change_prompts),
    Factor("targets", _targets, _change_targets),
)
"""In the order of the table."""
