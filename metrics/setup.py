"""How metrics are to be computed: models, transforms, device; a suite fixes it for a whole run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..core.weights import WeightsFinder
from .metric import CaptionReader, Observer


@dataclass(frozen=True)
class Setup:
    """Everything that a number depends on beside the pictures."""

    clip_model: str = "ViT-g-14"
    """An open_clip model name; the suite's CLIP score is by this one."""
    clip_pretrained: str = "laion2b_s34b_b88k"
    """The open_clip tag of its weights."""
    lpips_net: str = "squeeze"
    """``alex``, ``vgg`` or ``squeeze``."""
    inception_resize: str = "tf-bilinear"
    """How pictures get to Inception's size: ``tf-bilinear``, ``clean-fid``, ``pytorch-fid``, ``torchmetrics``."""
    generated_transform: str = "as-is"
    """What generated pictures go through before each extractor; see ``transforms``."""
    reference_transform: str = "as-is"
    device: str = "cpu"
    dtype: str = "fp32"
    """Of the networks: ``fp32``, or ``bf16`` and ``fp16`` by autocast."""
    batch_size: int | None = None
    """Of the networks; None is 8 on a CPU, where more is slower, and 64 elsewhere."""
    weights: WeightsFinder = field(default_factory=WeightsFinder)
    cache: Path | None = None
    """The folder of the feature cache; None keeps none."""
    caption_reader: CaptionReader | None = None
    """Who tells what pictures show, for ``caption_accuracy``."""
    observers: Mapping[str, Observer] = field(default_factory=dict)
    """Who finds in pictures what they were asked to show, by kind (``metric.Observed``)."""
