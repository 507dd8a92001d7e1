"""Train decoders: SnapFusion's, with half the channels, MobileDiffusion's Lite one, and its full one for longer.

They start from the decoder of their VAE, cut to size; ``mobilediffusion-further`` from the Lite one, whose place it
takes. SnapFusion's learns to decode as the base's decoder does latents that were made from captions alone, by the base
(Li et al. 2023, section 3.2). MobileDiffusion's learn to give back pictures that its VAE encoded (Zhao et al. 2023,
section 4.1); the full one goes back into the VAE, whose encoder stays as it is, so that a UNet's latents mean what they
did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL

from ...adapters.networks.decoder import LatentDecoder
from . import mobile_vae, unet
from .data import Pool, pool
from .sampled import sample
from .training import Training, folder_digest, options, save_half
from .vae import BATCH, CHROMA, chroma, pixels

RATE, FURTHER_RATE = 4e-3, 2e-3
PER_GROUP = 2
"""Channels that are normalised together at full resolution, as in the VAE: one alone would lose its mean and spread."""
PROMPTS = 12_000
"""Latents made for SnapFusion's decoder: of 3,000 it knows each one, and is 2.4 dB worse on others."""
SAMPLER = "scheduler=ddim,steps=8,guidance=3"

Pairs = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class Task(NamedTuple):
    """Which decoder learns to undo whose encoder."""

    vae: str
    folder: str
    """Where it is saved; the VAE's own, for the VAE's decoder."""
    channels: int
    widths: tuple[int, ...]
    description: str
    further: bool = False
    """It goes on from what lies in the folder."""


LITE = Task(
    "mini-mobilediffusion/vae",
    "mini-mobilediffusion/decoder",
    mobile_vae.CHANNELS,
    (8, 24, 32, 24),
    f"MSE with chroma ×{CHROMA:g} to pictures that the VAE encoded",
)
TASKS = {
    "snapfusion": Task(
        "mini-sd/vae",
        "mini-snapfusion/decoder",
        4,
        (8, 16, 32, 48),
        f"MSE with chroma ×{CHROMA:g} to the base's decoder on latents that it made from {PROMPTS:,} captions",
    ),
    "mobilediffusion": LITE,
    "mobilediffusion-further": LITE._replace(further=True),
    "mobilediffusion-full": Task(
        "mini-mobilediffusion/vae",
        "mini-mobilediffusion/vae",
        mobile_vae.CHANNELS,
        mobile_vae.WIDTHS,
        f"MSE with chroma ×{CHROMA:g} to pictures that the VAE encoded",
    ),
}


def build(task: Task) -> LatentDecoder:
    """Return an untrained decoder."""
    made: LatentDecoder = LatentDecoder(
        task.channels,
        block_out_channels=task.widths,
        layers_per_block=1,
        norm_num_groups=task.widths[0] // PER_GROUP,
    )
    return made


def cut(decoder: LatentDecoder, vae: AutoencoderKL) -> None:
    """Fill the decoder with the first channels of every layer of the VAE's own."""
    whole = vae.state_dict()
    decoder.load_state_dict(
        {name: whole[name][tuple(map(slice, ours.shape))].clone() for name, ours in decoder.state_dict().items()}
    )


def error(decoded: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the loss of pictures (B, 3, H, W), -1 to 1."""
    total: torch.Tensor = (decoded - wanted).square().mean()
    return total + CHROMA * (chroma(decoded) - chroma(wanted)).square().mean()


def pairs(name: str, vae: AutoencoderKL, data: Pool, latents: torch.Tensor) -> Pairs:
    """Return a function from places in ``latents`` to latents in the VAE's scale and the pictures wanted of them."""
    device, unscaled = vae.device, latents / vae.config.scaling_factor
    if name != "snapfusion":
        return lambda chosen: (unscaled[chosen].to(device).float(), pixels(data.images[chosen.numpy()]).to(device))
    with torch.no_grad():
        wanted = torch.cat([vae.decode(part.to(device).float()).sample.half() for part in unscaled.split(100)])
    return lambda chosen: (unscaled[chosen].to(device).float(), wanted[chosen.to(device)].float())


@torch.inference_mode()
def quality(decoder: LatentDecoder, vae: AutoencoderKL, held: Pool) -> dict[str, float]:
    """Return the mean PSNR in dB over round trips of held-out pictures, with this decoder and with the VAE's own."""
    found: dict[str, list[torch.Tensor]] = {"psnr_db": [], "psnr_db_of_the_vae": []}
    for start in range(0, len(held), 64):
        original = pixels(held.images[start : start + 64])
        latents = vae.encode(original).latent_dist.mode()
        for name, decoded in (("psnr_db", decoder(latents)), ("psnr_db_of_the_vae", vae.decode(latents).sample)):
            squared = ((decoded.clamp(-1, 1) - original) / 2).square().mean((1, 2, 3))
            found[name].append(-10 * squared.log10())
    return {name: torch.cat(values).mean().item() for name, values in found.items()}


def main() -> None:
    """Train and save."""
    given = options("Train a narrow decoder.", steps=40_000, scenes=20_000, choices={"decoder": tuple(TASKS)})
    torch.manual_seed(given.seed)
    task = TASKS[given.decoder]
    decoder = build(task)
    vae = AutoencoderKL.from_pretrained(given.out / task.vae).float().requires_grad_(False)
    if task.further:
        decoder.load_state_dict(LatentDecoder.from_pretrained(given.out / task.folder).float().state_dict())
    else:
        cut(decoder, vae)
    data = pool(given.scenes, work=given.work)
    if given.decoder == "snapfusion":
        latents = sample("sd15", given.out / "mini-sd", SAMPLER, data.captions[:PROMPTS], given.work).latents
    else:
        latents = unet.kept_latents(given.out / task.vae, data, given.work)
    recipe = {
        "loss": task.description,
        "batch": BATCH,
        "scenes": len(data),
        "data": data.digest,
        "vae": folder_digest(given.out / task.vae, ("",) if given.decoder == "snapfusion" else unet.ENCODER),
        **({"start": folder_digest(given.out / task.folder)} if task.further else {}),
    }
    training = Training(
        f"decoder-{given.decoder}",
        decoder,
        recipe,
        steps=given.steps,
        rate=FURTHER_RATE if task.further else RATE,
        cooldown=1 if task.further else 0.5,
        seed=given.seed,
        work=given.work,
    )
    vae.to(training.device)
    pair = pairs(given.decoder, vae, data, latents)

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        shown, wanted = pair(torch.randint(len(latents), (BATCH,), generator=generator))
        return error(decoder(shown), wanted)

    training.run(batch_loss)
    training.finish()
    measured = quality(decoder.cpu(), vae.cpu(), pool(1000, "validation", work=given.work))
    if task.folder == task.vae:
        vae.load_state_dict(vae.state_dict() | decoder.state_dict())
    save_half(vae if task.folder == task.vae else decoder, given.out / task.folder)
    training.record(given.out, measured)
    print(f"{training.name}: {training.step} steps, {training.seconds:.0f} s, {measured['psnr_db']:.2f} dB")


if __name__ == "__main__":
    main()
