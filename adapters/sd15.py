"""Stable Diffusion 1.x and 2.x: latent diffusion with classifier-free guidance (Rombach et al. 2022)."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..datasets.request import Request
from . import checkpoints, noise
from .base import Adapter, Images, Settings, Stage, Traits
from .lora import lora_file, merge_lora
from .options import option
from .schedulers import PREDICTIONS, clean, make_scheduler

if TYPE_CHECKING:
    import torch


class Control(Protocol):
    """What a control network adds to one call of the UNet."""

    def __call__(
        self, latents: torch.Tensor, timestep: torch.Tensor, embeddings: torch.Tensor, progress: float
    ) -> Mapping[str, Any]:
        """Return further arguments of the UNet's call, such as ``down_block_additional_residuals``.

        ``latents`` (B, C, h, w), scaled, and ``embeddings`` (B, T, D) are the UNet's own, without the prompt first
        where guided; ``progress`` is the share of the steps already taken, 0 at the first.
        """


class StableDiffusion(Adapter):
    """Any SD1.x or SD2.x checkpoint in diffusers layout; no safety checker.

    Latents stay float32 between the steps whatever the weights' type, so that a sampler's arithmetic never loses bits.
    It is also the base of every latent diffusion method here: they override ``components`` and single steps.
    """

    traits = Traits(defaults=Settings("pndm", 50, 7.5))
    components: Mapping[str, str] = {
        "text_encoder": "CLIPTextModel",
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
    }
    """The networks of a checkpoint and their classes; each becomes an attribute when loaded."""
    family = "SD1.x or SD2.x"
    lora: Path | None = None
    """A LoRA file that is added to the weights when they are loaded."""
    guidance_width: int | None = None
    """How wide the guidance scale's embedding is that the UNet reads, where it was distilled to (Meng et al. 2023)."""
    until = 1.0
    """The share of the steps after which sampling stops; below 1 the picture predicted there is the result."""

    checkpoint: str
    text_encoder: Any
    unet: Any
    vae: Any

    def __init__(
        self, *, checkpoint: str = "stable-diffusion-v1-5/stable-diffusion-v1-5", lora: str = "", until: str = "1"
    ) -> None:
        self.checkpoint = checkpoint
        self.lora = lora_file(lora) if lora else None
        self.until = option("until", until, float, lambda value: 0 < value <= 1, "a number above 0, at most 1")
        self._negative: dict[str, torch.Tensor] = {}

    @cached_property
    def folder(self) -> Path:
        """The checkpoint's folder, fetched from the hub where it is an id."""
        networks = checkpoints.component_patterns(*self.components)
        patterns = ["model_index.json", "tokenizer/*", "scheduler/*", *networks]
        folder = checkpoints.resolve(self.checkpoint, patterns=patterns)
        index = read_config(folder / "model_index.json")
        for name, expected in self.components.items():
            found = (index.get(name) or [None, None])[1]
            if found != expected:
                raise BenchError(
                    f"checkpoint '{self.checkpoint}' is no {self.family}: its {name} is {found}, expected {expected}; "
                    f"try 'diffusers:{self.checkpoint}'"
                )
        return folder

    def load(self, device: str, dtype: str) -> None:
        self.device, self.dtype = checkpoints.torch_device(device), checkpoints.torch_dtype(dtype)
        for name, kind in self.components.items():
            network: Any = checkpoints.load_component([kind], self.folder, name, dtype=self.dtype)
            setattr(self, name, network.to(self.device))
        if self.lora:
            merge_lora(self.lora, self.text_encoder, self.unet)
        self.tokenizer = self._load_tokenizer()
        self.guidance_width = self.unet.config.get("time_cond_proj_dim")
        config = read_config(checkpoints.part(self.folder, "scheduler") / "scheduler_config.json")
        self.scheduler = make_scheduler(self.settings.scheduler or "pndm", config, self.settings.steps or 50)
        predicts = self.scheduler.config.prediction_type
        if self.until < 1 and predicts not in PREDICTIONS:
            known = ", ".join(PREDICTIONS)
            raise BenchError(
                f"until={self.until:g}: '{self.checkpoint}' predicts '{predicts}', from which no picture is told "
                f"(known: {known}); leave until out"
            )

    def _load_tokenizer(self) -> Any:
        from transformers import CLIPTokenizer

        try:
            return CLIPTokenizer.from_pretrained(checkpoints.part(self.folder, "tokenizer"))
        except (OSError, ValueError, TypeError) as error:
            reason = checkpoints.first_line(error)
            raise BenchError(f"'{self.folder / 'tokenizer'}' holds no CLIP tokenizer: {reason}") from error

    def generate(self, requests: Sequence[Request]) -> Images:
        import torch

        with torch.inference_mode():
            return self.decode(self.denoise(requests, self.embed(requests)))

    @property
    def guided(self) -> bool:
        """Whether each step runs the UNet with and without the prompt.

        At a guidance scale of 1 the two cancel, and a UNet that reads the scale has learned what they make together.
        """
        return self.settings.guidance != 1 and self.guidance_width is None

    def embed(self, requests: Sequence[Request]) -> torch.Tensor:
        """Return the text embeddings (B, 77, D), those of the negative prompts stacked before them where guided."""
        import torch

        positive = self.encode_text([request.prompt for request in requests])
        if not self.guided:
            return positive
        for text in {request.negative_prompt for request in requests} - self._negative.keys():
            self._negative[text] = self.encode_text([text])[0]
        return torch.cat([torch.stack([self._negative[request.negative_prompt] for request in requests]), positive])

    def encode_text(self, texts: list[str]) -> torch.Tensor:
        """Return the text encoder's last hidden states (B, 77, D)."""
        tokens = self.tokenizer(
            texts, padding="max_length", max_length=self.max_tokens, truncation=True, return_tensors="pt"
        )
        hidden: torch.Tensor = self.text_encoder(tokens.input_ids.to(self.device))[0]
        return hidden

    def noise(self, requests: Sequence[Request]) -> torch.Tensor:
        """Return the latents (B, C, h, w), float32, that the sampler starts from."""
        self.scheduler.set_timesteps(self.settings.steps, device=self.device)
        latents = noise.batch(requests, self.latent_shape(requests[0])).to(self.device)
        return latents * self.scheduler.init_noise_sigma  # type: ignore[no-any-return]

    def denoise(
        self,
        requests: Sequence[Request],
        embeddings: torch.Tensor,
        *,
        latents: torch.Tensor | None = None,
        first: int = 0,
        control: Control | None = None,
    ) -> torch.Tensor:
        """Return the latents (B, C, h, w), float32, that the sampler ends with.

        It starts from ``latents`` (else from noise) at step ``first``; ``control`` steers every call of the UNet.
        Where ``until`` is below 1 they are those predicted at the last step taken.
        """
        latents = self.noise(requests) if latents is None else latents
        self.scheduler.set_timesteps(self.settings.steps, device=self.device)
        if first and hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(first)
        for step, timestep in enumerate(self.scheduler.timesteps[: self.stop(first)]):
            if step >= first:
                scaled = self.scheduler.scale_model_input(latents, timestep)
                progress = step / len(self.scheduler.timesteps)
                predicted = self.predict(scaled, timestep, embeddings, control, progress)
                latents = self.step(requests, predicted, step, latents, first)
        return latents

    def stop(self, first: int = 0) -> int:
        """Return the number of the step before which sampling from step ``first`` on stops.

        It takes the share ``until`` of the steps there are, rounded, and at least one.
        """
        return first + max(1, round(self.until * (len(self.scheduler.timesteps) - first)))

    def step(
        self, requests: Sequence[Request], predicted: torch.Tensor, step: int, latents: torch.Tensor, first: int = 0
    ) -> torch.Tensor:
        """Return the latents after the sampler's step number ``step`` with the UNet's prediction, both (B, C, h, w).

        After the last step of a sampling from ``first`` on that stops early, they are those of the picture predicted.
        """
        if step + 1 == self.stop(first) < len(self.scheduler.timesteps):
            return clean(self.scheduler, predicted, step, latents)
        draws = {"generator": noise.generators(requests, "scheduler", step)} if self._draws else {}
        timestep = self.scheduler.timesteps[step]
        stepped: torch.Tensor = self.scheduler.step(predicted, timestep, latents, return_dict=False, **draws)[0]
        return stepped

    def predict(
        self,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        embeddings: torch.Tensor,
        control: Control | None = None,
        progress: float = 0.0,
    ) -> torch.Tensor:
        """Return the UNet's guided prediction (B, C, h, w), float32, from one batched call (Ho & Salimans 2022, eq. 6).

        ``embeddings`` are as ``embed`` gives them, twice as many as latents where guided.
        """
        import torch

        inputs = (torch.cat([latents, latents]) if self.guided else latents).to(self.dtype)
        more = dict(control(inputs, timestep, embeddings, progress)) if control else {}
        if self.guidance_width is not None:
            more["timestep_cond"] = self._guidance_embedding(inputs)
        predicted = self.unet(inputs, timestep, encoder_hidden_states=embeddings, return_dict=False, **more)[0]
        return self.guide(predicted.float())

    def _guidance_embedding(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the UNet reads of the guidance scale: that of scale - 1, times 1000, as of a timestep (B, D)."""
        import torch
        from diffusers.models.embeddings import get_timestep_embedding

        above = torch.full((len(inputs),), float(self.settings.guidance or 1.0) - 1, device=inputs.device)
        width = self.guidance_width or 0
        embedding: torch.Tensor = get_timestep_embedding(1000 * above, width, downscale_freq_shift=1)
        return embedding.to(inputs.dtype)

    def guide(self, predicted: torch.Tensor) -> torch.Tensor:
        """Return the guided prediction (B, C, h, w) of predictions without and with the prompt, stacked.

        Where not guided there is but one of them, and it is returned as it is.
        """
        if not self.guided:
            return predicted
        without, conditional = predicted.chunk(2)
        return without + self.settings.guidance * (conditional - without)  # type: ignore[operator]

    def encode(self, pictures: NDArray[np.uint8]) -> torch.Tensor:
        """Return the latents (B, C, h, w), float32, in the UNet's scale, of pictures (B, H, W, 3).

        They are the mode of the posterior.
        """
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
        posterior = self.vae.encode(pixels.to(self.device, self.dtype)).latent_dist
        return posterior.mode().float() * self.vae.config.scaling_factor  # type: ignore[no-any-return]

    def decode(self, latents: torch.Tensor) -> Images:
        """Return pictures from latents in the UNet's scale."""
        decoded = self.vae.decode((latents / self.vae.config.scaling_factor).to(self.dtype), return_dict=False)[0]
        if not decoded.isfinite().all():  # it would become a black picture and be measured as one
            raise BenchError(f"the decoder of '{self.checkpoint}' gives NaN in {self.dtype}: use --dtype bf16 or fp32")
        pixels = (decoded.float() / 2 + 0.5).clamp(0, 1).mul(255).round()
        return pixels.permute(0, 2, 3, 1).byte().cpu().numpy()  # type: ignore[no-any-return]

    @cached_property
    def _draws(self) -> bool:
        return "generator" in inspect.signature(self.scheduler.step).parameters

    @cached_property
    def _shapes(self) -> tuple[int, int]:
        """Channels of the latents, pixels per latent; from the configuration files, so that nothing need be loaded."""
        unet = read_config(checkpoints.part(self.folder, "unet") / "config.json")
        vae = read_config(checkpoints.part(self.folder, "vae") / "config.json")
        return int(unet["in_channels"]), 2 ** (len(vae["block_out_channels"]) - 1)

    def latent_shape(self, request: Request) -> tuple[int, int, int]:
        """Channels, height and width of the latents of one picture."""
        channels, factor = self._shapes
        return channels, request.height // factor, request.width // factor

    @property
    def max_tokens(self) -> int:
        """Tokens the text encoder reads, begin and end included; a tokenizer saved without its limit says 1e30."""
        return int(min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings))

    def fingerprint(self) -> str:
        found = checkpoints.fingerprint(self.folder, "tokenizer", "scheduler", *self.components)
        return f"{found}+{checkpoints.digest({'lora': self.lora})}" if self.lora else found

    def weight_files(self) -> list[Path]:
        networks = [
            file for name in self.components for file in checkpoints.weight_files(checkpoints.part(self.folder, name))
        ]
        return [*networks, self.lora] if self.lora else networks

    def noise_digest(self, request: Request) -> str:
        return noise.digest(noise.normal(request, self.latent_shape(request)))

    def notes(self, request: Request) -> list[str]:
        ids = self.tokenizer(request.prompt, truncation=False, verbose=False).input_ids
        if len(ids) <= self.max_tokens:
            return []
        cut = self.tokenizer.decode(ids[self.max_tokens - 1 : -1])
        shown = cut if len(cut) <= 100 else f"{cut[:48]} … {cut[-48:]}"
        return [f"prompt cut after {self.max_tokens} tokens, left out: '{shown}'"]

    def stages(self) -> dict[str, Stage]:
        config = self.unet.config
        copies = 2 if self.guided else 1

        def text(request: Request, device: str) -> tuple[Any, ...]:
            import torch

            return (torch.zeros(1, self.max_tokens, dtype=torch.long, device=device),)

        def unet(request: Request, device: str) -> tuple[Any, ...]:
            import torch

            latents = torch.zeros(1, *self.latent_shape(request), dtype=self.dtype, device=device)
            width = config.cross_attention_dim
            return latents, 1, torch.zeros(1, self.max_tokens, width, dtype=self.dtype, device=device)

        def decoder(request: Request, device: str) -> tuple[Any, ...]:
            import torch

            shape = (1, self.vae.config.latent_channels, *self.latent_shape(request)[1:])
            return (torch.zeros(shape, dtype=self.dtype, device=device),)

        return {
            # Once: the negative prompt is encoded once for all pictures.
            "text_encoder": Stage(self.text_encoder, text, 1),
            "unet": Stage(self.unet, unet, self.stop() * copies),
            "decoder": Stage(self.vae.decoder, decoder, 1),
        }


def read_config(path: Path) -> dict[str, Any]:
    """Return a configuration file of a checkpoint; BenchError, naming the file, where it is missing or broken."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchError(f"'{path}' cannot be read ({error}): not a checkpoint in diffusers layout") from error
    if not isinstance(config, dict):
        raise BenchError(f"'{path}' holds no configuration: not a checkpoint in diffusers layout")
    return config
