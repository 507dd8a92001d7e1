"""sdedit against diffusers' image-to-image pipeline, and how far t0 goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from t2ibench.adapters import make_adapter, noise
from t2ibench.adapters.base import Settings
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Pixels, Request

SIZE = 64


def picture(index: int, size: int = SIZE) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size] / size
    waves = [np.sin(6 * x + index), np.cos(5 * y - index), np.sin(4 * (x + y) * (index + 1))]
    return ((np.stack(waves, -1) + 1) * 127).astype(np.uint8)


def request(index: int, source: int | None = None, **more: object) -> Request:
    pixels = Pixels.of(picture(index if source is None else source))
    return Request(f"p{index}", f"a red bus {index}", seed=3, height=SIZE, width=SIZE, source=pixels, **more)


def adapter(checkpoint: Path, options: str = "steps=4", suite: Settings | None = None):
    made = make_adapter(f"sdedit[base=sd15[checkpoint={checkpoint}],{options}]", suite)
    made.load("cpu", "fp32")
    return made


def unet_calls(made) -> list[int]:
    """The timesteps of the UNet's calls from now on."""
    calls: list[int] = []
    made.base.unet.register_forward_pre_hook(lambda module, inputs: calls.append(int(inputs[1])))
    return calls


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "dpm++"])
@pytest.mark.parametrize("t0", [0.5, 1])
def test_equals_the_diffusers_pipeline(
    tiny_sd: Path, scheduler: str, t0: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img as module

    from t2ibench.adapters.schedulers import make_scheduler

    requests = [request(0), request(1, negative_prompt="blurry")]
    ours = adapter(tiny_sd, f"scheduler={scheduler},steps=5,guidance=4,t0={t0}").generate(requests)

    draws = noise.batch(requests, (4, SIZE // 8, SIZE // 8), "sdedit")
    monkeypatch.setattr(module, "randn_tensor", lambda *shape, **how: draws)
    monkeypatch.setattr(module, "retrieve_latents", lambda encoded, **how: encoded.latent_dist.mode())
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(tiny_sd, safety_checker=None)
    pipeline.scheduler = make_scheduler(scheduler, pipeline.scheduler.config, 5)
    pipeline.set_progress_bar_config(disable=True)
    images = torch.from_numpy(np.stack([picture(0), picture(1)])).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        theirs = pipeline(
            [r.prompt for r in requests], image=images, negative_prompt=[r.negative_prompt for r in requests],
            num_inference_steps=5, guidance_scale=4.0, strength=t0, output_type="np",
        ).images  # fmt: skip
    assert np.abs(ours.astype(int) - (theirs * 255).round()).max() <= 1


@pytest.mark.parametrize(("t0", "ran"), [(0.25, [1]), (0.5, [251, 1]), (0.99, [501, 251, 1]), (1, [751, 501, 251, 1])])
def test_the_last_steps_are_run(tiny_sd: Path, t0: float, ran: list[int]) -> None:
    made = adapter(tiny_sd, f"steps=4,t0={t0},guidance=2")
    calls = unet_calls(made)
    made.generate([request(0)])
    assert calls == ran
    assert made.stages()["unet"].per_image == 2 * len(ran)


def test_a_small_t0_starts_from_the_source_and_a_large_one_from_noise(
    tiny_sd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def started(t0: float) -> tuple[torch.Tensor, torch.Tensor]:
        made = adapter(tiny_sd, f"steps=50,t0={t0},guidance=1")
        monkeypatch.setattr(made.base, "denoise", lambda requests, embeddings, latents, first: latents)
        with torch.inference_mode():
            return made.denoise([request(0)], torch.empty(0)), made.encode_sources([request(0)])

    draws = noise.batch([request(0)], (4, SIZE // 8, SIZE // 8), "sdedit")
    noisy, source = started(0.02)
    assert torch.allclose(noisy, source + 0.0413 * draws, atol=1e-2)  # of timestep 1
    noisy, source = started(1)
    assert torch.allclose(noisy, 0.0742 * source + 0.9972 * draws, atol=1e-2)  # of timestep 981


def test_the_prompt_and_the_seed_matter(tiny_sd: Path) -> None:
    from dataclasses import replace

    made = adapter(tiny_sd, "steps=4,t0=0.8")
    first = request(0)
    pictures = made.generate([first, replace(first, prompt="a green frog"), replace(first, seed=4)])
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[0] != pictures[2]).any()
    assert made.noise_digest(first) == noise.digest(noise.normal(first, (4, 8, 8), "sdedit"))
    assert made.noise_digest(first) != made.base.noise_digest(first)


def test_pictures_are_bit_equal_in_any_order(tiny_sd: Path) -> None:
    made = adapter(tiny_sd, "steps=4,t0=0.8")
    requests = [request(index) for index in range(4)]
    assert (made.generate(requests) == made.generate(requests[::-1])[::-1]).all()


def test_the_encoder_is_a_stage(tiny_sd: Path) -> None:
    import torch

    made = adapter(tiny_sd)
    stages = made.stages()
    assert list(stages) == ["text_encoder", "encoder", "unet", "decoder"]
    with torch.inference_mode():
        for stage in stages.values():
            stage.module(*stage.inputs(request(0), "cpu"))


def test_own_default_scheduler_and_the_suites(tiny_sd: Path) -> None:
    assert adapter(tiny_sd).settings == Settings("ddim", 4, 7.5)
    assert adapter(tiny_sd, suite=Settings("dpm++", 9)).settings.scheduler == "dpm++"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("t0=0", "t0=0 must be"),
        ("t0=1.1", "t0=1.1 must be"),
        ("t0=nan", "t0=nan must be"),
        ("t0=half", "t0=half must be"),
        ("t0=0.2,steps=4", "at least 0.25"),
        ("t0=0.3333,steps=3", "at least 0.3334"),
        ("scheduler=pndm", "'pndm' cannot start in the middle"),
    ],
)
def test_bad_options_are_one_line(tiny_sd: Path, options: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        adapter(tiny_sd, options)


def test_pndm_from_the_begin_is_fine(tiny_sd: Path) -> None:
    assert adapter(tiny_sd, "scheduler=pndm,t0=1,steps=4").generate([request(0)]).shape == (1, SIZE, SIZE, 3)


def test_a_request_without_a_fitting_source(tiny_sd: Path) -> None:
    made = adapter(tiny_sd)
    with pytest.raises(BenchError, match="'p' has no source picture to edit"):
        made.generate([Request("p", "x", height=SIZE, width=SIZE)])
    with pytest.raises(BenchError, match="the source picture of prompt 'p' is 32×32, the picture 64×64"):
        made.generate([Request("p", "x", height=SIZE, width=SIZE, source=Pixels.of(picture(0, 32)))])
