"""What the control methods share: a base, and networks beside its UNet that read condition maps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core.errors import BenchError
from ..core.registry import suggest
from ..core.zoo import PREFIX
from ..datasets.request import Request
from . import checkpoints
from .base import Stage
from .counting import on_meta
from .lora import lora_file
from .on_base import OnBase
from .options import share
from .sd15 import Control

if TYPE_CHECKING:
    import torch

PROBE = Request("", "", height=512, width=512)
"""A picture whose size stands for all where it is asked whether a network fits a base."""


class Window(NamedTuple):
    """The part of the steps in which a network steers, as shares of all steps; counted as diffusers counts it."""

    start: float = 0.0
    end: float = 1.0

    @classmethod
    def of(cls, start: str, end: str) -> Window:
        """Return the window of two options; BenchError unless 0 ≤ start < end ≤ 1."""
        window = cls(share("start", start), share("end", end))
        if not window.start < window.end:
            raise BenchError(f"start={start} must be below end={end}")
        return window

    def holds(self, step: int, steps: int) -> bool:
        """Whether the network steers step number ``step``."""
        return step / steps >= self.start and (step + 1) / steps <= self.end

    def held(self, steps: int, taken: int) -> int:
        """In how many of the first ``taken`` of the steps the network steers."""
        return sum(self.holds(step, steps) for step in range(taken))


class Controlled(OnBase):
    """A base steered by networks that read condition maps, one network per condition.

    ``condition`` and ``checkpoint`` are lists with ``+`` between the parts where the method takes several; without a
    checkpoint it is the authors' own for that condition. A subclass says what the networks give to the UNet.
    """

    title: str
    """What messages call the network."""
    network_class: str
    """Its class in a checkpoint's config.json."""
    published: Mapping[str, str] = {}
    """The authors' checkpoint for each kind of condition that has one."""
    several = False
    """Whether it takes several conditions at once."""
    window = Window()

    def __init__(self, *, condition: str, checkpoint: str, base: str, lora: str) -> None:
        super().__init__(base=base)
        self.conditions = self._conditions(condition, checkpoint)
        self.checkpoints = self._checkpoints(checkpoint)
        self.traits = replace(self.traits, conditions=tuple(dict.fromkeys(self.conditions)))
        self.checkpoint = " + ".join([self.base.checkpoint, *self.checkpoints])
        if lora:
            if self.base.lora:
                raise BenchError(f"lora= stands both in '{base}' and beside it: leave one out")
            self.base.lora = lora_file(lora)

    def _conditions(self, condition: str, checkpoint: str) -> list[str]:
        known = type(self).traits.conditions
        if checkpoint and not condition:
            raise BenchError(f"condition= must say what '{checkpoint}' reads ({', '.join(known)})")
        kinds = (condition or known[0]).split("+")
        for kind in kinds:
            if kind not in known:
                raise BenchError(f"unknown condition '{kind}'{suggest(kind, known)} (known: {', '.join(known)})")
        if len(kinds) > 1 and not self.several:
            raise BenchError(f"condition={condition}: a {self.title} reads one condition")
        return kinds

    def _checkpoints(self, checkpoint: str) -> list[str]:
        count = len(self.conditions)
        if checkpoint:
            found = checkpoint.split("+") if count > 1 else [checkpoint]
            if len(found) != count:
                raise BenchError(f"checkpoint={checkpoint} has {len(found)} parts for {count} conditions")
            return found
        for kind in self.conditions:
            if kind not in self.published:
                raise BenchError(f"there is no published {self.title} for {kind}: pass checkpoint=ID_OR_DIR")
        return [self.published[kind] for kind in self.conditions]

    @cached_property
    def folders(self) -> list[Path]:
        """The networks' folders, fetched from the hub where they are ids."""
        return [network_folder(text) for text in self.checkpoints]

    def load(self, device: str, dtype: str) -> None:
        super().load(device, dtype)
        self.networks = []
        for text, folder in zip(self.checkpoints, self.folders, strict=True):
            network: Any = checkpoints.load_component([self.network_class], folder, dtype=self.dtype)
            if problem := self.misfit(network):
                raise BenchError(f"{self.title} '{text}' does not fit '{self.base.checkpoint}': {problem}")
            self.networks.append(network.to(self.device))

    @abstractmethod
    def misfit(self, network: Any) -> str | None:
        """Say why a network does not fit the base, None where it does."""

    @abstractmethod
    def control(self, requests: Sequence[Request]) -> Control:
        """Return what steers the base's UNet for these requests."""

    @abstractmethod
    def stage(self) -> Stage:
        """The networks as one part that can be timed."""

    def denoise(self, requests: Sequence[Request], embeddings: torch.Tensor) -> torch.Tensor:
        return self.base.denoise(requests, embeddings, control=self.control(requests))

    def pictures(self, requests: Sequence[Request], kind: str) -> torch.Tensor:
        """Return the requests' condition maps of a kind: (B, 3, H, W), RGB, float32 in [0, 1]."""
        import torch

        stacked = np.stack([request.condition(kind) for request in requests])
        return torch.from_numpy(stacked).permute(0, 3, 1, 2).to(self.device).float() / 255

    def per_forward(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor (B, …) as one call of the UNet needs it: twice where guided."""
        import torch

        return torch.cat([tensor, tensor]) if self.base.guided else tensor

    @property
    def steps(self) -> int:
        """The steps of the sampler, of which the base's ``until`` may leave some out."""
        return len(self.base.scheduler.timesteps)

    def steers(self, progress: float) -> bool:
        """Whether the networks steer the step at ``progress``, the share of the steps already taken."""
        return self.window.holds(round(progress * self.steps), self.steps)

    def stages(self) -> dict[str, Stage]:
        parts = super().stages()
        before = {name: parts.pop(name) for name in list(parts) if name == "text_encoder"}
        return {**before, "control": self.stage(), **parts}

    def fingerprint(self) -> str:
        return "+".join([super().fingerprint(), *map(checkpoints.fingerprint, self.folders)])

    def weight_files(self) -> list[Path]:
        return super().weight_files() + [file for place in self.folders for file in checkpoints.weight_files(place)]


class FeatureControlled(Controlled):
    """A network that reads the condition once per picture; its features are added to the levels of the UNet's encoder.

    They are added to the output of a level's last block, before it is downsampled, in every step that ``window`` holds,
    times ``strength``.
    """

    strength: float

    @abstractmethod
    def inputs(self, requests: Sequence[Request]) -> torch.Tensor:
        """Return what the network reads: (B, C, H, W)."""

    def load(self, device: str, dtype: str) -> None:
        from .networks.diffusion_plugin import take_features

        super().load(device, dtype)
        take_features(self.base.unet)

    def control(self, requests: Sequence[Request]) -> Control:
        (network,) = self.networks
        features = [self.per_forward(level * self.strength) for level in network(self.inputs(requests))]

        def add(
            latents: torch.Tensor, timestep: torch.Tensor, embeddings: torch.Tensor, progress: float
        ) -> Mapping[str, Any]:
            # A list of its own for each call: diffusers' UNet empties it.
            return {"down_intrablock_additional_residuals": list(features)} if self.steers(progress) else {}

        return add

    def misfit(self, network: Any) -> str | None:
        import torch

        side = self.base.latent_shape(PROBE)[1]
        wanted = level_shapes(self.base.unet, side)
        sample = torch.zeros(1, network.config["in_channels"], PROBE.height, PROBE.width, device="meta")
        given = [(level.shape[1], level.shape[2]) for level in on_meta(network).float()(sample)]
        if given == wanted:
            return None
        return f"it gives {_listed(given)} for a picture of {PROBE.width}, the UNet takes {_listed(wanted)}"

    def stage(self) -> Stage:
        (network,) = self.networks

        def inputs(request: Request, device: str) -> tuple[Any, ...]:
            import torch

            shape = (1, network.config["in_channels"], request.height, request.width)
            return (torch.zeros(shape, dtype=self.dtype, device=device),)

        return Stage(network, inputs, 1)


def _listed(shapes: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{channels}@{side}" for channels, side in shapes)


def level_shapes(unet: Any, side: int) -> list[tuple[int, int]]:
    """Return channels and side of each level of a UNet's encoder, for latents of ``side``."""
    shapes = []
    for block in unet.down_blocks:
        shapes.append((block.resnets[-1].out_channels, side))
        side = (side + 1) // 2 if block.downsamplers else side
    return shapes


def skip_channels(network: Any) -> list[int]:
    """Return the channels of all skip connections of a UNet's encoder, in their order; a ControlNet's likewise."""
    channels = [network.conv_in.out_channels]
    for block in network.down_blocks:
        channels += [layer.out_channels for layer in [*block.resnets, *(block.downsamplers or ())]]
    return channels


def network_folder(text: str) -> Path:
    """Return the folder of one network: a folder, ``zoo:NAME``, a hub id, or ``OWNER/NAME/SUBFOLDER``.

    Raises BenchError where there is none.
    """
    hub_id, subfolder = text, ""
    if text.count("/") > 1 and not text.startswith((".", "/", "~", PREFIX)) and not Path(text).exists():
        owner, name, subfolder = text.split("/", 2)
        hub_id = f"{owner}/{name}"
    return checkpoints.resolve(hub_id, patterns=checkpoints.component_patterns(subfolder)) / subfolder
