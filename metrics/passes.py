"""One pass over pictures: each is decoded once, in other threads, and each extractor sees it once, if at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .cache import FeatureCache, Vector
from .extractors.base import Extractor, cores
from .sample import Sample
from .transforms import Picture, parse_transform

T = TypeVar("T")
U = TypeVar("U")

_CPU_BATCH, _DEVICE_BATCH = 8, 64
"""Pictures: more are slower on a CPU, whose caches they leave, and keep an accelerator busy."""


@dataclass
class Batch:
    """Some samples with what was gathered of them; pictures and targets only where they were asked for."""

    samples: Sequence[Sample]
    features: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """(n, d) by name of the extractor."""
    pictures: list[Picture] = field(default_factory=list)
    targets: list[Picture] = field(default_factory=list)

    def part(self, places: Sequence[int]) -> Batch:
        """Return the samples at ``places``, with all that was gathered of them."""
        return Batch(
            [self.samples[i] for i in places],
            {name: rows[places] for name, rows in self.features.items()},
            [self.pictures[i] for i in places] if self.pictures else [],
            [self.targets[i] for i in places] if self.targets else [],
        )


@dataclass
class _Work:
    """A batch on its way: vectors by extractor and place in the batch, and what the extractors lack, prepared."""

    batch: Batch
    vectors: dict[str, dict[int, Vector]]
    prepared: dict[str, dict[int, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pass:
    """What a pass over one set of pictures gathers, and how."""

    extractors: Mapping[str, Extractor]
    transform: str
    """What pictures go through before the extractors; batches hold them, and their targets, as they are."""
    cache: FeatureCache
    batch_size: int | None = None
    """None is 8 on a CPU and 64 elsewhere."""
    pictures: bool = False
    """Whether batches hold the pictures."""
    targets: bool = False
    """Whether they hold those that the pictures are compared with, too."""

    def batches(self, samples: Sequence[Sample]) -> Iterator[Batch]:
        """Yield all samples in order, in batches with their features.

        Raises BenchError where a picture is broken, or a target is of another size.
        """
        size = self.batch_size or (_CPU_BATCH if self._on_cpu else _DEVICE_BATCH)
        work = (self._look_up(samples[start : start + size]) for start in range(0, len(samples), size))
        # Networks take all cores of a CPU, so two threads that decode hide what is left; an accelerator needs all.
        for item in ahead(work, self._decode, threads=2 if self._on_cpu else cores()):
            self._extract(item)
            yield item.batch

    def key(self, extractor: Extractor) -> str:
        """What features of this pass are cached under beside the picture."""
        return f"{extractor.cache_key}:{self.transform}"

    @property
    def _on_cpu(self) -> bool:
        return all(extractor.kind == "cpu" for extractor in self.extractors.values())

    def _look_up(self, samples: Sequence[Sample]) -> _Work:
        vectors = {}
        for name, extractor in self.extractors.items():
            known = self.cache.get(self.key(extractor), [sample.digest for sample in samples])
            vectors[name] = {i: known[s.digest] for i, s in enumerate(samples) if s.digest in known}
            if len(vectors[name]) < len(samples):
                extractor.load()
        return _Work(Batch(samples), vectors)

    def _decode(self, work: _Work) -> _Work:
        transform = parse_transform(self.transform)
        for index, sample in enumerate(work.batch.samples):
            lacking = [name for name, vectors in work.vectors.items() if index not in vectors]
            picture = sample.load() if lacking or self.pictures else None
            if picture is not None and lacking:
                moved = transform(picture)
                for name in lacking:
                    work.prepared.setdefault(name, {})[index] = self.extractors[name].prepare(moved)
            if picture is not None and self.pictures:
                work.batch.pictures.append(picture)
            if picture is not None and self.targets:
                work.batch.targets.append(_target(sample, picture))
        return work

    def _extract(self, work: _Work) -> None:
        samples = work.batch.samples
        for name, extractor in self.extractors.items():
            prepared, vectors = work.prepared.get(name, {}), work.vectors[name]
            if prepared:
                fresh = dict(zip(prepared, extractor.features(list(prepared.values())), strict=True))
                _check_finite(fresh, samples, extractor)
                self.cache.put(self.key(extractor), {samples[i].digest: vector for i, vector in fresh.items()})
                vectors |= fresh
            work.batch.features[name] = np.stack([vectors[i] for i in range(len(samples))])


def ahead(items: Iterable[T], work: Callable[[T], U], threads: int) -> Iterator[U]:
    """Yield ``work(item)`` in order, done in other threads; one more item than threads waits, so memory is bounded."""
    pool = ThreadPoolExecutor(threads)
    pending: deque[Future[U]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _target(sample: Sample, picture: Picture) -> Picture:
    assert sample.target is not None
    target = sample.target.load()
    if target.shape != picture.shape:
        sizes = [f"{side.shape[1]}×{side.shape[0]}" for side in (picture, target)]
        raise BenchError(
            f"'{sample.key}' is {sizes[0]} and its target '{sample.target.key}' {sizes[1]}: sizes must agree"
        )
    return target


def _check_finite(fresh: Mapping[int, Vector], samples: Sequence[Sample], extractor: Extractor) -> None:
    for index, vector in fresh.items():
        if not np.isfinite(vector).all():
            raise BenchError(f"{extractor.label} gives NaN or infinity for '{samples[index].key}' in {extractor.dtype}")
