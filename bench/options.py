"""What ``bench run`` was asked for, and what follows from it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..adapters.spec import parse, split_list
from ..core.errors import BenchError
from ..core.weights import WeightsFinder
from ..datasets.catalog import DATASETS
from ..datasets.dataset import Dataset
from ..datasets.imported import Imported
from ..datasets.request import Pixels, Request
from ..reports.schema import Skipped, Swept
from .places import Place
from .rows import Row
from .suites import Method, Suite

PLACE = "{}"
"""Where in a method string the value of a sweep goes."""
EVERYWHERE = ("steps", "guidance")
"""Settings of all methods that sample, which need no place."""


@dataclass(frozen=True)
class Options:
    """The options of ``bench run`` that decide what is made."""

    suite: Suite
    methods: str | None = None
    """As typed: method strings with commas between. None for the suite's."""
    limit: int | None = None
    seed: int | None = None
    device: str = "cpu"
    """Where networks that measure run, and codecs."""
    dtype: str = "fp32"
    """Of codecs."""
    places: tuple[Place, ...] = ()
    """Where methods run, each of them in every place; none for ``device`` and ``dtype``."""
    place_notes: tuple[str, ...] = ()
    """What was asked for of them and is not there."""
    force_export: bool = False
    """Export even where memory or disk seem too small."""
    batch_size: int | None = None
    metrics: tuple[str, ...] | None = None
    """Asked for by name; None for the suite's set."""
    images: Path | None = None
    prompts: Path | None = None
    reference: Path | None = None
    data_root: Path | None = None
    weights: WeightsFinder = field(default_factory=WeightsFinder)
    strict: bool = False
    imported: Imported | None = None
    """What another machine made, in place of methods that run here; ``methods`` are then rows of it."""

    @property
    def asked(self) -> bool:
        """Whether the user named the methods, so that one that cannot run is an error."""
        return self.methods is not None or self.strict


@dataclass
class Plan:
    """What a run makes."""

    rows: list[Row]
    skipped: list[Skipped]
    reference: Row | None
    """The row whose pictures the others are compared with: cropped photos or a teacher's pictures."""
    items: int
    """Prompts or photos used."""
    total: int
    """Prompts or photos that the dataset holds."""
    notes: list[str]
    batch_size: int
    asked: Callable[[Request, str], Pixels | None] = lambda request, kind: None
    """What a picture should show or keep, by kind; BenchError where the dataset does not know."""
    dataset: str | None = None
    """Whose prompts ``items`` are, where no row is of the suite's."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Which kind of case a prompt is, by its id, where the dataset tells them apart."""


def find_dataset(options: Options, other: str | None = None) -> Dataset:
    """Return the suite's dataset, or the user's own photos or prompts where the suite takes such.

    ``other`` is a dataset of a row's own. Raises BenchError where the user has said what all rows are to be made of.
    """
    from ..datasets.prompts import PromptFile

    if other is not None:
        if options.images is not None or options.prompts is not None:
            raise BenchError(f"takes dataset '{other}': leave out {'--prompts' if options.prompts else '--images'}")
        return DATASETS.get(other).using(options.weights)
    dataset = DATASETS.get(options.suite.dataset).using(options.weights)
    if options.images is not None:
        own = dataset.at(options.images)
        if own is None:
            raise BenchError(
                f"suite '{options.suite.name}' takes prompts, not photos: "
                "leave out --images, or choose --suite decoders"
            )
        return own
    if options.prompts is not None:
        if dataset.kind != "prompts":
            raise BenchError(f"suite '{options.suite.name}' takes photos, not prompts: leave out --prompts")
        return PromptFile(options.prompts)
    return dataset


def methods_of(options: Options) -> list[Method]:
    """The methods to run, each with its number of prompts, the sweep spread out.

    Raises BenchError where one stands twice, and where a sweep and the places for its values do not go together.
    """
    found = [method for method, _ in _spread(options)]
    texts = [method.method for method in found]
    if not texts:
        raise BenchError("--methods is empty: name a method, such as sd15")
    for text in texts:
        if texts.count(text) > 1:
            raise BenchError(f"method '{text}' is named twice: once is enough")
    return found


