"""Metrics of single pictures told apart by kind of case, where the dataset knows kinds (``Dataset.kind_of``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from ..core.errors import BenchError
from ..metrics import METRICS
from ..metrics.metric import ImageMetric
from ..metrics.value import MetricValue


def by_kind(
    values: Mapping[str, MetricValue], kinds: Mapping[str, str], names: Iterable[str]
) -> dict[str, MetricValue]:
    """Return ``NAME_KIND`` for each of the metrics ``names`` and each kind: the mean over the pictures of that kind.

    ``kinds`` are those of the pictures by their keys. Where a metric has no value at all none of its kinds is told.
    """
    return {
        f"{name}_{kind}": _of_kind(name, kind, values[name], kinds)
        for name in names
        if name in values and values[name].value is not None
        for kind in dict.fromkeys(kinds.values())
    }


def of_single_pictures(name: str) -> ImageMetric:
    """Return the metric of this name; raises BenchError for one that is not of single pictures."""
    metric = METRICS.get(name)
    if not isinstance(metric, ImageMetric):
        raise BenchError(f"by_kind: '{name}' is a number of a whole set, which is not told apart by kind; leave it out")
    return metric


def _of_kind(name: str, kind: str, whole: MetricValue, kinds: Mapping[str, str]) -> MetricValue:
    metric = of_single_pictures(name)
    scores = [score for key, score in whole.per_image.items() if kinds.get(key) == kind and np.isfinite(score)]
    found = MetricValue(value=None, n=len(scores), higher_is_better=whole.higher_is_better)
    if not scores:
        return found.model_copy(update={"reason": f"no picture of the kind {kind}"})
    identity = re.sub(r":n\d+:", f":n{len(scores)}:", f"{name}_{kind}{whole.identity.removeprefix(name)}")
    return found.model_copy(
        update={"value": float(np.mean(scores)), "interval": metric.interval(scores), "identity": identity}
    )
