"""Identity strings: what a number is, in full; two numbers with other identities are not the same quantity.

The parts are joined by colons: the metric, its network with its weights, the transform of the pictures, the
preprocessing of the network, the number format, n, the reference, the version of our definition.
``fid:inception-2015-12-05@6726825d:gen=as-is,ref=short512-crop512:tf-bilinear:fp32:n5000:ref-9f3c12ab:v1``
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .extractors.base import Extractor, Network
from .metric import Metric
from .setup import Setup


class Against(NamedTuple):
    """What a set was compared with, as identities say it."""

    transform: str
    """``ref=short512-crop512``; ``ref=statistics`` for a file of them."""
    digest: str
    """8 hex digits, of the pictures in any order or of the statistics."""


def set_identity(
    metric: Metric, extractor: Extractor, setup: Setup, n: int, against: Against | None, protocol: str | None = None
) -> str:
    """Of a metric of a set of pictures, and of what it is compared with; ``protocol`` in place of the metric's own."""
    transforms = f"gen={setup.generated_transform}" + (f",ref={against.transform}" if against else "")
    own = (extractor.label, protocol or metric.protocol, transforms, extractor.preprocess, extractor.dtype)
    return _join(metric, *own, f"n{n}", f"ref-{against.digest}" if against else "")


def prompt_identity(metric: Metric, extractor: Extractor, setup: Setup, n: int, prompts: str) -> str:
    """Of a metric of pictures and prompts; ``prompts`` is the digest of those, 8 hex digits."""
    own = (extractor.label, metric.protocol, setup.generated_transform, extractor.preprocess, extractor.dtype)
    return _join(metric, *own, f"n{n}", f"ref-{prompts}")


def pair_identity(metric: Metric, network: Network | None, n: int, targets: str) -> str:
    """Of a metric of pictures and their targets (8 hex digits of digest), which go into it as they are."""
    own = (network.label, network.dtype) if network else ()
    return _join(metric, *own, metric.protocol, f"n{n}", f"ref-{targets}")


def reader_identity(metric: Metric, reader: str, n: int, prompts: str) -> str:
    """Of a metric that ``reader`` (its label) takes from the pictures as they are; ``prompts`` as above."""
    return _join(metric, reader, metric.protocol, f"n{n}", f"ref-{prompts}")


def asked_identity(metric: Metric, network: Network | None, observers: Sequence[str], n: int, asked: str) -> str:
    """Of a metric of pictures and what was asked for (8 hex digits of digest), with the labels of who looked."""
    own = (network.label, network.dtype) if network else ()
    preprocess = network.preprocess if isinstance(network, Extractor) else ""
    return _join(metric, *own, preprocess, *observers, metric.protocol, f"n{n}", f"ref-{asked}")


def _join(metric: Metric, *parts: str) -> str:
    return ":".join([metric.name, *(part for part in parts if part), f"v{metric.version}"])
