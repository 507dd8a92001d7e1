"""Train the mini UNet with its text encoder: SD1.5's design on 8×8 latents, with dropped captions for guidance.

Velocity prediction (Salimans & Ho 2022) on SD's noise schedule, as SD2 has it: with noise prediction, tried first, the
steps that decide layout and brightness hardly weigh in the loss, and so small a network learns them too slowly. At
first the weight of slightly noisy steps is capped in the manner of min-SNR (Hang et al. 2023), so that layout comes
first; these steps decide where eyes look, which hardly came right before the cap was lifted. One caption in ten is
dropped (Ho & Salimans 2022).
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

from ...core.files import replacing
from ...datasets.scene_captions import read_caption
from . import text_encoder, tokenizer
from .checkpoint import BASE, assemble, noise_schedule
from .data import Pool, pool
from .training import Training, folder_digest, options, save_half
from .vae import pixels

BATCH = 64
RATE = 1e-3
DROPPED = 0.1
MAX_WEIGHT, CAPPED_STEPS = 6.0, 11_487
"""At most so much weight, relative to that of an error of the picture itself, in so many first steps."""
AVERAGE = 0.999
Emphasis = Mapping[int, Mapping[int, float]]
EMPHASIS: Emphasis = {
    0: {0: 1, 1: 1, 2: 1, 3: 1},
    15_000: {0: 2, 1: 0.4, 2: 0.85, 3: 1.5},
    19_300: {0: 10, 1: 0.4, 2: 0.85, 3: 1.5},
    20_300: {0: 1.5, 1: 0.3, 2: 1, 3: 2.2},
}
"""From which step on scenes of so many objects are drawn how often; 0 is a face.

One object comes right early, three late. Where eyes look is so small a part of the loss that the caption's word for it
was not used in 19,000 steps; in a thousand steps of mostly faces it is.
"""
SETTLED: Emphasis = {0: EMPHASIS[max(EMPHASIS)]}
"""The last of these, for what goes on from the trained base."""


def description(capped: int, schedule: Emphasis) -> str:
    """Say what the loss is, and how often which scenes are drawn."""
    drawn = ", ".join(
        f"{' : '.join(f'{often:g}' for often in chances.values())} from step {first:,}"
        for first, chances in schedule.items()
    )
    return (
        f"velocity prediction, weight at most {MAX_WEIGHT:g} in {capped:,} steps, {DROPPED:.0%} of captions dropped; "
        f"faces and scenes of 1, 2, 3 objects drawn {drawn}"
    ).replace("%", " %")


class TextToImage(nn.Module):
    """What is trained together."""

    def __init__(self, text: CLIPTextModel, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.text_encoder, self.unet = text, unet

    def forward(self, latents: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Return the predicted velocity (B, 4, 8, 8)."""
        hidden = self.text_encoder(tokens)[0]
        predicted: torch.Tensor = self.unet(latents, timesteps, hidden, return_dict=False)[0]
        return predicted


def build() -> UNet2DConditionModel:
    """Return an untrained UNet."""
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(80, 96, 96),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=text_encoder.WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


