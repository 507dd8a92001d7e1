"""Inception Score: how sure a classifier is of each picture, and how much the classes vary over all of them.

    IS = exp(E KL(p(y|x) ‖ p(y)))

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016. By convention the logits leave out the bias of
the last layer, the pictures are shuffled, and the score is the mean over 10 splits, each with its own p(y), in
torch-fidelity's order and with its seed. It knows no reference, cannot exceed the number of pictures in a split, and is
low for small ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .features import FeatureSet
from .frechet import Floats
from .metric import CannotMeasure, Estimate, SetMetric
from .stats import mean_interval

SPLITS = 10
SEED = 2020


def inception_score(generated: FeatureSet, reference: FeatureSet | None = None) -> Estimate:
    """Return the mean score of the splits, in [1, classes], with the interval of that mean.

    The logits come from the pool3 features, so that no picture goes through the network again. CannotMeasure for fewer
    than 10 pictures.
    """
    n = generated.n
    if n < SPLITS:
        raise CannotMeasure(f"needs at least {SPLITS} pictures, one in each of its splits, not {n}")
    order = np.random.RandomState(SEED).permutation(n)
    scores, classes = [], 0
    for i in range(SPLITS):
        logits = generated.network.logits(generated.rows[order[i * n // SPLITS : (i + 1) * n // SPLITS]])
        scores.append(split_score(logits))
        classes = logits.shape[1]
    few = f"splits of {n // SPLITS} pictures for {classes} classes: biased downwards, compare only at equal n"
    return Estimate(float(np.mean(scores)), mean_interval(scores), few if n < SPLITS * classes else None)


def split_score(logits: NDArray[np.float32]) -> float:
    """Return exp of the mean divergence of the class probabilities of ``logits`` (n, classes) from their mean."""
    log_p = _log_softmax(logits.astype(np.float64))
    p = np.exp(log_p)
    # A class that underflows to 0 for every picture has weight 0, whatever its logarithm.
    log_q = np.log(np.maximum(p.mean(axis=0), np.finfo(np.float64).tiny))
    return float(np.exp((p * (log_p - log_q)).sum(axis=1).mean()))


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


INCEPTION_SCORE = SetMetric(
    "inception_score",
    higher_is_better=True,
    digits=2,
    needs=(),
    network="inception",
    protocol=f"splits{SPLITS}-seed{SEED}",
    estimate=inception_score,
)
