"""Every random draw of every method, from one counter-based stream per (seed, prompt, sample, name, step).

The draws depend on nothing else: not on the batch size, the order, the number of workers or a resume. They are made on
the CPU in float32 and cast by whoever needs another type.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..datasets.request import Request

if TYPE_CHECKING:
    import torch


def key(request: Request, name: str, step: int = 0) -> int:
    """Return the 128-bit key of one draw."""
    parts = json.dumps([request.seed, request.prompt_id, request.sample, name, step])
    return int.from_bytes(hashlib.sha256(parts.encode()).digest()[:16], "little")


def normal(request: Request, shape: Sequence[int], name: str = "latents", step: int = 0) -> NDArray[np.float32]:
    """Draw standard normal noise of ``shape``, float32, from Philox (Salmon et al. 2011) under the key of the draw."""
    generator = np.random.Generator(np.random.Philox(key=key(request, name, step)))
    return generator.standard_normal(tuple(shape), dtype=np.float32)


def batch(requests: Sequence[Request], shape: Sequence[int], name: str = "latents", step: int = 0) -> torch.Tensor:
    """Draw ``normal`` for each request and stack it: float32, (B, *shape), on the CPU."""
    import torch

    return torch.from_numpy(np.stack([normal(request, shape, name, step) for request in requests]))


def generators(requests: Sequence[Request], name: str, step: int = 0) -> list[torch.Generator]:
    """Return a CPU generator per request, for library code that draws for itself.

    Such code draws from torch's own stream, which the key of the draw seeds, so it too depends on nothing else.
    """
    import torch

    return [torch.Generator("cpu").manual_seed(key(request, name, step) & (2**63 - 1)) for request in requests]


def digest(noise: NDArray[np.float32]) -> str:
    """Return 16 hex digits that change when any bit of the noise does."""
    return hashlib.sha256(np.ascontiguousarray(noise).tobytes()).hexdigest()[:16]
