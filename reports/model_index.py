"""The results of a run as a model card of the Hugging Face Hub has them: ``model-index``, in YAML."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..core.errors import BenchError
from ..core.registry import suggest
from .comparable import is_miniature
from .fields import Measured
from .schema import Result, Run
from .text import quantity

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

MINI = "mini world: miniature models on drawn scenes, which say nothing of full-size methods"

_TASKS = {"generate": ("text-to-image", "Text-to-Image"), "codec": ("image-to-image", "Image reconstruction")}


def model_index(run: Run, method: str | None = None, name: str | None = None) -> str:
    """Return the YAML that goes between the dashes at the top of a model card.

    An entry per method, or of ``method`` alone, called ``name``. Each metric says what it is: its identity, n and 95 %
    interval; ``verified`` is false, since nobody but the card's author ran it. Values that are missing or infinite are
    left out. Raises BenchError for an unknown method, and for ``name`` where several methods would have it.
    """
    from huggingface_hub.repocard_data import eval_results_to_model_index
    from huggingface_hub.utils import yaml_dump

    known = [result.method for result in run.results]
    if method is not None and method not in known:
        raise BenchError(f"the run has no method '{method}'{suggest(method, known)} (it has: {', '.join(known)})")
    chosen = [result for result in run.results if method in (None, result.method)]
    if name is not None and len(chosen) > 1:
        raise BenchError(f"one name for {len(chosen)} methods: choose one of {', '.join(known)}")
    entries = [(name or result.method, _results(run, result)) for result in chosen]
    index = [entry for title, found in entries if found for entry in eval_results_to_model_index(title, found)]
    return str(yaml_dump({"model-index": index}, sort_keys=False))


def _results(run: Run, result: Result) -> list[EvalResult]:
    from huggingface_hub import EvalResult

    suite = run.suite
    task, task_name = _TASKS.get(suite.kind, _TASKS["generate"])
    mini = is_miniature(Measured(result, run, result.method))
    some = f"{suite.items:,}" if suite.items == suite.total else f"{suite.items:,} of {suite.total:,}"
    dataset, some = (suite.dataset, some) if result.dataset is None else (result.dataset, f"{result.n:,}")
    settings = {key: value for key, value in result.settings.model_dump().items() if value is not None}
    about = {"suite": suite.name, "suite_version": suite.version, "seed": suite.seed, **settings}
    return [
        EvalResult(
            task_type=task,
            task_name=task_name,
            dataset_type=dataset,
            dataset_name=f"{dataset}, {some}" + (f" ({MINI})" if mini else ""),
            dataset_args=about,
            metric_type=key,
            metric_name=quantity(key).name + (" (mini world)" if mini else ""),
            metric_value=found.value,
            metric_args=_args(found.model_dump()),
            verified=False,
        )
        for key, found in result.metrics.items()
        if found.value is not None and math.isfinite(found.value)
    ]


def _args(found: dict[str, Any]) -> dict[str, Any]:
    """What the number is, as plain YAML."""
    about = {key: found[key] for key in ("identity", "n", "higher_is_better", "note") if found[key] is not None}
    return about | ({"interval_95": list(found["interval"])} if found["interval"] else {})
