"""Train the mini VAE: AutoencoderKL, 4 latent channels, 8 pixels per latent (Rombach et al. 2022, without a critic).

The loss is the mean squared error, in which chroma counts four times so that hues survive, and a slight KL term.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from .data import Pool, pool
from .training import Training, options, save_half

BATCH = 16
RATE = 1.5e-3
KL = 1e-5
CHROMA = 4.0
DESCRIPTION = "MSE with chroma ×4, KL ×1e-5"


def build(latent_channels: int = 4, widths: tuple[int, ...] = (16, 32, 64, 96)) -> AutoencoderKL:
    """Return an untrained VAE, as wide as ``widths`` says from the highest resolution on."""
    return AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=8,
        sample_size=64,
    )


def pixels(images: NDArray[np.uint8]) -> torch.Tensor:
    """Return pictures (N, H, W, 3) as the networks see them: (N, 3, H, W), -1 to 1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def chroma(x: torch.Tensor) -> torch.Tensor:
    """Return what is left of colours without their brightness: (N, 2, H, W)."""
    red, green, blue = x.unbind(1)
    return torch.stack([red - green, blue - (red + green) / 2], 1) / 2


def loss(vae: AutoencoderKL, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the mean loss of a batch of pictures."""
    posterior = vae.encode(images).latent_dist
    noise = torch.randn(posterior.mean.shape, generator=generator).to(images)
    decoded = vae.decode(posterior.mean + posterior.std * noise).sample
    error = (decoded - images).square().mean() + CHROMA * (chroma(decoded) - chroma(images)).square().mean()
    total: torch.Tensor = error + KL * posterior.kl().mean() / posterior.mean[0].numel()
    return total


@torch.inference_mode()
def quality(vae: AutoencoderKL, held: Pool) -> dict[str, float]:
    """Return the PSNR of round trips in dB: the mean over pictures."""
    values = []
    for start in range(0, len(held), 64):
        original = pixels(held.images[start : start + 64]).to(vae.device)
        decoded = vae.decode(vae.encode(original).latent_dist.mode()).sample.clamp(-1, 1)
        values.append(-10 * ((decoded - original) / 2).square().mean((1, 2, 3)).log10())
    return {"psnr_db": torch.cat(values).mean().item()}


@torch.inference_mode()
def scaling(vae: AutoencoderKL, data: Pool) -> float:
    """Return the factor that gives latents unit variance (Rombach et al. 2022, section G)."""
    return float(1 / vae.encode(pixels(data.images[:1000]).to(vae.device)).latent_dist.mode().std())


def train(name: str, vae: AutoencoderKL, given: Namespace, folder: Path) -> None:
    """Train an untrained VAE as a recipe's options say, and save it to ``folder``."""
    data = pool(given.scenes, work=given.work)
    recipe = {"loss": DESCRIPTION, "batch": BATCH, "scenes": len(data), "data": data.digest}
    training = Training(name, vae, recipe, steps=given.steps, rate=RATE, seed=given.seed, work=given.work)

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        chosen = torch.randint(len(data), (BATCH,), generator=generator).numpy()
        return loss(vae, pixels(data.images[chosen]).to(training.device), generator)

    training.run(batch_loss)
    training.finish()
    vae.register_to_config(scaling_factor=round(scaling(vae, data), 4))
    save_half(vae, folder)
    measured = quality(vae.cpu(), pool(1000, "validation", work=given.work))
    training.record(given.out, measured)
    print(f"{name}: {training.step} steps, {training.seconds:.0f} s, {measured['psnr_db']:.2f} dB")


def main() -> None:
    """Train and save."""
    given = options("Train the mini VAE.", steps=20_000, scenes=20_000)
    torch.manual_seed(given.seed)
    train("vae", build(), given, given.out / "mini-sd" / "vae")


if __name__ == "__main__":
    main()
