"""Identity strings: what a number is, in full; two numbers with other identities are not the same quantity.

The parts are joined by colons: the metric, its network with its weights, the transform of the pictures, the
preprocessing of the network, the number format, n, the reference, the version of our definition.
``fid:inception-2015-12-05@6726825d:gen=as-is,ref=short512-crop512:tf-bilinear:fp32:n5000:ref-9f3c12ab:v1``
"""

from __future__ import annotations

from .extractors.base import Extractor, Network
from .metric import Metric
from .setup import Setup


def set_identity(metric: Metric, extractor: Extractor, setup: Setup, n: int, reference: str, from_file: bool) -> str:
    """Of a metric of two sets; ``reference`` is a digest of 8 hex digits, of pictures or of a statistics file."""
    other = "statistics" if from_file else setup.reference_transform
    transforms = f"gen={setup.generated_transform},ref={other}"
    own = (extractor.label, transforms, extractor.preprocess, extractor.dtype)
    return _join(metric, *own, f"n{n}", f"ref-{reference}")


def prompt_identity(metric: Metric, extractor: Extractor, setup: Setup, n: int) -> str:
    """Of a metric of pictures and prompts."""
    own = (extractor.label, metric.protocol, setup.generated_transform, extractor.preprocess, extractor.dtype)
    return _join(metric, *own, f"n{n}")


def pair_identity(metric: Metric, network: Network | None, n: int) -> str:
    """Of a metric of pictures and their targets, which go into it as they are."""
    own = (network.label, network.dtype) if network else ()
    return _join(metric, *own, metric.protocol, f"n{n}")


def _join(metric: Metric, *parts: str) -> str:
    return ":".join([metric.name, *(part for part in parts if part), f"v{metric.version}"])
