"""The networks that metrics need, by the names that metrics call them."""

from __future__ import annotations

from ...core.registry import Entry, Registry
from .base import Network

NETWORKS: Registry[type[Network]] = Registry(
    "extractor",
    ".metrics.extractors.base:Network",
    {
        "inception": Entry(
            ".metrics.extractors.inception:Inception", "pool3 of the 2015 Inception network, as FID has it"
        ),
        "clip": Entry(".metrics.extractors.clip:Clip", "the suite's CLIP model, of open_clip"),
        "clip-vit-b-32": Entry(".metrics.extractors.clip:ClipViTB32", "CLIP ViT-B/32 of OpenAI"),
        "lpips": Entry(".metrics.extractors.lpips:Lpips", "LPIPS over AlexNet, VGG-16 or SqueezeNet"),
    },
    group="t2ibench.extractors",
)
