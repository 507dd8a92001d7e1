"""From a suite and the options of the command line to the rows that are to be made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..adapters import make_adapter
from ..adapters.base import Adapter, Settings
from ..core.errors import BenchError
from ..datasets.dataset import data_root
from ..datasets.request import Request
from ..reports.schema import Skipped
from .codecs import plan_codecs
from .options import Options, Plan, default_batch, find_dataset, methods_of, skip
from .rows import AdapterRow, Row
from .suites import Method

if TYPE_CHECKING:
    from ..datasets.prompts import Prompt


def make_plan(options: Options, directory: Path) -> Plan:
    """Resolve methods, prompts or photos, and checkpoints; nothing is generated.

    Raises BenchError for anything unknown or missing; a method of the suite's own set that cannot run is skipped.
    """
    if options.suite.kind == "codec":
        return plan_codecs(options, directory)
    return plan_methods(options)


def plan_methods(options: Options) -> Plan:
    """Plan a suite that makes pictures from prompts."""
    dataset, suite = find_dataset(options), options.suite
    prompts = {prompt.id: prompt for prompt in dataset.prompts(data_root(options.data_root))}
    adapters, skipped = _adapters(options)
    texts = {name: prompt.text for name, prompt in prompts.items()}
    notes, kept = [], set(prompts)
    for method, adapter in adapters:
        chosen = adapter.select(texts)
        if chosen is not None:
            kept &= chosen
            notes.append(f"{method.method} has pictures for {len(chosen):,} of {len(prompts):,} prompts")
    if not kept:
        raise BenchError("no prompt has a picture in every folder given: run the folders one by one")
    used = [prompt for name, prompt in prompts.items() if name in kept][: options.limit]
    rows: list[Row] = []
    for method, adapter in adapters:
        requests = list(_requests(options, used[: method.n]))
        _check_size(method.method, adapter, suite.sampling.size)
        try:
            rows.append(AdapterRow(method.method, adapter, requests, options.device, options.dtype))
        except BenchError as error:
            skip(options, skipped, method.method, error)
    batch = options.batch_size or default_batch(suite.sampling.size, options.device)
    return Plan(rows, skipped, None, len(used), len(prompts), notes, batch)


def _adapters(options: Options) -> tuple[list[tuple[Method, Adapter]], list[Skipped]]:
    sampling = options.suite.sampling
    settings = Settings(sampling.scheduler, sampling.steps, sampling.guidance)
    made: list[tuple[Method, Adapter]] = []
    skipped: list[Skipped] = []
    for method in methods_of(options):
        try:
            made.append((method, make_adapter(method.method, settings)))
        except BenchError as error:
            skip(options, skipped, method.method, error)
    return made, skipped


def _requests(options: Options, prompts: Sequence[Prompt]) -> Sequence[Request]:
    sampling = options.suite.sampling
    seed = options.suite.seed if options.seed is None else options.seed
    base = Request("", "", sampling.negative_prompt, seed, 0, sampling.size, sampling.size)
    return [
        dataclasses.replace(base, prompt_id=prompt.id, prompt=prompt.text, sample=sample)
        for prompt in prompts
        for sample in range(sampling.samples)
    ]


def _check_size(method: str, adapter: Adapter, size: int) -> None:
    multiple = adapter.traits.size_multiple
    if size % multiple:
        near = max(multiple, round(size / multiple) * multiple)
        raise BenchError(
            f"'{method}' makes sizes that are multiples of {multiple}, not {size}: try sampling.size={near}"
        )
