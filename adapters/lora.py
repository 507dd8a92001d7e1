"""LoRA: low-rank changes of a base's weights (Hu et al. 2021), from one safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import BenchError
from ..core.zoo import PREFIX, zoo_checkpoint
from .checkpoints import check_whole, first_line, quiet

if TYPE_CHECKING:
    from torch import nn

ZOO_FILE = "pytorch_lora_weights.safetensors"
LOCAL = {"local_files_only": True, "use_safetensors": True}


def lora_file(text: str) -> Path:
    """Return the LoRA that ``text`` names, a file or ``zoo:NAME``.

    BenchError where there is none, or where it may be a pickle.
    """
    if text.startswith(PREFIX):
        shipped = zoo_checkpoint(text.removeprefix(PREFIX)) / ZOO_FILE
        if not shipped.is_file():
            raise BenchError(f"lora={text}: that checkpoint of the zoo is no LoRA")
        return shipped
    file = Path(text).expanduser()
    if file.suffix != ".safetensors":
        raise BenchError(f"lora={text} is no .safetensors file: other formats can run code when they are read")
    if not file.is_file():
        raise BenchError(f"lora={text}: there is no such file")
    return file


def merge_lora(file: Path, text_encoder: nn.Module, unet: nn.Module) -> None:
    """Add a LoRA, in diffusers', peft's or kohya's names, to the weights it is for; they cost no more than before.

    Raises BenchError for a broken file, or one with weights that fit no layer of these networks.
    """
    from diffusers import StableDiffusionPipeline

    check_whole(file)
    networks = {"text_encoder": text_encoder, "unet": unet}
    others = dict.fromkeys(("vae", "tokenizer", "scheduler", "safety_checker", "feature_extractor"))
    # diffusers loads a LoRA into a pipeline; this one holds what the LoRA may change.
    pipeline = StableDiffusionPipeline(**networks, **others, requires_safety_checker=False)
    try:
        with quiet("diffusers"):
            weights, _ = pipeline.lora_state_dict(str(file), unet_config=unet.config, **LOCAL)
            pipeline.load_lora_weights(str(file), **LOCAL)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        # torch names the first weight that does not fit on its second line.
        why = first_line(error) if len(str(error).splitlines()) < 2 else str(error).splitlines()[1].strip()
        raise BenchError(f"LoRA '{file}' does not fit this base: {why}") from error
    found = sum(".lora_" in name for network in networks.values() for name, _ in network.named_parameters())
    if found < len(weights):
        lost = len(weights) - found
        raise BenchError(f"LoRA '{file}' is of another base: {lost} of its {len(weights)} weights fit no layer")
    pipeline.fuse_lora(components=list(networks))
    pipeline.unload_lora_weights()
