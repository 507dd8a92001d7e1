"""Methods that edit a source picture: what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..datasets.request import Request
from .base import Stage, Traits
from .on_base import OnBase

if TYPE_CHECKING:
    import torch


class Editing(OnBase):
    """A method that starts from the latents of a source picture.

    Where the base's own default is ``pndm`` it is ``ddim`` here: PNDM's first two steps belong to the begin of a
    schedule, so that it cannot start in the middle, and inversions are defined for DDIM.
    """

    traits = Traits(editing=True)

    def __init__(self, *, base: str = "sd15") -> None:
        super().__init__(base=base)
        defaults = self.traits.defaults
        if defaults.scheduler == "pndm":
            self.traits = replace(self.traits, defaults=replace(defaults, scheduler="ddim"))

    def encode_sources(self, requests: Sequence[Request]) -> torch.Tensor:
        """Return the latents (B, C, h, w), float32, of the requests' source pictures: the mode of the posterior.

        Raises BenchError where there is no source, or one of another size.
        """
        return self.base.encode(np.stack([request.source_picture() for request in requests]))

    def stages(self) -> dict[str, Stage]:
        def pixels(request: Request, device: str) -> tuple[Any, ...]:
            import torch

            return (torch.zeros(1, 3, request.height, request.width, dtype=self.dtype, device=device),)

        stages = super().stages()
        text = {"text_encoder": stages.pop("text_encoder")}
        return {**text, "encoder": Stage(self.base.vae.encoder, pixels, 1), **stages}


def read_source(request: Request) -> tuple[str, NDArray[np.uint8]]:
    """Return digest and pixels of the source: uint8 (H, W, 3); BenchError where there is none or of another size."""
    picture = request.source_picture()
    assert request.source is not None
    return request.source.digest, picture
