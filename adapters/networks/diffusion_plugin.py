"""The diffusion plugin of MediaPipe: a small network that steers a latent diffusion UNet by a condition map.

"On-device diffusion plugins for conditioned text-to-image generation", Google Research, 2023: inverted bottlenecks and
depthwise convolutions of MobileNetV2 (Sandler et al. 2018) read the condition once per picture, and features of several
scales are added to the levels of the UNet's encoder. Google publishes neither the layout nor weights in a torch format;
this layout is built to the published size of 6 M parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import gcd
from typing import Any

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn


def full_size() -> dict[str, Any]:
    """Return the configuration for SD1.5 at 512×512: 5.95 M parameters, 2.46 G multiply-adds."""
    return {
        "stem_channels": 32,
        "stem_stride": 2,
        "width": 1.25,
        "rows": [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 96, 4, 2], [6, 160, 4, 2], [6, 320, 2, 2]],
        "taps": [2, 3, 4, 5],
        "out_channels": [320, 640, 1280, 1280],
    }


class DiffusionPlugin(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """MobileNetV2 without its head; some rows give features, through a 1×1 convolution, to a level of a UNet.

    ``rows`` are those of MobileNetV2's table: expansion, channels, repeats, stride of the first. ``width`` multiplies
    all channels but the output's. Row number ``taps[i]`` gives ``out_channels[i]``.

    The last convolutions are zero at first, so that training starts at the plain base, as ControlNet's does. Group
    normalisation, not MobileNetV2's batch normalisation: a picture's features depend on no other picture and are the
    same in training as in use, however small the batch is; a phone pays for it with a pass over the activations that
    batch normalisation, folded into the convolutions, would not take. ``norm_groups`` are fewer where they do not
    divide the channels.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        stem_channels: int,
        stem_stride: int,
        width: float,
        rows: Sequence[Sequence[int]],
        taps: Sequence[int],
        out_channels: Sequence[int],
        in_channels: int = 3,
        norm_groups: int = 8,
    ) -> None:
        super().__init__()
        widths = [round(width * channels) for channels in (stem_channels, *(row[1] for row in rows))]
        self.stem = _normed(nn.Conv2d(in_channels, widths[0], 3, stem_stride, 1, bias=False), norm_groups)
        self.trunk = nn.ModuleList(
            _row(inputs, outputs, expansion, repeats, stride, norm_groups)
            for (inputs, outputs), (expansion, _, repeats, stride) in zip(pairwise(widths), rows, strict=True)
        )
        self.heads = nn.ModuleList(
            _zero(nn.Conv2d(widths[tap + 1], outputs, 1)) for tap, outputs in zip(taps, out_channels, strict=True)
        )

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Map condition maps (B, C, H, W) in [-1, 1] to features (B, ``out_channels[i]``, h, w), one per tap."""
        x, found = self.stem(pictures), {}
        for index, row in enumerate(self.trunk):
            x = found[index] = row(x)
        return [head(found[tap]) for tap, head in zip(self.config.taps, self.heads, strict=True)]


class InvertedBottleneck(nn.Module):
    """Widen, filter each channel by itself, narrow without an activation (Sandler et al. 2018, table 1)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, groups: int) -> None:
        super().__init__()
        wide = inputs * expansion
        widen = _normed(nn.Conv2d(inputs, wide, 1, bias=False), groups) if expansion > 1 else nn.Identity()
        filtered = _normed(nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), groups)
        narrow = nn.Conv2d(wide, outputs, 1, bias=False)
        self.layers = nn.Sequential(widen, filtered, narrow, _norm(outputs, groups))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


def _row(inputs: int, outputs: int, expansion: int, repeats: int, stride: int, groups: int) -> nn.Sequential:
    first = InvertedBottleneck(inputs, outputs, expansion, stride, groups)
    others = (InvertedBottleneck(outputs, outputs, expansion, 1, groups) for _ in range(repeats - 1))
    return nn.Sequential(first, *others)


def _normed(convolution: nn.Conv2d, groups: int) -> nn.Sequential:
    return nn.Sequential(convolution, _norm(convolution.out_channels, groups), nn.ReLU6())


def _norm(channels: int, groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(gcd(channels, groups), channels)


def _zero(convolution: nn.Conv2d) -> nn.Conv2d:
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)
    return convolution


class FeatureDownBlock(nn.Module):
    """A ``DownBlock2D`` that takes features where diffusers' cross-attending block does, before it downsamples.

    diffusers adds the features of a plain block after its downsampler, where those of its own level do not fit: SD1.5
    has such a block only at the bottom, without a downsampler, an efficient UNet at the top.
    """

    has_cross_attention = True
    """Has ``UNet2DConditionModel`` hand the features over; attends to nothing."""

    resnets: nn.ModuleList
    downsamplers: nn.ModuleList

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.resnets, self.downsamplers = block.resnets, block.downsamplers

    def forward(
        self, hidden_states: Tensor, temb: Tensor, additional_residuals: Tensor | None = None, **_: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the downsampled states and the skip connections, as ``DownBlock2D`` does."""
        states: list[Tensor] = []
        for resnet in self.resnets:
            hidden_states = resnet(hidden_states, temb)
            states.append(hidden_states)
        if additional_residuals is not None:
            states[-1] = hidden_states = hidden_states + additional_residuals
        for downsampler in self.downsamplers:
            hidden_states = downsampler(hidden_states)
            states.append(hidden_states)
        return hidden_states, tuple(states)


def take_features(unet: Any) -> None:
    """Let the plain blocks of a ``UNet2DConditionModel`` take features of their own level, all else as it was."""
    from diffusers.models.unets.unet_2d_blocks import DownBlock2D

    for index, block in enumerate(unet.down_blocks):
        if type(block) is DownBlock2D and block.downsamplers is not None:
            unet.down_blocks[index] = FeatureDownBlock(block)
