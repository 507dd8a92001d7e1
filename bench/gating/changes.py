"""What has changed from one run to another: for every number of every method, how its change is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.errors import BenchError
from ...metrics import METRICS
from ...metrics.extractors import NETWORKS
from ...metrics.extractors.base import Extractor
from ...metrics.features import FeatureSet, feature_set
from ...metrics.frechet_interval import GROUPS, group_labels
from ...metrics.metric import CannotMeasure, Metric, SetMetric
from ...metrics.paired import (
    Change,
    are_coarse,
    are_shares,
    feature_drift,
    mean_change,
    median_drift,
    paired_coarse_change,
    paired_mean_change,
    paired_share_change,
    share_change,
)
from ...metrics.stats import Interval, jackknife_half_width, student
from ...metrics.value import MetricValue
from ...reports.ab import AbRow
from ...reports.identity import mismatch
from ...reports.schema import Result
from .sides import Looker, Pair, Place
from .thresholds import DRIFT, EMPTY, MEDIAN_DRIFT, SECONDS

Kind = Literal["quality", "drift", "count", "time"]
Drift = Callable[[NDArray[Any], NDArray[Any], float, NDArray[np.int64]], Change | None]
Test = Callable[[float], Change | None]
"""Gives the change with an interval of a level; None where there are too few pictures for one."""

_COUNTS = ("params", "macs_per_forward", "forwards_per_image", "macs_per_image")
_OF_THE_REFERENCE = ("recall", "coverage")
_FEWEST = 9
"""Degrees of freedom: those of Inception Score's ten splits."""
_CODEC_COUNTS = ("encoder_params", "decoder_params", "encoder_macs", "decoder_macs")


@dataclass(frozen=True)
class Difference:
    """A number in both runs, before anything is said about it."""

    method: str
    metric: str
    kind: Kind
    base: float | None
    head: float | None
    higher_is_better: bool = False
    n: int = 0
    """Pictures of the head."""
    exact: bool = False
    """Whether nothing about the change is left to chance."""
    test: Test | None = None
    reason: str | None = None
    """Why there is no change to speak of, or what to know of how it was told."""
    required: bool = True
    """Whether a gate needs it, unless its thresholds say otherwise."""
    paired: bool = False
    freedom: int | None = None
    """Degrees of freedom of its intervals, where they do not grow with the prompts."""
    timed: AbRow | None = None
    """What ``bench ab`` measured, of seconds that can be judged."""
    unlike: str | None = None
    """Why the two are not the same quantity, where they are not."""

    def change(self, level: float) -> Change | None:
        """Head minus base with an interval of ``level``; None where there is no change to tell."""
        if self.base is None or self.head is None:
            return None
        if self.exact:
            change = self.head - self.base
            return Change(change, change, change)
        return self.test(level) if self.test else None


class Stands(NamedTuple):
    """A number of the table and how it came about."""

    test: Test
    paired: bool
    note: str | None = None
    freedom: int | None = None
    """Degrees of freedom, where they do not grow with the prompts."""


def differences(pair: Pair, looker: Looker) -> Iterator[Difference]:
    """Yield all that there is to compare of a method: metrics, drift, counts, seconds."""
    compare = _Compare(pair, looker)
    base, head = pair.results
    for name in dict.fromkeys([*base.metrics, *head.metrics]):
        yield compare.metric(name)
    for network in networks_of(head):
        yield from compare.drifts(network)
    yield from _counts(pair.method, base, head)
    yield from _seconds(pair.method, base, head)


def metric_difference(pair: Pair, looker: Looker, metric: str) -> Difference:
    """How one metric of a method differs."""
    return _Compare(pair, looker).metric(metric)


