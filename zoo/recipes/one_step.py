"""Make MobileDiffusion's UNet paint in one step: a DiffusionGAN (Zhao et al. 2023, after UFOGen, Xu et al. 2023).

Generator and discriminator both start from the trained UNet. The generator jumps from noise, or from further on the
trained UNet's guided way, to clean latents; noise is put on these and on true latents, and the discriminator, which
reads the caption, too, says which is which. To its loss the squared error is added: to where that way leads (Luhman &
Luhman 2021), as noise tells nothing of true latents. With that alone it begins.

``own`` learns from the trained UNet's own ways. It knows these by heart after 16 rounds: its squared error is 0.06 on
them, 0.15 on others. ``further`` goes on from there with those of a student of 4 steps besides, which takes 4
evaluations a picture where the trained UNet takes 30, so that there can be many; and puts its own in that one's place.
As that jumps from pure noise alone, its time embedding is folded into its biases: 15 % of its parameters.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import softplus
from transformers import CLIPTextModel

from ...adapters.networks.mobile_unet import MobileUNet, folded
from . import unet
from .checkpoint import MOBILEDIFFUSION, assemble, noise_schedule, remade
from .distill import PLANS as STUDENTS
from .distill import folder_of, load, trajectories
from .sampler import Grid, Predictor
from .training import Training, folder_digest, options, save_half
from .trajectories import Trajectories, kept_trajectories

RATE = 6e-4
JUMPS = 4
"""The generator learns to jump from this many timesteps: UFOGen's sampler takes 1 to 4 steps."""
PAINTER = "mobilediffusion-4"
"""The student of 4 steps has as many as there are jumps; its squared error is 0.07 on ways that it never saw."""
OTHER = 1_000
"""Added to the seed, so that the student starts from noise of its own."""


class Plan(NamedTuple):
    """One training."""

    alone: int
    """So many steps go by before the discriminator joins in."""
    first: float
    """How often the generator jumps from pure noise, which is all that one step needs."""
    painted: int = 0
    """So many of the student's ways are added to the trained UNet's, which are those that the student learned from."""


PLANS = {"own": Plan(4_200, 0.75), "further": Plan(3_000, 1, 60_000)}
RENOISED = 500
"""The discriminator sees latents with the noise of a timestep below this one, and below that of the jump."""
RECONSTRUCTION = 1.0
ADVERSARIAL = 0.1
SHARPER = 2.0
"""The discriminator's rate over the generator's: at the same rate (2e-4) it told nothing apart in 500 steps."""


