"""From pictures to numbers: one pass over them for all metrics, every number with its identity or its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..core.weights import MissingWeights
from . import METRICS
from .cache import FeatureCache
from .extractors import NETWORKS
from .extractors.base import Extractor, Network, TextExtractor
from .features import FeatureFile, FeatureSet
from .frechet import Statistics, load_statistics
from .identity import Against, asked_identity, pair_identity, prompt_identity, reader_identity, set_identity
from .metric import ASKED, OBSERVED, CannotMeasure, Evidence, ImageMetric, Metric, Observer, SetMetric
from .passes import Batch, Pass
from .sample import Sample
from .setup import Setup
from .transforms import parse_transform
from .value import MetricValue

__all__ = ["Engine", "MissingReference", "Reference", "Setup"]

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in all), reference pictures included."""


@dataclass(frozen=True)
class MissingReference:
    """Why there is nothing to compare with: "the photos of coco5k are not here: bench fetch coco5k"."""

    reason: str


Reference: TypeAlias = Sequence[Sample] | Path | MissingReference | None
"""Pictures, a statistics file, or the reason why there is neither."""


class _Other(NamedTuple):
    """The pictures (or the statistics file) that a set is compared with, and what they go through before."""

    pictures: Sequence[Sample] | Path
    against: Against

    @property
    def size(self) -> int:
        """Pictures to go through."""
        return 0 if isinstance(self.pictures, Path) else len(self.pictures)


class _Lack(NamedTuple):
    """A set to compare with whose features are not there yet, with a metric for each network that has to see it."""

    other: _Other
    metrics: dict[str, Metric]


@dataclass
class _Gathered:
    """What one pass over the generated pictures leaves behind."""

    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    """By metric and sample key."""
    features: dict[str, FeatureSet] = field(default_factory=dict)
    """By extractor."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why there is nothing to make a mean of, by metric."""


class _Looked:
    """What was asked of the pictures of a batch and what observers see in them, each found out once."""

    def __init__(self, batch: Batch, observers: Mapping[str, Observer]) -> None:
        self.pictures = dict(zip((sample.key for sample in batch.samples), batch.pictures, strict=False))
        self.observers = observers
        self._asked: dict[tuple[str, str], Any] = {}
        self._seen: dict[tuple[str, str], Any] = {}

    def asked(self, sample: Sample, kind: str) -> Any:
        place = sample.key, kind
        if place not in self._asked:
            self._asked[place] = sample.asked[kind].read()
        return self._asked[place]

    def seen(self, sample: Sample, kind: str) -> Any:
        place = sample.key, kind
        if place not in self._seen:
            self._seen[place] = self.observers[kind](self.pictures[sample.key], self.asked(sample, kind))
        return self._seen[place]


@dataclass
class _Steps:
    """Counts pictures for the progress callback."""

    report: Progress | None
    total: int
    done: int = 0

    def __call__(self, count: int) -> None:
        self.done += count
        if self.report:
            self.report(self.done, self.total)


