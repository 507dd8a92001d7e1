"""Scores of pairs of pictures, and of pictures with prompts, against the packages that people compare with."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lpips
import numpy as np
import open_clip
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from made import TINY_CLIP, smooth_picture
from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics.clip_score import cosines, scores_x100_clamped
from t2ibench.metrics.extractors.clip import Clip
from t2ibench.metrics.extractors.lpips import Lpips
from t2ibench.metrics.metric import Evidence
from t2ibench.metrics.pairwise import ms_ssim, psnr, ssim
from t2ibench.metrics.setup import Setup

SKIMAGE = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
"""SSIM as Wang et al. 2004 define it."""


def as_batch(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float()


# --- pairs ------------------------------------------------------------------------------------------------------------


def psnr_error() -> float:
    pairs = ((smooth_picture(seed, 40, 57), smooth_picture(seed + 10, 40, 57)) for seed in range(3))
    return max(abs(psnr(a, b) - peak_signal_noise_ratio(a, b, data_range=255)) for a, b in pairs)


def ssim_error(a: np.ndarray, b: np.ndarray) -> float:
    return abs(ssim(a, b) - structural_similarity(a, b, channel_axis=2, **SKIMAGE))


def ssim_errors() -> float:
    sizes = ((40, 57), (11, 11), (26, 43), (27, 128), (300, 12))
    return max(ssim_error(smooth_picture(h, h, w), smooth_picture(w, h, w)) for h, w in sizes)


def torchmetrics_ssim_error() -> float:
    from torchmetrics.functional.image import structural_similarity_index_measure

    a, b = smooth_picture(1, 60, 47), smooth_picture(2, 60, 47)
    theirs = structural_similarity_index_measure(as_batch(a), as_batch(b), data_range=255.0)
    return abs(ssim(a, b, "reflect") - float(theirs))


def ms_ssim_error() -> float:
    """Also of pictures that are brighter or inverted, whose contrast is alike or opposed."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as theirs

    def error(a: np.ndarray, b: np.ndarray) -> float:
        return abs(ms_ssim(a, b) - float(theirs(as_batch(a), as_batch(b), data_range=255.0)))

    firsts = [smooth_picture(1, *size) for size in ((176, 176), (177, 213))]
    brighter = (np.clip(a.astype(int) + 9, 0, 255).astype(np.uint8) for a in firsts)
    others = (smooth_picture(2, *a.shape[:2]) for a in firsts)
    seconds = zip(others, brighter, (255 - a for a in firsts), strict=True)
    return max(error(a, b) for a, row in zip(firsts, seconds, strict=True) for b in row)


def lpips_error(backbone: Path, net: str, package: str, size: tuple[int, int] = (48, 40)) -> float:
    """Over random feature layers and the published heads; ``package`` is ``lpips`` or ``torchmetrics``."""
    a, b = smooth_picture(1, *size), smooth_picture(2, *size)
    with torch.no_grad():
        theirs = _their_lpips(backbone, net, package)(*(as_batch(side) / 127.5 - 1 for side in (a, b)))
    ours = Lpips(Setup(weights=WeightsFinder({f"lpips-{net}": backbone}, offline=True), lpips_net=net))
    return abs(float(ours.distances([a], [b])[0]) - float(theirs))


def _their_lpips(backbone: Path, net: str, package: str) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips calls torchvision by arguments that it has renamed
        if package == "lpips":
            network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
        else:
            from torchmetrics.functional.image.lpips import _NoTrainLpips

            network = _NoTrainLpips(net=net, pnet_rand=True)
    # Names differ by package, the order of layers does not.
    layers = torch.load(backbone, weights_only=True).values()
    for mine, given in zip(network.net.state_dict().values(), layers, strict=True):
        mine.copy_(given)
    return network


# --- pictures with prompts --------------------------------------------------------------------------------------------


PICTURES, PROMPTS = ((1, 50, 40), (2, 33, 70)), ["a red cube", "two dogs on a lawn"]


def tiny(weights: Path) -> Clip:
    finder = WeightsFinder({"clip": weights}, offline=True)
    return Clip(Setup(weights=finder, clip_model=TINY_CLIP, clip_pretrained="random"))


def clip_error(ours: Clip, model: str, pretrained: str) -> float:
    """Return the largest error of an embedding's values; ``pretrained`` is a file or a tag of open_clip."""
    pairs = zip(_our_embeddings(ours), _their_embeddings(model, pretrained, normalize=False), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def cosine_error(ours: Clip, model: str, pretrained: str) -> float:
    """Return the largest error of a raw CLIP score from the product of open_clip's own unit embeddings."""
    images, texts = _their_embeddings(model, pretrained, normalize=True)
    return float(np.abs(cosines(*_our_embeddings(ours)) - (images * texts).sum(axis=1)).max())


def _our_embeddings(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    pictures = [smooth_picture(*each) for each in PICTURES]
    return clip.features([clip.prepare(each) for each in pictures]), clip.texts(PROMPTS)


def _their_embeddings(name: str, pretrained: str, normalize: bool) -> tuple[np.ndarray, np.ndarray]:
    model, preprocess = open_clip.create_model_from_pretrained(name, pretrained)
    pixels = torch.stack([preprocess(Image.fromarray(smooth_picture(*each))) for each in PICTURES])
    with torch.no_grad():
        images = model.eval().encode_image(pixels, normalize=normalize)
        texts = model.encode_text(open_clip.get_tokenizer(name)(PROMPTS), normalize=normalize)
    return images.numpy(), texts.numpy()


def torchmetrics_clip_score_error() -> float:
    """Pair by pair on given embeddings, some with a negative cosine; in points of 100."""
    from torchmetrics.multimodal.clip_score import CLIPScore

    images, texts = np.random.default_rng(4).normal(size=(2, 20, 6)).astype(np.float32)
    ours = scores_x100_clamped(Evidence(features=images, texts=texts))
    theirs = []
    for image, text in zip(images, texts, strict=True):
        metric = CLIPScore(lambda image=image, text=text: (_Given(image, text), _passed_on))
        theirs.append(float(metric(torch.zeros(3, 1, 1), "given")))
    return float(np.abs(np.subtract(ours, theirs)).max())


class _Given(torch.nn.Module):
    """Has the methods that torchmetrics calls on a CLIP model of transformers."""

    config = SimpleNamespace()

    def __init__(self, image: np.ndarray, text: np.ndarray) -> None:
        super().__init__()
        self._image, self._text = torch.from_numpy(image)[None], torch.from_numpy(text)[None]

    def get_image_features(self, *_: Any) -> torch.Tensor:
        return self._image

    def get_text_features(self, *_: Any) -> torch.Tensor:
        return self._text


def _passed_on(**_: Any) -> dict[str, torch.Tensor]:
    nothing = torch.zeros(1)
    return {"pixel_values": nothing, "input_ids": nothing, "attention_mask": nothing}
