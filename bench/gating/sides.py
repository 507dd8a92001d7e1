"""The two runs of a comparison: which pictures they hold, from which noise, with which scores and features."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import is_zipfile

import numpy as np
from numpy.typing import NDArray

from ...core.errors import BenchError
from ...core.weights import WeightsFinder, cache_dir
from ...datasets.images import load_rgb
from ...metrics.engine import Engine
from ...metrics.extractors.base import Extractor
from ...metrics.features import FeatureSet
from ...metrics.metric import CannotMeasure
from ...metrics.sample import Sample
from ...metrics.setup import Setup
from ...reports.names import short_names
from ...reports.schema import Picture, Result, Run, load_run
from ..progress import task
from ..references import find_reference
from ..saved import load_pictures
from ..statistics_files import feature_side
from ..store import Record, logged

if TYPE_CHECKING:
    import pandas as pd

Rows = NDArray[np.float32]


class Place(NamedTuple):
    """Which picture of a method it is."""

    prompt_id: str
    sample: int


class Taken(NamedTuple):
    """A picture of a run."""

    image: str
    """The sha256 of its file."""
    noise: str | None
    """What tells its noise from any other; None where nobody here knows it, as of pictures made elsewhere."""
    file: Path | None = None
    """None where only its features are kept."""


@dataclass
class Looker:
    """Looks at stored pictures through a network, by the feature cache where they have been seen before."""

    device: str = "cpu"
    weights: WeightsFinder = field(default_factory=WeightsFinder)
    _engines: dict[str, Engine] = field(default_factory=dict)

    def label(self, network: str, transform: str) -> str:
        """What features depend on beside the picture. Raises BenchError where the weights are nowhere."""
        return self._extractor(network, transform).identity

    def rows(self, network: str, transform: str, pictures: Sequence[Taken]) -> Rows:
        """Features (n, d) of pictures. Raises BenchError where the weights or a picture are missing."""
        samples = [
            Sample(str(index), taken.image, partial(load_rgb, taken.file))
            for index, taken in enumerate(pictures)
            if taken.file
        ]
        with ExitStack() as stack:
            report = stack.enter_context(task(f"features ({network})", len(samples)))
            found, folder = feature_side(self._engine(transform), network, samples, transform, report)
            stack.enter_context(folder)
            return np.array(found.rows)

    def _extractor(self, network: str, transform: str) -> Extractor:
        found = self._engine(transform).network(network)
        assert isinstance(found, Extractor)
        return found

    def _engine(self, transform: str) -> Engine:
        if transform not in self._engines:
            setup = Setup(
                generated_transform=transform,
                device=self.device,
                weights=self.weights,
                cache=cache_dir() / "features",
            )
            self._engines[transform] = Engine(setup)
        return self._engines[transform]


class Side(ABC):
    """A run as far as comparing it needs it."""

    run: Run
    name: str
    """As it was given."""

    def result(self, method: str) -> Result:
        """The row of a method."""
        return next(result for result in self.run.results if result.method == method)

    @abstractmethod
    def pictures(self, method: str) -> Mapping[Place, Taken]:
        """The pictures of a method."""

    @abstractmethod
    def features(self, method: str, network: str, transform: str, places: Sequence[Place], looker: Looker) -> Rows:
        """Features (n, d) of the pictures at ``places``. CannotMeasure where they cannot be had."""

    def reference(self, network: str, identity: str) -> FeatureSet | None:
        """What the number of this identity was taken to; None where it is not kept here."""
        return None

    def scores(self, method: str, metric: str) -> dict[Place, float]:
        """Per-picture scores; empty for a metric that has none."""
        return self._scores.get((method, metric), {})

    @property
    def listed(self) -> Sequence[Picture]:
        """The pictures with their prompts, as a report shows them; none where only their numbers are kept."""
        return []

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The per-picture scores of the run: method, prompt_id, sample, metric, value."""
        return self._frame()

    @cached_property
    def _scores(self) -> dict[tuple[str, str], dict[Place, float]]:
        found: dict[tuple[str, str], dict[Place, float]] = defaultdict(dict)
        frame = self.frame
        columns = (frame[name] for name in ("method", "prompt_id", "sample", "metric", "value"))
        for method, prompt_id, sample, metric, value in zip(*columns, strict=True):
            found[str(method), str(metric)][Place(str(prompt_id), int(sample))] = float(value)
        return dict(found)

    @abstractmethod
    def _frame(self) -> pd.DataFrame:
        """Read the per-picture scores."""


