"""UniTune: fine-tune on one picture, then edit it by noising and denoising (Valevski et al. 2023)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import BenchError
from ..datasets.request import Request
from . import noise
from .base import Images, Stage
from .checkpoints import first_line
from .editing import read_source
from .options import choice, option, share, whole
from .schedulers import make_scheduler
from .sdedit import SDEdit

if TYPE_CHECKING:
    import torch

KEPT = 2
"""Fine-tuned UNets that are remembered; each is as large as the base's."""
TRAINED = {"all": "", "cross-attention": ".attn2."}
"""Which parameters are trained: those with this in their name."""
GUIDED_FROM = ("negative", "token", "source")


class UniTune(SDEdit):
    """``unitune[fine_tuning_steps=128,batch=4,rate=1e-4,t0=0.9,token=beikkpic]``: fine-tune, then edit.

    A copy of the UNet is fine-tuned on the pair of the source and ``token``, with the diffusion loss, Adafactor at a
    fixed ``rate`` and ``batch`` draws of noise and timestep per step. Then the copy edits the source as ``sdedit``
    does, from ``t0`` (0.8 to 0.98 is best), with the prompt "TOKEN PROMPT". The base stays as it is. Without
    fine-tuning steps it is SDEdit with that prompt.

    - ``token`` should be rare, so that the prompt's words keep their meaning: the default is the paper's own example.
      Rare words are of several tokens in every vocabulary, and work as well.
    - ``train=all|cross-attention``: the paper trains all of the UNet, its port to SD (xuduo35/UniTune) the
      cross-attention only.
    - ``guidance``: the base's own default. The paper's 32 is of Imagen, which clips predicted pixels to hold such a
      scale in bounds; latents are not clipped, and the port keeps to SD's 7.5.
    - ``prompt_guidance=token|source`` guides away from a base prompt in place of the negative prompt: ε(base) +
      guidance × (ε(edit) - ε(base)). The base prompt is the token alone, or the token and ``source_prompt``.
    - ``interpolation`` in [0, 1]: how much of the source's latents is mixed into the edited ones after sampling. The
      paper interpolates for edits that keep to the source's layout, but gives no formula; this is our reading.
    - ``gradient_checkpointing=yes`` trains in less memory and more time.

    Weights are trained in float32 whatever the base's type, since a step of 1e-4 is lost in bfloat16, and cast back for
    sampling; with a bfloat16 base the arithmetic is bfloat16 (autocast). Beside base and activations it takes the
    UNet's float32 size twice, for weights and gradients; Adafactor's own state is small. Draws are keyed by seed and
    source, so that the edits of a source share one UNet. Edits of one source that come in one batch are sampled
    together, so that which of them do can change the last bits; sources take turns.
    """

    inside = "trains the UNet"

    def __init__(
        self,
        *,
        base: str = "sd15",
        t0: str = "0.9",
        fine_tuning_steps: str = "128",
        batch: str = "4",
        rate: str = "1e-4",
        token: str = "beikkpic",
        train: str = "all",
        prompt_guidance: str = "negative",
        interpolation: str = "0",
        gradient_checkpointing: str = "no",
    ) -> None:
        super().__init__(base=base, t0=t0)
        self.fine_tuning_steps = option(
            "fine_tuning_steps", fine_tuning_steps, int, lambda n: n >= 0, "a whole number of at least 0"
        )
        self.batch = whole("batch", batch)
        self.rate = option("rate", rate, float, lambda value: 0 < value < float("inf"), "a number above 0")
        self.interpolation = share("interpolation", interpolation)
        self.train = choice("train", train, tuple(TRAINED))
        self.prompt_guidance = choice("prompt_guidance", prompt_guidance, GUIDED_FROM)
        self.gradient_checkpointing = choice("gradient_checkpointing", gradient_checkpointing, ("yes", "no")) == "yes"
        if not token:
            raise BenchError("token= must be a rare word, such as token=beikkpic")
        self.token = token

    def load(self, device: str, dtype: str) -> None:
        super().load(device, dtype)
        self._tuned: dict[tuple[str, int], Any] = {}

    def generate(self, requests: Sequence[Request]) -> Images:
        edits: dict[tuple[str, int], dict[Request, None]] = {}
        for request in requests:  # the same request twice, as a batch is padded, is one edit
            edits.setdefault((read_source(request)[0], request.seed), {})[request] = None
        made: dict[Request, Images] = {}
        for group in edits.values():
            with self._sampling_with(self.tuned(next(iter(group)))):
                pictures = super().generate([self.edit_request(request) for request in group])
            made |= zip(group, pictures, strict=True)
        return np.stack([made[request] for request in requests])

    def edit_request(self, request: Request) -> Request:
        """Return the request with the prompts that the UNet is given."""
        edit = replace(request, prompt=f"{self.token} {request.prompt}")
        if self.prompt_guidance == "token":
            return replace(edit, negative_prompt=self.token)
        if self.prompt_guidance == "source":
            if not request.source_prompt:
                raise BenchError(f"prompt '{request.prompt_id}' has no source prompt: use prompt_guidance=token")
            return replace(edit, negative_prompt=f"{self.token} {request.source_prompt}")
        return edit

    def denoise(self, requests: Sequence[Request], embeddings: torch.Tensor) -> torch.Tensor:
        sources = self.encode_sources(requests)
        return self.edit(requests, embeddings, sources).lerp(sources, self.interpolation)

    @contextmanager
    def _sampling_with(self, unet: Any) -> Iterator[None]:
        own, self.base.unet = self.base.unet, unet
        try:
            yield
        finally:
            self.base.unet = own

    def tuned(self, request: Request) -> Any:
        """Return the UNet fine-tuned on the request's source, made or remembered; the base's without such steps."""
        if not self.fine_tuning_steps:
            return self.base.unet
        key = read_source(request)[0], request.seed
        if key not in self._tuned:
            while len(self._tuned) >= KEPT:  # before the next one is made, which needs the memory
                del self._tuned[next(iter(self._tuned))]
            self._tuned[key] = self.fine_tune(request)
        return self._tuned[key]

    def fine_tune(self, request: Request) -> Any:
        """Return a copy of the base's UNet, in its type, fine-tuned on the request's source.

        Raises BenchError where the loss is not finite.
        """
        import torch
        from transformers.optimization import Adafactor

        digest, picture = read_source(request)
        keyed = Request(digest, "", seed=request.seed)
        # What inference mode made cannot be trained, and whoever called may be in it.
        with torch.inference_mode(False), torch.no_grad():
            latents = self.base.encode(picture[None]).expand(self.batch, -1, -1, -1)
            prompt = self.base.encode_text([self.token]).float().expand(self.batch, -1, -1)
        with torch.inference_mode(False), torch.enable_grad():
            unet = self._trainable_copy()
            trained = [parameter for parameter in unet.parameters() if parameter.requires_grad]
            optimizer = Adafactor(trained, lr=self.rate, scale_parameter=False, relative_step=False)
            for step in range(self.fine_tuning_steps):
                loss = self.loss(unet, latents, prompt, *self._draw(keyed, step, latents))
                if not loss.isfinite():
                    raise BenchError(f"the loss of fine-tuning on '{request.prompt_id}' is not finite: lower rate")
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                optimizer.zero_grad()
            if self.gradient_checkpointing:
                unet.disable_gradient_checkpointing()
            # diffusers' own way of casting warns of modules to keep in float32, of which a UNet has none.
            return torch.nn.Module.to(unet, self.dtype).requires_grad_(False)

    def _trainable_copy(self) -> Any:
        unet = copy.deepcopy(self.base.unet).float()
        for name, parameter in unet.named_parameters():
            parameter.requires_grad_(TRAINED[self.train] in name)
        if not any(parameter.requires_grad for parameter in unet.parameters()):
            raise BenchError(f"the UNet of '{self.checkpoint}' has no parameters for train={self.train}: use train=all")
        if self.gradient_checkpointing:
            try:
                unet.enable_gradient_checkpointing()
            except ValueError as error:
                raise BenchError(f"gradient_checkpointing=yes: {first_line(error)}") from error
        return unet

    def _draw(self, keyed: Request, step: int, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        (generator,) = noise.generators([keyed], "fine_tune", step)
        count = self.base.scheduler.config.num_train_timesteps
        timesteps = torch.randint(count, (len(latents),), generator=generator)
        draws = torch.from_numpy(noise.normal(keyed, latents.shape, "fine_tune", step))
        return draws.to(latents), timesteps.to(latents.device)

    def loss(
        self,
        unet: Any,
        latents: torch.Tensor,
        embeddings: torch.Tensor,
        draws: torch.Tensor,
        timesteps: torch.Tensor,
    ) -> torch.Tensor:
        """Return the mean squared error of what the UNet predicts: noise or velocity, as its checkpoint has it.

        ``latents`` and the noise ``draws`` are float32 (B, C, h, w), ``embeddings`` (B, T, D), ``timesteps`` (B,).
        """
        import torch

        schedule = make_scheduler("ddim", self.base.scheduler.config, 1)
        targets = {
            "epsilon": draws,
            "sample": latents,
            "v_prediction": schedule.get_velocity(latents, draws, timesteps),
        }
        noisy = schedule.add_noise(latents, draws, timesteps)
        half = self.dtype == torch.bfloat16
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            predicted = unet(noisy, timesteps, encoder_hidden_states=embeddings, return_dict=False)[0]
        return torch.nn.functional.mse_loss(predicted.float(), targets[schedule.config.prediction_type])

    def notes(self, request: Request) -> list[str]:
        return super().notes(self.edit_request(request))

    def stages(self) -> dict[str, Stage]:
        """The parts that can be timed, by name, in the order they run.

        Of ``fine_tune`` the forwards: a step is counted as three, since going back costs two, for each of its batch.
        """
        stages = super().stages()
        if not self.fine_tuning_steps:
            return stages
        tuning = stages["unet"]._replace(per_image=3 * self.fine_tuning_steps * self.batch)
        first = {name: stages.pop(name) for name in ("text_encoder", "encoder")}
        return {**first, "fine_tune": tuning, **stages}
