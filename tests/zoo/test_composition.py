"""MultiDiffusion on the base that ships: regions and panoramas; a fault planted in them is noticed.

Floors are looser than what the suites mini-regions and mini-panorama measure of 256 cases: these are few.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from t2ibench.adapters import make_adapter, multidiffusion
from t2ibench.adapters.multidiffusion_views import View, region_views, window_views
from t2ibench.bench.observers import observers_of
from t2ibench.bench.plan import supply
from t2ibench.core.weights import WeightsFinder
from t2ibench.datasets.prompts import Prompt
from t2ibench.datasets.request import Request
from t2ibench.datasets.scene_panoramas import SCENE_PANORAMAS
from t2ibench.datasets.scene_regions import SCENE_REGIONS
from t2ibench.metrics.panorama import seam_ratio, wrap_seam_ratio
from t2ibench.metrics.regions import region_iou

pytestmark = pytest.mark.slow

Pictures = NDArray[np.uint8]

ROOT = Path()
BASE = "sd15[checkpoint=zoo:mini-sd]"
SAMPLED = "scheduler=ddpm,steps=10,guidance=4"
REGIONS = f"multidiffusion[bootstrapping=0.6,{SAMPLED},base={BASE}]"
WORDS = f"multidiffusion[mode=words,{SAMPLED},base={BASE}]"
WIDE = f"multidiffusion[mode={{}},scheduler=ddim,steps=6,guidance=3,base={BASE}]"
TILES, PANORAMA, WRAPPED = map(WIDE.format, ("tiles", "panorama,stride=16", "panorama,stride=16,wrap=width"))
LOOK = observers_of(SCENE_REGIONS, ("objects",), WeightsFinder())["objects"]


def loaded(method: str) -> Any:
    adapter = make_adapter(method)
    adapter.load("cpu", "fp32")
    return adapter


# Regions -------------------------------------------------------------------------------------------------------------


@cache
def cases(count: int = 8) -> tuple[Prompt, ...]:
    plain = (prompt for prompt in SCENE_REGIONS.prompts(ROOT) if SCENE_REGIONS.kind_of(prompt) == "plain")
    return tuple(islice(plain, count))


def made_of(method: str) -> Pictures:
    adapter = loaded(method)
    plain = Request("", "", height=64, width=64)
    requests = [supply(SCENE_REGIONS, ROOT, adapter.traits, prompt, plain) for prompt in cases()]
    made: Pictures = adapter.generate(requests)
    return made


def overlap(found: Pictures) -> float:
    """Mean overlap of the objects of pictures with where they were asked for."""
    asked = [SCENE_REGIONS.asked(ROOT, prompt, "objects", 64, 64).read() for prompt in cases()]
    pairs = zip(found, asked, strict=True)
    return float(np.mean([region_iou(LOOK(picture, things), things["mask"]).mean for picture, things in pairs]))


@cache
def overlap_of(method: str) -> float:
    return overlap(made_of(method))


def swapped(request: Request, height: int, width: int) -> list[View]:
    """The views of a request whose regions have the prompts of one another."""
    prompts = [region.prompt for region in request.regions]
    regions = zip(request.regions, prompts[1:] + prompts[:1], strict=True)
    moved = tuple(replace(region, prompt=prompt) for region, prompt in regions)
    return region_views(replace(request, regions=moved), height, width)


def test_objects_come_to_lie_in_their_regions() -> None:
    assert overlap_of(REGIONS) >= overlap_of(WORDS) + 0.25


def test_swapped_masks_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multidiffusion, "region_views", swapped)
    assert overlap(made_of(REGIONS)) < overlap_of(WORDS) + 0.25


# Panoramas -----------------------------------------------------------------------------------------------------------


class Wide(NamedTuple):
    """Means over panoramas."""

    seams: float
    ends: float
    tint: float
    """By how much the colour of most of it is not that of tiles, of 255."""


@cache
def captions(count: int = 4) -> tuple[Prompt, ...]:
    return tuple(SCENE_PANORAMAS.prompts(ROOT)[:count])


def made_wide(method: str) -> Pictures:
    requests = [Request(prompt.id, prompt.text, height=64, width=256) for prompt in captions()]
    made: Pictures = loaded(method).generate(requests)
    return made


@cache
def ground() -> NDArray[np.float64]:
    """The colour of most of each panorama of tiles, each of which is a picture of the base's."""
    return np.median(made_wide(TILES), axis=(1, 2))


def measured(found: Pictures) -> Wide:
    tint = abs(np.median(found, axis=(1, 2)) - ground()).max(1)
    seams, ends = ([measure(panorama) for panorama in found] for measure in (seam_ratio, wrap_seam_ratio))
    return Wide(*(float(np.mean(scores)) for scores in (seams, ends, tint)))


@cache
def wide(method: str) -> Wide:
    return measured(made_wide(method))


def is_one_picture(found: Wide) -> bool:
    return found.seams <= 1.2 and found.tint <= 10


def test_windows_leave_no_seams() -> None:
    assert is_one_picture(wide(PANORAMA))


def test_independent_tiles_have_seams() -> None:
    assert wide(TILES).seams >= 1.5


def test_ends_meet_where_windows_run_over_the_border() -> None:
    assert is_one_picture(wide(WRAPPED))
    assert wide(WRAPPED).ends <= 2.2
    assert wide(PANORAMA).ends >= 3


def unnormalised(*given: Any) -> list[View]:
    """The windows, each of which counts whole wherever it counts at all."""
    return [replace(view, share=np.ceil(view.share)) for view in window_views(*given)]


def test_unnormalised_weights_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multidiffusion, "window_views", unnormalised)
    assert not is_one_picture(measured(made_wide(PANORAMA)))
