"""The result of ``bench score`` on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..metrics import METRICS
from ..metrics.value import MetricValue
from .inputs import Counts, Scores

_REMARKS: dict[str, Callable[[Counts], int]] = {
    "broken and left out": lambda counts: len(counts.skipped),
    "pictures without a prompt": lambda counts: counts.images_without_prompt,
    "prompts without a picture": lambda counts: counts.prompts_without_image,
    "pictures without a target": lambda counts: counts.images_without_target,
    "targets without a picture": lambda counts: counts.targets_without_image,
    "other files passed over": lambda counts: counts.ignored,
}


def print_scores(scores: Scores) -> None:
    """Print a table, the identities below it, and what was left out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for name, justify in (("metric", "left"), ("value", "right"), ("n", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, value in scores.metrics.items():
        table.add_row(Text(name), Text(value_text(name, value)), str(value.n or "–"))
    if scores.metrics:
        console.print(table)
    for line in _lines(scores):
        console.print(Text(line, style="dim"), soft_wrap=True)


def value_text(name: str, value: MetricValue) -> str:
    """``12.34 ±0.56 dB``, or a dash."""
    if value.value is None:
        return "–"
    metric = METRICS.get(name)
    text = f"{value.value:,.{metric.digits}f}"
    if value.interval:
        text += f" ±{(value.interval[1] - value.interval[0]) / 2:,.{metric.digits}f}"
    return f"{text} {metric.unit}".rstrip()


def _lines(scores: Scores) -> Iterator[str]:
    """Below the table: identities or reasons, then what was not measured."""
    for name, value in scores.metrics.items():
        yield value.identity if value.value is not None else f"{name}: {value.reason}"
        if value.note:
            yield f"  {value.note}"
    counts = scores.counts
    yield f"{counts.images:,} pictures" + (f", {counts.reference:,} of the reference" if counts.reference else "")
    for said, number in _REMARKS.items():
        if found := number(counts):
            yield f"{said}: {found:,}"
    yield from (f"skipped: {left.reason}" for left in counts.skipped)