class _Compare:
    """One method in both runs; features are looked up once for all metrics."""

    def __init__(self, pair: Pair, looker: Looker) -> None:
        self.pair, self.looker = pair, looker
        self.base, self.head = pair.results
        self.features = cache(self._features)

    # --- metrics

    def metric(self, name: str) -> Difference:
        """How a metric differs."""
        base, head = self.base.metrics.get(name), self.head.metrics.get(name)
        known = head or base
        assert known is not None
        found = partial(
            Difference, self.pair.method, name, "quality", base.value if base else None,
            head.value if head else None,
            higher_is_better=known.higher_is_better, n=known.n,
        )  # fmt: skip
        if lacking := _lacking(base, head):
            reason, required = lacking
            return found(reason=reason, required=required)
        assert base is not None and head is not None
        if why := mismatch({"base": base.identity, "head": head.identity}):
            why = f"{why[:1].lower()}{why[1:]}"
            return found(reason=why, unlike=why)
        if name in _OF_THE_REFERENCE and not self.pair.identical:
            return found(
                reason="its interval is of other reference pictures, and these have not changed", required=False
            )
        if self.pair.identical:
            return found(exact=True, paired=True)
        try:
            stands = self._test(name, base, head)
        except CannotMeasure as reason:
            return found(reason=str(reason))
        return found(test=stands.test, paired=stands.paired, reason=stands.note, freedom=stands.freedom)

    def _test(self, name: str, base: MetricValue, head: MetricValue) -> Stands:
        scores = self.pair.base.scores(self.pair.base_method, name), self.pair.head.scores(self.pair.method, name)
        if all(scores):
            return self._of_scores(*scores)
        metric = METRICS.get(name) if name in METRICS else None
        if isinstance(metric, SetMetric) and metric.left_out is not None:
            try:
                return self._of_sets(metric, base, head)
            except CannotMeasure as reason:
                return _of_intervals(base, head, str(reason))
        return _of_intervals(base, head, "this metric has no interval of a paired difference")

    def _of_scores(self, base: Mapping[Place, float], head: Mapping[Place, float]) -> Stands:
        ours, theirs = ({place: score for place, score in side.items() if np.isfinite(score)} for side in (base, head))
        turned = sum((place in ours) != (place in theirs) for place in base.keys() & head.keys())
        if turned:
            raise CannotMeasure(f"{turned:,} pictures have an infinite score in one run alone")
        if self.pair.unlike:
            a, b = (list(_by_prompt(side).values()) for side in (ours, theirs))
            unpaired = share_change if are_shares(a, b) else mean_change
            return Stands(lambda level: unpaired(a, b, level), False)
        shared = [place for place in ours if place in theirs]
        means = [_by_prompt({place: side[place] for place in shared}) for side in (ours, theirs)]
        a, b = (list(side.values()) for side in means)
        paired = paired_mean_change
        if are_shares(a, b):
            paired = paired_share_change
        elif are_coarse(a, b):
            paired = paired_coarse_change
        left = max(len(base), len(head), self.head.n) - len(shared)
        note = f"over the {len(shared):,} pictures that have a score in both" if left else None
        return Stands(lambda level: paired(a, b, level), True, note)

    def _of_sets(self, metric: SetMetric, base: MetricValue, head: MetricValue) -> Stands:
        assert metric.network is not None and metric.left_out is not None
        assert base.value is not None and head.value is not None
        reference = self._reference(metric.network, head.identity)
        label = self._label(metric.network, transform_of(head.identity))
        if not set(label.split(":")) <= set(head.identity.split(":")):
            raise CannotMeasure(f"the weights of '{metric.network}' here are not those of the runs")
        sides = self.features(metric.network, transform_of(head.identity))
        labels = [self._groups(places) for places in self._places()]
        left = [metric.left_out(side, reference, group) for side, group in zip(sides, labels, strict=True)]
        parts = [left[1] - left[0]] if self.pair.unlike is None else left
        change = head.value - base.value

        def test(level: float) -> Change:
            half = jackknife_half_width(*parts, level=level)
            return Change(change, change - half, change + half)

        return Stands(test, self.pair.unlike is None, freedom=GROUPS - 1)

    def _reference(self, network: str, identity: str) -> FeatureSet:
        for side in (self.pair.head, self.pair.base):
            if (found := side.reference(network, identity)) is not None:
                return found
        raise CannotMeasure("neither run kept the features of its reference: run the suite again")

    # --- drift

    def drifts(self, network: str) -> Iterator[Difference]:
        """How far the pictures have moved, seen through a network: on the whole, and the one in the middle."""
        for name, drift in ((DRIFT, feature_drift), (MEDIAN_DRIFT, median_drift)):
            yield self._drift(f"{name}{network.replace('-', '_')}", drift, network)

    def _drift(self, name: str, drift: Drift, network: str) -> Difference:
        found = partial(Difference, self.pair.method, name, "drift", 0.0, n=self.head.n, paired=True)
        if self.pair.identical:
            return found(head=0.0, exact=True)
        if self.pair.unlike:
            return found(head=None, reason=f"drift is of pictures from the same noise, and {self.pair.unlike}",
                         required=self.pair.same_seed)  # fmt: skip
        try:
            base, head = (side.rows for side in self.features(network, transform_through(self.head, network)))
        except CannotMeasure as reason:
            return found(head=None, reason=str(reason))
        prompts = _prompt_numbers(self.pair.places)

        def test(level: float) -> Change | None:
            return drift(base, head, level, prompts)

        drifted = test(0.95)
        needed = drift is feature_drift or drifted is not None  # the mean tells of two pictures, the median of six
        return found(head=drifted.estimate if drifted else None, test=test, required=needed)

    # --- features

    def _label(self, network: str, transform: str) -> str:
        """What features depend on here beside the picture. CannotMeasure where the weights are nowhere."""
        try:
            return self.looker.label(network, transform)
        except BenchError as error:
            raise CannotMeasure(str(error)) from error

    def _features(self, network: str, transform: str) -> tuple[FeatureSet, FeatureSet]:
        base, head = self._places()
        pair, asked = self.pair, (network, transform)
        ours = pair.base.features(pair.base_method, *asked, base, self.looker)
        theirs = pair.head.features(pair.method, *asked, head, self.looker)
        return feature_set(ours), feature_set(theirs)

    def _places(self) -> tuple[list[Place], list[Place]]:
        """The pictures of both sides, in one order where they are pairs."""
        if self.pair.unlike is None:
            return self.pair.places, self.pair.places
        return list(self.pair.base.pictures(self.pair.base_method)), list(self.pair.head.pictures(self.pair.method))

    @staticmethod
    def _groups(places: Sequence[Place]) -> NDArray[np.int64]:
        """The group of each picture; those of one prompt stay together, since they are not independent."""
        numbers = _prompt_numbers(places)
        prompts = int(numbers.max(initial=-1)) + 1
        if prompts < GROUPS:
            raise CannotMeasure(f"needs at least {GROUPS} prompts for an interval, not {prompts}")
        return group_labels(prompts)[numbers]