class Engine:
    """Computes metrics under one setup; networks and reference statistics are made once and kept for all its rows."""

    def __init__(self, setup: Setup) -> None:
        for transform in (setup.generated_transform, setup.reference_transform):
            parse_transform(transform)
        self.setup = setup
        self._cache = FeatureCache(setup.cache)
        self._networks: dict[str, Network] = {}
        self._references: dict[tuple[str, Against], FeatureSet] = {}
        """By network; of all rows of a run, since they share them."""
        self._files: dict[Path, Statistics] = {}
        self._folder = TemporaryDirectory(prefix="t2ibench-features-")

    def check(
        self,
        names: Iterable[str],
        *,
        has_prompts: bool,
        has_targets: bool,
        reference: Reference = None,
        asked: Collection[str] = (),
    ) -> dict[str, str]:
        """Return why metrics cannot be computed, by name; no network is loaded.

        ``asked`` are the kinds of ``Sample.asked`` that some picture has.
        Raises BenchError for an unknown metric, or a weights file that was named and is not there.
        """
        lacking = {
            "prompts": None if has_prompts else "needs a prompt for every picture",
            "target": None if has_targets else "needs a target for every picture",
            "reference": _lacks_reference(reference),
            "reader": None if self.setup.caption_reader else "needs a reader of captions (Setup.caption_reader)",
            **{kind: self._lacks_asked(kind, asked) for kind in ASKED},
        }
        reasons = {}
        for name in names:
            metric = METRICS.get(name)
            why = next((lacking[need] for need in metric.needs if lacking[need]), None)
            why = why or _lacks_pictures(metric, reference) or self._lacks_weights(metric)
            if why:
                reasons[name] = why
        return reasons

    def measure(
        self,
        samples: Sequence[Sample],
        names: Sequence[str],
        reference: Reference = None,
        progress: Progress | None = None,
    ) -> dict[str, MetricValue]:
        """Compute the metrics called ``names`` of ``samples``; one that cannot be computed has a reason and no value.

        Raises BenchError for a broken picture or weights file, targets of another size, a key that comes twice.
        """
        _check_keys(samples)
        reasons = self.check(
            names,
            has_prompts=all(sample.prompt is not None for sample in samples),
            has_targets=all(sample.target is not None for sample in samples),
            reference=reference,
            asked={kind for sample in samples for kind in sample.asked},
        )
        metrics = [METRICS.get(name) for name in names]
        reasons |= {metric.name: why for metric in metrics if (why := _too_few(metric, len(samples)))}
        todo = [metric for metric in metrics if metric.name not in reasons]
        others = {metric.name: self._other(metric, samples, reference) for metric in todo}
        lacking = self._lacking(todo, others)
        steps = _Steps(progress, len(samples) + sum(lack.other.size for lack in lacking))
        with TemporaryDirectory(dir=self._folder.name) as folder:
            gathered = self._gather(samples, todo, Path(folder), steps) if todo else _Gathered()
            for lack in lacking:
                self._learn(lack, steps)
            values = {metric.name: self._value(metric, samples, gathered, others[metric.name]) for metric in todo}
        return {metric.name: values.get(metric.name) or _without(metric, reasons[metric.name]) for metric in metrics}

    def references(self) -> Iterator[tuple[str, Against, FeatureSet]]:
        """Yield what sets were compared with so far: the network, the transform and digest, the features."""
        for (network, against), features in self._references.items():
            yield network, against, features

    def close(self) -> None:
        """Close the feature cache; a later call opens it again."""
        self._cache.close()

    def network(self, name: str) -> Network:
        """Return the network called ``name``, found and labelled; MissingWeights where its weights are nowhere."""
        if name not in self._networks:
            self._networks[name] = NETWORKS.get(name)(self.setup)
        return self._networks[name]

    def _lacks_asked(self, kind: str, asked: Collection[str]) -> str | None:
        if kind not in asked:
            return f"needs pictures that were asked for '{kind}', and this set has none"
        if kind in OBSERVED and kind not in self.setup.observers:
            return f"needs an observer of '{kind}' in pictures (Setup.observers)"
        return None

    def _lacks_weights(self, metric: Metric) -> str | None:
        if metric.network is None:
            return None
        try:
            known = NETWORKS.get(metric.network).weights(self.setup)
            if known is not None:
                self.setup.weights.find(known)
        except MissingWeights as missing:
            return str(missing)
        return None

    def _gather(self, samples: Sequence[Sample], metrics: Sequence[Metric], folder: Path, steps: _Steps) -> _Gathered:
        """Go over the generated pictures once for all metrics; features are kept in ``folder``."""
        gathered = _Gathered({metric.name: {} for metric in metrics if isinstance(metric, ImageMetric)})
        sets = {metric.network for metric in metrics if isinstance(metric, SetMetric) and metric.network}
        files = {name: FeatureFile(folder, self.network(name)) for name in sets}
        for batch in self._pass(metrics, self.setup.generated_transform).batches(samples):
            for name, file in files.items():
                file.add(batch.features[name])
            looked = _Looked(batch, self.setup.observers)
            for metric in metrics:
                if isinstance(metric, ImageMetric) and metric.name not in gathered.reasons:
                    try:
                        gathered.scores[metric.name] |= self._scores(metric, batch, looked)
                    except CannotMeasure as reason:
                        gathered.reasons[metric.name] = str(reason)
            steps(len(batch.samples))
        gathered.features |= {name: file.close() for name, file in files.items()}
        return gathered

    def _pass(self, metrics: Sequence[Metric], transform: str) -> Pass:
        networks = {metric.network: self.network(metric.network) for metric in metrics if metric.network}
        extractors = {name: network for name, network in networks.items() if isinstance(network, Extractor)}
        by_image = [metric for metric in metrics if isinstance(metric, ImageMetric)]
        targets = any("target" in metric.needs for metric in by_image)
        pictures = any(metric.network not in extractors or {"reader", *ASKED} & {*metric.needs} for metric in by_image)
        return Pass(extractors, transform, self._cache, self.setup.batch_size, targets or pictures, targets)

    def _scores(self, metric: ImageMetric, batch: Batch, looked: _Looked) -> dict[str, float]:
        kinds = [need for need in metric.needs if need in ASKED]
        if kinds:
            batch = batch.part([i for i, sample in enumerate(batch.samples) if all(k in sample.asked for k in kinds)])
        if not batch.samples:
            return {}
        network = self.network(metric.network) if metric.network else None
        prompts = [sample.prompt or "" for sample in batch.samples]
        evidence = Evidence(
            pictures=batch.pictures,
            targets=batch.targets,
            features=batch.features.get(metric.network or ""),
            texts=self._texts(network, prompts) if isinstance(network, TextExtractor) else None,
            prompts=prompts,
            network=network,
            reader=self.setup.caption_reader,
            asked={kind: [looked.asked(sample, kind) for sample in batch.samples] for kind in kinds},
            seen={k: [looked.seen(sample, k) for sample in batch.samples] for k in kinds if k in OBSERVED},
        )
        try:
            scores = metric.scores(evidence)
        except CannotMeasure:
            raise
        except BenchError as error:
            raise BenchError(f"{metric.name} of '{batch.samples[0].key}' and those after it: {error}") from error
        return {sample.key: score for sample, score in zip(batch.samples, scores, strict=True)}

    def _texts(self, extractor: TextExtractor, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Features of prompts, from the cache where they are there."""
        key = f"{extractor.identity}:text"
        digests = {hashlib.sha256(prompt.encode()).hexdigest(): prompt for prompt in prompts}
        known = self._cache.get(key, list(digests))
        lacking = [digest for digest in digests if digest not in known]
        if lacking:
            fresh = dict(zip(lacking, extractor.texts([digests[digest] for digest in lacking]), strict=True))
            self._cache.put(key, fresh)
            known |= fresh
        return np.stack([known[hashlib.sha256(prompt.encode()).hexdigest()] for prompt in prompts])

    def _value(
        self, metric: Metric, samples: Sequence[Sample], gathered: _Gathered, other: _Other | None
    ) -> MetricValue:
        if isinstance(metric, SetMetric) and metric.network:
            return self._set_value(metric, gathered.features[metric.network], other)
        if metric.name in gathered.reasons:
            return _without(metric, gathered.reasons[metric.name], len(samples))
        assert isinstance(metric, ImageMetric)
        return self._image_value(metric, samples, gathered.scores[metric.name])

    def _image_value(self, metric: ImageMetric, samples: Sequence[Sample], scores: dict[str, float]) -> MetricValue:
        network = self.network(metric.network) if metric.network else None
        n = len(scores)
        prompts = _of_all(_prompts_of(samples))
        kinds = [need for need in metric.needs if need in ASKED]
        if kinds:
            labels = [self.setup.observers[kind].label for kind in kinds if kind in OBSERVED]
            measured = [sample for sample in samples if sample.key in scores]
            digests = [sample.asked[kind].digest for sample in measured for kind in kinds]
            asked = _of_all([*digests, *_prompts_of(measured)] if "prompts" in metric.needs else digests)
            identity = asked_identity(metric, network, labels, n, asked)
        elif isinstance(network, Extractor):
            identity = prompt_identity(metric, network, self.setup, n, prompts)
        elif self.setup.caption_reader and "reader" in metric.needs:
            identity = reader_identity(metric, self.setup.caption_reader.label, n, prompts)
        else:
            targets = _of_all(sample.target.digest for sample in samples if sample.target)
            identity = pair_identity(metric, network, n, targets)
        cut = network.cut([sample.prompt or "" for sample in samples]) if isinstance(network, TextExtractor) else None
        finite = [score for score in scores.values() if np.isfinite(score)]
        same = f"{n - len(finite)} of {n} pictures are {metric.left_out}, left out of the mean"
        if not finite:
            return _without(metric, f"all {n} pictures are {metric.left_out}", n, identity)
        return MetricValue(
            value=float(np.mean(finite)),
            interval=metric.interval(finite),
            n=n,
            identity=identity,
            higher_is_better=metric.higher_is_better,
            note=_notes(network, cut, same if len(finite) < n else None, self._cache.note),
            per_image={key: score for key, score in scores.items() if not np.isnan(score)},
        )

    def _set_value(self, metric: SetMetric, generated: FeatureSet, other: _Other | None) -> MetricValue:
        assert metric.network is not None
        extractor = self.network(metric.network)
        assert isinstance(extractor, Extractor)
        against = other.against if other else None
        identity = partial(set_identity, metric, extractor, self.setup, generated.n, against)
        try:
            found = metric.estimate(generated, self._references[metric.network, against] if against else None)
        except CannotMeasure as reason:
            return _without(metric, str(reason), generated.n, identity())
        return MetricValue(
            value=found.value,
            interval=found.interval,
            n=generated.n,
            identity=identity(found.protocol),
            higher_is_better=metric.higher_is_better,
            note=_notes(extractor, found.note, self._cache.note),
        )

    def _other(self, metric: Metric, samples: Sequence[Sample], reference: Reference) -> _Other | None:
        """What a metric compares the set of samples with, if with anything."""
        if not isinstance(metric, SetMetric):
            return None
        if "target" in metric.needs:
            # Targets are as large as the pictures, so both go through the same.
            targets = [sample.target for sample in samples if sample.target is not None]
            return _Other(targets, Against(self.setup.generated_transform, _digest(targets)))
        if isinstance(reference, Path) and "reference" in metric.needs:
            return _Other(reference, Against("statistics", self._statistics(reference).digest))
        if isinstance(reference, Sequence) and "reference" in metric.needs:
            return _Other(reference, Against(self.setup.reference_transform, _digest(reference)))
        return None

    def _statistics(self, path: Path) -> Statistics:
        if path not in self._files:
            self._files[path] = load_statistics(path)
        return self._files[path]

    def _lacking(self, metrics: Sequence[Metric], others: Mapping[str, _Other | None]) -> list[_Lack]:
        """The sets to compare with whose features are not there yet, each with the networks that have to see it."""
        found: dict[Against, _Lack] = {}
        for metric in metrics:
            other = others[metric.name]
            if other and metric.network and (metric.network, other.against) not in self._references:
                found.setdefault(other.against, _Lack(other, {})).metrics[metric.network] = metric
        return list(found.values())

    def _learn(self, lack: _Lack, steps: _Steps) -> None:
        """Take the features of a set to compare with: one pass for all networks, or the statistics file for each."""
        pictures, against = lack.other
        if isinstance(pictures, Path):
            known = FeatureSet(self._statistics(pictures).gaussian)
            self._references |= {(name, against): known for name in lack.metrics}
            return
        files = {name: FeatureFile(Path(self._folder.name), self.network(name)) for name in lack.metrics}
        for batch in self._pass(list(lack.metrics.values()), against.transform).batches(pictures):
            for name, file in files.items():
                file.add(batch.features[name])
            steps(len(batch.samples))
        self._references |= {(name, against): file.close() for name, file in files.items()}


def _digest(samples: Sequence[Sample]) -> str:
    """8 hex digits of pictures in any order."""
    return _of_all(sample.digest for sample in samples)


def _prompts_of(samples: Sequence[Sample]) -> list[str]:
    """Digests of prompts."""
    return [hashlib.sha256((sample.prompt or "").encode()).hexdigest() for sample in samples]


def _of_all(digests: Iterable[str]) -> str:
    """8 hex digits of digests in any order."""
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()[:8]


def _lacks_reference(reference: Reference) -> str | None:
    if isinstance(reference, MissingReference):
        return reference.reason
    if isinstance(reference, Path):
        return None if reference.is_file() else f"no statistics file '{reference}'"
    if reference is None:
        return "needs reference pictures or a statistics file"
    return None if len(reference) > 1 else f"needs at least 2 reference pictures, not {len(reference)}"


def _lacks_pictures(metric: Metric, reference: Reference) -> str | None:
    if not (isinstance(reference, Path) and isinstance(metric, SetMetric) and "reference" in metric.needs):
        return None
    only = f"needs reference pictures: a statistics file ('{reference}') holds only their mean and covariance"
    return None if metric.from_moments else only


def _too_few(metric: Metric, n: int) -> str | None:
    least = 2 if isinstance(metric, SetMetric) else 1
    return f"needs at least {least} picture{'s' if least > 1 else ''}, not {n}" if n < least else None


def _without(metric: Metric, reason: str, n: int = 0, identity: str = "") -> MetricValue:
    return MetricValue(value=None, reason=reason, n=n, identity=identity, higher_is_better=metric.higher_is_better)


def _notes(network: Network | None, *others: str | None) -> str | None:
    notes = [note for note in (network.note if network else None, *others) if note]
    return "; ".join(notes) or None


def _check_keys(samples: Sequence[Sample]) -> None:
    seen: set[str] = set()
    for sample in samples:
        if sample.key in seen:
            raise BenchError(f"two pictures are called '{sample.key}': keys must be unique within a set")
        seen.add(sample.key)
