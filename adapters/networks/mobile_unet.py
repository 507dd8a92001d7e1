"""MobileDiffusion's UNet: most transformers at the lowest resolution, as in UViT (Zhao et al. 2023, section 3.1)."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import FeedForward
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn import functional

from .unet import Layout, TextUNet

KINDS = ("softmax", "relu")


class MobileUNet(TextUNet):
    """The UNet of MobileDiffusion; the default is its full size.

    All tuples have one entry per resolution, the highest first, those of the way up the lowest first. After each ResNet
    block run ``down_transformers`` or ``up_transformers`` transformers: cross-attention and feed-forward, with
    self-attention before them where ``self_attention`` says so (16×16 alone in the paper). ``separable`` resolutions
    have a depthwise and a pointwise convolution in place of each 3×3 one in their ResNet blocks. There is no block in
    the middle. ``attention`` is ``softmax`` or ``relu``; the paper fine-tunes to ReLU after training. ``sample_size``,
    the side of the latents that it is trained on, decides nothing here; others read it, as in diffusers' UNets. With
    ``time_cond_proj_dim`` it also reads an embedding of the guidance scale of that width. One that is ``folded`` knows
    ``timestep`` alone and has no time embedding; what that one would add is in its biases.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 8,
        out_channels: int = 8,
        block_out_channels: tuple[int, ...] = (320, 640, 1024),
        down_resnets: tuple[int, ...] = (1, 1, 2),
        down_transformers: tuple[int, ...] = (0, 1, 3),
        up_resnets: tuple[int, ...] = (3, 2, 2),
        up_transformers: tuple[int, ...] = (3, 1, 0),
        self_attention: tuple[bool, ...] = (False, False, True),
        separable: tuple[bool, ...] = (False, False, True),
        attention_head_dim: int = 64,
        cross_attention_dim: int = 768,
        expansion: int = 3,
        attention: str = "softmax",
        norm_num_groups: int = 32,
        sample_size: int = 64,
        time_cond_proj_dim: int | None = None,
        timestep: int | None = None,
    ) -> None:
        super().__init__()
        if attention not in KINDS:
            raise ValueError(f"unknown attention '{attention}' (known: {', '.join(KINDS)})")
        down = [count * resnets for count, resnets in zip(down_transformers, down_resnets, strict=True)]
        up = [count * resnets for count, resnets in zip(up_transformers, up_resnets, strict=True)]
        self.assemble(Layout(block_out_channels, down_resnets, down, 0, 0, up_resnets, up))

    def resnet(self, level: int, inputs: int, outputs: int, time: int | None) -> ResnetBlock2D:
        block = super().resnet(level, inputs, outputs, time)
        if self.config["separable"][level]:
            block.conv1, block.conv2 = _separable(inputs, outputs), _separable(outputs, outputs)
        return block

    def attention(self, level: int, channels: int) -> nn.Module:
        return Transformer(channels, self.config, with_self=self.config["self_attention"][level])


def folded(unet: MobileUNet, timestep: int) -> MobileUNet:
    """Return a UNet that predicts at ``timestep`` what ``unet`` does, and knows no other.

    A time embedding adds to each channel after the first convolution of a ResNet block what depends on the timestep
    alone. Where that is always the same, as in one step, it is part of the bias. Raises ValueError for a UNet that is
    folded already, or that also reads a guidance scale.
    """
    if unet.config["timestep"] is not None or unet.config["time_cond_proj_dim"]:
        raise ValueError("a UNet that is folded, or that reads a guidance scale, cannot be folded")
    made: MobileUNet = MobileUNet.from_config(unet.config, timestep=timestep)
    weights = {name: value.clone() for name, value in unet.state_dict().items() if "time_emb" not in name}
    made.load_state_dict(weights, assign=True)
    with torch.no_grad():
        time = functional.silu(unet.embed_time(timestep, unet.conv_in.weight.new_zeros(1, 1, 1, 1)))
        for theirs, ours in zip(_resnets(unet), _resnets(made), strict=True):
            convolution: Any = ours.conv1[-1] if isinstance(ours.conv1, nn.Sequential) else ours.conv1
            convolution.bias += theirs.time_emb_proj(time)[0]
    return made


def _resnets(unet: MobileUNet) -> list[ResnetBlock2D]:
    return [module for module in unet.modules() if isinstance(module, ResnetBlock2D)]


def lite() -> MobileUNet:
    """MobileDiffusion-Lite: narrower, and two transformers after each ResNet block on the way up."""
    unet: MobileUNet = MobileUNet(block_out_channels=(320, 640, 896), up_transformers=(2, 1, 0))
    return unet


class Transformer(nn.Module):
    """Self-attention (where asked for), cross-attention and a gated feed-forward layer between two projections.

    Self-attention has one projection for keys and values, the feed-forward layer swish in place of GELU.
    """

    def __init__(self, channels: int, config: Any, *, with_self: bool) -> None:
        super().__init__()
        heads, kind = max(channels // config["attention_head_dim"], 1), config["attention"]
        self.norm = nn.GroupNorm(config["norm_num_groups"], channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.norm1 = nn.LayerNorm(channels) if with_self else None
        self.attn1 = Attention(channels, channels, heads, kind, shared=True) if with_self else None
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = Attention(channels, config["cross_attention_dim"], heads, kind)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels, mult=config["expansion"], activation_fn="swiglu")
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, hidden: Tensor, encoder_hidden_states: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        """Map (B, C, h, w) to the same shape, in a tuple as diffusers' Transformer2DModel gives it."""
        tokens = self.proj_in(self.norm(hidden).flatten(2).transpose(1, 2))
        if self.attn1 is not None and self.norm1 is not None:
            normed = self.norm1(tokens)
            tokens = tokens + self.attn1(normed, normed)
        tokens = tokens + self.attn2(self.norm2(tokens), encoder_hidden_states)
        tokens = tokens + self.ff(self.norm3(tokens))
        return (hidden + self.proj_out(tokens).transpose(1, 2).reshape(hidden.shape),)


class Attention(nn.Module):
    """Multi-head attention of ``channels`` to a context, with softmax or ReLU; ``shared`` keys are the values, too."""

    def __init__(self, channels: int, context: int, heads: int, kind: str, shared: bool = False) -> None:
        super().__init__()
        self.heads, self.kind = heads, kind
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context, channels, bias=False)
        self.to_v = None if shared else nn.Linear(context, channels, bias=False)
        self.to_out = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        """Map (B, N, C) and a context (B, M, D) to (B, N, C)."""
        keys = self.to_k(context)
        values = keys if self.to_v is None else self.to_v(context)
        mix = functional.scaled_dot_product_attention if self.kind == "softmax" else relu_attention
        mixed = mix(*(self._split(each) for each in (self.to_q(tokens), keys, values)))
        merged: Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return merged

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.view(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


def relu_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return ReLU(Q Kᵀ / √d) V / M over M keys, all (B, heads, N or M, d) (Wortsman et al. 2023)."""
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return torch.relu(scores) @ value / key.shape[-2]


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs), nn.Conv2d(inputs, outputs, 1))
