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
        "clip-vit-l-14-336": Entry(
            ".metrics.extractors.clip:ClipViTL14At336", "CLIP ViT-L/14 of OpenAI at 336 pixels, as CMMD has it"
        ),
        "clip-aesthetic": Entry(
            ".metrics.extractors.aesthetic:ClipAesthetic", "LAION's aesthetic predictor over CLIP ViT-L/14"
        ),
        "hps-v2": Entry(".metrics.extractors.clip:HpsV2", "HPS v2.0, CLIP ViT-H/14 tuned on human preferences"),
        "hps-v2.1": Entry(".metrics.extractors.clip:HpsV21", "HPS v2.1, CLIP ViT-H/14 tuned on human preferences"),
        "dinov2": Entry(".metrics.extractors.dinov2:DinoV2", "class token of DINOv2 ViT-L/14"),
        "mini-features": Entry(
            ".metrics.extractors.mini:MiniFeatures", "pooled features of a small ResNet that knows drawn scenes"
        ),
        "mini-clip": Entry(
            ".metrics.extractors.mini:MiniClip", "a small CLIP that knows drawn scenes and their captions"
        ),
        "lpips": Entry(".metrics.extractors.lpips:Lpips", "LPIPS over AlexNet, VGG-16 or SqueezeNet"),
        "lpips-alex": Entry(".metrics.extractors.lpips:LpipsAlex", "LPIPS over AlexNet"),
        "lpips-vgg": Entry(".metrics.extractors.lpips:LpipsVgg", "LPIPS over VGG-16"),
        "lpips-squeeze": Entry(".metrics.extractors.lpips:LpipsSqueeze", "LPIPS over SqueezeNet 1.1"),
    },
    group="t2ibench.extractors",
)
