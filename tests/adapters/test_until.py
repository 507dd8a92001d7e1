"""``until``: sampling that stops early gives the picture predicted at its last step, under every method on a base."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from t2ibench.adapters import make_adapter, noise
from t2ibench.adapters.schedulers import CLASSES, clean, make_scheduler
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Pixels, Region, Request

Controlled = Callable[..., Request]

SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def plain(base: Path, options: str) -> str:
    return f"sd15[checkpoint={base},{options}]"


def request(index: int, **more: Any) -> Request:
    return Request(f"p{index}", f"a red bus {index}", seed=3, height=64, width=64, **more)


def source() -> Pixels:
    y, x = np.mgrid[0:64, 0:64]
    return Pixels.of(np.stack([4 * x, 4 * y, 2 * (x + y)], -1).astype(np.uint8))


def oracle(made: Any, x0: Any, calls: list[int]) -> Callable[..., Any]:
    """A UNet that knows the clean latents and predicts what the checkpoint says, whatever noise is laid over them."""

    def predict(latents: Any, timestep: Any, *_: Any, **__: Any) -> tuple[Any]:
        step = len(calls)
        calls.append(int(timestep))
        scheduler = made.scheduler
        sigmas = getattr(scheduler, "sigmas", None)
        kept = scheduler.alphas_cumprod[int(timestep)] if sigmas is None else 1 / (1 + sigmas[step] ** 2)
        signal, noisy = sqrt(float(kept)), sqrt(1 - float(kept))
        drawn = (latents - signal * x0) / noisy
        velocity = signal * drawn - noisy * x0
        return ({"epsilon": drawn, "v_prediction": velocity, "sample": x0}[scheduler.config.prediction_type],)

    return predict


@pytest.fixture(scope="module")
def stopping(tiny_sd: Path, loaded: Any) -> Any:
    """The base, made to take two of five steps."""
    return loaded(plain(tiny_sd, "steps=5,guidance=1,until=0.4"))


@pytest.mark.parametrize(
    ("sampler", "prediction"),
    # diffusers' PNDM cannot sample with predictions of x0.
    sorted(set(product(CLASSES, ("epsilon", "v_prediction", "sample"))) - {("pndm", "sample")}),
)
def test_the_clean_latents_are_told_from_every_prediction(
    stopping: Any, monkeypatch: pytest.MonkeyPatch, sampler: str, prediction: str
) -> None:
    import torch

    made = copy.copy(stopping)  # before it has found out whether its sampler draws
    made.scheduler = make_scheduler(sampler, {**SCHEDULE, "prediction_type": prediction}, 5)
    x0, calls = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), list[int]()
    monkeypatch.setattr(made.unet, "forward", oracle(made, x0, calls))
    found = made.denoise([request(0), request(1)], torch.zeros(2, 77, 32))
    assert calls == [int(t) for t in made.scheduler.timesteps[:2]]
    assert (found - x0).abs().max() < 1e-3


def test_each_prediction_type_is_read_by_its_own_formula() -> None:
    """An oracle under one formula is far off under the others, so that none can stand for another."""
    import torch

    x0, drawn = torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), -1.0)
    found = {}
    for prediction in ("epsilon", "v_prediction", "sample"):
        scheduler = make_scheduler("ddim", {**SCHEDULE, "prediction_type": prediction}, 4)
        kept = scheduler.alphas_cumprod[scheduler.timesteps[1]]
        latents = kept.sqrt() * x0 + (1 - kept).sqrt() * drawn
        found[prediction] = float(clean(scheduler, drawn, 1, latents))
        assert found[prediction] == pytest.approx({
            "epsilon": 0.5,
            "v_prediction": float(kept.sqrt() * latents - (1 - kept).sqrt() * drawn),
            "sample": -1.0,
        }[prediction], abs=1e-6)  # fmt: skip
    assert len({round(value, 2) for value in found.values()}) == 3


def test_until_1_is_the_plain_method_bit_for_bit(tiny_sd: Path, loaded: Any) -> None:
    requests = [request(0), request(1)]
    options = "scheduler=dpm++,steps=3,guidance=5"
    whole, said = (loaded(plain(tiny_sd, text)).generate(requests) for text in (options, f"{options},until=1"))
    assert (whole == said).all()
    early = loaded(plain(tiny_sd, f"{options},until=0.4")).generate(requests)
    assert np.abs(early.astype(int) - whole).mean() > 1


@pytest.mark.parametrize(("until", "steps"), [("0.2", 2), ("0.01", 1), ("0.55", 6), ("0.98", 10), ("1", 10)])
def test_only_the_steps_taken_call_the_unet_and_are_counted(
    tiny_sd: Path, loaded: Any, count_calls: Any, until: str, steps: int
) -> None:
    made = loaded(plain(tiny_sd, f"scheduler=ddim,steps=10,guidance=5,until={until}"))
    calls = count_calls(made.unet)
    made.generate([request(0)])
    assert len(calls) == steps
    assert [len(latents) for latents, *_ in calls] == [2] * steps
    assert made.stages()["unet"].per_image == 2 * steps


def test_it_is_the_guided_prediction_of_the_last_step_taken(tiny_sd: Path, loaded: Any, count_calls: Any) -> None:
    import torch

    made = loaded(plain(tiny_sd, "scheduler=ddim,steps=10,guidance=5,until=0.1"))
    requests = [request(0), request(1)]
    with torch.inference_mode():
        embeddings = made.embed(requests)
        found = made.denoise(requests, embeddings)
        start, timestep = noise.batch(requests, (4, 8, 8)), made.scheduler.timesteps[0]
        without, conditional = made.unet(
            torch.cat([start, start]), timestep, encoder_hidden_states=embeddings, return_dict=False
        )[0].chunk(2)
    kept = made.scheduler.alphas_cumprod[timestep]
    expected = (start - (1 - kept).sqrt() * (without + 5 * (conditional - without))) / kept.sqrt()
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_controlnet_stops_with_its_base_and_counts_its_window(
    tiny_sd: Path, tiny_controlnet: Path, controlled: Controlled, loaded: Any, count_calls: Any
) -> None:
    base = plain(tiny_sd, "until=0.4")
    made = loaded(
        f"controlnet[checkpoint={tiny_controlnet},condition=canny,base={base},scheduler=ddim,steps=10,guidance=5,start=0.2]"
    )
    network, unet = count_calls(made.network), count_calls(made.base.unet)
    requests = [controlled(0, "canny")]
    steered = made.generate(requests)
    assert (len(unet), len(network)) == (4, 2)  # the window is a share of all steps, not of those taken
    assert (made.stages()["unet"].per_image, made.stages()["control"].per_image) == (8, 4)
    alone = loaded(plain(tiny_sd, "scheduler=ddim,steps=10,guidance=5,until=0.4")).generate(requests)
    assert np.abs(steered.astype(int) - alone).mean() > 1
    made.scales = [0.0]
    assert (made.generate(requests) == alone).all()


def test_multidiffusion_stops_too(tiny_sd: Path, loaded: Any, count_calls: Any) -> None:
    """Where one region is the whole picture, it is the base with the region's prompt."""
    whole = Region("a blue boat", Pixels.of(np.ones((64, 64), bool)))
    made = loaded(
        f"multidiffusion[base={plain(tiny_sd, 'until=0.3')},bootstrapping=0,scheduler=ddim,steps=10,guidance=5]"
    )
    calls = count_calls(made.base.unet)
    given = request(0, regions=(whole,))
    found = made.generate([given])
    assert len(calls) == 3
    assert made.stages()["unet"].forwards(given) == 2 * 3 * len(made.views(given))
    alone = loaded(plain(tiny_sd, "scheduler=ddim,steps=10,guidance=5,until=0.3"))
    expected = alone.generate([replace(request(0), prompt="a blue boat")])
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_tiles_stop_too(tiny_sd: Path, loaded: Any, count_calls: Any) -> None:
    base = plain(tiny_sd, "until=0.5")
    made = loaded(f"multidiffusion[base={base},mode=tiles,window=64,scheduler=ddim,steps=4,guidance=1]")
    calls = count_calls(made.base.unet)
    made.generate([request(0)])
    assert len(calls) == 2


