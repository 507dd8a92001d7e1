"""Methods of few steps paint what captions say; a fault planted in how they are run is noticed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from t2ibench.adapters import make_adapter
from t2ibench.datasets.request import Request
from t2ibench.datasets.scene_reader import caption_accuracy
from t2ibench.datasets.scenes import Scene, scenes

Pictures = NDArray[np.uint8]

FEW = "scheduler=ddim,steps=8,guidance=3"
METHODS = {"snapfusion": f"snapfusion[checkpoint=zoo:mini-snapfusion,{FEW}]"}
FLOORS = {"snapfusion": 0.65}
"""Of caption accuracy: looser than what cards say, for few pictures."""


@cache
def cases(count: int = 48) -> tuple[Scene, ...]:
    """Scenes that no network has seen."""
    return tuple(scenes(count, "validation", start=70_000))


def loaded(method: str) -> Any:
    adapter = make_adapter(method)
    adapter.load("cpu", "fp32")
    return adapter


def accuracy(adapter: Any) -> float:
    """The share of pictures that show what their captions say."""
    requests = [Request(str(number), scene.caption, height=64, width=64) for number, scene in enumerate(cases())]
    found: Pictures = adapter.generate(requests)
    pairs = zip(found, cases(), strict=True)
    return float(np.mean([caption_accuracy(picture, scene.caption) for picture, scene in pairs]))


def with_other_prediction(adapter: Any) -> None:
    adapter.scheduler.register_to_config(prediction_type="epsilon")


def one_step_off(adapter: Any) -> None:
    unet = adapter.unet
    adapter.unet = lambda latents, timestep, **more: unet(latents, (timestep - 125).clamp(min=0), **more)


def guided_twice(adapter: Any) -> None:
    once: Callable[[torch.Tensor], torch.Tensor] = adapter.guide

    def twice(predicted: torch.Tensor) -> torch.Tensor:
        without = predicted.chunk(2)[0]
        return once(torch.cat([without, once(predicted)]))

    adapter.guide = twice


def unscaled(adapter: Any) -> None:
    decode: Callable[[torch.Tensor], Pictures] = adapter.decode
    adapter.decode = lambda latents: decode(latents * adapter.vae.config.scaling_factor)


FAULTS = {
    "another prediction type": with_other_prediction,
    "a timestep late": one_step_off,
    "guided twice": guided_twice,
    "latents unscaled": unscaled,
}


@pytest.mark.parametrize("name", METHODS)
def test_few_steps_paint_what_captions_say(name: str) -> None:
    assert accuracy(loaded(METHODS[name])) >= FLOORS[name]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", METHODS)
def test_a_planted_fault_is_seen(name: str, fault: str) -> None:
    adapter = loaded(METHODS[name])
    FAULTS[fault](adapter)
    assert accuracy(adapter) < FLOORS[name]
