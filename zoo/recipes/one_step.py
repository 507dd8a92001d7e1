"""Make MobileDiffusion's UNet paint in one step: a DiffusionGAN (Zhao et al. 2023, after UFOGen, Xu et al. 2023).

Generator and discriminator both start from the trained UNet. The generator jumps from noise, or from further on the
trained UNet's guided way, to clean latents; noise is put on these and on true latents, and the discriminator, which
reads the caption, too, says which is which. To its loss the squared error is added: to where that way leads (Luhman &
Luhman 2021), as noise tells nothing of true latents. With that alone it begins.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import softplus
from transformers import CLIPTextModel

from ...adapters.networks.mobile_unet import MobileUNet
from . import unet
from .checkpoint import MOBILEDIFFUSION, assemble, noise_schedule, remade
from .sampler import Grid, Predictor
from .training import Training, folder_digest, options, save_half
from .trajectories import kept_trajectories

RATE = 6e-4
JUMPS = 4
"""The generator learns to jump from this many timesteps: UFOGen's sampler takes 1 to 4 steps."""
FIRST = 0.75
"""How often it jumps from pure noise, which is all that one step needs."""
PAINTED = 20_000
"""It learns from so many of the trained UNet's trajectories, and knows them by heart after 16 rounds: its squared error
is 0.06 on them, 0.15 on others. What ``distill mobilediffusion-4`` makes could paint more, with 4 evaluations a picture
in place of 30 and an error of 0.07 on others; one step has not been trained on that yet."""
SUBSTEPS, GUIDANCE = 4, 3.0
"""The trained UNet's steps within each jump, and its guidance."""
ALONE = 4_200
"""So many steps go by before the discriminator joins in."""
RENOISED = 500
"""The discriminator sees latents with the noise of a timestep below this one, and below that of the jump."""
RECONSTRUCTION = 1.0
ADVERSARIAL = 0.1
SHARPER = 2.0
"""The discriminator's rate over the generator's: at the same rate (2e-4) it told nothing apart in 500 steps."""


class Duel(nn.Module):
    """The generator, the discriminator, and the frozen text encoder."""

    kept: torch.Tensor

    def __init__(self, text: CLIPTextModel, trained: MobileUNet) -> None:
        super().__init__()
        self.generator = trained.requires_grad_(True)
        self.discriminator: Any = remade(trained, out_channels=1)
        start = {name: value for name, value in trained.state_dict().items() if not name.startswith("conv_out")}
        self.discriminator.load_state_dict(start, strict=False)
        nn.init.zeros_(self.discriminator.conv_out.weight)
        nn.init.zeros_(self.discriminator.conv_out.bias)
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
        alone: bool = False,
    ) -> torch.Tensor:
        """Return the sum of both networks' losses; no gradient of one's loss reaches the other.

        ``latents`` (B, C, h, w) are true ones, ``states`` (B, JUMPS + 1, C, h, w) trajectories of the same captions. A
        generator that is ``alone`` has the squared error only.
        """
        count, device = len(latents), latents.device
        place = torch.randint(1, JUMPS, (count,), generator=generator)
        place[torch.rand(count, generator=generator) < FIRST] = 0
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


def main() -> None:
    """Train and save."""
    given = options("Make the mini MobileUNet paint in one step.", steps=5_000)
    torch.manual_seed(given.seed)
    trained, base = given.out / "mini-mobilediffusion", given.out / "mini-sd"
    batches = unet.Batches(trained / "vae", given)
    start = folder_digest(trained / "unet")
    text = CLIPTextModel.from_pretrained(base / "text_encoder").float()
    network = MobileUNet.from_pretrained(trained / "unet").float()
    painted = kept_trajectories(
        Predictor(text, network, batches.empty).eval(),
        batches.draw.at(0),
        batches.tokens,
        given.work,
        count=PAINTED,
        shape=batches.latents.shape[1:],
        guidance=(GUIDANCE, GUIDANCE),
        steps=JUMPS,
        substeps=SUBSTEPS,
        digest=f"{start} {batches.data.digest}",
        seed=given.seed,
    )
    recipe = {
        "loss": f"adversarial × {ADVERSARIAL:g} from step {ALONE:,} on, on latents noised to below {RENOISED}; "
        f"squared error × {RECONSTRUCTION:g} to the ends of {PAINTED:,} trajectories of its own "
        f"({JUMPS * SUBSTEPS - 1} steps, guidance {GUIDANCE:g}), {100 * FIRST:g} % of jumps from pure noise",
        **batches.recipe,
        "start": start,
    }
    duel = Duel(text, network)
    training = Training(
        "one_step",
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
        chosen = torch.randint(PAINTED, (unet.BATCH,), generator=generator)
        scenes = painted.scenes[chosen]
        true, states, tokens = (
            each.to(training.device)
            for each in (batches.latents[scenes].float(), painted.states[chosen].float(), batches.tokens[scenes])
        )
        return duel.loss(true, states, tokens, generator, alone=training.step < ALONE)

    training.run(batch_loss)
    training.finish()
    folder = given.out / "mini-mobilediffusion-1"
    save_half(duel.generator, folder / "unet")
    lenders = {"text_encoder": "mini-sd", "tokenizer": "mini-sd"}
    assemble(
        folder,
        MOBILEDIFFUSION,
        shared=lenders | {"vae": "mini-mobilediffusion", "decoder": "mini-mobilediffusion"},
        spacing="trailing",
    )
    training.record(given.out, {"loss": training.curve[-1][1]})
    print(f"one_step: {training.step} steps, {training.seconds:.0f} s, loss {training.curve[-1][1]:.4f}")


if __name__ == "__main__":
    main()
