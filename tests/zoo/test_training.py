"""The zoo's recipes: a run that is stopped goes on where it was, and learns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from t2ibench.datasets.scene_captions import read_caption
from t2ibench.datasets.scenes import held_out, scenes
from t2ibench.zoo.recipes import data, features, tokenizer, unet, vae
from t2ibench.zoo.recipes.clip import near_miss
from t2ibench.zoo.recipes.text_encoder import QUESTIONS, answers
from t2ibench.zoo.recipes.training import ZOO, Training, save_half


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> data.Pool:
    """A small pool of scenes."""
    drawn = list(scenes(64))
    import numpy as np

    return data.Pool(np.stack([scene.image for scene in drawn]), [scene.caption for scene in drawn])


def classifier(few: data.Pool, work: Path, steps: int, until: int | None = None) -> Training:
    """Train the feature extractor for some steps, or go on with what lies in ``work``."""
    torch.manual_seed(0)
    wanted = features.truths(few.captions)
    model = features.build()
    training = Training("features", model, {"batch": 16}, steps=steps, rate=2e-3, warmup=2, average=0.9, work=work)

    def loss(generator: torch.Generator) -> torch.Tensor:
        chosen = torch.randint(len(few), (16,), generator=generator)
        return features.loss(model(vae.pixels(few.images[chosen.numpy()])).logits, wanted[chosen])

    training.run(loss, until=until)
    return training


@pytest.mark.slow
def test_a_checkpoint_is_continued_and_the_loss_goes_down(few: data.Pool, tmp_path: Path) -> None:
    classifier(few, tmp_path, steps=40, until=20)
    continued = classifier(few, tmp_path, steps=40)
    assert continued.plans == [40]
    assert [step for step, _ in continued.curve] == [20, 40]
    assert continued.curve[1][1] < 0.9 * continued.curve[0][1]


def test_a_stopped_run_takes_the_steps_of_an_uninterrupted_one(few: data.Pool, tmp_path: Path) -> None:
    whole = classifier(few, tmp_path / "whole", steps=6)
    classifier(few, tmp_path / "parts", steps=6, until=3)
    parts = classifier(few, tmp_path / "parts", steps=6)
    assert parts.step == whole.step == 6
    for name, value in whole.mean.items():
        assert torch.equal(value, parts.mean[name]), name


def test_a_checkpoint_of_another_recipe_is_refused(few: data.Pool, tmp_path: Path) -> None:
    classifier(few, tmp_path, steps=2)
    with pytest.raises(SystemExit, match="made with batch 16, not 8; remove it"):
        Training("features", features.build(), {"batch": 8}, steps=2, rate=2e-3, warmup=2, average=0.9, work=tmp_path)


def test_a_finished_run_that_goes_on_tells_so(few: data.Pool, tmp_path: Path) -> None:
    classifier(few, tmp_path, steps=4)
    longer = classifier(few, tmp_path, steps=6)
    assert longer.plans == [4, 6]
    longer.record(tmp_path, {"psnr_db": 30.0})
    assert json.loads((tmp_path / "cards" / "features.json").read_text())["plans"] == [4, 6]


def test_a_part_of_the_model_learns_at_a_rate_of_its_own(tmp_path: Path) -> None:
    class Both(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slow, self.fast = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))

    def trained(until: int) -> Both:
        model = Both()
        training = Training(
            "both", model, {}, steps=4, rate=1e-3, warmup=1, decay=0, factors={"fast": 5}, work=tmp_path
        )
        training.run(lambda _: (model.slow + model.fast).sum(), until=until)
        return model

    for until in (2, 4):  # and when it goes on
        model = trained(until)
        assert model.fast.item() == pytest.approx(5 * model.slow.item())
        assert model.slow.item() < 0


def test_what_comes_before_the_rate_falls_does_not_depend_on_the_number_of_steps(tmp_path: Path) -> None:
    def train(steps: int, work: Path) -> Training:
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 1)
        training = Training("line", model, {}, steps=steps, rate=1e-2, warmup=2, cooldown=0.5, work=work)
        training.run(lambda generator: model(torch.randn(8, 4, generator=generator)).square().mean())
        return training

    short = train(8, tmp_path / "short")
    (short.folder / "stable.pt").replace(short.checkpoint)
    longer, whole = train(12, tmp_path / "short"), train(12, tmp_path / "whole")
    assert longer.plans == whole.plans == [12]
    assert torch.equal(longer.model.weight, whole.model.weight)


@pytest.mark.slow
def test_the_trained_unet_and_vae_fit_each_other_and_learn(few: data.Pool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    autoencoder = vae.build()
    latents = unet.latents_of(autoencoder, few).float()
    assert latents.shape == (64, 4, 8, 8)
    model = unet.build()
    hidden = torch.zeros(16, tokenizer.LENGTH, 128)
    training = Training("unet", model, {}, steps=8, rate=2e-3, warmup=1, work=tmp_path)

    def predict(noisy: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return model(noisy, timesteps, hidden[: len(noisy)], return_dict=False)[0]

    losses = []

    def loss(generator: torch.Generator) -> torch.Tensor:
        losses.append(unet.loss(predict, latents[:16], hidden, torch.Generator().manual_seed(0), cap=6))
        return losses[-1]

    training.run(loss)
    assert losses[-1] < 0.9 * losses[0]


def test_every_word_of_the_grammar_is_one_token(tmp_path: Path) -> None:
    words = tokenizer.write(tmp_path)
    for scene in scenes(50, "validation"):
        tokens = words(scene.caption).input_ids
        assert len(tokens) == len(scene.caption.split()) + 2 <= tokenizer.LENGTH
    assert words.decode(words("zebra").input_ids, skip_special_tokens=True).strip() == "zebra"


def test_answers_tell_captions_apart() -> None:
    caption = read_caption("a red circle left of a blue square on a grey background")
    turned = read_caption("a red circle right of a blue square on a grey background")
    assert caption and turned
    assert len(answers(caption)) == len(QUESTIONS)
    assert sum(a != b for a, b in zip(answers(caption), answers(turned), strict=True)) == 1


def test_a_near_miss_is_another_caption_of_the_grammar() -> None:
    generator = torch.Generator().manual_seed(0)
    for scene in scenes(100):
        missed = near_miss(scene.caption, generator)
        assert missed != scene.caption
        assert not held_out(missed)
        assert read_caption(missed) is not None
    for scene in scenes(100, "validation"):
        assert near_miss(scene.caption, generator) != scene.caption


def test_weights_do_not_say_where_they_were_loaded_from(tmp_path: Path) -> None:
    from diffusers import AutoencoderKL

    loaded = AutoencoderKL.from_pretrained(ZOO / "mini-sd" / "vae")
    save_half(loaded, tmp_path)
    assert str(ZOO) not in (tmp_path / "config.json").read_text(encoding="utf-8")
    assert AutoencoderKL.from_pretrained(tmp_path).config.latent_channels == loaded.config.latent_channels