class RunSide(Side):
    """The folder of a finished run."""

    def __init__(self, path: Path) -> None:
        """Read the run. Raises BenchError, naming the file, for one that is missing, broken, unfinished or empty."""
        self.run = load_run(path)
        self.name = str(path)
        self.directory = path if path.is_dir() else path.parent
        if not self.run.results:
            raise BenchError(f"'{path}' has no results: there is nothing to compare")
        self._listed = load_pictures(self.directory)
        self._pictures = self._all_pictures()
        _ = self._scores  # a broken file is to be found before the work

    @property
    def listed(self) -> Sequence[Picture]:
        return self._listed

    def pictures(self, method: str) -> Mapping[Place, Taken]:
        return self._pictures.get(method, {})

    def features(self, method: str, network: str, transform: str, places: Sequence[Place], looker: Looker) -> Rows:
        pictures = self.pictures(method)
        try:
            return looker.rows(network, transform, [pictures[place] for place in places])
        except BenchError as error:
            raise CannotMeasure(str(error)) from error

    def reference(self, network: str, identity: str) -> FeatureSet | None:
        return find_reference(self.directory, network, identity)

    def _all_pictures(self) -> dict[str, dict[Place, Taken]]:
        """Those of the finished run; the log may hold others, made in this folder with other settings."""
        noises = {(r.method, r.prompt_id, r.sample, r.image): _noise(r, self.run) for r in logged(self.directory)}
        found: dict[str, dict[Place, Taken]] = defaultdict(dict)
        for picture in self._listed:
            image, place = picture.file.stem, Place(picture.prompt_id, picture.sample)
            noise = noises.get((picture.method, *place, image))
            found[picture.method][place] = Taken(image, noise, picture.file)
        return dict(found)

    def _frame(self) -> pd.DataFrame:
        return read_scores(self.directory / "scores.parquet")


class RowSide(Side):
    """One row of a run as if it were all of it, to be held against another."""

    def __init__(self, whole: Side, method: str) -> None:
        self.whole, self.method = whole, method
        self.run = whole.run.model_copy(update={"results": [whole.result(method)]})
        self.name = method
        self.short = short_names(result.method for result in whole.run.results)[method]
        """What tells it from the run's other rows."""

    def pictures(self, method: str) -> Mapping[Place, Taken]:
        return self.whole.pictures(method)

    def features(self, method: str, network: str, transform: str, places: Sequence[Place], looker: Looker) -> Rows:
        return self.whole.features(method, network, transform, places, looker)

    def reference(self, network: str, identity: str) -> FeatureSet | None:
        return self.whole.reference(network, identity)

    @property
    def listed(self) -> Sequence[Picture]:
        return [picture for picture in self.whole.listed if picture.method == self.method]

    def _frame(self) -> pd.DataFrame:
        frame = self.whole.frame
        return frame[frame["method"] == self.method]


def rows_of(whole: Side, given: str) -> list[RowSide]:
    """Return the rows of a run that are listed with commas between.

    Each is named in full, by what tells it from the run's others (``sd15[steps=8]``), or by how it alone begins.
    Raises BenchError for fewer than two, one that the run does not have, or those of other prompts.
    """
    from ...adapters.spec import split_list

    known = [result.method for result in whole.run.results]
    found = [_named(name, known, whole.name) for name in split_list(given)]
    if len(set(found)) < 2:
        raise BenchError(f"--methods '{given}' is one row: name the first and those that are held against it")
    rows = [RowSide(whole, method) for method in dict.fromkeys(found)]
    datasets = [row.result(row.method).dataset or whole.run.suite.dataset for row in rows]
    for row, dataset in zip(rows, datasets, strict=True):
        if dataset != datasets[0]:
            raise BenchError(
                f"'{row.method}' is of prompts of {dataset}, '{rows[0].method}' of {datasets[0]}: nothing to compare"
            )
    return rows


def _named(name: str, known: Sequence[str], run: str) -> str:
    short = short_names(known)
    tests: list[Callable[[str], bool]] = [
        lambda method: method == name,
        lambda method: short[method] == name,
        lambda method: method.startswith(name),
    ]
    fitting = next(filter(None, ([method for method in known if test(method)] for test in tests)), [])
    if len(fitting) == 1:
        return fitting[0]
    said = f"{len(fitting)} rows" if fitting else "no row"
    raise BenchError(f"{said} of '{run}' can be meant by '{name}': it has {', '.join(fitting or known)}")


def read_scores(file: Path | io.BytesIO, name: str | None = None) -> pd.DataFrame:
    """Read per-picture scores; BenchError where the file is missing or broken."""
    import pandas as pd

    try:
        return pd.read_parquet(file)[["method", "prompt_id", "sample", "metric", "value"]]
    except (OSError, ValueError, KeyError) as error:
        raise BenchError(
            f"cannot read '{name or file}' ({error}): run the suite again, it goes fast on finished pictures"
        ) from error


