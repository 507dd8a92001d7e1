"""``bench explain``: why two numbers of one metric differ, by recomputing with one factor changed at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from ..core.errors import BenchError
from ..datasets.sources import shown
from ..metrics import METRICS
from ..metrics.engine import Engine
from ..metrics.extractors.base import DTYPES
from ..metrics.value import MetricValue
from ..reports.schema import Run, load_run
from .factors import FACTORS, Factor
from .inputs import Inputs, ScoreOptions, load_inputs
from .score import default_names, load_scores, measure, score_options
from .score_statistics import check_statistics


class Effect(BaseModel):
    """What one factor does to the number."""

    factor: str
    base: str
    head: str
    value: float | None = None
    """The number with this factor changed alone."""
    start: str = "base"
    """The side whose number was changed; ``head`` (towards base) where base cannot be."""
    share: float | None = None
    """Of the gap between both numbers; they need not add up to 1."""
    reason: str | None = None
    """Why it cannot be recomputed, if so."""


class Explanation(BaseModel):
    """What ``bench explain --json`` prints."""

    metric: str
    base: MetricValue
    head: MetricValue
    effects: list[Effect]
    rest: float | None
    """The share of the gap that no factor alone accounts for; None where there is no gap."""
    notes: list[str]


class Difference(NamedTuple):
    """A part of two identities that is not the same."""

    part: str
    base: str
    head: str


def explain_command(asked: Mapping[str, Any]) -> None:
    """``bench explain``; see there for the options."""
    sides = [Path(asked[name]).expanduser() for name in ("base", "head")]
    if all(_is_run(side) for side in sides):
        _explain_runs(load_run(sides[0]), load_run(sides[1]), asked["metric"], asked["json_"])
        return
    if any(_is_run(side) for side in sides):
        raise BenchError("a run can be explained against another run alone: give two runs, or pictures or scores")
    options = [_options(side, asked) for side in sides]
    base, head = (load_inputs(option) for option in options)
    name = asked["metric"] or _shared_metric(default_names(options[0], base), default_names(options[1], head))
    METRICS.target(name)
    found = explain(base, head, name)
    found.notes.extend(_changed(sides, found))
    print(found.model_dump_json(indent=2)) if asked["json_"] else _print(found)


def explain(base: Inputs, head: Inputs, name: str) -> Explanation:
    """Measure both, then each factor in which they differ alone, from ``base`` towards ``head``.

    Raises BenchError where either number cannot be computed.
    """
    values = [_measure(inputs, name) for inputs in (base, head)]
    for value in values:
        if value.value is None:
            raise BenchError(f"{name}: {value.reason}")
    metric = METRICS.get(name)
    effects = []
    for factor in FACTORS:
        texts = [factor.describe(base, head, metric), factor.describe(head, base, metric)]
        if texts[0] != texts[1]:
            effects.append(_effect(factor, (base, head), texts, values, name))
    rest = 1 - sum(effect.share or 0.0 for effect in effects) if _gap(*values) else None
    return Explanation(metric=name, base=values[0], head=values[1], effects=effects, rest=rest, notes=[])


def _effect(
    factor: Factor, sides: tuple[Inputs, Inputs], texts: list[str], values: list[MetricValue], name: str
) -> Effect:
    """Change ``base``; where that is impossible change ``head`` the other way, which leaves what base lacks out."""
    found = Effect(factor=factor.name, base=texts[0], head=texts[1])
    reasons = []
    for start, (inputs, to) in {"base": sides, "head": sides[::-1]}.items():
        try:
            changed = _measure(factor.change(inputs, to), name)
        except BenchError as error:
            reasons.append(str(error))
            continue
        if changed.value is None:
            reasons.append(changed.reason or "")
            continue
        share = _share(changed.value, start, values)
        return found.model_copy(update={"value": changed.value, "start": start, "share": share})
    return found.model_copy(update={"reason": "; ".join(dict.fromkeys(reasons))})


def _share(changed: float, start: str, values: list[MetricValue]) -> float | None:
    gap = _gap(*values)
    if not gap:
        return None
    moved = changed - (values[0].value or 0.0) if start == "base" else (values[1].value or 0.0) - changed
    return moved / gap


def _gap(base: MetricValue, head: MetricValue) -> float:
    return (head.value or 0.0) - (base.value or 0.0)


def _measure(inputs: Inputs, name: str) -> MetricValue:
    engine = Engine(inputs.setup)
    check_statistics(inputs, engine, [name])
    return measure(inputs, [name], engine)[name]


# --- what is compared


def _is_run(path: Path) -> bool:
    return (path / "run.json").is_file() or path.name == "run.json"


def _is_scores(path: Path) -> bool:
    return path.suffix == ".json" and path.is_file()


def _options(path: Path, asked: Mapping[str, Any]) -> ScoreOptions:
    """As the scores were computed; for pictures as the command line says."""
    if _is_scores(path):
        return load_scores(path).options
    fixed = {"metrics": asked["metric"], "dtype": "fp32", "batch_size": None, "resize": "tf-bilinear"}
    fixed |= {"transform": "as-is", "reference_transform": None}
    return score_options({**asked, **fixed, "images": str(path)})


def _shared_metric(base: list[str], head: list[str]) -> str:
    shared = [name for name in base if name in head]
    if not shared:
        raise BenchError("no metric that both sides have: give --metric")
    return shared[0]


def _changed(sides: list[Path], found: Explanation) -> Iterator[str]:
    """Say so where a number is not what it was when the scores were written."""
    for path, value in zip(sides, (found.base, found.head), strict=True):
        scores = load_scores(path).metrics if _is_scores(path) else {}
        old, new = scores[found.metric].value if found.metric in scores else None, value.value or 0.0
        if old is not None and abs(old - new) > 1e-6 * max(1.0, abs(old)):
            yield f"{shown(path)} says {old:.6g}, now it is {new:.6g}: files or weights have changed since"


# --- runs


def _explain_runs(base: Run, head: Run, metric: str | None, as_json: bool) -> None:
    """List, for each metric of each method of both runs, what differs in the identities; nothing is recomputed."""
    found = {name: parts for name, parts in _run_differences(base, head) if metric in (None, name.split(" ")[-1])}
    if not found:
        raise BenchError("both runs have no method and metric in common: name what both measured")
    if as_json:
        print(json.dumps({name: [part._asdict() for part in parts] for name, parts in found.items()}, indent=2))
        return
    for name, parts in found.items():
        print(f"{name}: " + ("one identity, so the pictures differ" if not parts else ""))
        for part in parts:
            print(f"  {part.part}: {part.base or 'none'} -> {part.head or 'none'}")


def _run_differences(base: Run, head: Run) -> Iterator[tuple[str, list[Difference]]]:
    heads = {result.method: result for result in head.results}
    if len(base.results) == len(head.results) == 1:
        heads = {base.results[0].method: head.results[0]}
    for result in base.results:
        other = heads.get(result.method)
        for name, value in result.metrics.items():
            if other and name in other.metrics:
                yield f"{result.method} {name}", differences(value.identity, other.metrics[name].identity)


def differences(base: str, head: str) -> list[Difference]:
    """List the parts in which two identities differ."""
    a, b = identity_parts(base), identity_parts(head)
    return [Difference(name, a.get(name, ""), b.get(name, "")) for name in {**a, **b} if a.get(name) != b.get(name)]


def identity_parts(identity: str) -> dict[str, str]:
    """Take an identity apart by the looks of its parts; what has no name of its own is the protocol."""
    parts: dict[str, str] = {}
    for index, part in enumerate(identity.split(":")):
        name = "metric" if index == 0 else _kind(part)
        parts[name] = f"{parts[name]}:{part}" if name in parts else part
    return parts


def _kind(part: str) -> str:
    if part in DTYPES:
        return "dtype"
    if part.startswith("n") and part[1:].isdigit():
        return "sample count"
    if part.startswith("v") and part[1:].isdigit():
        return "version"
    if part.startswith("ref-"):
        return "reference"
    return "weights" if "@" in part else "transform" if part.startswith("gen=") else "protocol and resize"


# --- text


def _print(found: Explanation) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for name in ("factor", "base", "head", "alone", "of the gap"):
        table.add_column(name, justify="right" if name in ("alone", "of the gap") else "left", overflow="fold")
    digits = METRICS.get(found.metric).digits + 2
    for effect in found.effects:
        table.add_row(*map(Text, _row(effect, digits)))
    base, head = (side.value or 0.0 for side in (found.base, found.head))
    console.print(f"{found.metric}: {base:.{digits}f} -> {head:.{digits}f} ({head - base:+.{digits}f})")
    if found.effects:
        console.print(table)
    for line in _remarks(found):
        console.print(Text(line, style="dim"), soft_wrap=True)


def _row(effect: Effect, digits: int) -> list[str]:
    alone = "–" if effect.value is None else f"{effect.value:.{digits}f}" + ("*" if effect.start == "head" else "")
    return [effect.factor, effect.base, effect.head, alone, _percent(effect.share)]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{round(100 * share) + 0} %"


def _remarks(found: Explanation) -> Iterator[str]:
    if any(effect.start == "head" for effect in found.effects):
        yield "* head with this factor of base: base cannot be given that of head"
    for effect in found.effects:
        if effect.reason:
            yield f"{effect.factor} cannot be recomputed: {effect.reason}"
    if found.rest is None:
        yield "both numbers are equal"
    else:
        yield f"{_percent(found.rest)} is left for the pictures themselves and for factors acting together"
    yield f"base {found.base.identity}"
    yield f"head {found.head.identity}"
    yield from found.notes
