"""plug-and-play: what is inverted, and what is injected where and when."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from t2ibench.adapters import make_adapter, plug_and_play
from t2ibench.adapters.base import Settings
from t2ibench.adapters.plug_and_play import ddim_inverse, decoder_layers, source_injected
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Pixels, Request

SIZE = 64


def picture(index: int, size: int = SIZE) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size] / size
    waves = [np.sin(6 * x + index), np.cos(5 * y - index), np.sin(4 * (x + y) * (index + 1))]
    return ((np.stack(waves, -1) + 1) * 127).astype(np.uint8)


def request(index: int, prompt: str = "a red bus", source: int | None = None, **more: object) -> Request:
    pixels = Pixels.of(picture(index if source is None else source))
    return Request(f"p{index}", prompt, **{"seed": 3, "height": SIZE, "width": SIZE, "source": pixels, **more})


def adapter(checkpoint: Path, options: str = "steps=5,inversion_steps=5", suite: Settings | None = None):
    made = make_adapter(f"plug-and-play[base=sd15[checkpoint={checkpoint}],{options}]", suite)
    made.load("cpu", "fp32")
    return made


@pytest.fixture(params=["tiny_sd", "velocity_sd"])
def checkpoint(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def batches(made) -> list[tuple[int, int]]:
    """Timestep and batch size of the UNet's calls from now on."""
    calls: list[tuple[int, int]] = []
    made.base.unet.register_forward_pre_hook(lambda module, inputs: calls.append((int(inputs[1]), len(inputs[0]))))
    return calls