def test_sdedit_takes_a_share_of_the_steps_that_it_runs(tiny_sd: Path, loaded: Any, count_calls: Any) -> None:
    base = plain(tiny_sd, "until=0.5")
    made = loaded(f"sdedit[base={base},t0=0.4,scheduler=ddim,steps=10,guidance=5]")
    calls = count_calls(made.base.unet)
    made.generate([request(0, source=source())])
    assert [int(timestep) for _, timestep, *_ in calls] == [int(t) for t in made.base.scheduler.timesteps[6:8]]
    assert made.stages()["unet"].per_image == 4


def test_unitune_stops_too(tiny_sd: Path, loaded: Any, count_calls: Any) -> None:
    base = plain(tiny_sd, "until=0.5")
    made = loaded(f"unitune[base={base},fine_tuning_steps=0,t0=0.8,scheduler=ddim,steps=5,guidance=5]")
    calls = count_calls(made.base.unet)
    made.generate([request(0, source=source())])
    assert len(calls) == 2
    assert made.stages()["unet"].per_image == 4


def test_plug_and_play_stops_too(tiny_sd: Path, loaded: Any, count_calls: Any) -> None:
    import torch

    options = "feature_threshold=0,attention_threshold=0,inversion_steps=4,scheduler=ddim,steps=4,guidance=5"
    made = loaded(f"plug-and-play[base={plain(tiny_sd, 'until=0.5')},{options}]")
    given = [request(0, source=source())]
    with torch.inference_mode():
        inverted = made.invert(given)
    calls = count_calls(made.base.unet)
    found = made.generate(given)
    assert len(calls) == 2
    assert made.stages()["unet"].per_image == 6
    # With nothing injected it is the base from the inverted source.
    with torch.inference_mode():
        expected = made.base.decode(made.base.denoise(given, made.base.embed(given), latents=inverted[0]))
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_published_methods_of_few_steps_take_it(tmp_path: Path) -> None:
    for name in ("snapfusion", "mobilediffusion"):
        assert make_adapter(f"{name}[checkpoint={tmp_path},until=0.5]").until == 0.5


