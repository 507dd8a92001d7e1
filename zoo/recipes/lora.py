"""Train a LoRA of the mini base: scenes in warm light, a style that captions do not mention (Hu et al. 2021).

It is there to be put on the base beneath other methods: a control network that was trained on the base alone must
steer the changed base, too.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from numpy.typing import NDArray
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import nn
from transformers import CLIPTextModel

from . import text_encoder, tokenizer, unet
from .data import Pool, pool
from .training import Training, folder_digest, options

BATCH = 64
RATE = 1e-3
RANK = 8
LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "conv1", "conv2", "conv_in", "conv_out"]
"""Convolutions, too: what is as flat as light reaches no token. With attention alone backgrounds had a texture."""
LIGHT = (1.0, 0.85, 0.65)
"""What warm light leaves of red, green and blue."""
DESCRIPTION = (
    f"the base's velocity prediction on scenes in warm light (RGB × {LIGHT}), rank {RANK}, attention and convolutions"
)


def in_warm_light(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pictures (…, 3), RGB, as warm light would show them."""
    lit: NDArray[np.uint8] = np.round(images * np.array(LIGHT)).astype(np.uint8)
    return lit


def main() -> None:
    """Train and save."""
    given = options("Train a LoRA of the mini base.", steps=1500, scenes=4000)
    torch.manual_seed(given.seed)
    folder = given.out / "mini-sd"
    base = UNet2DConditionModel.from_pretrained(folder / "unet").float().requires_grad_(False)
    base.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=LAYERS))
    drawn = pool(given.scenes, work=given.work)
    data = Pool(in_warm_light(drawn.images), drawn.captions)
    latents = unet.kept_latents(folder / "vae", data, given.work)
    words = tokenizer.write(given.work / "tokenizer")
    tokens, empty = text_encoder.encode(words, data.captions), text_encoder.encode(words, [""])
    recipe = {
        "loss": DESCRIPTION,
        "batch": BATCH,
        "scenes": len(data),
        "data": data.digest,
        "base": folder_digest(folder / "unet"),
    }
    layers = nn.ParameterDict(
        {name.replace(".", "/"): value for name, value in base.named_parameters() if value.requires_grad}
    )
    training = Training("lora", layers, recipe, steps=given.steps, rate=RATE, seed=given.seed, work=given.work)
    text = CLIPTextModel.from_pretrained(folder / "text_encoder").float().requires_grad_(False)
    model = unet.TextToImage(text, base).to(training.device)

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        chosen = torch.randint(len(data), (BATCH,), generator=generator)
        prompts = unet.drop(tokens[chosen], empty, unet.DROPPED, generator).to(training.device)
        return unet.loss(model, latents[chosen].float().to(training.device), prompts, generator, math.inf)

    training.run(batch_loss)
    training.finish()
    weights = {name: value.half().contiguous() for name, value in get_peft_model_state_dict(base).items()}
    StableDiffusionPipeline.save_lora_weights(given.out / "mini-lora-warm", unet_lora_layers=weights)
    training.record(given.out, {"loss": training.curve[-1][1]})
    print(f"lora: {training.step} steps, {training.seconds:.0f} s, loss {training.curve[-1][1]:.4f}")


if __name__ == "__main__":
    main()
