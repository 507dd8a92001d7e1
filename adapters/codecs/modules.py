"""What codecs made of two torch modules have in common."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..checkpoints import torch_device, torch_dtype
from ..counting import count_macs, count_params, on_meta
from .base import Codec, CodecCost


class ModuleCodec(Codec):
    """A codec of an encoder and a decoder module; a subclass overrides ``build``."""

    pixel_range: tuple[float, float] = (-1.0, 1.0)
    """What the modules take and return for black and white."""
    encoder: nn.Module
    decoder: nn.Module
    file_bytes: int | None = None
    digest: str = ""

    @abstractmethod
    def build(self, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
        """Return encoder and decoder on the CPU with their weights; sets ``file_bytes`` and ``digest``."""

    def load(self, device: str, dtype: str) -> None:
        """Build both modules and bring them to ``device`` in ``dtype``."""
        self._device, self._dtype = torch_device(device), torch_dtype(dtype)
        self.encoder, self.decoder = (self._place(module) for module in self.build(self._dtype))

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return latents, float32, (B, C, h, w), in the encoder's own scale."""
        self.check_size(*images.shape[1:3])
        low, high = self.pixel_range
        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(self._device).permute(0, 3, 1, 2)
        return self._run(self.encoder, pixels.float() * ((high - low) / 255) + low)

    def decode(self, code: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return pictures (B, H, W, 3) in [0, 1] of latents in the encoder's own scale."""
        low, high = self.pixel_range
        pixels = self._run(self.decoder, torch.from_numpy(np.ascontiguousarray(code)).to(self._device))
        return np.ascontiguousarray(np.clip((pixels - low) / (high - low), 0, 1).transpose(0, 2, 3, 1))

    def fingerprint(self) -> str:
        """16 hex digits over the weight files."""
        return self.digest

    def cost(self, height: int, width: int) -> CodecCost:
        """Parameters and MACs of both halves, counted on the meta device."""
        self.check_size(height, width)
        step, channels = self.downsampling or 1, self.latent_channels or 1
        return CodecCost(
            encoder_params=count_params(self.encoder),
            decoder_params=count_params(self.decoder),
            encoder_macs=self._macs(self.encoder, (1, 3, height, width)),
            decoder_macs=self._macs(self.decoder, (1, channels, height // step, width // step)),
            file_bytes=self.file_bytes,
        )

    def _place(self, module: nn.Module) -> nn.Module:
        # nn.Module's own: that of a diffusers network warns of any dtype, its own included.
        return nn.Module.to(module, self._device, self._dtype).eval().requires_grad_(False)

    def _run(self, module: nn.Module, inputs: Tensor) -> NDArray[np.float32]:
        with torch.inference_mode():
            outputs: NDArray[np.float32] = module(inputs.to(self._dtype)).float().cpu().numpy()
        return outputs

    def _macs(self, module: nn.Module, shape: tuple[int, ...]) -> int:
        shadow, inputs = on_meta(module), torch.empty(shape, device="meta", dtype=self._dtype)
        return count_macs(lambda: shadow(inputs))
