"""Distil a UNet to fewer steps: two of a teacher's DDIM steps become one, with SnapFusion's CFG-aware loss.

Step distillation is that of Salimans & Ho (2022), the loss that of SnapFusion (Li et al. 2023, section 3.3): with
``share`` the student's *guided* prediction is compared with the teacher's guided steps, at a guidance scale drawn from
``guidance``; else both are without guidance ("vanilla"). The loss that the UNet was trained with is added, scaled to
``original`` of that of distillation. A ``conditioned`` student reads the guidance scale and makes the guided prediction
in one call (Meng et al. 2023).

The paper's student learns on true latents with noise. Guided sampling is elsewhere: what it makes of these is further
from what two steps make of them, and a student of a miniature's size spends itself on what it will never see. One that
has ``substeps`` learns on its teacher's own trajectories instead.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import CLIPTextModel

from ...adapters.checkpoints import load_component
from . import unet
from .checkpoint import BASE, MOBILEDIFFUSION, SNAPFUSION, assemble, remade
from .sampler import GUIDANCE_WIDTH, Grid, Predictor
from .training import Training, folder_digest, options, save_half
from .trajectories import Trajectories, kept_trajectories

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
    substeps: int = 0
    """The teacher's steps within each of the student's, where it learns on the teacher's own guided trajectories; else
    it learns on true latents with noise, of two steps, as in the paper."""
    painted: int = 5_000
    """So many trajectories, where it learns on them."""
    baked: bool = False
    """The student's prediction without guidance is to be what the teacher's is with it: a call less in every step."""
    rate: float = 2e-4


BATCH = 32
SUBSTEPS = 6
"""As far from true scenes as its teacher is, a student is at best: the base is by 0.77 in 47 steps, 0.94 in 16."""
STUDENT = Plan("base", "base", 8)
"""What is compared has the teacher's own architecture, so that the loss and the route are all that differ."""
PLANS: Mapping[str, Plan] = {
    # The mini world is painted with guidance 3, not 7.5: so scales are lower than the paper's, [2, 14].
    "snapfusion": Plan("efficient", "base", 8, share=1, guidance=(2, 4.5), substeps=SUBSTEPS),
    "mobilediffusion-8": Plan("mobile", "mobile", 8, share=1, guidance=(2, 4.5), substeps=SUBSTEPS),
    # Guidance is part of it; of 384 captions it has 0.646 right, the one of one step 0.536.
    "mobilediffusion-4": Plan(
        "mobile", "mobile", 4, guidance=(3.0, 3.0), substeps=4, painted=20_000, baked=True, rate=5e-4
    ),
    # The paper's route: teacher and student learn 16 steps first.
    "teacher-16": Plan("base", "base", 16),
    "published": Plan("teacher-16", "teacher-16", 8),
    # The grid of SnapFusion's figure 6(d), in miniature; its default, [2, 14] at 0.1, is "loss-2-14-0.1".
    "loss-vanilla": STUDENT._replace(share=0),
    "loss-3-0.1": STUDENT._replace(guidance=(3, 3)),
    "loss-2-14-0.1": STUDENT,
    "loss-2-14-0.2": STUDENT._replace(share=0.2),
    "loss-7-14-0.2": STUDENT._replace(share=0.2, guidance=(7, 14)),
    "loss-2-14-0.5": STUDENT._replace(share=0.5),
    "loss-2-6-0.5": STUDENT._replace(share=0.5, guidance=(2, 6)),
    "loss-2-14-1": STUDENT._replace(share=1),
    # Figure 6(a): by halves from 32 steps on, against at once, which is the default.
    "progressive-32": Plan("base", "base", 32),
    "progressive-16": Plan("progressive-32", "progressive-32", 16),
    "progressive-8": Plan("progressive-16", "progressive-16", 8),
    "conditioned-8": STUDENT._replace(share=1, conditioned=True),
}
NETWORKS = {"base": "mini-sd", "cut": "mini-efficient", "mobile": "mini-mobilediffusion"}
SHIPPED = {"snapfusion": "mini-snapfusion", "mobilediffusion-8": "mini-mobilediffusion-8"}


def folder_of(name: str) -> str:
    """Return the checkpoint that a network or the result of a plan lies in."""
    return NETWORKS.get(name) or SHIPPED.get(name) or f"mini-distilled-{name}"


class Examples(NamedTuple):
    """Latents (B, C, h, w) at a student's steps (B,), and where the teacher takes them by its next step."""

    latents: torch.Tensor
    step: torch.Tensor
    later: torch.Tensor
    tokens: torch.Tensor
    scale: torch.Tensor
    """Guidance scales (B,)."""


