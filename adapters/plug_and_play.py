"""Plug-and-Play: the source's features and self-attention in the picture that it becomes (Tumanyan et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..datasets.request import Request
from .base import Stage
from .editing import Editing, read_source
from .options import option, share
from .schedulers import make_scheduler

if TYPE_CHECKING:
    import torch

KEPT = 16
"""Inverted sources that are remembered; each takes the latents of all sampling steps (3 MB at 512 × 512, 50 steps)."""


class DecoderLayer(NamedTuple):
    """A layer of the UNet's decoder: a residual block and the self-attentions after it."""

    resnet: Any
    attentions: list[Any]


class PlugAndPlay(Editing):
    """``plug-and-play[feature_threshold=0.8,attention_threshold=0.5,inversion_steps=999]``.

    The source is inverted to noise with the empty prompt (DDIM, no guidance). Sampling starts from that noise, with the
    source's latents of the same step beside the picture's in each call of the UNet: [source, without prompt, with
    prompt]. In the first ``feature_threshold`` of the steps the picture takes the source's output of the last
    convolution of the residual block ``feature_layer``, in the first ``attention_threshold`` the source's queries and
    keys of the self-attentions in ``attention_layers``.

    Layers of the decoder are numbered from 0, the coarsest. By default features go into the one a third of the way up,
    attention into that one and all after it: of SD's 12 layers 4 and 4-11, those of the paper (section 4 and the
    authors' code: ``up_blocks[1].resnets[1]``, ``up_blocks[1].attentions[1]`` and on).

    The inversion takes ``inversion_steps`` evenly spaced timesteps, and those of the sampler where they are not among
    them; timesteps noisier than the sampler's first are left out, since nothing is read from them. The scheduler must
    be ``ddim``. A source that comes up again is not inverted again; a batch is inverted at its full size, repeating
    sources, so that bits do not depend on what is remembered.
    """

    inside = "replaces what layers of the UNet give"

    def __init__(
        self,
        *,
        base: str = "sd15",
        feature_threshold: str = "0.8",
        attention_threshold: str = "0.5",
        inversion_steps: str = "999",
        feature_layer: str | None = None,
        attention_layers: str | None = None,
    ) -> None:
        super().__init__(base=base)
        self.feature_threshold = share("feature_threshold", feature_threshold)
        self.attention_threshold = share("attention_threshold", attention_threshold)
        self.inversion_steps = option(
            "inversion_steps", inversion_steps, int, lambda n: n >= 1, "a whole number above 0"
        )
        self._feature_layer = None if feature_layer is None else layer_range("feature_layer", feature_layer)
        self._attention_layers = None if attention_layers is None else layer_range("attention_layers", attention_layers)
        if self._feature_layer and len(self._feature_layer) != 1:
            raise BenchError(f"feature_layer={feature_layer} must be one layer: feature_layer=4")

    def load(self, device: str, dtype: str) -> None:
        if self.settings.scheduler != "ddim":
            raise BenchError(f"plug-and-play inverts DDIM, not '{self.settings.scheduler}': use scheduler=ddim")
        super().load(device, dtype)
        prediction = self.base.scheduler.config.prediction_type
        if prediction not in ("epsilon", "v_prediction"):
            raise BenchError(f"'{self.checkpoint}' predicts '{prediction}'; only epsilon and v_prediction are inverted")
        self._choose_layers()
        self.inversion_timesteps = self._inversion_timesteps()
        self._inverted: dict[str, torch.Tensor] = {}

    def _choose_layers(self) -> None:
        layers = decoder_layers(self.base.unet)
        third = len(layers) // 3
        features = self._feature_layer or range(third, third + 1)
        attentions = self._attention_layers or range(third, len(layers))
        for name, chosen in (("feature_layer", features), ("attention_layers", attentions)):
            if chosen[-1] >= len(layers):
                raise BenchError(
                    f"{name}={chosen[-1]}: the decoder of '{self.checkpoint}' has layers 0-{len(layers) - 1}"
                )
        self.feature_modules = [layers[number].resnet.conv2 for number in features]
        attention = [attention for number in attentions for attention in layers[number].attentions]
        self.attention_modules = [module for each in attention for module in (each.to_q, each.to_k)]
        if self.attention_threshold and not attention:
            raise BenchError(
                f"decoder layers {attentions[0]}-{attentions[-1]} of '{self.checkpoint}' have no self-attention: "
                "give others (attention_layers=A-B), or attention_threshold=0"
            )

    def _inversion_timesteps(self) -> list[int]:
        """The timesteps of the inversion, ascending."""
        sampling = self.base.scheduler.timesteps.tolist()
        even = make_scheduler("ddim", self.base.scheduler.config, self.inversion_steps).timesteps.tolist()
        return sorted(timestep for timestep in {*sampling, *even} if timestep <= max(sampling))

    def injected(self, step: int) -> list[Any]:
        """Return the UNet's modules whose output is the source's at a step."""
        steps = self.settings.steps or 0
        features = self.feature_modules if step < int(steps * self.feature_threshold) else []
        attentions = self.attention_modules if step < int(steps * self.attention_threshold) else []
        return features + attentions

    def denoise(self, requests: Sequence[Request], embeddings: torch.Tensor) -> torch.Tensor:
        import torch

        base, count = self.base, len(requests)
        base.scheduler.set_timesteps(self.settings.steps, device=self.device)
        sources = self.invert(requests)
        embeddings = torch.cat([self._empty_prompt(count), embeddings])
        copies = 2 if base.guided else 1
        latents = sources[0]
        for step, timestep in enumerate(base.scheduler.timesteps[: base.stop()]):
            inputs = torch.cat([sources[step], *[latents] * copies]).to(self.dtype)
            with source_injected(self.injected(step), 1 + copies):
                predicted = base.unet(inputs, timestep, encoder_hidden_states=embeddings, return_dict=False)[0]
            latents = base.step(requests, base.guide(predicted[count:].float()), step, latents)
        return latents

    def invert(self, requests: Sequence[Request]) -> torch.Tensor:
        """Return the noised latents of the sources at each step of the sampler: float32, (S, B, C, h, w)."""
        import torch

        sources = [read_source(request) for request in requests]
        missing = {digest: picture for digest, picture in sources if digest not in self._inverted}
        if missing:
            digests = list(islice(cycle(missing), len(requests)))
            inverted = self._invert(np.stack([missing[digest] for digest in digests]))
            self._inverted |= {digest: inverted[:, place].clone() for place, digest in enumerate(digests)}
        found = torch.stack([self._inverted[digest] for digest, _ in sources], dim=1)
        for digest in list(self._inverted)[:-KEPT]:
            del self._inverted[digest]
        return found

    def _invert(self, pictures: NDArray[np.uint8]) -> torch.Tensor:
        import torch

        base, scheduler = self.base, self.base.scheduler
        empty, latents = self._empty_prompt(len(pictures)), base.encode(pictures)
        sampling = set(scheduler.timesteps.tolist())
        clean = float(scheduler.final_alpha_cumprod)
        kept = []
        for timestep in self.inversion_timesteps:
            noisy = float(scheduler.alphas_cumprod[timestep])
            inputs = latents.to(self.dtype), torch.tensor(timestep, device=self.device)
            predicted = base.unet(*inputs, encoder_hidden_states=empty, return_dict=False)[0].float()
            latents = ddim_inverse(latents, predicted, clean, noisy, scheduler.config.prediction_type)
            clean = noisy
            if timestep in sampling:
                kept.append(latents)
        return torch.stack(kept[::-1])

    def _empty_prompt(self, count: int) -> torch.Tensor:
        return self.base.encode_text([""]).expand(count, -1, -1)  # type: ignore[no-any-return]

    def noise_digest(self, request: Request) -> None:
        """None: nothing is drawn."""

    def stages(self) -> dict[str, Stage]:
        stages = super().stages()
        unet = stages["unet"]
        steps, copies = self.base.stop(), 2 if self.base.guided else 1
        changed = {
            "inversion": unet._replace(per_image=len(self.inversion_timesteps)),
            "unet": unet._replace(per_image=steps * (1 + copies)),
            "decoder": stages["decoder"],
        }
        return {"text_encoder": stages["text_encoder"], "encoder": stages["encoder"], **changed}


