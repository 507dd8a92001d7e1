"""sd15 against diffusers' own pipeline, and what it does with noise and batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from t2ibench.adapters import make_adapter, noise
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Request

SIZE = 64


def request(index: int, prompt: str = "a red bus", **more: object) -> Request:
    return Request(f"p{index}", f"{prompt} {index}", seed=3, height=SIZE, width=SIZE, **more)


def adapter(checkpoint: Path, options: str = "steps=4", dtype: str = "fp32"):
    made = make_adapter(f"sd15[checkpoint={checkpoint},{options}]")
    made.load("cpu", dtype)
    return made


def reference(checkpoint: Path, requests: list[Request], scheduler: str, steps: int, guidance: float) -> np.ndarray:
    import torch
    from diffusers import StableDiffusionPipeline

    from t2ibench.adapters.schedulers import make_scheduler

    pipeline = StableDiffusionPipeline.from_pretrained(checkpoint, safety_checker=None)
    pipeline.scheduler = make_scheduler(scheduler, pipeline.scheduler.config, steps)
    pipeline.set_progress_bar_config(disable=True)
    latents = noise.batch(requests, (4, SIZE // 8, SIZE // 8))
    with torch.no_grad():
        pictures = pipeline(
            [r.prompt for r in requests], negative_prompt=[r.negative_prompt for r in requests],
            height=SIZE, width=SIZE, num_inference_steps=steps, guidance_scale=guidance, latents=latents,
            output_type="np",
        ).images  # fmt: skip
    return (pictures * 255).round().astype(np.uint8)


@pytest.mark.parametrize("scheduler", ["ddim", "pndm", "dpm", "dpm++", "euler"])
def test_equals_the_diffusers_pipeline(tiny_sd: Path, scheduler: str) -> None:
    requests = [request(0), request(1, negative_prompt="blurry")]
    ours = adapter(tiny_sd, f"scheduler={scheduler},steps=4,guidance=5").generate(requests)
    theirs = reference(tiny_sd, requests, scheduler, 4, 5.0)
    assert ours.shape == (2, SIZE, SIZE, 3)
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_without_guidance_the_unet_runs_once_per_step(tiny_sd: Path) -> None:
    requests = [request(0)]
    plain = adapter(tiny_sd, "scheduler=ddim,steps=3,guidance=1")
    assert plain.stages()["unet"].per_image == 3
    assert adapter(tiny_sd, "scheduler=ddim,steps=3,guidance=2").stages()["unet"].per_image == 6
    assert np.abs(plain.generate(requests).astype(int) - reference(tiny_sd, requests, "ddim", 3, 1.0)).max() <= 1


def test_a_unet_that_reads_the_guidance_scale_runs_once_per_step(sd_factory, tmp_path: Path) -> None:
    distilled = sd_factory(tmp_path / "distilled", unet={"time_cond_proj_dim": 16})
    requests = [request(0), request(1, negative_prompt="blurry")]
    made = adapter(distilled, "scheduler=ddim,steps=3,guidance=5")
    pictures = made.generate(requests)
    assert made.stages()["unet"].per_image == 3
    # A change of one step of 255 in the picture is rounding; of the guidance scale far more.
    assert np.abs(pictures.astype(int) - reference(distilled, requests, "ddim", 3, 5.0)).max() <= 1
    assert np.abs(pictures.astype(int) - reference(distilled, requests, "ddim", 3, 2.0)).max() > 1


def test_pndm_counts_its_extra_forward(tiny_sd: Path) -> None:
    assert adapter(tiny_sd, "scheduler=pndm,steps=4,guidance=1").stages()["unet"].per_image == 5


def test_noise_does_not_depend_on_batch_or_order() -> None:
    requests = [request(index) for index in range(8)]
    alone = np.concatenate([noise.batch([r], (4, 8, 8)).numpy() for r in requests])
    threes = np.concatenate([noise.batch(requests[i : i + 3], (4, 8, 8)).numpy() for i in range(0, 8, 3)])
    together = noise.batch(requests, (4, 8, 8)).numpy()
    backwards = noise.batch(requests[::-1], (4, 8, 8)).numpy()[::-1]
    for other in (threes, together, backwards):
        assert alone.tobytes() == np.ascontiguousarray(other).tobytes()


def test_noise_differs_by_every_part_of_its_key() -> None:
    base = Request("a", "text", seed=1)
    others = [Request("b", "text", seed=1), Request("a", "text", seed=2), Request("a", "text", seed=1, sample=1)]
    draws = [noise.normal(r, (4, 8, 8)) for r in [base, *others]]
    draws += [noise.normal(base, (4, 8, 8), "other"), noise.normal(base, (4, 8, 8), step=1)]
    assert len({noise.digest(draw) for draw in draws}) == 6
    assert abs(np.mean(draws)) < 0.1
    assert abs(np.std(draws) - 1) < 0.1


def test_noise_is_the_same_on_every_machine_and_version() -> None:
    """Stored digests pair runs of different days: a library that changed its stream must not pass unseen."""
    assert noise.digest(noise.normal(Request("000000000139", "x", seed=0), (4, 64, 64))) == "84d2678748ac7de1"


@pytest.mark.parametrize(
    "options", ["scheduler=ddim,steps=3", "scheduler=ddpm,steps=3", "scheduler=lcm,steps=3,guidance=1"]
)
def test_pictures_are_bit_equal_in_any_order_at_one_batch_size(tiny_sd: Path, options: str) -> None:
    made = adapter(tiny_sd, options)
    requests = [request(index) for index in range(4)]
    forwards = made.generate(requests)
    backwards = made.generate(requests[::-1])[::-1]
    mixed = made.generate([requests[2], requests[0], requests[0], requests[0]])
    assert (forwards == backwards).all()
    assert (mixed[0] == forwards[2]).all()


def test_pictures_of_other_batch_sizes_differ_by_rounding_only(tiny_sd: Path) -> None:
    made = adapter(tiny_sd, "scheduler=ddim,steps=4")
    requests = [request(index) for index in range(8)]
    together = made.generate(requests).astype(int)
    for size in (1, 3):
        apart = np.concatenate([made.generate(requests[i : i + size]) for i in range(0, 8, size)])
        assert np.abs(apart - together).max() <= 1


def test_a_sampler_that_draws_noise_depends_on_the_seed(tiny_sd: Path) -> None:
    made = adapter(tiny_sd, "scheduler=lcm,steps=2,guidance=1")
    other = Request("p0", "a red bus 0", seed=4, height=SIZE, width=SIZE)
    assert (made.generate([request(0)]) != made.generate([other])).any()


def test_long_prompts_say_what_is_cut(tiny_sd: Path) -> None:
    made = adapter(tiny_sd)
    assert made.notes(request(0)) == []
    (note,) = made.notes(request(0, "word " * 80 + "the forgotten end"))
    assert note.startswith("prompt cut after 77 tokens")
    assert "the forgotten end" in note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sd15[steps=0]", "steps=0"),
        ("sd15[steps=many]", "steps=many"),
        ("sd15[guidance=-1]", "guidance=-1"),
        ("sd15[scheduler=dmp]", "unknown scheduler 'dmp'"),
        ("sd15[setps=4]", "did you mean 'steps'"),
        ("sd51", "did you mean 'sd15'"),
        ("sd15[steps]", "is no option"),
        ("sd15[steps=4", "brackets"),
        ("sd15]", "brackets"),
        ("sd15:something", "takes no argument"),
        ("no.such:Thing", "cannot import"),
        ("pathlib:Path", "which is no t2ibench.adapters.base.Adapter"),
        ("os.path:join", "which is no t2ibench.adapters.base.Adapter"),
    ],
)
def test_bad_method_strings_are_one_line(text: str, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        make_adapter(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_scheduler_that_cannot_take_the_steps(tiny_sd: Path) -> None:
    with pytest.raises(BenchError, match="cannot take 60 steps"):
        adapter(tiny_sd, "scheduler=lcm,steps=60")


def test_a_checkpoint_of_another_family_points_to_diffusers(tiny_sd: Path, tmp_path: Path) -> None:
    import json
    import shutil

    other = shutil.copytree(tiny_sd, tmp_path / "other")
    index = json.loads((other / "model_index.json").read_text())
    index["unet"] = ["diffusers", "SD3Transformer2DModel"]
    (other / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(BenchError, match=r"is no SD1\.x or SD2\.x"):
        adapter(other)
