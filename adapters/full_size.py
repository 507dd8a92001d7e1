"""The networks of the papers at full size, without weights: what they cost is counted on torch's meta device.

``random:NAME`` names a checkpoint of them wherever one is taken: configuration alone, filled with random weights in
memory when it is loaded. Speed and memory do not depend on weights; pictures of them are noise.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..core.errors import BenchError
from ..core.registry import suggest
from ..core.weights import cache_dir

RANDOM = "random:"

SCHEDULE = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}
"""SD1.5's noise schedule."""

PIPELINES: Mapping[str, Mapping[str, str]] = {
    "sd15": {"text_encoder": "CLIP ViT-L/14 text encoder", "unet": "SD1.5 UNet", "vae": "SD VAE"},
    "snapfusion": {
        "text_encoder": "CLIP ViT-L/14 text encoder",
        "unet": "SnapFusion UNet",
        "vae": "SD VAE",
        "decoder": "SnapFusion decoder",
    },
    "mobilediffusion": {
        "text_encoder": "CLIP ViT-L/14 text encoder",
        "unet": "MobileDiffusion UNet",
        "vae": "MobileDiffusion VAE",
        "decoder": "MobileDiffusion Lite decoder",
    },
    "mobilediffusion-lite": {
        "text_encoder": "CLIP ViT-L/14 text encoder",
        "unet": "MobileDiffusion-Lite UNet",
        "vae": "MobileDiffusion VAE",
        "decoder": "MobileDiffusion Lite decoder",
    },
}
"""The networks of each checkpoint by component."""

SINGLE: Mapping[str, str] = {
    "controlnet": "ControlNet",
    "t2i-adapter": "T2I-Adapter",
    "plugin": "MediaPipe plugin",
}
"""Checkpoints of one network each."""


def factories() -> dict[str, Callable[[], Any]]:
    """What makes each network, by name; call it on the device ``meta``."""
    from diffusers import AutoencoderKL, ControlNetModel, T2IAdapter, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from .networks import decoder, diffusion_plugin, efficient_unet, mobile_unet

    def text_encoder() -> Any:
        return CLIPTextModel(
            CLIPTextConfig(
                architectures=["CLIPTextModel"],
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
                projection_dim=768,
            )
        )

    def vae(latent_channels: int, layers: int) -> Any:
        return AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=layers,
            latent_channels=latent_channels,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )

    def adapter(kind: str, in_channels: int) -> Any:
        channels = [320, 640, 1280] if kind == "light_adapter" else [320, 640, 1280, 1280]
        blocks = 4 if kind == "light_adapter" else 2
        return T2IAdapter(adapter_type=kind, in_channels=in_channels, channels=channels, num_res_blocks=blocks)

    return {
        "CLIP ViT-L/14 text encoder": text_encoder,
        "SD1.5 UNet": lambda: UNet2DConditionModel(cross_attention_dim=768, sample_size=64),
        "SD VAE": lambda: vae(4, 2),
        "ControlNet": lambda: ControlNetModel(cross_attention_dim=768),
        "T2I-Adapter": lambda: adapter("full_adapter", 3),
        "T2I-Adapter, grey": lambda: adapter("full_adapter", 1),
        "T2I-Adapter, light": lambda: adapter("light_adapter", 3),
        "MediaPipe plugin": lambda: diffusion_plugin.DiffusionPlugin(**diffusion_plugin.full_size()),
        "SnapFusion UNet": efficient_unet.EfficientUNet,
        "SnapFusion decoder": decoder.LatentDecoder,
        "MobileDiffusion UNet": mobile_unet.MobileUNet,
        "MobileDiffusion-Lite UNet": mobile_unet.lite,
        "MobileDiffusion VAE": lambda: vae(8, 1),
        "MobileDiffusion Lite decoder": decoder.mobilediffusion_lite,
    }


def random_checkpoint(name: str) -> Path:
    """Return the folder of ``random:NAME``: configuration, schedule and a tokenizer without words; no weights.

    It is written into the cache folder when it is first asked for. Raises BenchError for an unknown name.
    """
    known = [*PIPELINES, *SINGLE]
    if name not in known:
        raise BenchError(f"unknown checkpoint '{RANDOM}{name}'{suggest(name, known)} (known: {', '.join(known)})")
    folder = _random_folder()
    if not (folder / name).is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as made:
            write_structure(Path(made) / "all", networks())
            try:
                (Path(made) / "all").rename(folder)
            except OSError as error:
                if not (folder / name).is_dir():  # another process was first
                    raise BenchError(f"cannot write '{folder}': {error.strerror or error}") from error
    return folder / name


def is_random(place: Path) -> bool:
    """Whether a network's folder is part of a ``random:`` checkpoint."""
    return place.is_relative_to(_random_folder())


def _random_folder() -> Path:
    return cache_dir() / "random-weights" / _code_digest()


@cache
def _code_digest() -> str:
    """Of the code that makes the networks: what an older version wrote may not fit them."""
    here = Path(__file__)
    files = [here, *sorted((here.parent / "networks").glob("*.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def fill(network: Any) -> Any:
    """Return a network of the meta device on the processor, with random weights of the size that its layers expect.

    The same ones each time. Matrices are scaled by the square root of their fan-in; norms are 1, biases 0.
    """
    import torch

    # Not its own: diffusers warns of modules to keep in float32, of which there are none.
    network = torch.nn.Module.to_empty(network, device="cpu")
    # One block over and over: to draw a billion numbers takes longer than all that is timed. A prime number of them, so
    # that no two rows of a matrix are equal.
    block = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0))
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2:
            torch.nn.init.constant_(parameter, float(name.endswith("weight")))
        else:
            _repeat(block * parameter[0].numel() ** -0.5, parameter.data.view(-1))
    for name, buffer in network.named_buffers():
        if name.endswith("position_ids"):
            buffer.copy_(torch.arange(buffer.shape[-1])[None])
        else:
            buffer.zero_()
    return network


def _repeat(block: Any, into: Any) -> None:
    for part in into.split(len(block)):
        part.copy_(block[: len(part)])


def networks() -> dict[str, Any]:
    """Make all networks, by name, on the meta device."""
    import torch

    with torch.device("meta"):
        return {name: make().eval() for name, make in factories().items()}


def write_structure(folder: Path, made: Mapping[str, Any]) -> None:
    """Write the checkpoints of ``PIPELINES`` and ``SINGLE`` without weights, for ``checkpoints.structure_only``.

    ``made`` are the networks by name. The tokenizer has CLIP's length, and no words.
    """
    for name, parts in PIPELINES.items():
        place = folder / name
        index = {component: [None, type(made[network]).__name__] for component, network in parts.items()}
        _write_json(place / "model_index.json", index)
        prediction = {"prediction_type": "v_prediction" if name == "snapfusion" else "epsilon"}
        _write_json(place / "scheduler" / "scheduler_config.json", {**SCHEDULE, **prediction})
        _write_tokenizer(place / "tokenizer")
        for component, network in parts.items():
            _write_config(place / component, made[network])
    for name, network in SINGLE.items():
        _write_config(folder / name, made[network])


def _write_config(place: Path, network: Any) -> None:
    if hasattr(network, "save_config"):
        network.save_config(place)
    else:
        network.config.save_pretrained(place)


def _write_tokenizer(place: Path) -> None:
    start, end = "<|startoftext|>", "<|endoftext|>"
    _write_json(place / "vocab.json", {start: 0, end: 1})
    (place / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    settings = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": end, "model_max_length": 77}
    _write_json(place / "tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", **settings})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
