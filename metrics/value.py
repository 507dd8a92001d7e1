"""What a measured number is: its value and all that it depends on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MetricValue(BaseModel):
    """One number of one metric, or the reason why there is none.

    Exactly one of ``value`` and ``reason`` is set. ``identity`` names metric, extractor and weights digest, transform
    and resize, dtype, n and reference digest; two values with other identities are not the same quantity.
    """

    model_config = ConfigDict(extra="forbid")

    value: float | None
    reason: str | None = None
    interval: tuple[float, float] | None = None
    """95 % for sampling at this n; it says nothing of bias."""
    n: int = 0
    identity: str = ""
    higher_is_better: bool
    note: str | None = None
    """What every table must say beside it, for example that a weights file is not the official one."""
    per_image: dict[str, float] = Field(default_factory=dict, exclude=True)
    """Per-image values by sample key; kept in scores.parquet, not in run.json."""
