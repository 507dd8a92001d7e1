"""SnapFusion's efficient UNet: SD1.5's blocks, in other numbers per resolution (Li et al. 2023, Table 3)."""

from __future__ import annotations

from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import AttentionMixin
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn

from .unet import Layout, TextUNet


class EfficientUNet(TextUNet, AttentionMixin):  # type: ignore[misc]
    """A UNet of SD1.5's blocks whose numbers per resolution are configuration; the default is the paper's.

    ``*_resnets`` and ``*_attentions`` count ResNet and cross-attention blocks: downwards from the highest resolution,
    upwards from the lowest. The paper sums the lowest resolution's ResNet blocks (7 in SD1.5, 4 in its own) over down,
    middle and up; with one at least on each way, 1 + 1 + 2 is the split of 4 that reads every skip connection.
    Transformers are spread evenly over the ResNet blocks of a stage: 6 at 2 make 3 after each. ``sample_size``, the
    side of the latents that it is trained on, decides nothing here; others read it, as in diffusers' UNets. With
    ``time_cond_proj_dim`` it also reads an embedding of the guidance scale of that width (Meng et al. 2023).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 4,
        out_channels: int = 4,
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        down_resnets: tuple[int, ...] = (2, 2, 1, 1),
        down_attentions: tuple[int, ...] = (0, 2, 2, 0),
        mid_resnets: int = 1,
        mid_attentions: int = 1,
        up_resnets: tuple[int, ...] = (2, 2, 3, 3),
        up_attentions: tuple[int, ...] = (0, 6, 3, 0),
        num_attention_heads: int = 8,
        cross_attention_dim: int = 768,
        norm_num_groups: int = 32,
        sample_size: int = 64,
        time_cond_proj_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.assemble(
            Layout(
                block_out_channels,
                down_resnets,
                down_attentions,
                mid_resnets,
                mid_attentions,
                up_resnets,
                up_attentions,
            )
        )

    def attention(self, level: int, channels: int) -> nn.Module:
        heads = self.config["num_attention_heads"]
        block: nn.Module = Transformer2DModel(
            heads,
            channels // heads,
            in_channels=channels,
            cross_attention_dim=self.config["cross_attention_dim"],
            norm_num_groups=self.config["norm_num_groups"],
        )
        return block


def sd15() -> EfficientUNet:
    """SD1.5's own UNet in these terms: weights and predictions are those of diffusers' UNet2DConditionModel."""
    unet: EfficientUNet = EfficientUNet(
        down_resnets=(2, 2, 2, 2),
        down_attentions=(2, 2, 2, 0),
        mid_resnets=2,
        up_resnets=(3, 3, 3, 3),
        up_attentions=(0, 3, 3, 3),
    )
    return unet
