"""The page of all metrics, made from the registry and the docstrings: ``python -m t2ibench.metrics.page > PAGE``."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import METRICS
from .extractors import NETWORKS
from .extractors.base import Extractor
from .identity import Against, asked_identity, pair_identity, prompt_identity, reader_identity, set_identity
from .metric import ASKED, OBSERVED, ImageMetric, Metric, SetMetric
from .setup import Setup

WITH_FUNCTIONS = ("editing", "control", "regions", "panorama")
"""Families with functions on maps, masks and crops that have no key."""

_PICTURES = 5000
_DIGEST = "9f3c12ab"

_HEAD = """\
# Metrics

This page is made by `python -m t2ibench.metrics.page` from the registry and the docstrings. Edit those, not this.

Every number carries an identity: metric, network with its weights, transforms, number format, n, reference, version of
the definition. Two numbers with other identities are not the same quantity. The examples below have `WEIGHTS` where the
digest or tag of the weights stands.
"""


def page() -> str:
    """Return the page as Markdown."""
    known = [METRICS.get(name) for name in METRICS.entries]
    families = {METRICS.target(metric.name).partition(":")[0]: None for metric in known}
    parts = [
        _HEAD,
        "## Keys\n",
        _table(known),
        "## Definitions\n",
        *(_family(module, known) for module in families),
    ]
    return "\n".join(parts)


def _table(metrics: list[Metric]) -> str:
    summaries = METRICS.summaries()
    rows = ["| key | what it is | better | compared with | network |", "|---|---|---|---|---|"]
    for metric in metrics:
        better = "higher" if metric.higher_is_better else "lower"
        unit = f", {metric.unit}" if metric.unit and not summaries[metric.name].endswith(metric.unit) else ""
        network = f"`{metric.network}`" if metric.network else "none"
        rows.append(
            f"| `{metric.name}` | {summaries[metric.name]}{unit} | {better} | {_compared(metric)} | {network} |"
        )
    return "\n".join(rows) + "\n"


def _compared(metric: Metric) -> str:
    if not metric.needs:
        return "nothing"
    one = isinstance(metric, ImageMetric)
    texts = {
        "prompts": "the prompt of each picture",
        "target": "the target of each picture" if one else "all targets",
        "reference": "reference pictures",
        "reader": "what a reader finds in the picture",
        "canny": "the edges asked for",
        "depth": "the depth asked for",
        "landmarks": "the face asked for",
        "regions": "the regions asked for",
        "objects": "the named things asked for, where they should be",
        "edited": "the true pictures before and after the edit",
        "source": "the picture that was edited",
        "edit": "where it was to be edited",
    }
    alone = isinstance(metric, SetMetric) and metric.from_moments
    return ", ".join(texts[need] for need in metric.needs) + (" or their statistics" if alone else "")


def _family(target: str, metrics: list[Metric]) -> str:
    module = import_module(target, __package__.rpartition(".")[0])
    own = [metric for metric in metrics if METRICS.target(metric.name).startswith(f"{target}:")]
    return "\n".join([_heading(module), *(_definition(metric, module) for metric in own), *_functions(module, own)])


def _functions(module: ModuleType, metrics: Sequence[Metric]) -> list[str]:
    """The functions of a family that no metric is defined by; they take what the caller has made."""
    if module.__name__.rpartition(".")[2] not in WITH_FUNCTIONS:
        return []
    known = {metric.name for metric in metrics}
    engines = [getattr(metric, "scores", None) for metric in metrics]
    functions = [found for found in vars(module).values() if inspect.isfunction(found) and found not in engines]
    own = [found for found in functions if found.__module__ == module.__name__ and found.__name__[0] != "_"]
    return [_item(f"{found.__name__}()", _text(found), "") for found in own if found.__name__ not in known]


def _heading(module: ModuleType) -> str:
    return f"### {module.__name__.rpartition('.')[2]}\n\n{_text(module)}\n"


def _definition(metric: Metric, module: ModuleType) -> str:
    """By the function that is called as the metric, else by the one that the engine calls."""
    engines = metric.scores if isinstance(metric, ImageMetric) else getattr(metric, "estimate", metric)
    function = getattr(module, metric.name, engines)
    return _item(metric.name, _text(function), f" Identity: `{example(metric)}`")


def _item(name: str, text: str, more: str) -> str:
    """One definition; its paragraphs are joined, so that a list stays a list."""
    return f"- **`{name}`**: {' '.join(text.split())}{more}\n"


def example(metric: Metric) -> str:
    """Return the identity that a number of ``metric`` would carry, with ``WEIGHTS`` for those of its network."""
    network = _Example(metric.network) if metric.network else None
    if isinstance(metric, SetMetric) and network:
        against = Against("as-is", _DIGEST) if metric.needs else None
        return set_identity(metric, network, Setup(), _PICTURES, against)
    if any(need in ASKED for need in metric.needs):
        observers = ["OBSERVER" for need in metric.needs if need in OBSERVED]
        return asked_identity(metric, network, observers, _PICTURES, _DIGEST)
    if network and issubclass(NETWORKS.get(network.name), Extractor):
        return prompt_identity(metric, network, Setup(), _PICTURES, _DIGEST)
    if "reader" in metric.needs:
        return reader_identity(metric, "READER@VERSION", _PICTURES, _DIGEST)
    return pair_identity(metric, network, _PICTURES, _DIGEST)


class _Example(Extractor):
    """Stands for a network whose weights need not be here."""

    def __init__(self, name: str) -> None:
        setup = Setup()
        super().__init__(setup)
        self.name = name
        self.label = f"{name}@WEIGHTS"
        # Only Inception leaves its resize to the setup.
        self.preprocess = getattr(NETWORKS.get(name), "preprocess", setup.inception_resize)

    @classmethod
    def weights(cls, setup: Setup) -> None:
        return None

    def features(self, prepared: Sequence[Any]) -> NDArray[np.float32]:
        raise NotImplementedError


def _text(documented: object) -> str:
    """The docstring as Markdown; that of the function where ``partial`` binds some of its arguments."""
    text = inspect.getdoc(getattr(documented, "func", documented)) or ""
    return text.replace("``", "`")


if __name__ == "__main__":
    print(page(), end="")
