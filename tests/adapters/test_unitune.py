"""unitune: what is trained, on what, and how the tuned copy is used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from t2ibench.adapters import make_adapter, unitune
from t2ibench.adapters.checkpoints import fingerprint
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Pixels, Request

SIZE = 64
FEW = "fine_tuning_steps=2,batch=2,rate=1e-3"


def picture(index: int, size: int = SIZE) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size] / size
    waves = [np.sin(6 * x + index), np.cos(5 * y - index), np.sin(4 * (x + y) * (index + 1))]
    return ((np.stack(waves, -1) + 1) * 127).astype(np.uint8)


def request(index: int, prompt: str = "a red bus", source: int | None = None, **more: object) -> Request:
    pixels = Pixels.of(picture(index if source is None else source))
    return Request(f"p{index}", prompt, **{"seed": 3, "height": SIZE, "width": SIZE, "source": pixels, **more})


def adapter(checkpoint: Path, options: str = FEW, dtype: str = "fp32"):
    made = make_adapter(f"unitune[base=sd15[checkpoint={checkpoint}],steps=3,{options}]")
    made.load("cpu", dtype)
    return made


def weights(unet) -> dict[str, np.ndarray]:
    return {name: tensor.detach().float().numpy().copy() for name, tensor in unet.state_dict().items()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all((one[name] == other[name]).all() for name in one)


# Fine-tuning


def test_without_fine_tuning_it_is_sdedit_bit_for_bit(tiny_sd: Path) -> None:
    settings = f"base=sd15[checkpoint={tiny_sd}],steps=5,guidance=3,t0=0.8"
    ours = make_adapter(f"unitune[{settings},fine_tuning_steps=0]")
    theirs = make_adapter(f"sdedit[{settings}]")
    for made in (ours, theirs):
        made.load("cpu", "fp32")
    requests = [request(0, source=0), request(1, "a frog", source=0, negative_prompt="blurry")]
    with_token = [replace(each, prompt=f"beikkpic {each.prompt}") for each in requests]
    assert (ours.generate(requests) == theirs.generate(with_token)).all()
    assert ours.noise_digest(requests[0]) == theirs.noise_digest(requests[0])


def test_the_base_is_never_changed(tiny_sd: Path) -> None:
    digest = fingerprint(tiny_sd, "unet", "vae", "text_encoder")
    made = adapter(tiny_sd)
    unet, before = made.base.unet, weights(made.base.unet)
    trainable = [parameter.requires_grad for parameter in unet.parameters()]
    edited = made.generate([request(0)])
    assert made.base.unet is unet
    assert same(before, weights(unet))
    assert trainable == [parameter.requires_grad for parameter in unet.parameters()]
    assert all(parameter.grad is None for parameter in unet.parameters())
    assert fingerprint(tiny_sd, "unet", "vae", "text_encoder") == digest
    assert (edited != adapter(tiny_sd, "fine_tuning_steps=0").generate([request(0)])).any()


@pytest.mark.parametrize("which", ["tiny_sd", "velocity_sd"])
def test_the_loss_on_the_source_falls(which: str, request: pytest.FixtureRequest) -> None:
    import torch

    made = adapter(request.getfixturevalue(which), "fine_tuning_steps=24,batch=4,rate=2e-3")
    edit = globals()["request"](0)
    tuned = made.fine_tune(edit)
    with torch.no_grad():
        latents = made.base.encode(picture(0)[None]).expand(32, -1, -1, -1)
        embeddings = made.base.encode_text(["beikkpic"]).expand(32, -1, -1)
        draws = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
        timesteps = torch.linspace(0, 999, 32).long()
        before, after = (
            float(made.loss(unet, latents, embeddings, draws, timesteps)) for unet in (made.base.unet, tuned)
        )
    assert after < 0.9 * before


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_the_loss_is_nought_for_the_right_prediction(tiny_sd: Path, prediction_type: str) -> None:
    import torch

    made = adapter(tiny_sd)
    made.base.scheduler.register_to_config(prediction_type=prediction_type)
    latents, draws = torch.randn(2, 3, 4, 8, 8)
    timesteps = torch.tensor([0, 500, 999])
    kept = made.base.scheduler.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    noisy = kept.sqrt() * latents + (1 - kept).sqrt() * draws
    right = {
        "epsilon": draws, "sample": latents, "v_prediction": kept.sqrt() * draws - (1 - kept).sqrt() * latents,
    }[prediction_type]  # fmt: skip

    def oracle(inputs, steps, encoder_hidden_states, return_dict):
        assert torch.allclose(inputs, noisy, atol=1e-6)
        assert (steps == timesteps).all()
        return (right,)

    assert float(made.loss(oracle, latents, torch.zeros(3, 77, 32), draws, timesteps)) < 1e-10


def test_it_is_trained_on_the_source_and_the_token_alone(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    made = adapter(tiny_sd, "fine_tuning_steps=3,batch=5,token=zwx")
    seen = []
    monkeypatch.setattr(
        made, "loss", lambda unet, *inputs: seen.append(inputs) or sum(p.sum() for p in unet.parameters())
    )
    made.fine_tune(request(0, source=2))
    with torch.no_grad():
        source, token = made.base.encode(picture(2)[None]), made.base.encode_text(["zwx"])
    assert len(seen) == 3
    for latents, embeddings, draws, timesteps in seen:
        assert latents.shape == draws.shape == (5, 4, 8, 8)
        assert (latents == source).all()
        assert (embeddings == token).all()
        assert len(set(timesteps.tolist())) > 1
    assert len({float(draws.sum()) for _, _, draws, _ in seen}) == 3


@pytest.mark.parametrize(("train", "part"), [("all", "down_blocks"), ("cross-attention", ".attn2.")])
def test_what_is_trained(tiny_sd: Path, train: str, part: str) -> None:
    made = adapter(tiny_sd, f"{FEW},train={train}")
    before, after = weights(made.base.unet), weights(made.fine_tune(request(0)))
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert any(part in name for name in changed)
    if train == "cross-attention":
        assert all(part in name for name in changed)
    else:
        # The keys of a self-attention have no bias that could stay; all that is left out has no gradient.
        assert len(changed) > 0.9 * len(before)


def test_draws_are_keyed_by_seed_and_source_alone(tiny_sd: Path) -> None:
    import torch

    made = adapter(tiny_sd)
    state = torch.get_rng_state()
    first = weights(made.fine_tune(request(0)))
    assert (torch.get_rng_state() == state).all()
    torch.manual_seed(5)
    assert same(first, weights(made.fine_tune(request(7, "another edit", source=0, sample=1))))
    assert not same(first, weights(made.fine_tune(request(0, seed=4))))
    assert not same(first, weights(made.fine_tune(request(1))))


def test_pictures_do_not_depend_on_the_order(tiny_sd: Path) -> None:
    made = adapter(tiny_sd)
    requests = [request(0), request(1), request(2, "a frog", source=0)]
    forwards = made.generate(requests)
    assert (adapter(tiny_sd).generate(requests[::-1])[::-1] == forwards).all()
    assert np.abs(adapter(tiny_sd).generate([requests[2]])[0].astype(int) - forwards[2]).max() <= 1
    padded = adapter(tiny_sd).generate([requests[1]] * 3)
    assert (padded == forwards[1]).all()


def test_one_source_is_tuned_once_and_few_are_remembered(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = adapter(tiny_sd)
    tuned = []
    real = made.fine_tune
    monkeypatch.setattr(made, "fine_tune", lambda edit: tuned.append(edit.source.digest) or real(edit))
    batches = []
    made.base.unet.register_forward_pre_hook(lambda module, inputs: batches.append(len(inputs[0])))  # copied with it
    made.generate([request(0), request(1), request(2, source=0)])
    assert len(tuned) == 2
    # Training in twos, the two edits of the first source together and guided, then the other source.
    assert batches == [2, 2, 4, 4, 2, 2, 2, 2]
    made.generate([request(3, source=0), request(4, source=1)])
    assert len(tuned) == 2
    made.generate([request(2)])
    assert len(tuned) == 3
    assert len(made._tuned) == unitune.KEPT == 2
    made.generate([request(1)])
    assert len(tuned) == 3
    made.generate([request(0)])
    assert len(tuned) == 4


def test_gradient_checkpointing_gives_the_same_weights(tiny_sd: Path) -> None:
    plain, saving = (adapter(tiny_sd, f"{FEW},gradient_checkpointing={on}") for on in ("no", "yes"))
    assert same(weights(plain.fine_tune(request(0))), weights(saving.fine_tune(request(0))))


def test_bfloat16_bases_are_tuned_in_float32(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    made = adapter(tiny_sd, dtype="bf16")
    real, types = made.loss, set()

    def spy(unet, *inputs):
        types.update(parameter.dtype for parameter in unet.parameters())
        return real(unet, *inputs)

    monkeypatch.setattr(made, "loss", spy)
    tuned = made.fine_tune(request(0))
    assert types == {torch.float32}
    assert {parameter.dtype for parameter in tuned.parameters()} == {torch.bfloat16}
    assert made.generate([request(0)]).shape == (1, SIZE, SIZE, 3)


def test_it_trains_under_inference_mode_too(tiny_sd: Path) -> None:
    import torch

    expected = adapter(tiny_sd).generate([request(0)])
    with torch.inference_mode():
        assert (adapter(tiny_sd).generate([request(0)]) == expected).all()


# Editing


def spied_prompts(made, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    real = made.base.embed
    monkeypatch.setattr(
        made.base, "embed", lambda edits: seen.extend((e.prompt, e.negative_prompt) for e in edits) or real(edits)
    )
    return seen


@pytest.mark.parametrize(
    ("option", "negative"),
    [("negative", "blurry"), ("token", "zwx"), ("source", "zwx a photo of a car")],
)
def test_prompts_and_what_is_guided_away_from(
    tiny_sd: Path, option: str, negative: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = adapter(tiny_sd, f"fine_tuning_steps=0,token=zwx,prompt_guidance={option}")
    seen = spied_prompts(made, monkeypatch)
    made.generate([request(0, negative_prompt="blurry", source_prompt="a photo of a car")])
    assert seen == [("zwx a red bus", negative)]


def test_prompt_guidance_is_its_formula(tiny_sd: Path) -> None:
    import torch

    made = adapter(tiny_sd, "fine_tuning_steps=0,guidance=5,prompt_guidance=token")
    with torch.inference_mode():
        embeddings = made.base.embed([made.edit_request(request(0))])
        base, edit = made.base.encode_text(["beikkpic"]), made.base.encode_text(["beikkpic a red bus"])
        latents, timestep = torch.randn(1, 4, 8, 8), torch.tensor(500)
        away, towards = (made.base.unet(latents, timestep, each, return_dict=False)[0] for each in (base, edit))
        guided = made.base.predict(latents, timestep, embeddings)
    assert torch.allclose(guided, away + 5 * (towards - away), atol=1e-4)


def test_interpolation_goes_from_the_edit_to_the_source(tiny_sd: Path) -> None:
    import torch

    edit, half, source = (adapter(tiny_sd, f"fine_tuning_steps=0,interpolation={alpha}") for alpha in (0, 0.5, 1))
    requests = [request(0), request(1)]
    pictures = np.stack([picture(0), picture(1)])
    with torch.inference_mode():
        latents = [made.denoise(requests, made.base.embed(requests)) for made in (edit, half, source)]
        encoded = source.base.encode(pictures)
        assert (latents[2] == encoded).all()
        assert torch.allclose(latents[1], (latents[0] + encoded) / 2, atol=1e-5)
        assert np.abs(source.generate(requests).astype(int) - source.base.decode(encoded)).max() <= 1
    assert (edit.generate(requests) == adapter(tiny_sd, "fine_tuning_steps=0").generate(requests)).all()


def test_a_cut_prompt_is_told_with_the_token(tiny_sd: Path) -> None:
    made = adapter(tiny_sd, "token=zwx zwx zwx")
    just = request(0, "word " * 70 + "end")
    assert made.base.notes(just) == []
    (note,) = made.notes(just)
    assert "end" in note


def test_cost_counts_the_training(tiny_sd: Path) -> None:
    made = adapter(tiny_sd, "t0=0.7,guidance=2")
    assert {name: stage.per_image for name, stage in made.stages().items()} == {
        "text_encoder": 1, "encoder": 1, "fine_tune": 3 * 128 * 4, "unet": 4, "decoder": 1,
    }  # fmt: skip
    assert list(made.stages()) == ["text_encoder", "encoder", "fine_tune", "unet", "decoder"]
    assert "fine_tune" not in adapter(tiny_sd, "fine_tuning_steps=0").stages()


# Errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("t0=0", "t0=0 must be"),
        ("t0=0.3", "leaves none of 3 steps"),
        ("fine_tuning_steps=-1", "fine_tuning_steps=-1 must be"),
        ("fine_tuning_steps=1.5", "fine_tuning_steps=1.5 must be"),
        ("batch=0", "batch=0 must be"),
        ("rate=0", "rate=0 must be"),
        ("rate=inf", "rate=inf must be"),
        ("interpolation=2", "interpolation=2 must be"),
        ("train=some", "train=some must be one of all, cross-attention"),
        ("prompt_guidance=7", "prompt_guidance=7 must be one of negative, token, source"),
        ("gradient_checkpointing=1", "gradient_checkpointing=1 must be one of yes, no"),
        ("token=", "token= must be"),
        ("scheduler=pndm", "'pndm' cannot start in the middle"),
    ],
)
def test_bad_options_are_one_line(tiny_sd: Path, options: str, message: str) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        adapter(tiny_sd, options)
    assert "\n" not in str(caught.value)


def test_requests_that_lack_something(tiny_sd: Path) -> None:
    made = adapter(tiny_sd, f"{FEW},prompt_guidance=source")
    with pytest.raises(BenchError, match="'p' has no source picture to edit"):
        made.generate([Request("p", "x", height=SIZE, width=SIZE)])
    with pytest.raises(BenchError, match="is 64×64, the picture 64×128"):
        made.generate([request(0, height=128)])
    with pytest.raises(BenchError, match="'p0' has no source prompt: use prompt_guidance=token"):
        made.generate([request(0)])


def test_a_diverging_rate_is_told(tiny_sd: Path) -> None:
    made = adapter(tiny_sd, "fine_tuning_steps=4,batch=1,rate=1e30")
    with pytest.raises(BenchError, match="is not finite: lower rate"):
        made.generate([request(0)])