def networks_of(result: Result) -> list[str]:
    """The networks that pictures of a row are seen through in comparing: those of its distances, else of its scores."""
    metrics = [
        METRICS.get(name) for name, value in result.metrics.items() if value.value is not None and name in METRICS
    ]
    for kind in (SetMetric, Metric):
        if found := [metric.network for metric in metrics if isinstance(metric, kind) and _sees(metric.network)]:
            return [network for network in dict.fromkeys(found) if network]
    return []


def transform_through(result: Result, network: str) -> str:
    """What the pictures of a row went through before a network."""
    seen = (value for name, value in result.metrics.items() if name in METRICS and METRICS.get(name).network == network)
    return transform_of(next((value.identity for value in seen if value.identity), ""))


def transform_of(identity: str) -> str:
    """What the pictures of a number went through before its network."""
    parts = identity.split(":")
    told = next((part.removeprefix("gen=").partition(",")[0] for part in parts if part.startswith("gen=")), None)
    return told or next((part for part in parts if part[:5] in ("squar", "short", "rando")), "as-is")


def _sees(network: str | None) -> bool:
    return network is not None and issubclass(NETWORKS.get(network), Extractor)


def _lacking(base: MetricValue | None, head: MetricValue | None) -> tuple[str, bool] | None:
    """Why one side or both have no number, and whether a gate needs it."""
    if base is None or head is None:
        return f"only {'head' if base is None else 'base'} measured it", base is not None
    if base.value is None and head.value is None:
        same = base.reason == head.reason
        return (f"{EMPTY}: {head.reason}" if same else f"base: {base.reason}; head: {head.reason}"), not same
    if head.value is None:
        return f"head has none: {head.reason}", True
    if base.value is None:
        # One that was measured has an identity: it was infinitely good, and head's is not.
        return f"base has none to compare with: {base.reason}", bool(base.identity)
    broken = [name for name, side in (("base", base.value), ("head", head.value)) if not np.isfinite(side)]
    return (f"{' and '.join(broken)}: not a finite number", True) if broken else None


