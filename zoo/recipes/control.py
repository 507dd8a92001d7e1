"""Train a control network of the mini world on the frozen base: ControlNet, T2I-Adapter or MediaPipe's plugin.

Each learns with the base's own loss to make the picture that a condition map was taken from. All see the same scenes
equally often, in an order that does not depend on the network. ControlNet starts from the base's encoder (Zhang et al.
2023), the others from scratch. More captions are dropped than in the base's training, so that the map is read, too,
where a caption would do (ControlNet drops half of them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from diffusers import ControlNetModel, T2IAdapter, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel

from ...adapters.networks.diffusion_plugin import DiffusionPlugin, take_features
from ...datasets.scene_conditions import CONDITIONS
from . import text_encoder, tokenizer, unet
from .data import maps, pool
from .training import Training, folder_digest, options, save_half

BATCH = 64
RATE = 1e-3
DROPPED = 0.3
DESCRIPTION = f"the base's velocity prediction with the condition map, {DROPPED:.0%} of captions dropped"

Arguments = dict[str, Any]


class Network(NamedTuple):
    """One kind of control network."""

    build: Callable[[UNet2DConditionModel], nn.Module]
    """Make an untrained one for a base."""
    steer: Callable[[nn.Module, Arguments, torch.Tensor], Arguments]
    """What it gives to the UNet, from the UNet's own arguments and condition maps (B, 3, 64, 64), 0 to 1."""


def _controlnet(base: UNet2DConditionModel) -> nn.Module:
    # Three halvings: 8 pixels per latent.
    made: nn.Module = ControlNetModel.from_unet(base, conditioning_embedding_out_channels=(16, 32, 64, 96))
    return made


def _residuals(network: nn.Module, call: Arguments, pictures: torch.Tensor) -> Arguments:
    down, middle = network(**call, controlnet_cond=pictures, return_dict=False)
    return {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}


def _adapter(base: UNet2DConditionModel) -> nn.Module:
    made: nn.Module = T2IAdapter(
        in_channels=3,
        channels=list(base.config.block_out_channels),
        num_res_blocks=2,
        downscale_factor=8,
        adapter_type="full_adapter",
    )
    return made


def _plugin(base: UNet2DConditionModel) -> nn.Module:
    made: nn.Module = DiffusionPlugin(
        stem_channels=16,
        stem_stride=2,
        width=1.0,
        rows=[[1, 16, 1, 1], [4, 32, 2, 2], [4, 64, 3, 2], [3, 64, 1, 2], [3, 64, 1, 2]],
        taps=[2, 3, 4],
        out_channels=list(base.config.block_out_channels),
    )
    return made


def _features(network: nn.Module, call: Arguments, pictures: torch.Tensor) -> Arguments:
    # A list of its own: diffusers' UNet empties it.
    return {"down_intrablock_additional_residuals": list(network(pictures))}


NETWORKS: Mapping[str, Network] = {
    "controlnet": Network(_controlnet, _residuals),
    "t2i-adapter": Network(_adapter, _features),
    "plugin": Network(_plugin, lambda network, call, pictures: _features(network, call, pictures * 2 - 1)),
}


class Steered(nn.Module):
    """The frozen base, and the network that steers it; ``pictures`` are the condition maps of the next call."""

    pictures: torch.Tensor

    def __init__(self, text: CLIPTextModel, base: UNet2DConditionModel, network: nn.Module, kind: Network) -> None:
        super().__init__()
        self.text_encoder, self.unet = text.requires_grad_(False), base.requires_grad_(False)
        self.network, self.kind = network, kind

    def forward(self, latents: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Return the predicted velocity (B, 4, 8, 8)."""
        hidden = self.text_encoder(tokens)[0]
        call = {"sample": latents, "timestep": timesteps, "encoder_hidden_states": hidden}
        given = self.kind.steer(self.network, call, self.pictures)
        predicted: torch.Tensor = self.unet(**call, **given, return_dict=False)[0]
        return predicted


def main() -> None:
    """Train and save."""
    given = options(
        "Train a control network of the mini world.",
        steps=3000,
        choices={"network": tuple(NETWORKS), "condition": CONDITIONS},
    )
    name, kind = f"{given.network}-{given.condition}", NETWORKS[given.network]
    torch.manual_seed(given.seed)
    folder = given.out / "mini-sd"
    base = UNet2DConditionModel.from_pretrained(folder / "unet").float()
    network = kind.build(base)
    take_features(base)
    data, shown = pool(given.scenes, work=given.work), maps(given.scenes, given.condition, work=given.work)
    latents = unet.kept_latents(folder / "vae", data, given.work)
    numbers = torch.from_numpy(shown.numbers)
    words = tokenizer.write(given.work / "tokenizer")
    tokens, empty = text_encoder.encode(words, data.captions), text_encoder.encode(words, [""])
    recipe = {
        "loss": DESCRIPTION,
        "batch": BATCH,
        "scenes": len(data),
        "maps": len(shown.numbers),
        "data": data.digest,
        "base": folder_digest(folder / "unet"),
    }
    training = Training(
        name,
        network,
        recipe,
        steps=given.steps,
        rate=RATE,
        cooldown=0.5,
        average=0.998,
        seed=given.seed,
        work=given.work,
    )
    text = CLIPTextModel.from_pretrained(folder / "text_encoder").float()
    model = Steered(text, base, network, kind).to(training.device)

    def batch_loss(generator: torch.Generator) -> torch.Tensor:
        places = torch.randint(len(numbers), (BATCH,), generator=generator)
        chosen = numbers[places]
        prompts = unet.drop(tokens[chosen], empty, DROPPED, generator).to(training.device)
        model.pictures = shown.pictures(places).to(training.device)
        return unet.loss(model, latents[chosen].float().to(training.device), prompts, generator, math.inf)

    training.run(batch_loss)
    training.finish()
    save_half(network, given.out / f"mini-{name}")
    training.record(given.out, {"loss": training.curve[-1][1]})
    print(f"{name}: {training.step} steps, {training.seconds:.0f} s, loss {training.curve[-1][1]:.4f}")


if __name__ == "__main__":
    main()
