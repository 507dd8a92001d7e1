"""SnapFusion: an efficient UNet and a narrow decoder, distilled to 8 steps (Li et al. 2023, arXiv:2306.00980)."""

from __future__ import annotations

from .base import Settings, Traits
from .unreleased import Unreleased


class SnapFusion(Unreleased):
    """SnapFusion with any numbers of blocks per resolution.

    What the UNet predicts (velocity, in the paper) is read from the checkpoint's scheduler configuration. The paper
    shows guidance scales of 1 to 10.5 and recommends none; the default is SD1.5's.
    """

    traits = Traits(defaults=Settings("ddim", 8, 7.5))
    components = {
        "text_encoder": "CLIPTextModel",
        "unet": "EfficientUNet",
        "vae": "AutoencoderKL",
        "decoder": "LatentDecoder",
    }
    family = "SnapFusion"
    method = "snapfusion"
