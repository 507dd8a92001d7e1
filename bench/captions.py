"""Who reads pictures against their captions: so far the reader of drawn scenes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..metrics.metric import CannotMeasure


class SceneReader:
    """Reads drawn scenes by the rules of ``datasets.scene_reader``; a ``CaptionReader``."""

    @property
    def label(self) -> str:
        """Name and version: ``scene-reader@1``."""
        from ..datasets.scene_reader import VERSION

        return f"scene-reader@{VERSION}"

    def __call__(self, picture: NDArray[np.uint8], caption: str) -> float:
        """Return 1 where the picture, uint8 (64, 64, 3), shows the objects or the face of ``caption``, else 0.

        That is shape, colour and relations of every object and no object too many, or each mentioned attribute of the
        face; words of size and background do not count.
        Raises CannotMeasure for captions that scenes do not have and pictures of another size.
        """
        from ..datasets.scene_captions import read_caption
        from ..datasets.scene_reader import caption_accuracy
        from ..datasets.scenes import SIZE

        if read_caption(caption) is None:
            raise CannotMeasure(f"needs captions of drawn scenes, and '{caption[:60]}' is none")
        height, width = picture.shape[:2]
        if (height, width) != (SIZE, SIZE):
            raise CannotMeasure(f"needs pictures of {SIZE}×{SIZE}, not {width}×{height}")
        return caption_accuracy(picture, caption)
