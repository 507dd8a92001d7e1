"""What ``bench score`` measures: pictures with their prompts and targets, read from any source and checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from ..core.errors import BenchError
from ..core.weights import WeightsFinder, cache_dir
from ..datasets.prompts import Prompt, read_prompts
from ..datasets.sources import Item, Names, is_statistics, matched, open_pictures, shown
from ..metrics.sample import Sample
from ..metrics.setup import Setup
from ..metrics.value import MetricValue
from .captions import SceneReader
from .progress import task
from .statistics_files import StatisticsFile, read_statistics


class Part(BaseModel):
    """A part of what is printed as JSON."""

    model_config = ConfigDict(extra="forbid")


class ScoreOptions(Part):
    """What ``bench score`` was asked: all that the numbers can be computed from again, paths absolute."""

    images: str
    reference: str | None = None
    prompts: str | None = None
    targets: str | None = None
    metrics: list[str] | None = None
    weights: dict[str, str] = Field(default_factory=dict)
    device: str = "cpu"
    dtype: str = "fp32"
    batch_size: int | None = None
    resize: str = "tf-bilinear"
    transform: str = "as-is"
    reference_transform: str = "as-is"
    skip_bad: bool = False
    offline: bool = False

    def setup(self) -> Setup:
        """How the metrics are computed."""
        return Setup(
            inception_resize=self.resize,
            generated_transform=self.transform,
            reference_transform=self.reference_transform,
            device=self.device,
            dtype=self.dtype,
            batch_size=self.batch_size or (8 if self.device == "cpu" else 64),
            weights=WeightsFinder({name: Path(file) for name, file in self.weights.items()}, self.offline),
            cache=cache_dir() / "features",
            caption_reader=SceneReader(),
        )


class Left(Part):
    """A picture that was left out."""

    file: str
    reason: str


class Counts(Part):
    """How many pictures were used, and what was not."""

    images: int = 0
    """Pictures measured; of a statistics file the number it says, 0 where it says none."""
    reference: int | None = None
    skipped: list[Left] = Field(default_factory=list)
    """Broken pictures of either side, left out by ``--skip-bad``."""
    ignored: int = 0
    """Files beside the pictures that are none by their suffix."""
    images_without_prompt: int = 0
    prompts_without_image: int = 0
    images_without_target: int = 0
    targets_without_image: int = 0


class Scores(Part):
    """What ``bench score --json`` prints."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: int = Field(default=1, alias="schema")
    metrics: dict[str, MetricValue]
    counts: Counts
    options: ScoreOptions


Side: TypeAlias = list[Sample] | StatisticsFile


@dataclass(frozen=True)
class Inputs:
    """Everything to be measured."""

    generated: Side
    reference: Side | None
    setup: Setup
    counts: Counts
    items: Mapping[str, Item] = field(default_factory=dict)
    """Where the generated pictures come from, by their key."""


class _Pair(NamedTuple):
    """A picture with what is beside it."""

    item: Item
    prompt: Callable[[], str] | None = None
    target: Item | None = None


def load_inputs(options: ScoreOptions) -> Inputs:
    """Read all that ``options`` name.

    Broken pictures are found here with ``skip_bad`` and counted, else when they are measured. Raises BenchError for a
    source that is missing or empty, and for prompts or targets of which none has a picture.
    """
    counts = Counts()
    generated, items = _generated(options, counts)
    reference = _reference(options, counts)
    counts.images = _size(generated) or 0
    counts.reference = None if reference is None else _size(reference)
    return Inputs(generated, reference, options.setup(), counts, items)


def _generated(options: ScoreOptions, counts: Counts) -> tuple[Side, dict[str, Item]]:
    if file := _statistics(options.images):
        if options.prompts or options.targets:
            raise BenchError(f"{shown(file.path)}: statistics have no prompts or targets; give the pictures")
        return file, {}
    found = open_pictures(options.images)
    items = {item.key: item for item in found.items}
    prompts = _prompts(options, items, counts)
    targets = _targets(options, items, counts)
    pairs = [_Pair(item, prompts.get(key), targets.get(key)) for key, item in items.items()]
    counts.ignored = found.ignored
    return _read(found.name, pairs, options.skip_bad, counts), items