def _of_intervals(base: MetricValue, head: MetricValue, why: str) -> Stands:
    """By the intervals of both runs, as if they had nothing in common; CannotMeasure where one has none."""
    if base.interval is None or head.interval is None:
        raise CannotMeasure(f"{why}, and no interval of its own")
    assert base.value is not None and head.value is not None
    test = partial(_square_and_add, (base.value, base.interval), (head.value, head.interval))
    return Stands(test, False, f"by the intervals of both runs, since {why}", _FEWEST)


def _square_and_add(base: tuple[float, Interval], head: tuple[float, Interval], level: float) -> Change:
    (p, (p_low, p_high)), (q, (q_low, q_high)) = base, head
    # The runs' intervals are of 95 %. Some are Student's with few degrees of freedom, and none says with how many.
    wider = student(_FEWEST, level) / student(_FEWEST, 0.95)
    below = wider * float(np.hypot(q - q_low, p_high - p))
    above = wider * float(np.hypot(q_high - q, p - p_low))
    return Change(q - p, q - p - below, q - p + above)


def _by_prompt(scores: Mapping[Place, float]) -> dict[str, float]:
    """The mean score of each prompt: pictures of one prompt are not independent of each other."""
    found: dict[str, list[float]] = {}
    for place, score in scores.items():
        found.setdefault(place.prompt_id, []).append(score)
    return {prompt: float(np.mean(values)) for prompt, values in found.items()}


def _prompt_numbers(places: Sequence[Place]) -> NDArray[np.int64]:
    numbers = {prompt: index for index, prompt in enumerate(dict.fromkeys(place.prompt_id for place in places))}
    return np.array([numbers[place.prompt_id] for place in places], np.int64)


# --- counts and seconds


def _counts(method: str, base: Result, head: Result) -> Iterator[Difference]:
    """What is counted, not measured: equal on every machine."""
    for name in (*_COUNTS, *_CODEC_COUNTS):
        ours, theirs = (_count(result, name) for result in (base, head))
        if ours is None and theirs is None:
            continue
        found = partial(Difference, method, name, "count", ours, theirs, n=head.n)
        if ours is None or theirs is None:
            yield found(reason=f"only {'head' if ours is None else 'base'} counted it", required=ours is not None)
        else:
            yield found(exact=True)


def _count(result: Result, name: str) -> float | None:
    part = result.cost if name in _COUNTS else result.codec
    return getattr(part, name) if part is not None else None


def _seconds(method: str, base: Result, head: Result) -> Iterator[Difference]:
    for stage in base.latency:
        if stage in head.latency:
            yield Difference(
                method, f"{SECONDS}{stage}", "time", base.latency[stage].median_s, head.latency[stage].median_s,
                n=head.latency[stage].n, required=False,
                reason="seconds differ by what else the machine did, and are not judged",
            )  # fmt: skip
