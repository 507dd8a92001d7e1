"""ControlNet: a copy of the UNet's encoder that reads a condition in every step (Zhang et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import BenchError
from ..datasets.request import Request
from .base import Stage, Traits
from .control import PROBE, Controlled, Window, skip_channels
from .options import amount
from .sd15 import Control

if TYPE_CHECKING:
    import torch


class ControlNet(Controlled):
    """One or several ControlNets; what they give to skip connections and middle is summed, each times its ``scale``.

    ``condition=canny+depth,checkpoint=A+B,scale=0.7+0.3`` are two at once. They run in the steps between the shares
    ``start`` and ``end`` of all steps, with and without the prompt where guided.
    """

    traits = Traits(conditions=("canny", "depth", "landmarks", "pose"))
    title = "ControlNet"
    network_class = "ControlNetModel"
    several = True
    published = {
        "canny": "lllyasviel/control_v11p_sd15_canny",
        "depth": "lllyasviel/control_v11f1p_sd15_depth",
        "landmarks": "CrucibleAI/ControlNetMediaPipeFace/diffusion_sd15",
        "pose": "lllyasviel/control_v11p_sd15_openpose",
    }

    def __init__(
        self,
        *,
        condition: str = "",
        checkpoint: str = "",
        scale: str = "1",
        start: str = "0",
        end: str = "1",
        base: str = "sd15",
        lora: str = "",
    ) -> None:
        super().__init__(condition=condition, checkpoint=checkpoint, base=base, lora=lora)
        self.scales = self._scales(scale)
        self.window = Window.of(start, end)

    def _scales(self, text: str) -> list[float]:
        count = len(self.conditions)
        scales = [amount("scale", part) for part in text.split("+")]
        if len(scales) not in (1, count):
            raise BenchError(f"scale={text} has {len(scales)} parts for {count} conditions")
        return scales * count if len(scales) == 1 else scales

    def load(self, device: str, dtype: str) -> None:
        from diffusers import MultiControlNetModel

        super().load(device, dtype)
        self.network = MultiControlNetModel(self.networks)

    def control(self, requests: Sequence[Request]) -> Control:
        maps = [self.per_forward(self.pictures(requests, kind).to(self.dtype)) for kind in self.conditions]

        def residuals(
            latents: torch.Tensor, timestep: torch.Tensor, embeddings: torch.Tensor, progress: float
        ) -> Mapping[str, Any]:
            if not self.steers(progress):
                return {}
            down, middle = self.network(latents, timestep, embeddings, maps, self.scales, return_dict=False)
            return {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}

        return residuals

    def misfit(self, network: Any) -> str | None:
        unet, config = self.base.unet, network.config
        factor = PROBE.height // self.base.latent_shape(PROBE)[1]
        facts = {
            "latent channels": (config["in_channels"], unet.config["in_channels"]),
            "the width of its text": (config["cross_attention_dim"], unet.config["cross_attention_dim"]),
            "the channels of its encoder": (skip_channels(network), skip_channels(unet)),
            "pixels per latent": (2 ** (len(config["conditioning_embedding_out_channels"]) - 1), factor),
            "the channels of its condition": (config["conditioning_channels"], 3),
            "its pooling of conditions": (config["global_pool_conditions"], False),
        }
        differing = ((name, *pair) for name, pair in facts.items() if pair[0] != pair[1])
        return next((f"{name} is {found}, expected {wanted}" for name, found, wanted in differing), None)

    def stage(self) -> Stage:
        def inputs(request: Request, device: str) -> tuple[Any, ...]:
            import torch

            maps = torch.zeros(1, 3, request.height, request.width, dtype=self.dtype, device=device)
            return *self.base.stages()["unet"].inputs(request, device), [maps] * len(self.scales), self.scales

        steps = self.window.held(self.steps, self.base.stop())
        return Stage(self.network, inputs, steps * (2 if self.base.guided else 1))
