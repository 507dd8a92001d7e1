"""Metrics of the mini world, over models that know nothing but its drawn scenes: for its miniature methods alone.

The definitions are those of FID (Heusel et al., NeurIPS 2017), KID (Bińkowski et al., ICLR 2018) and CLIP score (Hessel
et al., EMNLP 2021). The numbers are none of these, and say nothing of pictures other than scenes.
"""

from __future__ import annotations

from .clip_score import raw_scores
from .editing import edited_scores
from .frechet import frechet, frechet_left_out
from .kernel import kernel_distance, kernel_left_out, protocol
from .metric import ImageMetric, SetMetric

MINI_FD = SetMetric(
    "mini_fd",
    higher_is_better=False,
    digits=3,
    network="mini-features",
    estimate=frechet,
    left_out=frechet_left_out,
    from_moments=True,
)

MINI_KD = SetMetric(
    "mini_kd",
    higher_is_better=False,
    digits=2,
    network="mini-features",
    protocol=protocol(),
    estimate=kernel_distance,
    left_out=kernel_left_out,
)

MINI_CLIP_SCORE = ImageMetric(
    "mini_clip_score",
    higher_is_better=True,
    digits=4,
    needs=("prompts",),
    network="mini-clip",
    protocol="cos",
    scores=raw_scores,
)

MINI_CLIP_SCORE_EDITED = ImageMetric(
    "mini_clip_score_edited",
    higher_is_better=True,
    digits=4,
    needs=("prompts", "edit"),
    network="mini-clip",
    protocol="cos",
    scores=edited_scores,
)
