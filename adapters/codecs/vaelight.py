"""VAElight, a 1 MB preview codec of Stable Diffusion latents, on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from ...core.errors import BenchError
from ...core.weights import KnownWeights
from ..checkpoints import digest, first_line
from ..counting import onnx_cost
from .base import Codec, CodecCost

SOURCE = "https://github.com/Graphnull/VAElight/raw"
ENCODER = KnownWeights(
    name="vaelight-encoder",
    filename="VAEencoder.onnx",
    sha256="ee58bb0ab61769c48862963a21b5d84d966738db47d34d7d3463d7e4fe1aef5b",
    url=f"{SOURCE}/b22a109ce20b89a6e976d97699b85ab90d01c4e2/VAEencoder.onnx",
)
DECODER = KnownWeights(
    name="vaelight-decoder",
    filename="VAEpreview.onnx",
    sha256="117ba84645544561b37a79685a56c90f1fbae803da6004080406f46f8d1c01c2",
    url=f"{SOURCE}/4ea04ab205f882a51d7cdb7b3e80582153021536/VAEpreview.onnx",
)


class VaeLight(Codec):
    """VAElight; its decoder returns a base picture at latent size and three bands of detail, which are added up."""

    checkpoint = "Graphnull/VAElight"
    latent_space = "sd1"
    latent_channels = 4
    latent_scale = 0.18215
    downsampling = 8
    device = "cpu"
    dtype = "fp32"

    def load(self, device: str, dtype: str) -> None:
        """Open both graphs, on the CPU and in fp32 whatever is asked for."""
        self._files = self.find_weights(ENCODER, DECODER)
        self._encoder, self._decoder = map(_session, self._files)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return latents, float32, (B, 4, h, w), in the scale of the Stable Diffusion encoder."""
        self.check_size(*images.shape[1:3])
        pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / np.float32(127.5) - 1
        latents: NDArray[np.float32] = self._encoder.run(["latent"], {"input": pixels})[0]
        return latents

    def decode(self, code: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the sum of all bands, each enlarged bilinearly, as the project's own example does."""
        size = [side * self.downsampling for side in code.shape[2:]]
        bands = map(torch.from_numpy, self._decoder.run(None, {"latent": np.asarray(code, np.float32)}))
        picture = sum(interpolate(band, size, mode="bilinear") for band in bands)
        return np.ascontiguousarray(np.clip((np.asarray(picture) + 1) / 2, 0, 1).transpose(0, 2, 3, 1))

    def fingerprint(self) -> str:
        """16 hex digits over both files."""
        return digest(dict(zip(("encoder", "decoder"), self._files, strict=True)))

    def cost(self, height: int, width: int) -> CodecCost:
        """Parameters and MACs of both graphs; adding the bands up is not counted."""
        self.check_size(height, width)
        encoder = onnx_cost(self._files[0], (1, 3, height, width))
        decoder = onnx_cost(self._files[1], (1, 4, height // 8, width // 8))
        size = sum(file.stat().st_size for file in self._files)
        return CodecCost(encoder.params, decoder.params, encoder.macs, decoder.macs, size)


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Spinning threads would take the cores from whatever runs next to them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no public base class
        raise BenchError(f"'{path}' is not a usable ONNX file: {first_line(error)}") from error
