"""One picture to be measured, as the metrics see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Asked(NamedTuple):
    """Something that a picture was to show or to keep."""

    digest: str
    """Changes with what ``read`` returns."""
    read: Callable[[], Any]


@dataclass(frozen=True)
class Sample:
    """A picture that can be loaded, with what it is measured against.

    ``key`` is unique within its set; ``digest`` is the sha256 of the file, what features are cached under;
    ``load`` decodes it to uint8 (H, W, 3), RGB.
    """

    key: str
    digest: str
    load: Callable[[], NDArray[np.uint8]]
    prompt: str | None = None
    target: Sample | None = None
    """The picture that pairwise metrics compare it with."""
    asked: Mapping[str, Asked] = field(default_factory=dict)
    """By kind (``metric.ASKED``), for metrics of control, regions and editing; what was not asked for is not in it."""
