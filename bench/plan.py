"""From a suite and the options of the command line to the rows that are to be made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
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
    dataset, sampling = find_dataset(options), options.suite.sampling
    prompts = {prompt.id: prompt for prompt in dataset.prompts(data_root(options.data_root))}
    usable, skipped = _usable(options, {name: prompt.text for name, prompt in prompts.items()})
    kept = set.intersection(set(prompts), *(item.prompts for item in usable if item.prompts is not None))
    if not kept:
        raise BenchError("no prompt has a picture in every folder given: run the folders one by one")
    most = max((item.method.n or len(prompts) for item in usable), default=0)
    used = [prompt for name, prompt in prompts.items() if name in kept][: options.limit][:most]
    rows: list[Row] = []
    notes = [*dataset.notes(data_root(options.data_root)), *options.place_notes]
    for item in usable:
        try:
            requests, short = _requests(options, dataset, item, used[: item.method.n])
            notes += [f"{item.method.method}: {short}"] if short else []
            row = ImportedPicturesRow if options.imported else AdapterRow
            given = item.method.method, item.adapter, requests, *item.place, item.written
            rows.append(row(*given, DeviceOptions(force_export=options.force_export)))
        except BenchError as error:
            skip(options, skipped, item.method.method, error)
    notes += [
        f"{item.method.method} has pictures for {len(item.prompts):,} of {len(prompts):,} prompts"
        for item in usable
        if item.prompts is not None
    ]
    notes += limit_notes(options, len(kept))
    widest = max((_width(item.method, sampling) for item in usable), default=sampling.size)
    batch = options.batch_size or default_batch(sampling.size, widest, options.device)
    root = data_root(options.data_root)

    def asked(request: Request, kind: str) -> Pixels | None:
        return dataset.asked(root, prompts[request.prompt_id], kind, request.height, request.width)

    kinds = {prompt.id: kind for prompt in used if (kind := dataset.kind_of(prompt))}
    return Plan(rows, skipped, None, len(used), len(prompts), notes, batch, asked, kinds)


class _Usable(NamedTuple):
    method: Method
    adapter: Adapter
    prompts: set[str] | None
    """Those it can serve; None for all."""
    place: Place
    written: str
    """The method as the suite writes it."""


def _usable(options: Options, texts: Mapping[str, str]) -> tuple[list[_Usable], list[Skipped]]:
    sampling = options.suite.sampling
    settings = Settings(sampling.scheduler, sampling.steps, sampling.guidance)
    found: list[_Usable] = []
    skipped: list[Skipped] = []
    for method in methods_of(options):
        try:
            _check_no_codec(method.method, options.suite.name)
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


def _requests(
    options: Options, dataset: Dataset, item: _Usable, prompts: Sequence[Prompt]
) -> tuple[list[Request], str | None]:
    """Return a request per prompt and sample with all that the method needs, and a note where prompts lack some of it.

    Raises BenchError where the dataset has no such thing, or no prompt has it.
    """
    sampling = options.suite.sampling
    seed = options.suite.seed if options.seed is None else options.seed
    plain = Request("", "", sampling.negative_prompt, seed, 0, sampling.size, _width(item.method, sampling))
    traits = item.adapter.traits
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
        source=source and source.picture, source_prompt=source.prompt if source else "",
    )  # fmt: skip


def _check_size(method: str, adapter: Adapter, size: int) -> None:
    multiple = adapter.traits.size_multiple
    if size % multiple:
        near = max(multiple, round(size / multiple) * multiple)
        raise BenchError(
            f"'{method}' makes sizes that are multiples of {multiple}, not {size}: try sampling.size={near}"
        )