def _reference(options: ScoreOptions, counts: Counts) -> Side | None:
    if options.reference is None:
        return None
    if file := _statistics(options.reference):
        return file
    found = open_pictures(options.reference)
    return _read(found.name, [_Pair(item) for item in found.items], options.skip_bad, counts)


def _statistics(source: str) -> StatisticsFile | None:
    path = Path(source)
    return read_statistics(path) if is_statistics(path) else None


def _size(side: Side) -> int | None:
    return side.gaussian.n if isinstance(side, StatisticsFile) else len(side)


def _prompts(options: ScoreOptions, items: Mapping[str, Item], counts: Counts) -> dict[str, Callable[[], str]]:
    """By key: from the file that is named, else those that lie beside the pictures in an archive."""
    if options.prompts is None:
        found = {key: item.caption for key, item in items.items() if item.caption}
        counts.images_without_prompt = len(items) - len(found) if found else 0
        return found
    prompts = read_prompts(Path(options.prompts))
    keys = _by_name(prompts, items)
    if not keys:
        raise BenchError(
            f"{shown(options.prompts)}: no picture of '{shown(options.images)}' matches a prompt; name pictures by "
            f"prompt id, such as '{prompts[0].id}.png'"
        )
    counts.images_without_prompt = len(items) - len(keys)
    counts.prompts_without_image = len(prompts) - len(keys)
    return {key: lambda text=prompt.text: text for key, prompt in keys.items()}  # type: ignore[misc]


def _by_name(prompts: list[Prompt], items: Iterable[str]) -> dict[str, Prompt]:
    """Prompts by key of their picture: by id or, where no id is the name of a picture, by the image column."""
    by_id = {prompt.id: prompt for prompt in prompts}
    by_image = {prompt.image: prompt for prompt in reversed(prompts) if prompt.image}
    for names in (by_id, by_image):
        if keys := matched(items, names):
            return {key: names[name] for key, name in keys.items()}
    return {}


def _targets(options: ScoreOptions, items: Mapping[str, Item], counts: Counts) -> dict[str, Item]:
    """By key of the picture."""
    if options.targets is None:
        return {}
    targets = {item.key: item for item in open_pictures(options.targets).items}
    names = Names.of(targets)
    keys = {key: found for key in items if (found := names.find(key))}
    if not keys:
        raise BenchError(f"{shown(options.targets)}: no target is named as a picture of '{shown(options.images)}'")
    counts.images_without_target = len(items) - len(keys)
    counts.targets_without_image = len(targets) - len(set(keys.values()))
    return {key: targets[name] for key, name in keys.items()}


def _read(name: str, pairs: list[_Pair], skip_bad: bool, counts: Counts) -> list[Sample]:
    """Digest all pictures; with ``skip_bad`` decode them, too, and leave out and count what is broken."""
    samples = []
    with task(f"read {Path(name).name}", len(pairs)) as report:
        for done, found in enumerate(_in_threads(pairs, skip_bad), 1):
            if isinstance(found, Sample):
                samples.append(found)
            else:
                counts.skipped.append(found)
            report(done)
    if not samples:
        raise BenchError(f"{name}: all {len(pairs)} pictures are broken; the first: {counts.skipped[0].reason}")
    return samples


def _in_threads(pairs: list[_Pair], skip_bad: bool) -> Iterator[Sample | Left]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        try:
            yield from pool.map(_checked if skip_bad else _sample, pairs)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _sample(pair: _Pair) -> Sample:
    item, target = pair.item, pair.target
    against = Sample(target.key, target.digest, target.load) if target else None
    return Sample(item.key, item.digest, item.load, pair.prompt() if pair.prompt else None, against)


def _checked(pair: _Pair) -> Sample | Left:
    try:
        sample = _sample(pair)
        picture = sample.load()
        target = sample.target.load() if sample.target else picture
        if picture.shape != target.shape:
            sizes = [f"{side.shape[1]}×{side.shape[0]}" for side in (picture, target)]
            raise BenchError(f"{pair.item.name}: is {sizes[0]} and its target {sizes[1]}: sizes must agree")
    except BenchError as error:
        return Left(file=pair.item.name, reason=str(error))
    return sample
