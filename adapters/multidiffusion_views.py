"""What the views of MultiDiffusion show of a picture's latents, and how much each counts (Bar-Tal et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..datasets.request import Request


@dataclass(frozen=True)
class View:
    """One of the crops F_i of eq. 3, its prompt and its weights."""

    prompt: str
    rows: NDArray[np.int64]
    """Rows of the latents that it shows, from the top; they may run over the lower border and on at the upper one."""
    columns: NDArray[np.int64]
    """Columns, likewise."""
    share: NDArray[np.float32]
    """Its weights over the sum of all views' weights (eq. 5): float32, (rows, columns), between 0 and 1."""
    inside: NDArray[np.bool_] | None = None
    """The mask of a region, bool, (rows, columns); None for the background and for windows."""
    region: int = 0
    """The region's number, from 1; 0 for the background and for windows."""


def region_views(request: Request, height: int, width: int) -> list[View]:
    """Return a view of all latents per region, and one of the background where no region is.

    Where regions overlap, each has an equal share. Raises BenchError where the request has no regions, or a mask is
    empty, of another size than the picture, or empty once it is resized to ``height`` × ``width`` latents.
    """
    if not request.regions:
        raise BenchError(f"prompt '{request.prompt_id}' has no regions")
    masks = np.stack([_mask(request, index, height, width) for index in range(len(request.regions))])
    background: NDArray[np.bool_] = np.asarray(~masks.any(0))
    shares = (masks / (masks.sum(0) + background)).astype(np.float32)
    everywhere = np.arange(height), np.arange(width)
    views = [
        View(region.prompt, *everywhere, share, mask, number)
        for number, (region, share, mask) in enumerate(zip(request.regions, shares, masks, strict=True), start=1)
    ]
    # Where the regions leave no background it would count for nothing.
    ground = View(request.background_prompt, *everywhere, background.astype(np.float32))
    first = [ground] if background.any() else []
    return first + views


def in_words(request: Request) -> Request:
    """Return a request with the words of all regions and of the background in one prompt: those of ``region_views``.

    Raises BenchError where the request has no regions.
    """
    if not request.regions:
        raise BenchError(f"prompt '{request.prompt_id}' has no regions")
    words = " and ".join(region.prompt for region in request.regions)
    return replace(request, prompt=f"{words} on {request.background_prompt}")


def _mask(request: Request, index: int, height: int, width: int) -> NDArray[np.bool_]:
    region = request.regions[index]
    name = f"region {index + 1} ('{region.prompt}') of prompt '{request.prompt_id}'"
    mask = np.asarray(region.mask.read()) >= 0.5
    if mask.shape != (request.height, request.width):
        size = "×".join(map(str, mask.shape[::-1]))
        raise BenchError(f"{name} lies outside: its mask is {size}, the picture {request.width}×{request.height}")
    if not mask.any():
        raise BenchError(f"{name} covers nothing: its mask is empty")
    factor = request.height // height
    # A latent is where its middle is; torch's "nearest", and so the authors' code, takes its first pixel, which of few
    # latents shifts everything by half a one.
    resized: NDArray[np.bool_] = mask[factor // 2 :: factor, factor // 2 :: factor]
    if not resized.any():
        raise BenchError(f"{name} covers nothing at 1/{factor} of the size, that of the latents: leave it out")
    return resized


def window_views(prompt: str, height: int, width: int, window: int, stride: int, wrap: tuple[bool, bool]) -> list[View]:
    """Return overlapping windows over ``height`` × ``width`` latents, of equal weight.

    ``wrap`` says whether they run over the border, vertically and horizontally.
    """
    rows, columns = spans(height, window, stride, wrap[0]), spans(width, window, stride, wrap[1])
    count = np.outer(np.bincount(np.concatenate(rows)), np.bincount(np.concatenate(columns)))
    share = (1 / count).astype(np.float32)
    return [View(prompt, down, across, share[np.ix_(down, across)]) for down, across in product(rows, columns)]


def spans(length: int, window: int, stride: int, wrap: bool) -> list[NDArray[np.int64]]:
    """Return the positions that each window shows of a side of ``length``; all of them where it fits into one window.

    Every ``stride`` a window begins; the last is flush with the border, or they run over it and on at the other end.
    """
    if length <= window:
        return [np.arange(length)]
    starts = range(0, length, stride) if wrap else [*range(0, length - window, stride), length - window]
    return [(start + np.arange(window)) % length for start in starts]