class Draw:
    """Draws scenes as often as a schedule says."""

    def __init__(self, captions: list[str], schedule: Emphasis) -> None:
        read = [read_caption(caption) for caption in captions]
        counts = [len(words.objects) if words else 0 for words in read]
        self.often = {
            first: torch.tensor([float(chances[count]) for count in counts]) for first, chances in schedule.items()
        }

    def at(self, step: int) -> torch.Tensor:
        """Return how often each scene is drawn at a step: (N,), not normalised."""
        return self.often[max(first for first in self.often if first <= step)]

    def __call__(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """Return the numbers of a batch of scenes (B,)."""
        return torch.multinomial(self.at(step), BATCH, replacement=True, generator=generator)


@torch.inference_mode()
def latents_of(vae: AutoencoderKL, data: Pool) -> torch.Tensor:
    """Return the latents of all pictures in the UNet's scale: (N, 4, 8, 8), fp16."""
    parts = [
        vae.encode(pixels(data.images[start : start + 64]).to(vae.device)).latent_dist.mode().half()
        for start in range(0, len(data), 64)
    ]
    scaled: torch.Tensor = torch.cat(parts).cpu() * vae.config.scaling_factor
    return scaled


ENCODER = ("encoder.", "quant_conv.")
"""The part of a VAE that decides what its latents are."""


def kept_latents(vae: Path, data: Pool, work: Path) -> torch.Tensor:
    """Return ``latents_of`` all pictures by the VAE in the folder ``vae``, made once and kept in ``work``."""
    file = work / f"latents-{folder_digest(vae, ENCODER)}-{data.digest}.pt"
    if not file.exists():
        with replacing(file) as temporary:
            torch.save(latents_of(AutoencoderKL.from_pretrained(vae).float(), data), temporary)
    latents: torch.Tensor = torch.load(file, weights_only=True)
    return latents


def drop(tokens: torch.Tensor, empty: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Return tokens (B, T) with those of the empty caption (1, T) in place of about this share of them."""
    return torch.where(torch.rand(len(tokens), 1, generator=generator) < share, empty, tokens)


class Batch(NamedTuple):
    """Latents (B, C, h, w) and the tokens (B, T) of their captions, some of them the empty one's."""

    latents: torch.Tensor
    tokens: torch.Tensor


class Batches:
    """What a UNet of the mini world is trained on: scenes by the VAE in the folder ``vae``, drawn as ``schedule`` says.

    ``given`` are the recipe's options: how many scenes, and where they are kept.
    """

    def __init__(self, vae: Path, given: Namespace, schedule: Emphasis = SETTLED) -> None:
        self.data = pool(given.scenes, work=given.work)
        self.latents = kept_latents(vae, self.data, given.work)
        words = tokenizer.write(given.work / "tokenizer")
        self.tokens, self.empty = text_encoder.encode(words, self.data.captions), text_encoder.encode(words, [""])
        self.draw = Draw(self.data.captions, schedule)

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides the draws, for a training's recipe."""
        return {"batch": BATCH, "scenes": len(self.data), "data": self.data.digest}

    def __call__(self, training: Training, generator: torch.Generator, dropped: float = DROPPED) -> Batch:
        """Return the batch of a training's step, on its device; about ``dropped`` of the captions are left out."""
        chosen = self.draw(training.step, generator)
        tokens = drop(self.tokens[chosen], self.empty, dropped, generator)
        return Batch(self.latents[chosen].float().to(training.device), tokens.to(training.device))


class Noised(NamedTuple):
    """Latents (B, C, h, w) with noise of timesteps (B,), what is to be told of them, and how much signal is left."""

    latents: torch.Tensor
    timesteps: torch.Tensor
    velocity: torch.Tensor
    kept: torch.Tensor
    """The cumulative alphas (B,)."""


def noised(latents: torch.Tensor, generator: torch.Generator) -> Noised:
    """Put noise on latents (B, C, h, w); timesteps are drawn stratified, for less variance."""
    device, count = latents.device, len(latents)
    alphas = noise_schedule().alphas_cumprod.to(device)
    spread = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    timesteps = (spread * len(alphas)).long().clamp(max=len(alphas) - 1).to(device)
    noise = torch.randn(latents.shape, generator=generator).to(device)
    kept = alphas[timesteps].view(-1, 1, 1, 1)
    noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    velocity = kept.sqrt() * noise - (1 - kept).sqrt() * latents
    return Noised(noisy, timesteps, velocity, alphas[timesteps])


def loss(
    model: nn.Module, latents: torch.Tensor, tokens: torch.Tensor, generator: torch.Generator, cap: float
) -> torch.Tensor:
    """Return the mean loss of a batch of latents and tokens.

    ``cap`` bounds the weight of an error of the picture, which for velocities is 1 + SNR.
    """
    noisy, timesteps, velocity, kept = noised(latents, generator)
    predicted = model(noisy, timesteps, tokens)
    weight = (1 / (1 - kept)).clamp(max=cap) * (1 - kept)
    total: torch.Tensor = (weight * (predicted - velocity).square().mean((1, 2, 3))).mean()
    return total


def main() -> None:
    """Train and save."""
    given = options("Train the mini UNet and its text encoder.", steps=30_000)
    torch.manual_seed(given.seed)
    folder = given.out / "mini-sd"
    batches = Batches(folder / "vae", given, EMPHASIS)
    model = TextToImage(CLIPTextModel.from_pretrained(given.work / "text_encoder"), build())
    recipe = {
        "loss": description(CAPPED_STEPS, EMPHASIS),
        **batches.recipe,
        "vae": folder_digest(folder / "vae"),
        "text_encoder": folder_digest(given.work / "text_encoder"),
    }
    training = Training(
        "unet",
        model,
        recipe,
        steps=given.steps,
        rate=RATE,
        warmup=300,
        cooldown=0.25,
        average=AVERAGE,
        seed=given.seed,
        work=given.work,
    )

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        cap = MAX_WEIGHT if training.step < CAPPED_STEPS else math.inf
        return loss(model, *batches(training, generator), generator, cap)

    training.run(batch_loss)
    training.finish()
    tokenizer.write(folder / "tokenizer")
    save_half(model.text_encoder, folder / "text_encoder")
    save_half(model.unet, folder / "unet")
    assemble(folder, BASE)
    training.record(given.out, {"loss": training.curve[-1][1]})
    print(f"unet: {training.step} steps, {training.seconds:.0f} s, loss {training.curve[-1][1]:.4f}")


if __name__ == "__main__":
    main()