def test_it_is_part_of_what_a_row_is_known_by(tiny_sd: Path, tiny_controlnet: Path, controlled: Controlled) -> None:
    from t2ibench.bench.rows import AdapterRow

    given = [controlled(0, "canny")]
    texts = [plain(tiny_sd, f"until={share}") for share in ("0.2", "0.4")]
    texts += [f"controlnet[checkpoint={tiny_controlnet},condition=canny,base={base}]" for base in texts]
    keys = {AdapterRow(text, make_adapter(text), given, "cpu", "fp32").jobs[0].key for text in texts}
    assert len(keys) == 4


@pytest.mark.parametrize("until", ["0", "-0.5", "1.01", "nan", "half", ""])
def test_a_share_out_of_range_is_one_line(until: str) -> None:
    with pytest.raises(BenchError, match=f"until={until} must be a number above 0, at most 1"):
        make_adapter(f"controlnet[base=sd15[until={until}]]")


def test_a_prediction_that_tells_no_picture_is_refused(
    tiny_sd: Path, loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from t2ibench.adapters import sd15

    def odd(name: str, config: Any, steps: int) -> Any:
        return make_scheduler(name, {**config, "prediction_type": "flow_prediction", "use_flow_sigmas": True}, steps)

    monkeypatch.setattr(sd15, "make_scheduler", odd)
    loaded(plain(tiny_sd, "scheduler=dpm++,steps=4"))
    with pytest.raises(BenchError, match=r"predicts 'flow_prediction'.*epsilon, v_prediction, sample") as caught:
        loaded(plain(tiny_sd, "scheduler=dpm++,steps=4,until=0.5"))
    assert "\n" not in str(caught.value)