def open_side(path: Path) -> Side:
    """Read a run's folder or a baseline file. Raises BenchError where it is neither, broken, unfinished or empty."""
    from .baseline import BaselineSide

    return BaselineSide(path) if path.is_file() and is_zipfile(path) else RunSide(path)


def _noise(record: Record, run: Run) -> str | None:
    """Methods that do not tell their noise draw it from the seed; files that were taken as they are have no batch."""
    return record.noise or (f"seed {run.suite.seed}" if record.batch else None)


# --- which pictures of one are those of the other


@dataclass(frozen=True)
class Pair:
    """A method in both runs."""

    base: Side
    head: Side
    base_method: str
    method: str
    """In the head."""

    @property
    def results(self) -> tuple[Result, Result]:
        """Both rows."""
        return self.base.result(self.base_method), self.head.result(self.method)

    @cached_property
    def places(self) -> list[Place]:
        """The pictures that both have."""
        head = self.head.pictures(self.method)
        return [place for place in self.base.pictures(self.base_method) if place in head]

    @cached_property
    def unlike(self) -> str | None:
        """Why the pictures cannot be held against each other one by one; None where they can."""
        base, head = self.base.pictures(self.base_method), self.head.pictures(self.method)
        if not base and not head:
            return "neither run lists its pictures"
        if base.keys() != head.keys():
            return f"only {len(self.places):,} prompts and samples of {len(base):,} and {len(head):,} are in both runs"
        other = sum(base[place].noise != head[place].noise for place in self.places)
        return f"{other:,} of {len(base):,} pictures start from other noise" if other else None

    @cached_property
    def known_noise(self) -> bool:
        """Whether it is certain that both pictures of a pair start from the same noise."""
        return all(self.base.pictures(self.base_method)[place].noise is not None for place in self.places)

    @cached_property
    def identical(self) -> bool:
        """Whether all pictures of both are equal, bit for bit."""
        base, head = self.base.pictures(self.base_method), self.head.pictures(self.method)
        return (
            bool(base) and base.keys() == head.keys() and all(base[place].image == head[place].image for place in base)
        )

    @property
    def same_seed(self) -> bool:
        """Whether both runs were asked for the same noise."""
        return self.base.run.suite.seed == self.head.run.suite.seed


class Matched(NamedTuple):
    """The methods of two runs."""

    pairs: list[Pair]
    only_base: list[str]
    only_head: list[str]
    renamed: list[str]
    """What to say of pairs that are not named alike."""


def match(base: Side, head: Side) -> Matched:
    """Pair the methods of two runs by name; where one alone is left over on both sides of a kind, that with the other.

    A change of an option (``sd15[steps=8]`` to ``sd15[steps=4]``) renames a method, and is what a gate is to judge.
    Raises BenchError where both have none in common.
    """
    if isinstance(base, RowSide) and isinstance(head, RowSide):
        return Matched([Pair(base, head, base.method, head.method)], [], [], [])
    names = [[result.method for result in side.run.results] for side in (base, head)]
    pairs = [Pair(base, head, name, name) for name in names[0] if name in names[1]]
    left = [[name for name in side if name not in other] for side, other in (names, names[::-1])]
    renamed = []
    for ours, theirs in _alone(left[0], left[1]):
        pairs.append(Pair(base, head, ours, theirs))
        renamed.append(f"'{ours}' in base is compared with '{theirs}' in head")
    if not pairs:
        raise BenchError(
            f"both runs have no method in common: base has {', '.join(names[0])}, head has {', '.join(names[1])}"
        )
    taken = {pair.base_method for pair in pairs}, {pair.method for pair in pairs}
    only = [[name for name in side if name not in used] for side, used in zip(names, taken, strict=True)]
    order = {name: index for index, name in enumerate(names[0])}
    return Matched(sorted(pairs, key=lambda pair: order[pair.base_method]), only[0], only[1], renamed)


def _alone(base: Sequence[str], head: Sequence[str]) -> list[tuple[str, str]]:
    """Methods of one name, whatever their options, that stand alone on both sides."""
    kinds = [_by(_kind, side) for side in (base, head)]
    shared = [kind for kind in kinds[0] if kind in kinds[1]]
    return [(*kinds[0][kind], *kinds[1][kind]) for kind in shared if len(kinds[0][kind]) == len(kinds[1][kind]) == 1]  # type: ignore[misc]


def _by(key: Callable[[str], str], names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for name in names:
        found[key(name)].append(name)
    return found


def _kind(method: str) -> str:
    from ...adapters.spec import parse

    return parse(method).name