def noised(
    plan: Plan,
    teacher: Predictor,
    latents: torch.Tensor,
    tokens: torch.Tensor,
    noise: torch.Tensor,
    guided: bool,
    generator: torch.Generator,
) -> Examples:
    """Return true latents with noise, each at a step of its own, and what two steps of the teacher make of them."""
    count, device = len(latents), latents.device
    coarse, fine = Grid(plan.steps, device), Grid(2 * plan.steps, device)
    step = torch.randint(plan.steps, (count,), generator=generator).to(device)
    low, high = plan.guidance
    scale = (low + (high - low) * torch.rand(count, generator=generator)).to(device)
    signal, sigma = coarse.at(step)
    start = moved = signal * latents + sigma * noise
    with torch.no_grad():
        hidden = teacher.embed(tokens)
        for each in (2 * step, 2 * step + 1):
            now = fine.timesteps[each]
            velocity = teacher.guided(moved, now, hidden, scale) if guided else teacher.plain(moved, now, hidden)
            moved = fine.move(moved, velocity, each)
    return Examples(start, step, moved, tokens, scale)


def painted(made: Trajectories, tokens: torch.Tensor, device: torch.device, generator: torch.Generator) -> Examples:
    """Return states of the teacher's own trajectories, all steps as often, and those after them.

    ``tokens`` (M, T) are of all scenes' captions.
    """
    steps = made.states.shape[1] - 1
    chosen = torch.randint(len(made.states), (BATCH,), generator=generator)
    step = torch.randperm(BATCH, generator=generator) % steps
    found = (
        made.states[chosen, step].float(),
        step,
        made.states[chosen, step + 1].float(),
        tokens[made.scenes[chosen]],
        made.scale[chosen],
    )
    return Examples(*(each.to(device) for each in found))


class Told(NamedTuple):
    """A student's predicted velocities (B, C, h, w), and their loss."""

    predicted: torch.Tensor
    loss: torch.Tensor


def told(plan: Plan, student: Predictor, examples: Examples, guided: bool) -> Told:
    """Return what the student predicts; its loss is the error of the picture that would lead where the teacher goes.

    Weighted by max(SNR, 1), the truncated SNR of Salimans & Ho (2022).
    """
    noisy, step, later, tokens, scale = examples
    grid = Grid(plan.steps, noisy.device)
    (signal, sigma), (later_signal, later_sigma) = grid.at(step), grid.at(step + 1)
    ratio = later_sigma / sigma
    wanted = (later - ratio * noisy) / (later_signal - ratio * signal)
    timesteps, hidden = grid.timesteps[step], student.embed(tokens)
    if plan.conditioned:
        predicted = student.reading(noisy, timesteps, hidden, scale)
    elif guided:
        predicted = student.guided(noisy, timesteps, hidden, scale)
    else:
        predicted = student.plain(noisy, timesteps, hidden)
    weight = (signal / sigma).square().clamp(min=1)
    return Told(predicted, (weight * (signal * noisy - sigma * predicted - wanted).square()).mean())


def loss(
    plan: Plan,
    student: Predictor,
    teacher: Predictor,
    latents: torch.Tensor,
    tokens: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    """Return the mean loss of a batch of latents (B, C, h, w) and tokens (B, T), with noise."""
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    guided = plan.share == 1 or torch.rand(1, generator=generator).item() < plan.share
    examples = noised(plan, teacher, latents, tokens, noise, guided, generator)
    predicted, distilled = told(plan, student, examples, guided)
    if guided or not plan.original:  # the original loss is of predictions without guidance
        return distilled
    signal, sigma = Grid(plan.steps, latents.device).at(examples.step)
    original = (predicted - (signal * noise - sigma * latents)).square().mean()
    return distilled + plan.original * (distilled / original).detach() * original


def trajectories(plan: Plan, teacher: Predictor, batches: unet.Batches, digest: str, given: Namespace) -> Trajectories:
    """Return what a plan's student learns on."""
    return kept_trajectories(
        teacher.eval(),
        batches.draw.at(0),
        batches.tokens,
        given.work,
        count=plan.painted,
        shape=batches.latents.shape[1:],
        guidance=plan.guidance,
        steps=plan.steps,
        substeps=plan.substeps,
        digest=f"{digest} {batches.data.digest}",
        seed=given.seed,
    )


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
    taken = plan.steps * plan.substeps - 1 if plan.substeps else 2 * plan.steps
    aware = "baked in" if plan.baked else f"CFG-aware with probability {plan.share}"
    recipe = {
        "loss": f"{taken} -> {plan.steps} steps of {plan.teacher}, guidance {plan.guidance} {aware}, "
        + (f"on {plan.painted:,} trajectories" if plan.substeps else f"original loss × {plan.original}"),
        **batches.recipe,
        "batch": BATCH,
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

    made = trajectories(plan, teacher, batches, recipe["teacher"], given) if plan.substeps else None

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        if made:
            examples = painted(made, batches.tokens, training.device, generator)
            return told(plan, student, examples, guided=not plan.baked).loss
        latents, tokens = batches(training, generator)
        return loss(plan, student, teacher, latents[:BATCH], tokens[:BATCH], generator)

    training.run(batch_loss)
    training.finish()
    finish(given.plan, network, given)
    training.record(given.out, {"loss": training.curve[-1][1]})
    print(f"{given.plan}: {training.step} steps, {training.seconds:.0f} s, loss {training.curve[-1][1]:.4f}")


if __name__ == "__main__":
    main()
