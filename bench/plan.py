"""From a suite and the options of the command line to the rows that are to be made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..adapters import ADAPTERS, make_adapter
from ..adapters.base import Adapter, Settings, Traits
from ..adapters.codecs import CODECS
from ..adapters.spec import parse
from ..core.errors import BenchError
from ..datasets.dataset import Dataset, data_root
from ..datasets.request import ConditionMap, Pixels, Request
from ..reports.schema import Skipped
from .devices.base import DeviceOptions
from .imported import ImportedPicturesRow, pictures_of
from .options import Options, Plan, default_batch, find_dataset, limit_notes, methods_of, places, skip
from .places import Place, places_for, put_place, take_place
from .plan_codecs import plan_codecs
from .rows import AdapterRow, Row
from .suites import Method, Sampling

if TYPE_CHECKING:
    from ..datasets.prompts import Prompt


def make_plan(options: Options, directory: Path) -> Plan:
    """Resolve methods, prompts or photos, and checkpoints; nothing is generated.

    Raises BenchError for anything unknown or missing; a method of the suite's own set that cannot run is skipped.
    """
    if options.suite.kind != "codec":
        return plan_methods(options)
    where = places(options)
    if len(where) > 1 or not where[0].is_pytorch or "+" in where[0].device:
        named = ", ".join(f"{device} {dtype}" for device, dtype in where)
        raise BenchError(f"suite '{options.suite.name}' takes codecs: in PyTorch, uncompiled, one device, not {named}")
    return plan_codecs(options, directory)


def plan_methods(options: Options) -> Plan:
    """Plan a suite that makes pictures from prompts."""
    sampling, root = options.suite.sampling, data_root(options.data_root)
    sources: dict[str | None, _Source] = {}
    usable, skipped = _usable(options, sources)
    for name, source in sources.items():
        source.choose([item for item in usable if item.method.dataset == name], options.limit)
    rows: list[Row] = []
    notes = [*(note for source in sources.values() for note in source.dataset.notes(root)), *options.place_notes]
    for item in usable:
        try:
            requests, short = _requests(options, sources[item.method.dataset], item)
            notes += [f"{item.method.method}: {short}"] if short else []
            row = ImportedPicturesRow if options.imported else AdapterRow
            given = item.method.method, item.adapter, requests, *item.place, item.written
            rows.append(row(*given, DeviceOptions(force_export=options.force_export)))
            rows[-1].dataset, rows[-1].metrics = item.method.dataset, item.method.metrics
            rows[-1].most = item.method.n and item.method.n * sampling.samples
        except BenchError as error:
            skip(options, skipped, item.method.method, error)
    notes += [
        f"{item.method.method} has pictures for {len(item.prompts):,} of "
        f"{len(sources[item.method.dataset].prompts):,} prompts"
        for item in usable
        if item.prompts is not None
    ]
    notes += _notes_on_others(rows, sources)
    notes += limit_notes(options, sources[None].kept) if None in sources else []
    widest = max((_width(item.method, sampling) for item in usable), default=sampling.size)
    batch = options.batch_size or default_batch(sampling.size, widest, options.device)
    named = {source.dataset.name: source for source in sources.values()}

    def asked(request: Request, kind: str) -> Pixels | None:
        source = named[request.dataset]
        return source.dataset.asked(root, source.prompts[request.prompt_id], kind, request.height, request.width)

    kinds = {
        prompt.id: kind
        for source in sources.values()
        for prompt in source.used
        if (kind := source.dataset.kind_of(prompt))
    }
    of = [sources[None]] if None in sources else list(sources.values())
    items, total = (sum(map(len, each)) for each in zip(*((source.used, source.prompts) for source in of), strict=True))
    dataset = None if None in sources else ", ".join(source.dataset.name for source in of)
    return Plan(rows, skipped, None, items, total, notes, batch, asked, dataset, kinds)


class _Source:
    """The prompts of a dataset, and those of them that rows are made of."""

    def __init__(self, dataset: Dataset, root: Path) -> None:
        """Raises BenchError where the dataset is not at hand."""
        self.dataset = dataset
        self.prompts = {prompt.id: prompt for prompt in dataset.prompts(root)}
        self.used: list[Prompt] = []
        self.kept = len(self.prompts)

    def choose(self, items: Sequence[_Usable], limit: int | None) -> None:
        """Settle on the prompts of ``items``; BenchError where there is none that all of them can serve."""
        kept = set.intersection(set(self.prompts), *(item.prompts for item in items if item.prompts is not None))
        if not kept:
            raise BenchError("no prompt has a picture in every folder given: run the folders one by one")
        most = max((item.method.n or len(self.prompts) for item in items), default=0)
        self.used = [prompt for name, prompt in self.prompts.items() if name in kept][:limit][:most]
        self.kept = len(kept)


def _notes_on_others(rows: Sequence[Row], sources: Mapping[str | None, _Source]) -> Iterator[str]:
    """Say which rows are of other prompts than the suite's."""
    for name, source in sources.items():
        if name is not None and (of := [row for row in rows if row.dataset == name]):
            counts = sorted({len({job.prompt_id for job in row.jobs}) for row in of})
            some = " to ".join(f"{count:,}" for count in (counts if len(counts) < 3 else (counts[0], counts[-1])))
            yield f"of {some} of the {len(source.prompts):,} prompts of {name}: {', '.join(row.method for row in of)}"


