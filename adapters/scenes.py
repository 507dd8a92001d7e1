"""The ground truth of the mini world as a method: the drawn scene that a caption is of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..datasets.request import Request
from .base import Adapter, Images, Traits
from .codecs import make_codec
from .codecs.base import Codec
from .options import choice


class Scenes(Adapter):
    """``scenes``: the scene of each caption, the best that a method can do.

    ``codec=TEXT`` sends it through a codec and back, which is the best that a method over these latents can do.
    ``offset=N`` draws the scene N numbers further on, which is not what the caption says: a second real set.
    Of an edit of ``scene-edits`` it is the scene afterwards; ``show=source`` is the one before, as if a method gave the
    source back.
    """

    traits = Traits(sampled=False)
    codec: Codec | None = None

    def __init__(self, *, codec: str | None = None, offset: str = "0", show: str = "caption") -> None:
        if not (offset.isascii() and offset.isdigit()):
            raise BenchError(f"'scenes': offset={offset} is no whole number of at least 0")
        self.offset = int(offset)
        self.show = choice("show", show, ("caption", "source"))
        if codec is not None:
            self.codec = make_codec(codec)
            self.checkpoint = self.codec.checkpoint

    def load(self, device: str, dtype: str) -> None:
        if self.codec:
            self.codec.weights = self.weights
            self.codec.load(device, dtype)
            self.official = self.codec.official

    def generate(self, requests: Sequence[Request]) -> Images:
        pictures = np.stack([self._draw(request) for request in requests])
        return self._round_trip(self.codec, pictures) if self.codec else pictures

    def _draw(self, request: Request) -> Images:
        from ..datasets.scene_dataset import scene_of
        from ..datasets.scene_edits import edit_of, is_edit
        from ..datasets.scenes import SIZE

        if (request.height, request.width) != (SIZE, SIZE):
            size = f"{request.width}×{request.height}"
            raise BenchError(f"'scenes' draws {SIZE}×{SIZE} pixels, not {size}: set sampling.size={SIZE}")
        edited = is_edit(request.prompt_id)
        if edited and self.offset:
            raise BenchError(
                f"'scenes': no scene is {self.offset} after the edit '{request.prompt_id}': leave offset out"
            )
        if self.show == "source" or edited:
            edit = edit_of(request.prompt_id, request.prompt)
            return (edit.before if self.show == "source" else edit.after).image
        return scene_of(request.prompt_id, request.prompt, self.offset).image

    def _round_trip(self, codec: Codec, pictures: NDArray[np.uint8]) -> Images:
        codec.check_size(*pictures.shape[1:3])
        decoded = codec.decode(codec.encode(pictures))
        if not np.isfinite(decoded).all():  # it would become a black picture and be measured as one
            raise BenchError(f"codec of '{self.checkpoint}' gives NaN: use --dtype bf16 or fp32")
        return np.asarray((np.clip(decoded, 0, 1) * 255).round(), np.uint8)

    def fingerprint(self) -> str:
        """Of the code that draws, and of the codec's weights; the codec is loaded to learn these."""
        from ..datasets.scene_dataset import scenes_digest
        from ..datasets.scene_edits import edits_digest

        drawn = f"{scenes_digest()}-{edits_digest()}"
        if self.codec is None:
            return drawn
        self.load("cpu", "fp32")
        return f"{drawn}-{self.codec.fingerprint()}"
