"""Methods of few steps paint what captions say, and what their base paints; a fault in how they are run is noticed."""

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

pytestmark = pytest.mark.slow

Pictures = NDArray[np.uint8]

BASE = "sd15[checkpoint=zoo:mini-sd,scheduler=ddim,steps=20,guidance=3]"
SNAPFUSION = "snapfusion[checkpoint=zoo:mini-snapfusion,scheduler=ddim,steps=8,guidance=3]"
MOBILEDIFFUSION = "mobilediffusion[checkpoint=zoo:mini-mobilediffusion,scheduler=ddim,steps=20,guidance=3]"
FULL = MOBILEDIFFUSION.replace("[", "[decoder=full,")
ONE_STEP = "mobilediffusion[checkpoint=zoo:mini-mobilediffusion-1,steps=1]"
NOT_DISTILLED = "mobilediffusion[checkpoint=zoo:mini-mobilediffusion,steps=1]"
RIGHT = {SNAPFUSION: 0.6, MOBILEDIFFUSION: 0.5, ONE_STEP: 0.4}
"""The share of captions of which everything is right; more in the cards, of more pictures."""
LIKE_THE_BASE = 29.0
"""dB from the base's pictures of the same noise."""


@cache
def cases() -> tuple[Scene, ...]:
    """Scenes that no network has seen."""
    return tuple(scenes(12, "validation", start=70_000))


def loaded(method: str) -> Any:
    adapter = make_adapter(method)
    adapter.load("cpu", "fp32")
    return adapter


def painted(adapter: Any) -> Pictures:
    requests = [Request(str(number), scene.caption, height=64, width=64) for number, scene in enumerate(cases())]
    made: Pictures = adapter.generate(requests)
    return made


@cache
def pictures(method: str) -> Pictures:
    return painted(loaded(method))


def likeness(found: Pictures) -> float:
    """Mean PSNR against the base's pictures of the same noise, in dB."""
    squared = ((found.astype(float) - pictures(BASE)) / 255) ** 2
    return float(np.mean(-10 * np.log10(squared.mean((1, 2, 3)))))


def with_another_prediction_type(adapter: Any) -> None:
    adapter.scheduler.register_to_config(prediction_type="epsilon")


def a_step_late(adapter: Any) -> None:
    unet = adapter.unet
    adapter.unet = lambda latents, timestep, **more: unet(latents, (timestep - 125).clamp(min=0), **more)


def guided_twice(adapter: Any) -> None:
    once: Callable[[torch.Tensor], torch.Tensor] = adapter.guide
    adapter.guide = lambda predicted: once(torch.cat([predicted.chunk(2)[0], once(predicted)]))


def with_unscaled_latents(adapter: Any) -> None:
    decode: Callable[[torch.Tensor], Pictures] = adapter.decode
    adapter.decode = lambda latents: decode(latents * adapter.vae.config.scaling_factor)


FAULTS = (with_another_prediction_type, a_step_late, guided_twice, with_unscaled_latents)


def right(found: Pictures) -> float:
    """The share of captions of which everything is right."""
    return float(
        np.mean([caption_accuracy(picture, scene.caption) for picture, scene in zip(found, cases(), strict=True)])
    )


@pytest.mark.parametrize("method", RIGHT, ids=["snapfusion", "mobilediffusion", "mobilediffusion of one step"])
def test_few_steps_paint_what_captions_say(method: str) -> None:
    assert right(pictures(method)) >= RIGHT[method]


def test_one_step_of_a_unet_that_was_not_distilled_is_no_picture() -> None:
    assert right(pictures(NOT_DISTILLED)) < RIGHT[MOBILEDIFFUSION] / 2


def test_the_student_paints_what_the_base_does() -> None:
    assert likeness(pictures(SNAPFUSION)) >= LIKE_THE_BASE


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_seen(fault: Callable[[Any], None]) -> None:
    adapter = loaded(SNAPFUSION)
    fault(adapter)
    assert likeness(painted(adapter)) < LIKE_THE_BASE


@pytest.mark.parametrize("method", [MOBILEDIFFUSION, ONE_STEP], ids=["many steps", "one step"])
@pytest.mark.parametrize(
    "fault", [with_another_prediction_type, with_unscaled_latents], ids=lambda fault: fault.__name__
)
def test_a_planted_fault_is_seen_where_there_is_no_base(fault: Callable[[Any], None], method: str) -> None:
    adapter = loaded(method)
    fault(adapter)
    assert right(painted(adapter)) < RIGHT[method]


def test_the_lite_decoder_is_nearly_as_good_as_the_full_one_at_a_quarter_of_its_size() -> None:
    full, lite = loaded(FULL).vae, loaded(MOBILEDIFFUSION).decoder
    originals = torch.from_numpy(np.stack([scene.image for scene in cases()])).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        latents = full.encode(originals).latent_dist.mode()
        errors = [
            (made.clamp(-1, 1) - originals).square().mean((1, 2, 3))
            for made in (full.decode(latents).sample, lite(latents))
        ]
    full_db, lite_db = (float((-10 * (error / 4).log10()).mean()) for error in errors)
    assert full_db - 1.5 <= lite_db < full_db
    assert sum(map(torch.numel, lite.parameters())) <= sum(map(torch.numel, full.decoder.parameters())) / 4
