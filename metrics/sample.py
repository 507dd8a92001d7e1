"""One picture to be measured, as the metrics see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
