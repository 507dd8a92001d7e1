"""MediaPipe's diffusion plugin: 6 M parameters that steer a base ("On-device diffusion plugins", Google, 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.errors import BenchError
from ..datasets.request import Request
from .base import Traits
from .control import FeatureControlled
from .options import share

if TYPE_CHECKING:
    import torch


class MediaPipePlugin(FeatureControlled):
    """A ``DiffusionPlugin`` on any base whose levels it fits, in every step, times ``strength`` from 0 to 1.

    Google's own weights are .tflite files for its graph on Android, and fit no torch network.
    """

    traits = Traits(conditions=("landmarks", "canny", "depth"))
    title = "plugin"
    network_class = "DiffusionPlugin"
    public = False

    def __init__(
        self, *, condition: str = "", checkpoint: str = "", strength: str = "1", base: str = "sd15", lora: str = ""
    ) -> None:
        if not checkpoint:
            raise BenchError(
                "mediapipe-plugin has no public weights in a format that is read here: pass checkpoint=ID_OR_DIR"
            )
        super().__init__(condition=condition, checkpoint=checkpoint, base=base, lora=lora)
        self.strength = share("strength", strength)

    def inputs(self, requests: Sequence[Request]) -> torch.Tensor:
        """Return condition maps (B, 3, H, W) in [-1, 1]."""
        return (self.pictures(requests, self.conditions[0]) * 2 - 1).to(self.dtype)
