"""Codecs under test: VAEs, their tiny stand-ins, and baselines that need no weights."""

from __future__ import annotations

from ...core.registry import Entry, Registry
from ..spec import construct, parse
from .base import Codec

CODECS: Registry[type[Codec]] = Registry(
    kind="codec",
    base=".adapters.codecs.base:Codec",
    entries={
        "sd-vae": Entry(
            ".adapters.codecs.autoencoder:StableDiffusionVae", "Stable Diffusion's VAE, ft-mse: 4 channels, f8"
        ),
        "taesd": Entry(".adapters.codecs.autoencoder:Taesd", "TAESD, tiny autoencoder of SD latents: 4 channels, f8"),
        "vae": Entry(
            ".adapters.codecs.autoencoder:Autoencoder",
            "vae:ID_OR_DIR[space=NAME,decoder=ID_OR_DIR], any AutoencoderKL or AutoencoderTiny of diffusers",
        ),
        "taef2": Entry(".adapters.codecs.taef2:Taef2", "TAEF2, tiny autoencoder of FLUX.2 latents: 32 channels, f8"),
        "vaelight": Entry(
            ".adapters.codecs.vaelight:VaeLight", "VAElight, 1 MB preview codec of SD latents (ONNX): 4 channels, f8"
        ),
        "jpeg": Entry(".adapters.codecs.baselines:Jpeg", "jpeg[quality=75], JPEG by Pillow; needs no weights"),
        "bicubic": Entry(
            ".adapters.codecs.baselines:Bicubic", "bicubic[factor=8], down and up again; needs no weights"
        ),
    },
    group="t2ibench.codecs",
)
"""Every codec class by name."""


def make_codec(text: str) -> Codec:
    """Return the codec that ``name[:argument][option=value,...]`` names, not yet loaded.

    Raises BenchError for an unknown name or option, and for an option out of range.
    """
    spec = parse(text)
    codec: Codec = construct(CODECS.get(spec.name), spec, spec.options)
    return codec
