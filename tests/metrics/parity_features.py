"""Ours against torch-fidelity's own functions on the same features: the measured errors; no network runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from t2ibench.metrics.features import feature_set
from t2ibench.metrics.frechet import frechet_distance, gaussian, moments
from t2ibench.metrics.inception_score import inception_score
from t2ibench.metrics.kernel import kernel_distance
from t2ibench.metrics.manifold import precision, recall

DIRECTLY = SimpleNamespace(logits=lambda features: features)
"""Stands for a network whose features are its logits."""


class Shares(NamedTuple):
    precision: float
    recall: float


# --- features that are made up ----------------------------------------------------------------------------------------


def correlated(seed: int, n: int = 200, d: int = 24, offset: float = 0.0) -> np.ndarray:
    """Correlated features with a decaying spectrum, as those of networks have."""
    random = np.random.default_rng(seed)
    mixing = np.linalg.qr(np.random.default_rng(0).normal(size=(d, d)))[0] * np.arange(1, d + 1) ** -0.7
    return np.asarray(random.normal(size=(n, d)) @ mixing * (1 + 0.1 * seed) + offset)


def skewed(seed: int, n: int, d: int = 64, shift: float = 0.0) -> np.ndarray:
    """Features that are at least 0 and skewed, as those after a rectifier are."""
    return (np.random.default_rng(seed).gamma(0.5, 0.8, (n, d)) + shift).astype(np.float32)


def scattered(seed: int, n: int, d: int = 8, spread: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Features of few dimensions, in which some neighbours are near."""
    return np.random.default_rng(seed).normal(shift, spread, (n, d)).astype(np.float32)


# --- the Fréchet distance ---------------------------------------------------------------------------------------------


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return frechet_distance(gaussian(moments(a)), gaussian(moments(b)))


def torch_fidelity_fid(a: np.ndarray, b: np.ndarray) -> float:
    sides = (fid_features_to_statistics(torch.from_numpy(side)) for side in (a, b))
    return float(fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"])


def exact_distance(a: np.ndarray, b: np.ndarray) -> float:
    """By the nuclear norm of the n×n matrix of centred features, with no root of a rounded eigenvalue."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    x, y = ((side - side.mean(0)) / np.sqrt(len(side) - 1) for side in (a, b))
    shift = a.mean(0) - b.mean(0)
    return float(shift @ shift + (x**2).sum() + (y**2).sum() - 2 * np.linalg.norm(x @ y.T, "nuc"))


def relative(found: float, expected: float) -> float:
    return abs(found - expected) / abs(expected)


def fid_error(n: int, m: int, d: int) -> float:
    """Relative, of more pictures than features, with like means away from 0: all of the distance is in the spread."""
    a, b = correlated(1, n, d, offset=0.3), correlated(2, m, d, offset=0.3)
    return relative(distance(a, b), torch_fidelity_fid(a, b))


def fid_errors_of_few(n: int = 64, d: int = 256) -> tuple[float, float]:
    """Ours and torch-fidelity's, relative to the exact value, of fewer pictures than features."""
    a, b = correlated(1, n, d), correlated(2, n, d)
    expected = exact_distance(a, b)
    return relative(distance(a, b), expected), relative(torch_fidelity_fid(a, b), expected)


# --- the others -------------------------------------------------------------------------------------------------------


def torch_fidelity_kid(a: np.ndarray, b: np.ndarray) -> float:
    """It has to be told the size of its subsets where there are fewer than 1,000 pictures."""
    options = {"kid_subsets": 100, "kid_subset_size": min(len(a), len(b), 1000), "rng_seed": 2020, "verbose": False}
    found = kid_features_to_metric(torch.from_numpy(a), torch.from_numpy(b), **options)
    return float(found["kernel_inception_distance_mean"])


def kid_error(a: np.ndarray, b: np.ndarray) -> float:
    """Absolute."""
    return abs(kernel_distance(feature_set(a), feature_set(b)).value - torch_fidelity_kid(a, b))


def inception_score_errors(n: int, spread: float) -> tuple[float, float]:
    """Of the score, and of the half width of its interval against their deviation over splits; relative."""
    logits = np.random.default_rng(n).normal(0, spread, (n, 30)).astype(np.float32)
    theirs = isc_features_to_metric(torch.from_numpy(logits))
    ours = inception_score(feature_set(logits, DIRECTLY))
    half = 2.262157 * theirs["inception_score_std"] / 3  # Student's t, 9 degrees of freedom; s/√10 from theirs
    return (
        relative(ours.value, theirs["inception_score_mean"]),
        relative(ours.interval[1] - ours.interval[0], 2 * half),
    )


def torch_fidelity_prc(generated: np.ndarray, real: np.ndarray) -> Shares:
    found = prc_features_to_metric(
        *(torch.from_numpy(side).double() for side in (generated, real)),
        prc_neighborhood=3, prc_batch_size=10000, save_cpu_ram=False, verbose=False,
    )  # fmt: skip
    return Shares(found["precision"], found["recall"])


def our_prc(generated: np.ndarray, real: np.ndarray) -> Shares:
    sides = feature_set(generated), feature_set(real)
    return Shares(precision(*sides).value, recall(*sides).value)


def prc_error(generated: np.ndarray, real: np.ndarray) -> int:
    """Pictures counted otherwise; of shares, torch-fidelity's are rounded to float32."""
    ours, theirs = our_prc(generated, real), torch_fidelity_prc(generated, real)
    sizes = len(generated), len(real)
    return max(abs(round(a * n) - round(b * n)) for a, b, n in zip(ours, theirs, sizes, strict=True))


# --- the rows ---------------------------------------------------------------------------------------------------------


def fid() -> float:
    return max(fid_error(200, 200, 24), fid_error(600, 700, 256))


def kid() -> float:
    return max(kid_error(skewed(1, 1200, shift=shift), skewed(2, 1500)) for shift in (0.0, 0.05))


def kid_of_few() -> float:
    return max(kid_error(skewed(1, n, shift=0.1), skewed(2, m)) for n, m in ((60, 60), (60, 90), (90, 60)))


def inception_scores() -> tuple[float, float]:
    errors = [inception_score_errors(n, spread) for n, spread in ((203, 1.0), (95, 5.0))]
    return max(score for score, _ in errors), max(half for _, half in errors)


def prc() -> int:
    """Also of a set that is narrow or far from the origin."""
    cases = [(150, 200, 0.8, 0.0), (700, 300, 0.8, 100.0), (8, 600, 0.8, 0.0), (300, 300, 0.3, 100.0)]
    return max(
        prc_error(scattered(1, n, spread=spread, shift=0.3 + offset), scattered(2, m, shift=offset))
        for n, m, spread, offset in cases
    )
