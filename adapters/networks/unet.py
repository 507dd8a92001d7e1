"""The skeleton that SnapFusion's and MobileDiffusion's UNets share: ResNet blocks and transformers per resolution.

Names of modules, order of skip connections and control residuals are those of diffusers' UNet2DConditionModel, so that
weights, LoRA and control networks made for a UNet of the same layout fit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.downsampling import Downsample2D
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

NORM_EPS = 1e-5


@dataclass(frozen=True)
class Layout:
    """How many blocks a UNet has: one entry per resolution, the highest first; on the way up, the lowest first."""

    channels: Sequence[int]
    down_resnets: Sequence[int]
    down_attentions: Sequence[int]
    mid_resnets: int
    mid_attentions: int
    up_resnets: Sequence[int]
    up_attentions: Sequence[int]

    def __post_init__(self) -> None:
        for name in ("down_resnets", "down_attentions", "up_resnets", "up_attentions"):
            if len(getattr(self, name)) != len(self.channels):
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {len(self.channels)} resolutions")
        if min(*self.down_resnets, *self.up_resnets) < 1 or (self.mid_attentions and not self.mid_resnets):
            raise ValueError("every stage needs a ResNet block")


class Stage(nn.Module):
    """The blocks of one resolution on one way: ResNet blocks, each with the transformers that run after it."""

    def __init__(self, resnets: Sequence[nn.Module], attentions: Sequence[nn.Module], followers: Sequence[int]) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        self.attentions = nn.ModuleList(attentions)
        self.downsamplers = nn.ModuleList()
        self.upsamplers = nn.ModuleList()
        self.followers = list(followers)

    def __iter__(self) -> Iterator[tuple[Any, list[nn.Module]]]:
        """Each ResNet block with its transformers."""
        rest = iter(self.attentions)
        for resnet, count in zip(self.resnets, self.followers, strict=True):
            yield resnet, [next(rest) for _ in range(count)]


class TextUNet(ModelMixin, ConfigMixin, PeftAdapterMixin, ABC):  # type: ignore[misc]
    """A text-conditioned UNet of any layout; subclasses say what its two kinds of blocks are."""

    conv_in: nn.Conv2d
    time_embedding: Any
    down_blocks: Any
    mid_block: Any
    up_blocks: Any

    def resnet(self, level: int, inputs: int, outputs: int, time: int | None) -> ResnetBlock2D:
        """Return a ResNet block of resolution ``level`` that reads a time embedding of ``time`` channels, or none."""
        return ResnetBlock2D(
            in_channels=inputs,
            out_channels=outputs,
            temb_channels=time,
            eps=NORM_EPS,
            groups=self.config["norm_num_groups"],
        )

    @abstractmethod
    def attention(self, level: int, channels: int) -> nn.Module:
        """Return a transformer of resolution ``level``; it is called as diffusers' Transformer2DModel."""

    def assemble(self, layout: Layout) -> None:
        """Make the modules of ``layout``.

        On the way up each ResNet block reads a skip connection of its resolution, the newest first, while there is one.
        """
        width = layout.channels[0]
        self.time_embedding = None
        if self.config.get("timestep") is None:
            self.time_proj = Timesteps(width, flip_sin_to_cos=True, downscale_freq_shift=0)
            read = self.config.get("time_cond_proj_dim")
            self.time_embedding = TimestepEmbedding(width, 4 * width, cond_proj_dim=read)
        self.conv_in = nn.Conv2d(self.config["in_channels"], width, 3, padding=1)
        self.down_blocks = nn.ModuleList()
        skips = self._assemble_down(layout)
        lowest = len(layout.channels) - 1
        self.mid_block = self._mid(lowest, layout.channels[-1], layout) if layout.mid_resnets else None
        self.up_blocks = nn.ModuleList()
        self._assemble_up(layout, skips)
        self.conv_norm_out = nn.GroupNorm(self.config["norm_num_groups"], width, eps=NORM_EPS)
        self.conv_act = nn.SiLU()
        self.conv_out = nn.Conv2d(width, self.config["out_channels"], 3, padding=1)
        self._skipped: set[nn.Module] = set()

    def _assemble_down(self, layout: Layout) -> list[list[int]]:
        """Make the way down; return the channels of the skip connections by resolution."""
        width = layout.channels[0]
        skips: list[list[int]] = []
        for level, outputs in enumerate(layout.channels):
            count = layout.down_resnets[level]
            inputs = [width, *[outputs] * (count - 1)]
            stage = self._stage(level, inputs, outputs, _spread(layout.down_attentions[level], count))
            skips.append([width, *[outputs] * count])
            if level + 1 < len(layout.channels):
                stage.downsamplers.append(Downsample2D(outputs, use_conv=True, padding=1, name="op"))
            self.down_blocks.append(stage)
            width = outputs
        return skips

    def _assemble_up(self, layout: Layout, skips: list[list[int]]) -> None:
        width = layout.channels[-1]
        for index, level in enumerate(reversed(range(len(layout.channels)))):
            outputs, count = layout.channels[level], layout.up_resnets[index]
            read = [skips[level].pop() if skips[level] else 0 for _ in range(count)]
            inputs = [before + skip for before, skip in zip([width, *[outputs] * (count - 1)], read, strict=True)]
            stage = self._stage(level, inputs, outputs, _spread(layout.up_attentions[index], count))
            if level:
                stage.upsamplers.append(Upsample2D(outputs, use_conv=True))
            self.up_blocks.append(stage)
            width = outputs

    def _mid(self, level: int, width: int, layout: Layout) -> Stage:
        # As in SD: one ResNet block, then transformers and ResNet blocks in turn.
        count = layout.mid_resnets
        before_last = _spread(layout.mid_attentions, max(count - 1, 1))
        return self._stage(level, [width] * count, width, [*before_last, *[0] * (count - len(before_last))])

    def _stage(self, level: int, inputs: Sequence[int], outputs: int, followers: Sequence[int]) -> Stage:
        time = None if self.time_embedding is None else 4 * self.conv_in.out_channels
        resnets = [self.resnet(level, each, outputs, time) for each in inputs]
        return Stage(resnets, [self.attention(level, outputs) for _ in range(sum(followers))], followers)

    def skippable(self) -> list[str]:
        """The names of all blocks that can be left out: transformers, and ResNet blocks that keep the width."""
        return [name for name, (_, fits) in self._blocks().items() if fits]

    def skip(self, names: Collection[str]) -> None:
        """Run these blocks as the identity from now on, and all others as they are (SnapFusion, section 3.1).

        A ResNet block on the way up leaves out its skip connection, too. Raises ValueError for a block that cannot be
        left out.
        """
        wrong = sorted(set(names) - set(self.skippable()))
        if wrong:
            raise ValueError(f"cannot leave out {', '.join(wrong)}")
        self._skipped = {self._blocks()[name][0] for name in names}

    def _blocks(self) -> dict[str, tuple[nn.Module, bool]]:
        """Every block by name, and whether the identity can stand in its place."""
        mid = {} if self.mid_block is None else {"mid_block": self.mid_block}
        ups = {f"up_blocks.{index}": stage for index, stage in enumerate(self.up_blocks)}
        stages = {f"down_blocks.{index}": stage for index, stage in enumerate(self.down_blocks)} | mid | ups
        found: dict[str, tuple[nn.Module, bool]] = {}
        width = self.conv_in.out_channels
        for name, stage in stages.items():
            for index, resnet in enumerate(stage.resnets):
                found[f"{name}.resnets.{index}"] = resnet, width == resnet.out_channels
                width = resnet.out_channels
            found |= {f"{name}.attentions.{index}": (each, True) for index, each in enumerate(stage.attentions)}
        return found

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        down_block_additional_residuals: Sequence[Tensor] | None = None,
        mid_block_additional_residual: Tensor | None = None,
        down_intrablock_additional_residuals: Sequence[Tensor] | None = None,
        timestep_cond: Tensor | None = None,
        return_dict: bool = True,
    ) -> UNet2DConditionOutput | tuple[Tensor]:
        """Return the prediction (B, C, h, w) for latents ``sample`` and text embeddings (B, T, D).

        The additional residuals are a control network's: added to all skip connections in their order, to the middle,
        and to the last block of each resolution on the way down before it is downsampled. ``timestep_cond`` (B, D) is
        an embedding of the guidance scale, for a UNet that has ``time_cond_proj_dim``. Raises ValueError where there
        are more or fewer residuals than this layout has.
        """
        time = None if self.time_embedding is None else self.embed_time(timestep, sample, timestep_cond)
        features = list(down_intrablock_additional_residuals or ())
        if len(features) > len(self.down_blocks):
            raise ValueError(f"{len(features)} feature maps for the {len(self.down_blocks)} resolutions of the UNet")
        hidden, skips = self._descend(sample, time, encoder_hidden_states, features)
        if down_block_additional_residuals is not None:
            skips = _added(skips, down_block_additional_residuals)
        for resnet, attentions in self.mid_block or ():
            hidden = self._run(resnet, attentions, hidden, None, time, encoder_hidden_states)
        if mid_block_additional_residual is not None:
            hidden = hidden + mid_block_additional_residual
        hidden = self._ascend(hidden, skips, time, encoder_hidden_states)
        predicted = self.conv_out(self.conv_act(self.conv_norm_out(hidden)))
        return UNet2DConditionOutput(sample=predicted) if return_dict else (predicted,)

    def embed_time(self, timestep: Tensor | float, sample: Tensor, cond: Tensor | None = None) -> Tensor:
        """Return the time embedding (B, D) of a timestep, for latents ``sample`` (B, C, h, w)."""
        steps = torch.as_tensor(timestep, device=sample.device).expand(sample.shape[0])
        embedding: Tensor = self.time_embedding(self.time_proj(steps).to(sample.dtype), cond)
        return embedding

    def _descend(
        self, sample: Tensor, time: Tensor | None, text: Tensor, features: list[Tensor]
    ) -> tuple[Tensor, list[list[Tensor]]]:
        hidden = self.conv_in(sample)
        skips = [[hidden]]
        for stage in self.down_blocks:
            for resnet, attentions in stage:
                hidden = self._run(resnet, attentions, hidden, None, time, text)
                skips[-1].append(hidden)
            if features:
                skips[-1][-1] = hidden = hidden + features.pop(0)
            for downsample in stage.downsamplers:
                hidden = downsample(hidden)
                skips.append([hidden])
        return hidden, skips

    def _ascend(self, hidden: Tensor, skips: list[list[Tensor]], time: Tensor | None, text: Tensor) -> Tensor:
        for stage in self.up_blocks:
            level = skips.pop()
            for resnet, attentions in stage:
                skip = level.pop() if level else None
                hidden = self._run(resnet, attentions, hidden, skip, time, text)
            for upsample in stage.upsamplers:  # to the size of the next skip connection: latents may be odd
                hidden = upsample(hidden, output_size=skips[-1][-1].shape[-2:])
        return hidden

    def _run(
        self,
        resnet: nn.Module,
        attentions: Sequence[nn.Module],
        hidden: Tensor,
        skip: Tensor | None,
        time: Tensor | None,
        text: Tensor,
    ) -> Tensor:
        if resnet not in self._skipped:
            hidden = resnet(hidden if skip is None else torch.cat([hidden, skip], dim=1), time)
        for attention in attentions:
            if attention not in self._skipped:
                hidden = attention(hidden, encoder_hidden_states=text, return_dict=False)[0]
        return hidden


def _spread(attentions: int, resnets: int) -> list[int]:
    """How many transformers run after each ResNet block: evenly, the odd ones late."""
    return [(i + 1) * attentions // resnets - i * attentions // resnets for i in range(resnets)]


def _added(skips: Sequence[Sequence[Tensor]], residuals: Sequence[Tensor]) -> list[list[Tensor]]:
    wanted = sum(map(len, skips))
    if len(residuals) != wanted:
        raise ValueError(f"{len(residuals)} control residuals for the {wanted} skip connections of the UNet")
    rest = iter(residuals)
    return [[skip + next(rest) for skip in level] for level in skips]