def with_unit_latents(made, monkeypatch: pytest.MonkeyPatch):
    """Latents of variance 1, as a trained encoder's, in place of those of the random one: near 0."""
    import torch

    latents = torch.randn(1, *made.base.latent_shape(request(0)), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(made.base, "encode", lambda pictures: latents.expand(len(pictures), -1, -1, -1))
    return latents


def hooks(made) -> int:
    return sum(len(module._forward_hooks) for module in made.base.unet.modules())


# Layers


def names(made, modules) -> list[str]:
    known = {module: name for name, module in made.base.unet.named_modules()}
    return [known[module] for module in modules]


def test_layers_of_sd15_are_those_of_the_paper() -> None:
    import torch
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
    layers = decoder_layers(unet)
    expected = {1: [1, 2], 2: [0, 1, 2], 3: [0, 1, 2]}
    attentions = [unet.up_blocks[i].attentions[j].transformer_blocks[0].attn1 for i, js in expected.items() for j in js]
    third = len(layers) // 3
    assert third == 4
    assert layers[third].resnet is unet.up_blocks[1].resnets[1]
    assert [attention for layer in layers[third:] for attention in layer.attentions] == attentions


def test_layers_of_the_efficient_unet() -> None:
    import torch

    from t2ibench.adapters.networks.efficient_unet import EfficientUNet, sd15

    with torch.device("meta"):
        same, efficient = decoder_layers(sd15()), decoder_layers(EfficientUNet())
    assert [len(layer.attentions) for layer in same] == [0] * 3 + [1] * 9
    assert [len(layer.attentions) for layer in efficient] == [0, 0, 3, 3, 1, 1, 1, 0, 0, 0]


def test_layers_of_a_smaller_unet_and_those_asked_for(tiny_sd: Path) -> None:
    made = adapter(tiny_sd)
    assert names(made, made.feature_modules) == ["up_blocks.0.resnets.1.conv2"]
    attention = "up_blocks.1.attentions.{}.transformer_blocks.0.attn1.to_{}"
    assert names(made, made.attention_modules) == [attention.format(i, which) for i in (0, 1) for which in "qk"]
    made = adapter(tiny_sd, "steps=2,inversion_steps=2,feature_layer=0,attention_layers=3")
    assert names(made, made.feature_modules) == ["up_blocks.0.resnets.0.conv2"]
    assert names(made, made.attention_modules) == [attention.format(1, which) for which in "qk"]


def test_layers_are_injected_at_their_steps(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = adapter(tiny_sd, "steps=10,inversion_steps=10")
    steps = []

    @contextmanager
    def spy(modules, parts):
        steps.append((Counter(names(made, modules)), parts))
        with source_injected(modules, parts):
            yield

    monkeypatch.setattr(plug_and_play, "source_injected", spy)
    made.generate([request(0)])
    features, attentions = Counter(names(made, made.feature_modules)), Counter(names(made, made.attention_modules))
    assert [parts for _, parts in steps] == [3] * 10
    assert [dict(modules & features) == dict(features) for modules, _ in steps] == [True] * 8 + [False] * 2
    assert [dict(modules & attentions) == dict(attentions) for modules, _ in steps] == [True] * 5 + [False] * 5
    assert [modules.total() for modules, _ in steps] == [5] * 5 + [1] * 3 + [0] * 2


def test_the_source_gives_the_output_of_all_parts() -> None:
    import torch

    layer = torch.nn.Linear(3, 2)
    inputs = torch.randn(6, 4, 3)
    plain = layer(inputs)
    with source_injected([layer], 3):
        injected = layer(inputs)
    assert (injected == torch.cat([plain[:2]] * 3)).all()
    assert (layer(inputs) == plain).all()


# Inversion


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_inverse_undoes_a_step_of_the_sampler(prediction_type: str) -> None:
    import torch
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(clip_sample=False, set_alpha_to_one=False, prediction_type=prediction_type)
    scheduler.set_timesteps(10)
    latents, predicted = torch.randn(2, 1, 4, 8, 8)
    for timestep in (900, 300, 0):
        stepped = scheduler.step(predicted, timestep, latents).prev_sample
        clean = scheduler.alphas_cumprod[timestep - 100] if timestep else scheduler.final_alpha_cumprod
        back = ddim_inverse(
            stepped, predicted, float(clean), float(scheduler.alphas_cumprod[timestep]), prediction_type
        )
        assert torch.allclose(back, latents, atol=1e-4)


def test_the_inverse_of_noise_prediction_is_diffusers() -> None:
    import torch
    from diffusers import DDIMInverseScheduler

    scheduler = DDIMInverseScheduler(clip_sample=False, set_alpha_to_one=False)
    scheduler.set_timesteps(10)
    latents, predicted = torch.randn(2, 1, 4, 8, 8)
    alphas = scheduler.alphas_cumprod
    theirs = scheduler.step(predicted, 500, latents).prev_sample
    ours = ddim_inverse(latents, predicted, float(alphas[400]), float(alphas[500]), "epsilon")
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_sampling_undoes_the_inversion_and_better_with_more_steps(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    errors = []
    for steps in (12, 60):
        made = adapter(checkpoint, f"steps={steps},inversion_steps={steps},guidance=1")
        source, requests = with_unit_latents(made, monkeypatch), [request(0, "")]
        with torch.inference_mode():
            inverted = made.invert(requests)
            latents = made.base.denoise(requests, made.base.embed(requests), latents=inverted[0])
        errors.append(float((latents - source).norm() / source.norm()))
        assert inverted.shape == (steps, 1, 4, 8, 8)
    assert errors[1] < errors[0] / 2


def test_a_fine_inversion_passes_through_the_timesteps_of_the_sampler(tiny_sd: Path) -> None:
    made = adapter(tiny_sd, "steps=50,inversion_steps=999")
    assert made.inversion_timesteps == list(range(1, 982))
    assert adapter(tiny_sd, "steps=4,inversion_steps=8").inversion_timesteps == [1, 126, 251, 376, 501, 626, 751]
    assert adapter(tiny_sd, "steps=4,inversion_steps=3").inversion_timesteps == [1, 251, 334, 501, 667, 751]


def test_latents_are_kept_at_the_timesteps_of_the_sampler(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    made = adapter(tiny_sd, "steps=4,inversion_steps=40")
    source = with_unit_latents(made, monkeypatch)
    made.base.unet.forward = lambda latents, *inputs, **more: (torch.zeros_like(latents),)  # there is no noise
    with torch.inference_mode():
        kept = made.invert([request(0)])
    alphas = made.base.scheduler.alphas_cumprod
    for latents, timestep in zip(kept, (751, 501, 251, 1), strict=True):
        assert torch.allclose(latents, source * (alphas[timestep] / alphas[0]).sqrt(), atol=1e-5)


def test_a_source_is_inverted_once(tiny_sd: Path) -> None:
    made = adapter(tiny_sd, "steps=2,inversion_steps=4,guidance=2")
    calls = batches(made)
    made.generate([request(0), request(1, source=0)])
    assert calls == [(1, 2), (251, 2), (501, 2), (501, 6), (1, 6)]
    calls.clear()
    made.generate([request(2, "a green frog", source=0), request(3, source=0)])
    assert calls == [(501, 6), (1, 6)]
    calls.clear()
    made.generate([request(0), request(4)])
    assert len(calls) == 5


def test_few_inversions_are_remembered(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(plug_and_play, "KEPT", 2)
    made = adapter(tiny_sd, "steps=2,inversion_steps=2")
    with torch.inference_mode():
        assert made.invert([request(index) for index in range(3)]).shape[1] == 3
    assert len(made._inverted) == 2


# Pictures


@pytest.mark.parametrize("guidance", [1, 3])
def test_without_thresholds_it_is_the_base_from_the_inverted_noise(checkpoint: Path, guidance: int) -> None:
    import torch

    made = adapter(
        checkpoint, f"steps=5,inversion_steps=10,guidance={guidance},feature_threshold=0,attention_threshold=0"
    )
    requests = [request(0, "a green frog", negative_prompt="blurry"), request(1)]
    ours = made.generate(requests).astype(int)
    with torch.inference_mode():
        plain = made.base.denoise(requests, made.base.embed(requests), latents=made.invert(requests)[0])
        assert np.abs(ours - made.base.decode(plain)).max() <= 1


def test_injection_keeps_to_the_source(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def error(threshold: int) -> torch.Tensor:
        thresholds = f"feature_layer=3,feature_threshold={threshold},attention_threshold={threshold}"
        made = adapter(tiny_sd, f"steps=10,inversion_steps=10,guidance=1,{thresholds}")
        source, requests = with_unit_latents(made, monkeypatch), [request(0, "")]
        with torch.inference_mode():
            return (made.denoise(requests, made.base.embed(requests)) - source).norm()

    assert error(1) < 0.9 * error(0)


@pytest.mark.parametrize("which", ["feature_threshold", "attention_threshold"])
def test_each_injection_changes_the_picture(tiny_sd: Path, which: str) -> None:
    both = "feature_threshold=0,attention_threshold=0"
    off = adapter(tiny_sd, f"steps=4,inversion_steps=4,{both}").generate([request(0)])
    on = adapter(tiny_sd, f"steps=4,inversion_steps=4,{both.replace(f'{which}=0', f'{which}=1')}").generate(
        [request(0)]
    )
    assert (off != on).any()


def test_the_prompts_matter(tiny_sd: Path) -> None:
    made = adapter(tiny_sd)
    pictures = made.generate(
        [request(0), request(0, "a green frog"), request(0, negative_prompt="blurry"), request(0, seed=9)]
    )
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[0] != pictures[2]).any()
    assert (pictures[0] == pictures[3]).all()  # nothing is drawn
    assert made.noise_digest(request(0)) is None


def test_pictures_are_bit_equal_in_any_order_whatever_is_remembered(tiny_sd: Path, one_thread: None) -> None:
    requests = [request(0), request(1, "a green frog"), request(2, source=0)]
    forwards = adapter(tiny_sd).generate(requests)
    made = adapter(tiny_sd)
    made.generate([request(1), request(3), request(4)])
    assert (made.generate(requests[::-1])[::-1] == forwards).all()


def test_nothing_stays_installed(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = adapter(tiny_sd)
    made.generate([request(0)])
    assert hooks(made) == 0
    monkeypatch.setattr(made.feature_modules[0], "forward", lambda inputs: 1 / 0)
    made.base.unet.eval()
    with pytest.raises(ZeroDivisionError):
        made.generate([request(0)])
    assert hooks(made) == 0


def test_cost_counts_the_inversion_and_the_source(tiny_sd: Path) -> None:
    made = adapter(tiny_sd, "steps=4,inversion_steps=8")
    stages = made.stages()
    assert {name: stage.per_image for name, stage in stages.items()} == {
        "text_encoder": 1, "encoder": 1, "inversion": 7, "unet": 12, "decoder": 1,
    }  # fmt: skip
    assert list(stages) == ["text_encoder", "encoder", "inversion", "unet", "decoder"]
    assert stages["inversion"].module is stages["unet"].module
    assert adapter(tiny_sd, "steps=4,inversion_steps=8,guidance=1").stages()["unet"].per_image == 8


# Errors


def test_own_default_scheduler(tiny_sd: Path) -> None:
    assert adapter(tiny_sd).settings == Settings("ddim", 5, 7.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("feature_threshold=1.5", "feature_threshold=1.5 must be a number from 0 to 1"),
        ("attention_threshold=-0.1", "attention_threshold=-0.1 must be"),
        ("attention_threshold=some", "attention_threshold=some must be"),
        ("inversion_steps=0", "inversion_steps=0 must be"),
        ("inversion_steps=2000", "cannot take 2000 steps"),
        ("feature_layer=9", "feature_layer=9: the decoder of '.*' has layers 0-3"),
        ("feature_layer=1-2", "must be one layer"),
        ("attention_layers=3-1", "attention_layers=3-1 must be"),
        ("attention_layers=a", "attention_layers=a must be"),
        ("attention_layers=0-1", "decoder layers 0-1 of '.*' have no self-attention"),
        ("scheduler=dpm++", r"inverts DDIM, not 'dpm\+\+': use scheduler=ddim"),
    ],
)
def test_bad_options_are_one_line(tiny_sd: Path, options: str, message: str) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        adapter(tiny_sd, options)
    assert "\n" not in str(caught.value)


def test_the_scheduler_of_the_suite_or_the_base_must_be_ddim_too(tiny_sd: Path) -> None:
    with pytest.raises(BenchError, match="use scheduler=ddim"):
        adapter(tiny_sd, "steps=4", Settings("pndm"))
    made = make_adapter(f"plug-and-play[base=sd15[checkpoint={tiny_sd},scheduler=euler]]")
    with pytest.raises(BenchError, match="use scheduler=ddim"):
        made.load("cpu", "fp32")


def test_a_unet_of_another_build() -> None:
    import torch

    with pytest.raises(BenchError, match="the decoder of Linear is not built as"):
        decoder_layers(torch.nn.Linear(1, 1))


def test_a_request_without_a_fitting_source(tiny_sd: Path) -> None:
    made = adapter(tiny_sd, "steps=2,inversion_steps=2")
    with pytest.raises(BenchError, match="'p' has no source picture to edit"):
        made.generate([Request("p", "x", height=SIZE, width=SIZE)])
    made.generate([request(0)])
    with pytest.raises(BenchError, match="the source picture of prompt 'p0' is 64×64, the picture 64×128"):
        made.generate([request(0, height=128)])
