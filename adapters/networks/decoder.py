"""A latent decoder of its own width beside a standard autoencoder, as in SnapFusion and MobileDiffusion."""

from __future__ import annotations

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import Decoder
from torch import Tensor, nn

from ...core.errors import BenchError


class LatentDecoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """The second half of a diffusers AutoencoderKL, under the same names: its weights, cut to size, fit.

    The default is the decoder of SD1.x with half the channels (SnapFusion, section 3.2).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        latent_channels: int = 4,
        out_channels: int = 3,
        block_out_channels: tuple[int, ...] = (64, 128, 256, 256),
        layers_per_block: int = 2,
        norm_num_groups: int = 32,
    ) -> None:
        super().__init__()
        self.post_quant_conv = nn.Conv2d(latent_channels, latent_channels, 1)
        self.decoder = Decoder(
            in_channels=latent_channels,
            out_channels=out_channels,
            up_block_types=("UpDecoderBlock2D",) * len(block_out_channels),
            block_out_channels=block_out_channels,
            layers_per_block=layers_per_block,
            norm_num_groups=norm_num_groups,
        )

    @property
    def reads(self) -> tuple[int, int]:
        """Channels of the latents, and pixels along a side of what becomes of each place of them."""
        return self.config.latent_channels, 2 ** (len(self.config.block_out_channels) - 1)

    def forward(self, latents: Tensor) -> Tensor:
        """Return pictures (B, 3, H, W), about [-1, 1], from latents (B, C, h, w) in the autoencoder's own scale."""
        pictures: Tensor = self.decoder(self.post_quant_conv(latents))
        return pictures


def check_latents(decoder: LatentDecoder, checkpoint: str, made: tuple[int, int], maker: str) -> None:
    """Raise BenchError where the decoder of a checkpoint does not read the latents (channels, pixels) that are made."""
    if decoder.reads != made:
        (ours, pixels), (theirs, encoded) = decoder.reads, made
        raise BenchError(
            f"the decoder of '{checkpoint}' reads latents of {ours} channels and {pixels} pixels, "
            f"{maker} makes {theirs} and {encoded}"
        )


def mobilediffusion_lite() -> LatentDecoder:
    """MobileDiffusion's Lite decoder of 8-channel latents, narrow and shallow (9.8 M published, 9.7 M here)."""
    decoder: LatentDecoder = LatentDecoder(8, block_out_channels=(64, 128, 256, 256), layers_per_block=1)
    return decoder
