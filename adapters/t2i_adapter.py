"""T2I-Adapter: features of a condition, computed once, added to the UNet's encoder (Mou et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..datasets.request import Request
from .base import Traits
from .control import FeatureControlled, Window
from .options import amount

if TYPE_CHECKING:
    import torch


class T2IAdapter(FeatureControlled):
    """Any T2I-Adapter, full or light, times ``scale``, in the steps up to the share ``end`` of all steps."""

    traits = Traits(conditions=("canny", "depth", "landmarks", "pose"))
    title = "T2I-Adapter"
    network_class = "T2IAdapter"
    published = {
        "canny": "TencentARC/t2iadapter_canny_sd15v2",
        "depth": "TencentARC/t2iadapter_depth_sd15v2",
        "pose": "TencentARC/t2iadapter_openpose_sd14v1",
    }

    def __init__(
        self,
        *,
        condition: str = "",
        checkpoint: str = "",
        scale: str = "1",
        end: str = "1",
        base: str = "sd15",
        lora: str = "",
    ) -> None:
        super().__init__(condition=condition, checkpoint=checkpoint, base=base, lora=lora)
        self.strength = amount("scale", scale)
        self.window = Window.of("0", end)

    def inputs(self, requests: Sequence[Request]) -> torch.Tensor:
        """Return condition maps (B, 3 or 1, H, W) in [0, 1]; grey where the network reads one channel."""
        pictures = self.pictures(requests, self.conditions[0])
        if self.networks[0].config["in_channels"] == 1:
            pictures = grey(pictures)
        return pictures.to(self.dtype)

    def misfit(self, network: Any) -> str | None:
        channels = network.config["in_channels"]
        return super().misfit(network) if channels in (1, 3) else f"it reads {channels} channels, expected 1 or 3"


def grey(pictures: torch.Tensor) -> torch.Tensor:
    """Return the luma (B, 1, H, W) of pictures (B, 3, H, W) in [0, 1], in 256 steps (ITU-R BT.601, as PIL has it)."""
    red, green, blue = (255 * pictures[:, channel : channel + 1] for channel in range(3))
    return (0.299 * red + 0.587 * green + 0.114 * blue).round() / 255
