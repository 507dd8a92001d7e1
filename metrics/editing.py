"""Metrics of edited pictures: did the edit follow the text, and did it leave the rest alone.

They are pure functions on features, keys and pictures that are already there. PIE-Bench (Ju et al., "PnP Inversion:
Boosting Diffusion-based Editing with 3 Lines of Code", ICLR 2024) takes those of structure and background, and the CLIP
score of the whole and of the edited part. Where the true picture after the edit is known, as of drawn scenes, an
observer tells what came of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .clip_score import cosines
from .metric import CannotMeasure, Evidence, ImageMetric
from .pairwise import psnr, ssim
from .panorama import Distances
from .stats import share_interval
from .transforms import Picture

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Outcome(NamedTuple):
    """What came of an edit, by an observer who knows the true pictures before and after it."""

    done: bool
    """Whether what is to be new is there, and what is to go is not."""
    kept: tuple[bool, ...]
    """Of each object that the edit should leave alone, whether it is still as and where it was."""


def clip_directional_similarity(
    source: NDArray[Any], edited: NDArray[Any], source_text: NDArray[Any], target_text: NDArray[Any]
) -> Floats:
    """Return cos(E(edited) - E(source), E(target text) - E(source text)) of each row, in [-1, 1]; higher is better.

    All four are CLIP embeddings (n, d), brought to unit length before the differences. A picture or text that did not
    change has no direction and counts as 0. Gal et al., "StyleGAN-NADA", SIGGRAPH 2022, as Brooks et al.,
    "InstructPix2Pix", CVPR 2023, measure with it.
    """
    pictures = _unit(edited) - _unit(source)
    texts = _unit(target_text) - _unit(source_text)
    lengths = np.linalg.norm(pictures, axis=1) * np.linalg.norm(texts, axis=1)
    products = (pictures * texts).sum(axis=1)
    return np.asarray(np.divide(products, lengths, out=np.zeros(len(products)), where=lengths > 0))


def clip_image_similarity(source: NDArray[np.float32], edited: NDArray[np.float32]) -> Floats:
    """Return cos(E(source), E(edited)) of CLIP embeddings (n, d) row by row, in [-1, 1]; higher is more alike.

    Brooks et al., "InstructPix2Pix: Learning to Follow Image Editing Instructions", CVPR 2023.
    """
    return cosines(source, edited)


def structure_distance(source_keys: NDArray[Any], edited_keys: NDArray[Any]) -> float:
    """Return the mean squared difference of the self-similarities of DINO keys, at least 0; lower is better.

    S_ij = cos(kᵢ, kⱼ) over the keys (tokens, d) of all heads of the last layer of DINO ViT-B/8 at 224 pixels, the class
    token among them. Tumanyan et al., "Splicing ViT Features for Semantic Appearance Transfer", CVPR 2022.
    PIE-Bench's code feeds that network values of 0 to 255, not 0 to 1. Raises CannotMeasure where the shapes differ.
    """
    if source_keys.shape != edited_keys.shape:
        raise CannotMeasure(f"keys of unlike shape: {source_keys.shape} and {edited_keys.shape}")
    return float(np.mean((_self_similarity(source_keys) - _self_similarity(edited_keys)) ** 2))


def edited_part(picture: Picture, edit: Mask) -> Picture:
    """Return the picture (H, W, 3) with all but the edited region, True in ``edit`` (H, W), set to 0.

    Raises CannotMeasure for a mask of another size, or one that leaves nothing.
    """
    if not edit.any():
        raise CannotMeasure("nothing is edited")
    return background(picture, ~edit)


def background(picture: Picture, edit: Mask) -> Picture:
    """Return the picture (H, W, 3) with the edited region, True in ``edit`` (H, W), set to 0.

    Raises CannotMeasure for a mask of another size, or one that leaves nothing.
    """
    if edit.shape != picture.shape[:2]:
        raise CannotMeasure(f"the mask is {edit.shape}, the picture {picture.shape[:2]}")
    if edit.all():
        raise CannotMeasure("the whole picture is edited: there is no background")
    return np.asarray(np.where(edit[..., None], np.uint8(0), picture))


def background_psnr(source: Picture, edited: Picture, edit: Mask) -> float:
    """Return the PSNR of what lies outside the edit in dB, the edited region equal on both sides; higher is better.

    The mean squared error is over all pixels, the edited ones with 0, so a large mask raises it: PIE-Bench's convention
    (Ju et al. 2024), to be compared at equal masks only.
    """
    return psnr(background(edited, edit), background(source, edit))


def background_mse(source: Picture, edited: Picture, edit: Mask) -> float:
    """Return the mean squared error outside the edit, of values 0 to 1, over all pixels; lower is better.

    Ju et al., "PnP Inversion", ICLR 2024 (PIE-Bench).
    """
    error = background(edited, edit).astype(np.float64) - background(source, edit)
    return float(np.mean((error / 255) ** 2))


def background_ssim(source: Picture, edited: Picture, edit: Mask) -> float:
    """Return SSIM with the edited region black on both sides, in [-1, 1]; higher is better.

    It averages over the whole picture, reflected at its border, as torchmetrics does for PIE-Bench (Ju et al. 2024).
    """
    return ssim(background(edited, edit), background(source, edit), border="reflect")


def background_lpips(source: Picture, edited: Picture, edit: Mask, distances: Distances) -> float:
    """Return LPIPS with the edited region black on both sides, at least 0; lower is better.

    PIE-Bench (Ju et al. 2024) takes ``distances`` over SqueezeNet.
    """
    return float(distances([background(edited, edit)], [background(source, edit)])[0])


def _unit(rows: NDArray[Any]) -> Floats:
    values = np.asarray(rows, np.float64)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True))


def _self_similarity(keys: NDArray[Any]) -> Floats:
    values = np.asarray(keys, np.float64)
    lengths = np.linalg.norm(values, axis=1)
    return np.asarray(values @ values.T / np.maximum(np.outer(lengths, lengths), 1e-8))


def _kept(
    name: str, score: Callable[[Picture, Picture, Mask], float], *, higher: bool, digits: int, unit: str = ""
) -> ImageMetric:
    """A metric of what lies outside the edit."""
    return ImageMetric(
        name,
        higher_is_better=higher,
        digits=digits,
        unit=unit,
        needs=("source", "edit"),
        scores=lambda evidence: _of_backgrounds(evidence, score),
        left_out=_LEFT_OUT,
    )


def background_lpips_scores(evidence: Evidence) -> list[float]:
    """Return ``background_lpips`` of each picture; NaN where all of it is edited, which the mean leaves out."""
    return _of_backgrounds(evidence, partial(background_lpips, distances=evidence.network.distances))


def edited_scores(evidence: Evidence) -> list[float]:
    """Return cos(E(edited part), E(prompt)) of each picture, all but the edited part black, in [-1, 1].

    PIE-Bench (Ju et al., "PnP Inversion", ICLR 2024) takes it beside that of the whole picture.
    """
    assert evidence.texts is not None
    parts = [edited_part(*pair) for pair in zip(evidence.pictures, evidence.asked["edit"], strict=True)]
    network = evidence.network
    network.load()
    features = network.features([network.prepare(part) for part in parts])
    return [float(value) for value in cosines(features, evidence.texts)]


def edited_scores_x100_clamped(evidence: Evidence) -> list[float]:
    """Return max(100 · cos(E(edited part), E(prompt)), 0) of each picture, as PIE-Bench has it (``edited_scores``)."""
    return [max(100 * value, 0.0) for value in edited_scores(evidence)]


def edits_done(evidence: Evidence) -> list[float]:
    """Return 1 for each picture that shows what its edit asks for, else 0; what else became of it plays no part.

    Of drawn scenes: an object of the new shape and colour is there, nothing is left of the old or removed one in its
    place, the background has the new colour. The interval is Wilson's for a share.
    """
    return [float(outcome.done) for outcome in evidence.seen["edited"]]


def shares_kept(evidence: Evidence) -> list[float]:
    """Return of each picture the share of the objects that its edit should leave alone and that are as they were.

    Of drawn scenes: one of the same shape and colour is there, and overlaps with where it was by at least half of both
    (IoU). NaN where the edit leaves no object alone, which the mean leaves out.
    """
    return [float(np.mean(outcome.kept)) if outcome.kept else np.nan for outcome in evidence.seen["edited"]]


def _of_backgrounds(evidence: Evidence, score: Callable[[Picture, Picture, Mask], float]) -> list[float]:
    """NaN where all of a picture is edited (PIE-Bench's changes of style), as PIE-Bench's own evaluation has it."""
    sides = zip(evidence.asked["source"], evidence.pictures, evidence.asked["edit"], strict=True)
    return [np.nan if edit.all() else score(source, edited, edit) for source, edited, edit in sides]


_LEFT_OUT = "edited as a whole, or unchanged outside of the edit (infinite)"


BACKGROUND_PSNR = _kept("background_psnr", background_psnr, higher=True, digits=2, unit="dB")
BACKGROUND_MSE = _kept("background_mse", background_mse, higher=False, digits=5)
BACKGROUND_SSIM = _kept("background_ssim", background_ssim, higher=True, digits=4)
BACKGROUND_LPIPS = ImageMetric(
    "background_lpips",
    higher_is_better=False,
    digits=4,
    needs=("source", "edit"),
    network="lpips",
    scores=background_lpips_scores,
    left_out=_LEFT_OUT,
)
EDIT_SUCCESS = ImageMetric(
    "edit_success",
    higher_is_better=True,
    digits=3,
    needs=("edited",),
    scores=edits_done,
    interval=share_interval,
)
OBJECTS_KEPT = ImageMetric(
    "objects_kept",
    higher_is_better=True,
    digits=3,
    needs=("edited",),
    scores=shares_kept,
    left_out="without an object that their edit should leave alone",
)
CLIP_SCORE_EDITED_X100_CLAMPED = ImageMetric(
    "clip_score_edited_x100_clamped",
    higher_is_better=True,
    digits=2,
    needs=("prompts", "edit"),
    network="clip",
    protocol="cos-x100-clamped",
    scores=edited_scores_x100_clamped,
)
