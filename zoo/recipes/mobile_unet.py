"""Train MobileDiffusion's UNet in miniature, from scratch on scenes, with the base's frozen text encoder.

The layout is the paper's at two resolutions (Zhao et al. 2023, section 3.1): full convolutions at 8×8, separable ones
at 4×4. There is self-attention at both: the paper spares it where tokens are many, above 16×16, and 8×8 are fewer than
that. Without it there, and with fewer blocks, both of two objects came out right half as often as the base's.
``further`` goes on from the trained UNet and puts its own in that one's place; ``relu`` goes on with ReLU in place of
softmax (section 3.1, "Replacing softmax with ReLU").
"""

from __future__ import annotations

import math

import torch
from transformers import CLIPTextModel

from ...adapters.networks.mobile_unet import MobileUNet
from . import mobile_vae, text_encoder, unet
from .checkpoint import MOBILEDIFFUSION, assemble
from .training import Training, folder_digest, options, save_half

RATE, RELU_RATE = 1e-3, 5e-4
PLANS = ("softmax", "further", "relu")
CAPPED_STEPS = 4000
EMPHASIS: unet.Emphasis = {
    0: {0: 1, 1: 1, 2: 1, 3: 1},
    4_000: {0: 2, 1: 0.4, 2: 0.9, 3: 1.5},
    10_000: {0: 5, 1: 0.4, 2: 0.9, 3: 1.5},
    11_500: {0: 1.5, 1: 0.3, 2: 1, 3: 2.2},
}
"""As in the base's recipe, which says why; sooner, as its text encoder has already learned what is hard."""


def build(attention: str = "softmax") -> MobileUNet:
    """Return an untrained UNet."""
    made: MobileUNet = MobileUNet(
        mobile_vae.CHANNELS,
        mobile_vae.CHANNELS,
        block_out_channels=(64, 80),
        down_resnets=(2, 2),
        down_transformers=(1, 1),
        up_resnets=(2, 2),
        up_transformers=(1, 1),
        self_attention=(True, True),
        separable=(False, True),
        attention_head_dim=16,
        expansion=2,
        cross_attention_dim=text_encoder.WIDTH,
        attention=attention,
        norm_num_groups=16,
        sample_size=8,
    )
    return made


def main() -> None:
    """Train and save."""
    given = options("Train the mini MobileUNet.", steps=20_000, choices={"plan": PLANS})
    torch.manual_seed(given.seed)
    relu, onwards = given.plan == "relu", given.plan != "softmax"
    folder, base = given.out / "mini-mobilediffusion", given.out / "mini-sd"
    network = build("relu" if relu else "softmax")
    capped, schedule = (0, {0: EMPHASIS[max(EMPHASIS)]}) if onwards else (CAPPED_STEPS, EMPHASIS)
    batches = unet.Batches(folder / "vae", given, schedule)
    recipe = {
        "loss": unet.description(capped, schedule),
        **batches.recipe,
        "vae": folder_digest(folder / "vae", unet.ENCODER),
        "text_encoder": folder_digest(base / "text_encoder"),
    }
    if onwards:
        network.load_state_dict(MobileUNet.from_pretrained(folder / "unet").float().state_dict())
        recipe["start"] = folder_digest(folder / "unet")
    training = Training(
        f"mobile_unet-{given.plan}",
        network,
        recipe,
        steps=given.steps,
        rate=RELU_RATE if relu else RATE,
        warmup=300,
        cooldown=0.5 if onwards else 0.25,
        average=0.999,
        seed=given.seed,
        work=given.work,
    )
    text = CLIPTextModel.from_pretrained(base / "text_encoder").float().requires_grad_(False)
    model = unet.TextToImage(text, network).to(training.device)

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        cap = unet.MAX_WEIGHT if training.step < capped else math.inf
        return unet.loss(model, *batches(training, generator), generator, cap)

    training.run(batch_loss)
    training.finish()
    made = given.out / "mini-mobilediffusion-relu" if relu else folder
    save_half(network, made / "unet")
    shared = dict.fromkeys(("text_encoder", "tokenizer"), "mini-sd")
    if relu:
        shared |= dict.fromkeys(("vae", "decoder"), "mini-mobilediffusion")
    assemble(made, MOBILEDIFFUSION, shared=shared)
    training.record(given.out, {"loss": training.curve[-1][1]})
    print(f"{training.name}: {training.step} steps, {training.seconds:.0f} s, loss {training.curve[-1][1]:.4f}")


if __name__ == "__main__":
    main()