class Duel(nn.Module):
    """The generator, the discriminator, and the frozen text encoder."""

    kept: torch.Tensor

    def __init__(self, text: CLIPTextModel, trained: MobileUNet, generator: MobileUNet | None = None) -> None:
        super().__init__()
        self.generator = trained if generator is None else generator
        self.discriminator: Any = remade(trained, out_channels=1)
        start = {name: value for name, value in trained.state_dict().items() if not name.startswith("conv_out")}
        self.discriminator.load_state_dict(start, strict=False)
        nn.init.zeros_(self.discriminator.conv_out.weight)
        nn.init.zeros_(self.discriminator.conv_out.bias)
        self.requires_grad_(True)
        self.text_encoder = text.requires_grad_(False)
        self.register_buffer("kept", noise_schedule().alphas_cumprod)

    def renoised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Return latents with the noise of timesteps (B,)."""
        kept = self.kept[timesteps].view(-1, 1, 1, 1)
        return kept.sqrt() * latents + (1 - kept).sqrt() * noise

    def loss(
        self,
        latents: torch.Tensor,
        states: torch.Tensor,
        tokens: torch.Tensor,
        generator: torch.Generator,
        *,
        first: float,
        alone: bool = False,
    ) -> torch.Tensor:
        """Return the sum of both networks' losses; no gradient of one's loss reaches the other.

        ``latents`` (B, C, h, w) are true ones, ``states`` (B, JUMPS + 1, C, h, w) trajectories of the same captions.
        The ``first`` of all jumps is taken so often. A generator that is ``alone`` has the squared error only.
        """
        count, device = len(latents), latents.device
        place = torch.randint(1, JUMPS, (count,), generator=generator)
        place[torch.rand(count, generator=generator) < first] = 0
        timesteps = Grid(JUMPS, device).timesteps[place.to(device)]
        other = torch.randn(latents.shape, generator=generator).to(device)
        hidden = self.text_encoder(tokens)[0]
        noisy = states[torch.arange(count), place]
        kept = self.kept[timesteps].view(-1, 1, 1, 1)
        velocity = self.generator(noisy, timesteps, hidden, return_dict=False)[0]
        told = kept.sqrt() * noisy - (1 - kept).sqrt() * velocity
        missed: torch.Tensor = (told - states[:, -1]).square().mean()
        if alone:
            return RECONSTRUCTION * missed
        share = torch.rand(count, generator=generator).to(device)
        later = (share * timesteps.clamp(max=RENOISED)).long()
        seen = self.renoised(told, other, later)
        fixed = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        judged = functional_call(self.discriminator, fixed, (seen, later, hidden), {"return_dict": False})[0]
        both = torch.cat([self.renoised(latents, other, later), seen.detach()])
        true, false = self.discriminator(both, later.repeat(2), hidden.repeat(2, 1, 1), return_dict=False)[0].chunk(2)
        generating = RECONSTRUCTION * missed + ADVERSARIAL * softplus(-judged).mean()
        total: torch.Tensor = generating + softplus(-true).mean() + softplus(false).mean()
        return total


def ways(
    plan: Plan, text: CLIPTextModel, network: MobileUNet, batches: unet.Batches, given: Namespace
) -> tuple[Trajectories, str]:
    """Return what a plan learns from, and what that is in words."""
    student, start = STUDENTS[PAINTER], folder_digest(given.out / "mini-mobilediffusion" / "unet")
    made = trajectories(student, Predictor(text, network, batches.empty), batches, start, given)
    said = f"{student.painted:,} trajectories of its own"
    if not plan.painted:
        return made, said
    painter = given.out / folder_of(PAINTER)
    digest = folder_digest(painter / "unet")
    more = kept_trajectories(
        Predictor(text, load(painter), batches.empty).eval(),
        batches.draw.at(0),
        batches.tokens,
        given.work,
        count=plan.painted,
        shape=batches.latents.shape[1:],
        guidance=(1.0, 1.0),
        steps=JUMPS,
        substeps=1,
        digest=f"{digest} {batches.data.digest}",
        seed=given.seed + OTHER,
    )
    both = Trajectories(*map(torch.cat, zip(made, more, strict=True)))
    return both, f"{said} and {plan.painted:,} of its student of {JUMPS} steps, {digest}"


def main() -> None:
    """Train and save."""
    given = options("Make the mini MobileUNet paint in one step.", steps=5_000, choices={"plan": tuple(PLANS)})
    torch.manual_seed(given.seed)
    trained, base = given.out / "mini-mobilediffusion", given.out / "mini-sd"
    folder, plan = given.out / "mini-mobilediffusion-1", PLANS[given.plan]
    start = trained if given.plan == "own" else folder
    generator = MobileUNet.from_pretrained(start / "unet").float()
    if generator.config["timestep"] is not None:
        raise SystemExit(f"'{start / 'unet'}' has been further already: train it by 'one_step own' first")
    batches = unet.Batches(trained / "vae", given)
    text = CLIPTextModel.from_pretrained(base / "text_encoder").float()
    network = MobileUNet.from_pretrained(trained / "unet").float()
    painted, said = ways(plan, text, network, batches, given)
    recipe = {
        "loss": f"adversarial × {ADVERSARIAL:g} from step {plan.alone:,} on, on latents noised to below {RENOISED}; "
        f"squared error × {RECONSTRUCTION:g} to the ends of {said}, {100 * plan.first:g} % of jumps from pure noise",
        **batches.recipe,
        "start": folder_digest(start / "unet"),
    }
    duel = Duel(text, network, generator)
    training = Training(
        f"one_step-{given.plan}",
        duel,
        recipe,
        steps=given.steps,
        rate=RATE,
        cooldown=0.25,
        average=0.995,
        factors={"discriminator.": SHARPER},
        seed=given.seed,
        work=given.work,
    )

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        chosen = torch.randint(len(painted.scenes), (unet.BATCH,), generator=generator)
        scenes = painted.scenes[chosen]
        true, states, tokens = (
            each.to(training.device)
            for each in (batches.latents[scenes].float(), painted.states[chosen].float(), batches.tokens[scenes])
        )
        return duel.loss(true, states, tokens, generator, first=plan.first, alone=training.step < plan.alone)

    training.run(batch_loss)
    training.finish()
    if given.plan == "further":
        generator = folded(generator, int(Grid(JUMPS, training.device).timesteps[0]))
    save_half(generator, folder / "unet")
    lenders = {"text_encoder": "mini-sd", "tokenizer": "mini-sd"}
    assemble(
        folder,
        MOBILEDIFFUSION,
        shared=lenders | {"vae": "mini-mobilediffusion", "decoder": "mini-mobilediffusion"},
        spacing="trailing",
    )
    training.record(given.out, {"loss": training.curve[-1][1]})
    print(f"{training.name}: {training.step} steps, {training.seconds:.0f} s, loss {training.curve[-1][1]:.4f}")


if __name__ == "__main__":
    main()