def ddim_inverse(
    latents: torch.Tensor, predicted: torch.Tensor, clean: float, noisy: float, prediction_type: str
) -> torch.Tensor:
    """Return the latents (B, C, h, w) that one step of DDIM with the UNet's prediction turns into ``latents``.

    ``clean`` and ``noisy`` are the cumulative alphas of ``latents`` and of the result. It is the step of Song et al.
    (2021, eq. 12, no noise) solved for its input. With the prediction made from ``latents`` in place of the result, it
    is the usual inversion (Dhariwal & Nichol 2021, appendix F).
    """
    signal, noise = sqrt(clean), sqrt(1 - clean)
    noisier_signal, noisier_noise = sqrt(noisy), sqrt(1 - noisy)
    # The step is linear: its result is kept × input + added × prediction.
    if prediction_type == "v_prediction":
        kept, added = signal * noisier_signal + noise * noisier_noise, noise * noisier_signal - signal * noisier_noise
    else:
        kept, added = signal / noisier_signal, noise - signal * noisier_noise / noisier_signal
    return (latents - added * predicted) / kept


@contextmanager
def source_injected(modules: Iterable[Any], parts: int) -> Iterator[None]:
    """Make the output of each module, for the first of ``parts`` equal parts of a batch, that of all parts."""
    import torch

    def take_source(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        return torch.cat([output[: len(output) // parts]] * parts)

    hooks = [module.register_forward_hook(take_source) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def decoder_layers(unet: Any) -> list[DecoderLayer]:
    """Return the layers of a UNet's decoder, coarsest first; BenchError where it is not built as diffusers' are."""
    layers = []
    try:
        for block in unet.up_blocks:
            transformers = iter(getattr(block, "attentions", ()))
            # diffusers' blocks have one transformer after each residual block, or none; ours say how many.
            counts = getattr(block, "followers", [1] * len(block.resnets))
            for resnet, count in zip(block.resnets, counts, strict=True):
                blocks = [
                    each for one in islice(transformers, count) for each in getattr(one, "transformer_blocks", ())
                ]
                # Where a block has only cross-attention, its first attention is one too.
                attentions = [each.attn1 for each in blocks if not each.only_cross_attention]
                layers.append(DecoderLayer(resnet, attentions))
    except (AttributeError, ValueError) as error:
        raise BenchError(
            f"the decoder of {type(unet).__name__} is not built as that of diffusers' UNet2DConditionModel ({error}); "
            "plug-and-play cannot find its layers"
        ) from error
    return layers


def layer_range(name: str, text: str) -> range:
    """Parse the numbers of layers: ``4`` or ``4-11``."""
    first, dash, last = text.partition("-")
    numbers = [first, last] if dash else [first, first]
    if not all(number.isascii() and number.isdigit() for number in numbers) or int(numbers[0]) > int(numbers[1]):
        raise BenchError(f"{name}={text} must be the number of a layer, or the first and the last: {name}=4-11")
    return range(int(numbers[0]), int(numbers[1]) + 1)
