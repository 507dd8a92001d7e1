"""How far pictures of one device are from those that PyTorch makes of the same noise."""

from __future__ import annotations

from collections.abc import Sequence

from ..metrics import METRICS
from .places import Place
from .rows import Row

SEEN = {"mini-features": "mini_drift", "inception": "inception_drift"}
"""The drift through a network whose features a run's metrics are of."""


def bases_of(rows: Sequence[Row]) -> dict[Row, Row]:
    """Return for each row of a method that runs in several places the first that PyTorch computes."""
    found: dict[Row, Row] = {}
    for row in rows:
        alike = [other for other in rows if other.written == row.written]
        base = next((other for other in alike if Place(other.device or "", "").is_pytorch), None)
        if len(alike) > 1 and base:
            found[row] = base
    return found


def drifts_of(names: Sequence[str]) -> list[str]:
    """Return the metrics of drift for a run of the metrics ``names``: of pixels, and of the features they are over."""
    networks = {METRICS.get(name).network for name in names}
    return ["picture_drift", *(metric for network, metric in SEEN.items() if network in networks)]