def swept_of(options: Options) -> dict[str, Swept]:
    """What the sweep put into each method that it spread out, by the method's text."""
    return {method.method: swept for method, swept in _spread(options) if swept}


def places(options: Options) -> tuple[Place, ...]:
    """Where the methods of a run are computed."""
    return options.places or (Place(options.device, options.dtype),)


def limit_notes(options: Options, total: int) -> list[str]:
    """Say where ``--limit`` asks for more of ``total`` items than the suite takes: it never raises ``n``."""
    n, limit = options.suite.n, options.limit
    if n is None or limit is None or min(limit, total) <= n:
        return []
    taken = f"suite '{options.suite.name}' takes {n:,} of {total:,} items"
    return [f"{taken}, --limit {limit} or not: for more, --set n={limit}"]


def _spread(options: Options) -> list[tuple[Method, Swept | None]]:
    suite, sweep = options.suite, options.suite.sweep
    named = suite.methods if options.methods is None else list(_typed(options.methods, options))
    named = [method.model_copy(update={"n": method.n or suite.n}) for method in named]
    if options.images is None and options.prompts is None:
        named = [
            method.model_copy(update={"dataset": None}) if method.dataset == suite.dataset else method
            for method in named
        ]
    placed = [method.method for method in named if PLACE in method.method]
    _check_places(suite, [method.method for method in named], placed)
    found: list[tuple[Method, Swept | None]] = []
    for method in named:
        if sweep is None or (placed and method.method not in placed):
            found.append((method, None))
            continue
        for value in sweep.values:
            text = _with(method.method, sweep.setting, f"{value:.12g}")
            swept = Swept(setting=sweep.setting, value=value, method=method.method)
            found.append((method.model_copy(update={"method": text}), swept))
    return found


def _typed(methods: str, options: Options) -> Iterator[Method]:
    """The methods of ``--methods``: a row of the suite keeps what is its own, without ``--limit`` its n, too."""
    own = {method.name_alone: method for method in options.suite.methods}
    for text in split_list(methods):
        method = Method(method=text)
        if row := own.get(method.name_alone):
            method = row.model_copy(update={"method": text, **({} if options.limit is None else {"n": None})})
        yield method


def _check_places(suite: Suite, named: list[str], placed: list[str]) -> None:
    """Raise BenchError for places without a sweep, and for a sweep of options that no method has a place for."""
    if placed and suite.sweep is None:
        raise BenchError(
            f"'{placed[0]}': {PLACE} is the place of a sweep's value, and suite '{suite.name}' has no sweep: write the "
            "value, or add --set sweep.setting=NAME --set 'sweep.values=[0, 1]'"
        )
    if suite.sweep and named and not placed and suite.sweep.setting not in EVERYWHERE:
        setting, example = suite.sweep.setting, named[0].partition("[")[0]
        raise BenchError(
            f"suite '{suite.name}' sweeps '{setting}', and no method says where its value goes: write {PLACE} there, "
            f"as in {example}[{setting}={PLACE}]"
        )


def _with(method: str, setting: str, value: str) -> str:
    """Put a value in its place in a method string; where it has none, set the option."""
    if PLACE in method:
        return method.replace(PLACE, value)
    spec = parse(method)
    head = spec.name if spec.argument is None else f"{spec.name}:{spec.argument}"
    inside = ",".join(f"{key}={text}" for key, text in {**spec.options, setting: value}.items())
    return f"{head}[{inside}]"


def skip(options: Options, skipped: list[Skipped], method: str, error: BenchError) -> None:
    """Note a method of the suite's own set that cannot run; raise where the user asked for it."""
    if options.asked:
        raise error
    skipped.append(Skipped(method=method, reason=str(error)))


def default_batch(height: int, width: int, device: str) -> int:
    """Pictures per batch: as many as take the memory of one (CPU) or eight (accelerator) at 512 × 512.

    At most 32: more are no faster, and a run of few small pictures still has batches to time.
    """
    pictures = 1 if device == "cpu" else 8
    return max(1, min(32, pictures * 512 * 512 // (height * width)))