class _Usable(NamedTuple):
    method: Method
    adapter: Adapter
    prompts: set[str] | None
    """Those it can serve; None for all."""
    place: Place
    written: str
    """The method as the suite writes it."""


def _usable(options: Options, sources: dict[str | None, _Source]) -> tuple[list[_Usable], list[Skipped]]:
    """The methods that can run, and the others; ``sources`` gets the datasets that rows have of their own."""
    sampling = options.suite.sampling
    settings = Settings(sampling.scheduler, sampling.steps, sampling.guidance)
    found: list[_Usable] = []
    skipped: list[Skipped] = []
    for method in methods_of(options):
        if method.dataset is None and None not in sources:
            sources[None] = _Source(find_dataset(options), data_root(options.data_root))
        try:
            _check_no_codec(method.method, options.suite.name)
            if method.dataset not in sources:
                sources[method.dataset] = _Source(find_dataset(options, method.dataset), data_root(options.data_root))
            texts = {name: prompt.text for name, prompt in sources[method.dataset].prompts.items()}
            bare, own = take_place(method.method)
            imported = options.imported and pictures_of(options.imported, method.method)
            adapter = imported or make_adapter(bare, settings)
            for side in (sampling.size, _width(method, sampling)):
                _check_size(method.method, adapter, side)
            where = _places(adapter, options) if not own else places_for(own, places(options))
            for place in where:
                # An adapter of its own for each: it holds its networks.
                adapter = imported or make_adapter(bare, settings)
                adapter.weights = options.weights
                text = method.method if len(where) == 1 else put_place(bare, place)
                placed = method.model_copy(update={"method": text})
                found.append(_Usable(placed, adapter, adapter.select(texts), place, method.method))
        except BenchError as error:
            skip(options, skipped, method.method, error)
    return found, skipped


def _places(adapter: Adapter, options: Options) -> list[Place]:
    """Where a method runs that does not say so; one that computes nothing runs once."""
    found = list(places(options))
    return found if adapter.traits.sampled else [Place(options.device, options.dtype)]


def _width(method: Method, sampling: Sampling) -> int:
    return method.width or sampling.width or sampling.size


def _check_no_codec(text: str, suite: str) -> None:
    name = parse(text).name
    if name in CODECS and name not in ADAPTERS:
        raise BenchError(f"'{text}' is a codec, suite '{suite}' takes methods: add --suite decoders")


def _requests(options: Options, source: _Source, item: _Usable) -> tuple[list[Request], str | None]:
    """Return a request per prompt and sample with all that the method needs, and a note where prompts lack some of it.

    Raises BenchError where the dataset has no such thing, or no prompt has it.
    """
    sampling = options.suite.sampling
    seed = options.suite.seed if options.seed is None else options.seed
    plain = Request("", "", sampling.negative_prompt, seed, 0, sampling.size, _width(item.method, sampling))
    traits = item.adapter.traits
    dataset, prompts = source.dataset, source.used[: item.method.n]
    supplied = [supply(dataset, data_root(options.data_root), traits, prompt, plain) for prompt in prompts]
    full = [request for request in supplied if isinstance(request, Request)]
    lacks = [what for what in supplied if isinstance(what, str)]
    if lacks and not full:
        raise BenchError(f"no prompt of '{dataset.name}' has {lacks[0]}")
    note = f"{len(lacks):,} of {len(prompts):,} prompts skipped: without {lacks[0]}" if lacks else None
    samples = range(sampling.samples)
    return [dataclasses.replace(request, sample=sample) for request in full for sample in samples], note


def supply(dataset: Dataset, root: Path, traits: Traits, prompt: Prompt, plain: Request) -> Request | str:
    """Return ``plain`` with a prompt and what a method of these ``traits`` needs beside it; or what the prompt lacks.

    Raises BenchError where the dataset has no such thing at all.
    """
    size = plain.height, plain.width
    conditions: list[ConditionMap] = []
    for kind in traits.conditions:
        picture = dataset.condition(root, prompt, kind, *size)
        if picture is None:
            return f"{kind} condition"
        conditions.append(ConditionMap(kind, picture))
    regions = dataset.regions(root, prompt, *size) if traits.regions else ()
    if traits.regions and not regions:
        return "regions"
    source = dataset.source(root, prompt, *size) if traits.editing else None
    if traits.editing and source is None:
        return "source picture"
    return dataclasses.replace(
        plain, prompt_id=prompt.id, prompt=prompt.text, conditions=tuple(conditions), regions=regions,
        background=dataset.background(prompt) if regions else None,
        source=source and source.picture, source_prompt=source.prompt if source else "", dataset=dataset.name,
    )  # fmt: skip


def _check_size(method: str, adapter: Adapter, size: int) -> None:
    multiple = adapter.traits.size_multiple
    if size % multiple:
        near = max(multiple, round(size / multiple) * multiple)
        raise BenchError(
            f"'{method}' makes sizes that are multiples of {multiple}, not {size}: try sampling.size={near}"
        )
