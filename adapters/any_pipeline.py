"""Any text-to-image pipeline of diffusers, as it is."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import BenchError
from ..datasets.request import Request
from . import checkpoints, noise
from .base import Adapter, Images, Settings
from .schedulers import CLASSES, make_scheduler
from .sd15 import read_config

UNUSED = ("safety_checker",)
"""Parts that are not loaded."""


class AnyPipeline(Adapter):
    """``diffusers:ID_OR_DIR``: whatever pipeline the checkpoint names, called with a prompt.

    The pipeline draws its own noise, from a generator per picture that the key of the draw seeds.
    """

    checkpoint: str

    def __init__(self, argument: str) -> None:
        self.checkpoint = argument

    @cached_property
    def folder(self) -> Path:
        """The checkpoint's folder, fetched from the hub where it is an id."""
        return checkpoints.resolve(self.checkpoint)

    def load(self, device: str, dtype: str) -> None:
        self.pipeline = self._load_pipeline(dtype).to(checkpoints.torch_device(device))
        self.pipeline.set_progress_bar_config(disable=True)
        self._accepts = inspect.signature(self.pipeline.__call__).parameters
        if "prompt" not in self._accepts or "image" in self._required():
            raise BenchError(
                f"'{self.checkpoint}' holds a {type(self.pipeline).__name__}, not a text-to-image pipeline"
            )
        self.settings = Settings(
            scheduler=self.settings.scheduler or type(self.pipeline.scheduler).__name__,
            steps=self.settings.steps or self._default("num_inference_steps"),
            guidance=self._default("guidance_scale") if self.settings.guidance is None else self.settings.guidance,
        )
        if self.settings.scheduler in CLASSES:
            config = self.pipeline.scheduler.config
            self.pipeline.scheduler = make_scheduler(self.settings.scheduler, config, self.settings.steps or 50)

    def _load_pipeline(self, dtype: str) -> Any:
        from diffusers import DiffusionPipeline
        from diffusers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        index = read_config(self.folder / "model_index.json")
        # A safety checker would blacken pictures and so change what is measured.
        without = {name: None for name in UNUSED if name in index}
        options = {"torch_dtype": checkpoints.torch_dtype(dtype), "use_safetensors": True, "local_files_only": True}
        try:
            return DiffusionPipeline.from_pretrained(self.folder, **options, **without)
        except (OSError, ValueError, TypeError, RuntimeError, AttributeError, ImportError) as error:
            reason = checkpoints.first_line(error)
            raise BenchError(f"'{self.checkpoint}' cannot be loaded as a pipeline: {reason}") from error

    def generate(self, requests: Sequence[Request]) -> Images:
        first = requests[0]
        options = {
            "negative_prompt": [request.negative_prompt for request in requests],
            "height": first.height,
            "width": first.width,
            "num_inference_steps": self.settings.steps,
            "guidance_scale": self.settings.guidance,
            "generator": noise.generators(requests, "pipeline"),
            "output_type": "np",
        }
        taken = {name: value for name, value in options.items() if name in self._accepts and value is not None}
        pictures = self.pipeline(prompt=[request.prompt for request in requests], **taken).images
        if not np.isfinite(pictures).all():
            raise BenchError(f"'{self.checkpoint}' gives NaN in {self.pipeline.dtype}: use --dtype bf16 or fp32")
        return (np.clip(pictures, 0, 1) * 255).round().astype(np.uint8)  # type: ignore[no-any-return]

    def fingerprint(self) -> str:
        index = read_config(self.folder / "model_index.json")
        parts = [name for name in index if (self.folder / name).is_dir() and name not in UNUSED]
        return checkpoints.fingerprint(self.folder, "", *parts)

    def noise_digest(self, request: Request) -> str:
        return f"torch-{noise.key(request, 'pipeline'):032x}"[:22]

    def _required(self) -> list[str]:
        return [name for name, parameter in self._accepts.items() if parameter.default is parameter.empty]

    def _default(self, name: str) -> Any:
        parameter = self._accepts.get(name)
        return None if parameter is None or parameter.default is parameter.empty else parameter.default
