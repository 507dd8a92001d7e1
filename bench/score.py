"""``bench score``: metrics alone, of pictures or statistics that are there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..core.errors import BenchError, first_mistake
from ..datasets.sources import shown
from ..metrics import METRICS
from ..metrics.engine import Engine
from ..metrics.metric import Metric
from ..metrics.sample import Sample
from ..metrics.value import MetricValue
from .inputs import Inputs, ScoreOptions, Scores, load_inputs
from .progress import task
from .score_statistics import UNKNOWN, check_statistics, is_moments, of_statistics, save_side, with_note
from .score_text import print_scores
from .statistics_files import StatisticsFile, check_name

_OPTIONS = {"prompts": "--prompts", "target": "--targets", "reference": "--reference"}
"""What gives a metric what it needs."""


def score_command(
    asked: Mapping[str, Any], save_stats: Path | None, save_reference_stats: Path | None, as_json: bool
) -> None:
    """``bench score``; see there for the options."""
    options = score_options(asked)
    inputs = load_inputs(options)
    engine = Engine(inputs.setup)
    names = default_names(options, inputs)
    saved = {"generated": save_stats, "reference": save_reference_stats}
    if not names and not any(saved.values()):
        raise BenchError("nothing to measure: give --reference, --prompts or --targets, or name --metrics")
    _check(options, inputs, engine, names)
    for file in filter(None, saved.values()):
        check_name(file)
    values = measure(inputs, names, engine)
    engine.close()
    for side, path in saved.items():
        if path:
            save_side(path, side, inputs, engine, names)
    scores = Scores(metrics=values, counts=inputs.counts, options=options)
    if as_json:
        print(scores.model_dump_json(by_alias=True, indent=2))
    else:
        print_scores(scores)
    if names and all(value.value is None for value in values.values()):
        raise BenchError("; ".join(f"{name}: {value.reason}" for name, value in values.items()))


def score_options(asked: Mapping[str, Any]) -> ScoreOptions:
    """Check what was asked on the command line; a path becomes absolute, so that ``bench explain`` finds it again."""
    from ..adapters.spec import split_list
    from .startup import device_of, dtype_of, exact_arithmetic, quiet_libraries, weights_file

    quiet_libraries()
    exact_arithmetic()
    if asked["offline"]:
        os.environ["HF_HUB_OFFLINE"] = "1"
    metrics = split_list(asked["metrics"]) if asked["metrics"] is not None else None
    for name in metrics or []:
        METRICS.target(name)
    weights = dict(weights_file(text) for text in asked["weights"] or [])
    paths = {name: _absolute(asked[name]) for name in ("images", "reference", "prompts", "targets")}
    return ScoreOptions(
        **paths,  # type: ignore[arg-type]
        metrics=metrics,
        weights={name: str(path.absolute()) for name, path in weights.items()},
        device=device_of(asked["device"]),
        dtype=dtype_of(asked["dtype"]),
        batch_size=asked["batch_size"],
        resize=_resize(asked["resize"]),
        transform=asked["transform"],
        reference_transform=asked["reference_transform"] or asked["transform"],
        skip_bad=asked["skip_bad"],
        offline=asked["offline"],
    )


def measure(inputs: Inputs, names: Sequence[str], engine: Engine) -> dict[str, MetricValue]:
    """Compute metrics; one that cannot be computed has a reason and no value.

    All pictures are gone over once; again only for metrics that some pictures lack the prompt or the target for.
    """
    generated, reference = inputs.generated, inputs.reference
    if isinstance(generated, StatisticsFile):
        return {name: of_statistics(METRICS.get(name), inputs, engine) for name in names}
    groups: dict[tuple[str, ...], list[str]] = {}
    subsets = {name: _fitting(METRICS.get(name), generated) for name in names}
    for name, samples in subsets.items():
        groups.setdefault(tuple(sample.key for sample in samples), []).append(name)
    against = reference.path if isinstance(reference, StatisticsFile) else reference
    values: dict[str, MetricValue] = {}
    for together in groups.values():
        samples = subsets[together[0]]
        with task("measure", len(samples)) as report:
            values |= engine.measure(samples, together, reference=against, progress=report)
    if isinstance(reference, StatisticsFile) and reference.recorded is None:
        values |= {name: with_note(values[name], UNKNOWN) for name in names if is_moments(name)}
    return {name: values[name] for name in names}


def default_names(options: ScoreOptions, inputs: Inputs) -> list[str]:
    """The metrics asked for, else those that what is there allows for."""
    if options.metrics is not None:
        return options.metrics
    samples = [] if isinstance(inputs.generated, StatisticsFile) else inputs.generated
    found = ["fid"] if inputs.reference is not None else []
    found += ["clip_score"] if any(sample.prompt is not None for sample in samples) else []
    return found + (["psnr", "ssim", "lpips"] if any(sample.target for sample in samples) else [])


def _check(options: ScoreOptions, inputs: Inputs, engine: Engine, names: Sequence[str]) -> None:
    """Refuse, before the work, metrics that were named and cannot be had, and statistics that do not fit."""
    generated, reference = inputs.generated, inputs.reference
    if isinstance(generated, list):
        problems = engine.check(
            names,
            has_prompts=any(sample.prompt is not None for sample in generated),
            has_targets=any(sample.target is not None for sample in generated),
            reference=reference.path if isinstance(reference, StatisticsFile) else reference,
        )
        if problems and options.metrics is not None:
            raise BenchError("; ".join(f"{name}: {reason}{_mend(name, reason)}" for name, reason in problems.items()))
        names = [name for name in names if name not in problems]
    check_statistics(inputs, engine, names)


def _mend(name: str, reason: str) -> str:
    options = [_OPTIONS[need] for need in METRICS.get(name).needs if need in _OPTIONS]
    return f"; give {' and '.join(options)}" if options and reason.startswith("needs ") else ""


def _fitting(metric: Metric, samples: list[Sample]) -> list[Sample]:
    """The pictures that have what the metric needs; all of them where none has."""
    fitting = samples
    if "prompts" in metric.needs:
        fitting = [sample for sample in fitting if sample.prompt is not None]
    if "target" in metric.needs:
        fitting = [sample for sample in fitting if sample.target is not None]
    return fitting or samples


def _resize(name: str) -> str:
    from ..metrics.resizers import find_resizer

    find_resizer(name)
    return name


def _absolute(path: object) -> str | None:
    return None if path is None else str(Path(str(path)).expanduser().absolute())


def load_scores(path: Path) -> Scores:
    """Read what ``bench score --json`` printed; BenchError where it is something else."""
    try:
        return Scores.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        why = first_mistake(error) if isinstance(error, ValidationError) else error
        raise BenchError(f"{shown(path)}: not the output of 'bench score --json' ({why}); make it anew") from error
