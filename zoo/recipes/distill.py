"""Distil a UNet to fewer steps: two of a teacher's DDIM steps become one, with SnapFusion's CFG-aware loss.

Step distillation is that of Salimans & Ho (2022), the loss that of SnapFusion (Li et al. 2023, section 3.3): with
``share`` the student's *guided* prediction is compared with the teacher's guided steps, at a guidance scale drawn from
``guidance``; else both are without guidance ("vanilla"). The loss that the UNet was trained with is added, scaled to
``original`` of that of distillation. A ``conditioned`` student reads the guidance scale and makes the guided prediction
in one call (Meng et al. 2023).
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import nn
from transformers import CLIPTextModel

from ...adapters.checkpoints import load_component
from . import unet
from .checkpoint import BASE, MOBILEDIFFUSION, SNAPFUSION, assemble, noise_schedule, remade
from .training import Training, folder_digest, options, save_half

RATE, GENTLE = 5e-4, 1.5e-4
"""Of a network that lost blocks or takes other steps; of a student that starts where its teacher nearly is."""
GUIDANCE_WIDTH = 64
KINDS = ("UNet2DConditionModel", "EfficientUNet", "MobileUNet")


class Plan(NamedTuple):
    """One distillation; students and teachers are trained networks, or earlier plans."""

    student: str
    """What it starts from."""
    teacher: str
    steps: int
    """Of the student; the teacher takes twice as many."""
    share: float = 0.1
    guidance: tuple[float, float] = (2.0, 14.0)
    original: float = 0.2
    conditioned: bool = False
    rate: float = RATE


STUDENT = Plan("efficient-16", "teacher-16", 8, rate=GENTLE)
PLANS: Mapping[str, Plan] = {
    "teacher-16": Plan("base", "base", 16),
    "efficient-16": Plan("efficient", "base", 16),
    # The mini world is painted with guidance 3, not 7.5: so scales are lower than the paper's, [2, 14].
    "snapfusion": STUDENT._replace(share=0.5, guidance=(2, 6)),
    "mobilediffusion-8": Plan("mobile", "mobile", 8),
    # The grid of SnapFusion's figure 6(d), in miniature; its default, [2, 14] at 0.1, is "loss-2-14-0.1".
    "loss-vanilla": STUDENT._replace(share=0),
    "loss-3-0.1": STUDENT._replace(guidance=(3, 3)),
    "loss-2-14-0.1": STUDENT,
    "loss-2-14-0.2": STUDENT._replace(share=0.2),
    "loss-7-14-0.2": STUDENT._replace(share=0.2, guidance=(7, 14)),
    "loss-2-14-0.5": STUDENT._replace(share=0.5),
    "loss-2-6-0.5": STUDENT._replace(share=0.5, guidance=(2, 6)),
    "loss-2-14-1": STUDENT._replace(share=1),
    # Figure 6(a): by halves from 32 steps on, against at once.
    "progressive-32": Plan("efficient", "base", 32),
    "progressive-16": Plan("progressive-32", "progressive-32", 16),
    "progressive-8": Plan("progressive-16", "progressive-16", 8),
    "direct-8": Plan("efficient", "base", 8),
    "conditioned-8": STUDENT._replace(share=1, conditioned=True),
}
NETWORKS = {"base": "mini-sd", "cut": "mini-efficient", "mobile": "mini-mobilediffusion"}
SHIPPED = {"snapfusion": "mini-snapfusion", "mobilediffusion-8": "mini-mobilediffusion-8"}


def folder_of(name: str) -> str:
    """Return the checkpoint that a network or the result of a plan lies in."""
    return NETWORKS.get(name) or SHIPPED.get(name) or f"mini-distilled-{name}"


class Grid:
    """A sampler's timesteps, and how much signal and noise latents have at each, and after the last step."""

    def __init__(self, steps: int, device: torch.device) -> None:
        scheduler = noise_schedule(timestep_spacing="trailing")
        scheduler.set_timesteps(steps)
        self.timesteps: torch.Tensor = scheduler.timesteps.to(device)
        kept = torch.cat([scheduler.alphas_cumprod[scheduler.timesteps], scheduler.final_alpha_cumprod.view(1)])
        self.signal, self.noise = kept.sqrt().to(device), (1 - kept).sqrt().to(device)

    def at(self, step: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return signal and noise at step numbers (B,): (B, 1, 1, 1) each."""
        return self.signal[step].view(-1, 1, 1, 1), self.noise[step].view(-1, 1, 1, 1)

    def move(self, latents: torch.Tensor, velocity: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """Return the latents after a DDIM step (Song et al. 2021, eq. 12) with a predicted velocity."""
        (signal, noise), (later_signal, later_noise) = self.at(step), self.at(step + 1)
        clean, drawn = signal * latents - noise * velocity, noise * latents + signal * velocity
        return later_signal * clean + later_noise * drawn


class Predictor(nn.Module):
    """A UNet and the text encoder: predicted velocities with and without guidance."""

    empty: torch.Tensor

    def __init__(self, text: CLIPTextModel, network: nn.Module, empty: torch.Tensor) -> None:
        super().__init__()
        self.text_encoder, self.network = text.requires_grad_(False), network
        self.register_buffer("empty", empty)

    def plain(self, latents: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor, **more: Any) -> torch.Tensor:
        """Return the prediction for captions."""
        hidden = self.text_encoder(tokens)[0]
        predicted: torch.Tensor = self.network(latents, timesteps, hidden, return_dict=False, **more)[0]
        return predicted

    def guided(
        self, latents: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        """Return the prediction at guidance scales (B,) (Ho & Salimans 2022, eq. 6)."""
        both = torch.cat([tokens, self.empty.expand_as(tokens)])
        predicted = self.plain(torch.cat([latents, latents]), torch.cat([timesteps, timesteps]), both)
        conditional, without = predicted.chunk(2)
        return without + scale.view(-1, 1, 1, 1) * (conditional - without)

    def reading(
        self, latents: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        """Return what a UNet that reads the guidance scale predicts."""
        read = get_timestep_embedding(1000 * (scale - 1), GUIDANCE_WIDTH, downscale_freq_shift=1)
        return self.plain(latents, timesteps, tokens, timestep_cond=read)


def loss(
    plan: Plan,
    student: Predictor,
    teacher: Predictor,
    latents: torch.Tensor,
    tokens: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    """Return the mean loss of a batch of latents (B, C, h, w) and tokens (B, T)."""
    count, device = len(latents), latents.device
    coarse, fine = Grid(plan.steps, device), Grid(2 * plan.steps, device)
    step = torch.randint(plan.steps, (count,), generator=generator).to(device)
    noise = torch.randn(latents.shape, generator=generator).to(device)
    low, high = plan.guidance
    scale = (low + (high - low) * torch.rand(count, generator=generator)).to(device)
    guided = plan.share == 1 or torch.rand(1, generator=generator).item() < plan.share
    signal, sigma = coarse.at(step)
    noisy, timesteps = signal * latents + sigma * noise, coarse.timesteps[step]
    with torch.no_grad():
        moved = noisy
        for each in (2 * step, 2 * step + 1):
            now = fine.timesteps[each]
            velocity = teacher.guided(moved, now, tokens, scale) if guided else teacher.plain(moved, now, tokens)
            moved = fine.move(moved, velocity, each)
        later_signal, later_sigma = coarse.at(step + 1)
        ratio = later_sigma / sigma
        wanted = (moved - ratio * noisy) / (later_signal - ratio * signal)
    if plan.conditioned:
        predicted = student.reading(noisy, timesteps, tokens, scale)
    else:
        predicted = (student.guided if guided else student.plain)(noisy, timesteps, tokens, *[scale] * guided)
    weight = (signal / sigma).square().clamp(min=1)
    distilled = (weight * (signal * noisy - sigma * predicted - wanted).square()).mean()
    if guided or not plan.original:  # the original loss is of predictions without guidance
        return distilled
    original = (predicted - (signal * noise - sigma * latents)).square().mean()
    return distilled + plan.original * (distilled / original).detach() * original


def load(folder: Path) -> Any:
    """Return the UNet of a checkpoint."""
    return load_component(KINDS, folder, "unet", dtype=torch.float32)


def conditioned(network: Any) -> Any:
    """Return the UNet with another input, the guidance scale, that does nothing yet."""
    made = remade(network, time_cond_proj_dim=GUIDANCE_WIDTH)
    made.load_state_dict(network.state_dict(), strict=False)
    nn.init.zeros_(made.time_embedding.cond_proj.weight)
    return made


def finish(name: str, network: Any, given: Namespace) -> None:
    """Write the student as a checkpoint of its family."""
    kind, folder = type(network).__name__, given.out / folder_of(name)
    save_half(network, folder / "unet")
    shared = {"text_encoder": "mini-sd", "tokenizer": "mini-sd", "vae": "mini-sd"}
    parts = {"UNet2DConditionModel": BASE, "EfficientUNet": SNAPFUSION, "MobileUNet": MOBILEDIFFUSION}[kind]
    if kind == "MobileUNet":
        shared |= {"vae": "mini-mobilediffusion", "decoder": "mini-mobilediffusion"}
    elif kind == "EfficientUNet" and name != "snapfusion":
        shared |= {"decoder": "mini-snapfusion"}
    assemble(folder, parts, shared=shared, spacing="trailing")


def main() -> None:
    """Distil and save."""
    given = options("Distil a UNet of the mini world to fewer steps.", steps=2000, choices={"plan": tuple(PLANS)})
    torch.manual_seed(given.seed)
    plan, base = PLANS[given.plan], given.out / "mini-sd"
    start, taught = given.out / folder_of(plan.student), given.out / folder_of(plan.teacher)
    network = load(start)
    if plan.conditioned:
        network = conditioned(network)
    lender = "mini-mobilediffusion" if plan.student == "mobile" else "mini-sd"
    batches = unet.Batches(given.out / lender / "vae", given)
    recipe = {
        "loss": f"{2 * plan.steps} -> {plan.steps} steps of {plan.teacher}, CFG-aware at {plan.guidance} with "
        f"probability {plan.share}, original loss × {plan.original}",
        **batches.recipe,
        "start": folder_digest(start / "unet"),
        "teacher": folder_digest(taught / "unet"),
        "conditioned": plan.conditioned,
    }
    training = Training(
        given.plan,
        network.requires_grad_(True),
        recipe,
        steps=given.steps,
        rate=plan.rate,
        cooldown=0.5,
        average=0.998,
        seed=given.seed,
        work=given.work,
    )
    text = CLIPTextModel.from_pretrained(base / "text_encoder").float()
    student = Predictor(text, network, batches.empty).to(training.device)
    teacher = Predictor(text, load(taught), batches.empty).to(training.device)

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        return loss(plan, student, teacher, *batches(training, generator), generator)

    training.run(batch_loss)
    training.finish()
    finish(given.plan, network, given)
    training.record(given.out, {"loss": training.curve[-1][1]})
    print(f"{given.plan}: {training.step} steps, {training.seconds:.0f} s, loss {training.curve[-1][1]:.4f}")


if __name__ == "__main__":
    main()
