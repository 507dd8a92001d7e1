"""Make MobileDiffusion's UNet paint in one step: a DiffusionGAN (Zhao et al. 2023, after UFOGen, Xu et al. 2023).

Generator and discriminator both start from the trained UNet. The generator tells the clean latents from noisy ones,
half the time from nothing but noise; noise is put on what it tells and on true latents, and the discriminator, which
reads the caption, too, says which is which. To its loss the squared error is added: to the true latents, and where
there was nothing but noise, which tells nothing about them, to what the trained UNet makes of that noise in many steps
(as in Luhman & Luhman 2021). With that alone it begins.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import softplus
from transformers import CLIPTextModel

from ...adapters.networks.mobile_unet import MobileUNet
from . import text_encoder, tokenizer, unet
from .checkpoint import MOBILEDIFFUSION, assemble, noise_schedule, remade
from .data import pool
from .sampled import Sampled, sample
from .training import Training, folder_digest, options, save_half

RATE = 2e-4
JUMPS = 4
"""The generator learns to jump from this many timesteps: UFOGen's sampler takes 1 to 4 steps."""
FIRST = 0.5
"""How often it jumps from pure noise, which is all that one step needs."""
PAINTED = 16_000
"""Pictures that the trained UNet makes first."""
SAMPLER = "decoder=full,scheduler=ddim,steps=16,guidance=3"
ALONE = 1000
"""So many steps go by before the discriminator joins in."""
RENOISED = 750
"""The discriminator sees latents with the noise of a timestep below this one, and below that of the jump."""
RECONSTRUCTION = 1.0
ADVERSARIAL = 0.1


class Duel(nn.Module):
    """The generator, the discriminator, and the frozen text encoder."""

    jumps: torch.Tensor
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
        schedule = noise_schedule(timestep_spacing="trailing")
        schedule.set_timesteps(JUMPS)
        self.register_buffer("jumps", schedule.timesteps.flip(0))
        self.register_buffer("kept", schedule.alphas_cumprod)

    def renoised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Return latents with the noise of timesteps (B,)."""
        kept = self.kept[timesteps].view(-1, 1, 1, 1)
        return kept.sqrt() * latents + (1 - kept).sqrt() * noise

    def loss(
        self,
        latents: torch.Tensor,
        painted: Sampled,
        tokens: torch.Tensor,
        generator: torch.Generator,
        *,
        alone: bool = False,
    ) -> torch.Tensor:
        """Return the sum of both networks' losses; no gradient of one's loss reaches the other.

        ``latents`` (B, C, h, w) are true ones, ``painted`` others of the same captions, made of a known noise. A
        generator that is ``alone`` has the squared error only.
        """
        count, device = len(latents), latents.device
        place = torch.randint(JUMPS, (count,), generator=generator)
        place[torch.rand(count, generator=generator) < FIRST] = JUMPS - 1
        timesteps = self.jumps[place.to(device)]
        noise, other = (torch.randn(latents.shape, generator=generator).to(device) for _ in range(2))
        hidden = self.text_encoder(tokens)[0]
        blind = (place == JUMPS - 1).to(device).view(-1, 1, 1, 1)
        noisy = torch.where(blind, painted.noise, self.renoised(latents, noise, timesteps))
        kept = self.kept[timesteps].view(-1, 1, 1, 1)
        velocity = self.generator(noisy, timesteps, hidden, return_dict=False)[0]
        told = kept.sqrt() * noisy - (1 - kept).sqrt() * velocity
        missed: torch.Tensor = (told - torch.where(blind, painted.latents, latents)).square().mean()
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
    given = options("Make the mini MobileUNet paint in one step.", steps=3000)
    torch.manual_seed(given.seed)
    trained, base = given.out / "mini-mobilediffusion", given.out / "mini-sd"
    data = pool(given.scenes, work=given.work)
    latents = unet.kept_latents(trained / "vae", data, given.work)
    tokens = text_encoder.encode(tokenizer.write(given.work / "tokenizer"), data.captions)
    often = unet.Draw(data.captions, unet.SETTLED).at(0)
    drawn = torch.multinomial(often, PAINTED, generator=torch.Generator().manual_seed(given.seed))
    captions = [data.captions[place] for place in drawn.tolist()]
    painted = sample("mobilediffusion", trained, SAMPLER, captions, given.work)
    recipe = {
        "loss": f"adversarial × {ADVERSARIAL:g} from step {ALONE:,} on, on latents noised to below {RENOISED}; "
        f"squared error × {RECONSTRUCTION:g}; {FIRST:.0%} of jumps from pure noise, to {PAINTED:,} pictures "
        f"of its own ({SAMPLER})",
        "batch": unet.BATCH,
        "scenes": len(data),
        "data": data.digest,
        "start": folder_digest(trained / "unet"),
    }
    text = CLIPTextModel.from_pretrained(base / "text_encoder").float()
    duel = Duel(text, MobileUNet.from_pretrained(trained / "unet").float())
    training = Training(
        "one_step",
        duel,
        recipe,
        steps=given.steps,
        rate=RATE,
        cooldown=0.3,
        average=0.995,
        seed=given.seed,
        work=given.work,
    )

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        chosen = torch.randint(PAINTED, (unet.BATCH,), generator=generator)
        scenes = drawn[chosen]
        true, *made = (
            part.float().to(training.device) for part in (latents[scenes], *(each[chosen] for each in painted))
        )
        alone = training.step < ALONE
        return duel.loss(true, Sampled(*made), tokens[scenes].to(training.device), generator, alone=alone)

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
