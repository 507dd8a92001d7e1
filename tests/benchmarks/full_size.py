"""Every method once at full size: random weights, 512×512, bf16, two steps, each in a process of its own.

    python tests/benchmarks/full_size.py [METHOD ...] [--json]

It shows that the full-size networks load, fit together and run, and what memory they take; the pictures are noise.
Checkpoints (about 6 GB) are made once, in a folder that ``--checkpoints`` names. Peak memory is the process's resident
set, load included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 512
STEPS = 2
TEXT = "a photo of a bus"
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}

METHODS = {
    "sd15": "sd15[checkpoint={sd15},{sampling}]",
    "controlnet": "controlnet[base=sd15[checkpoint={sd15}],condition=canny,checkpoint={controlnet},{sampling}]",
    "t2i-adapter": "t2i-adapter[base=sd15[checkpoint={sd15}],condition=depth,checkpoint={t2i},{sampling}]",
    "mediapipe-plugin": "mediapipe-plugin[base=sd15[checkpoint={sd15}],condition=canny,checkpoint={plugin},{sampling}]",
    "plug-and-play": "plug-and-play[base=sd15[checkpoint={sd15}],inversion_steps=2,{sampling}]",
    "snapfusion": "snapfusion[checkpoint={snapfusion},{sampling}]",
    "mobilediffusion": "mobilediffusion[checkpoint={mobile}]",
    "mobilediffusion-lite": "mobilediffusion[checkpoint={mobile_lite},{sampling}]",
    "multidiffusion": "multidiffusion[base=sd15[checkpoint={sd15}],{sampling}]",
    "panorama": "multidiffusion[base=sd15[checkpoint={sd15}],mode=panorama,{sampling}]",
    "unitune": "unitune[base=sd15[checkpoint={sd15}],fine_tuning_steps=1,batch=1,gradient_checkpointing=yes,"
    "{sampling}]",
    "sdedit": "sdedit[base=sd15[checkpoint={sd15}],t0=1,{sampling}]",
}


def random_network(build: Callable[[], Any]) -> Any:
    """Return a network in bf16 with weights of the size that its layers expect, without a float32 copy of it."""
    import torch

    with torch.device("meta"):
        network = build()
    network = network.to(torch.bfloat16).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2:
            torch.nn.init.constant_(parameter, float(name.endswith("weight")))
        else:
            parameter.data.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
    for name, buffer in network.named_buffers():
        if name.endswith("position_ids"):
            buffer.copy_(torch.arange(buffer.shape[-1])[None])
    return network


def make_checkpoints(folder: Path) -> None:
    """Write what is missing of the checkpoints."""
    from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, T2IAdapter, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    from t2ibench.adapters import checkpoints
    from t2ibench.adapters.networks import decoder, diffusion_plugin, efficient_unet, mobile_unet

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import write_tokenizer

    write_tokenizer(folder / "tokenizer")
    words = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    clip = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, projection_dim=768,
        bos_token_id=49406, eos_token_id=49407, pad_token_id=49407,
    )  # fmt: skip

    def vae(latents: int, blocks: int) -> Callable[[], Any]:
        return lambda: AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=blocks, latent_channels=latents,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip

    def pipeline(name: str, prediction: str = "epsilon", **networks: Callable[[], Any]) -> None:
        if not (folder / name / "model_index.json").exists():
            made = {part: random_network(build) for part, build in networks.items()}
            text = random_network(lambda: CLIPTextModel(clip))
            scheduler = DDIMScheduler(**SCHEDULE, prediction_type=prediction)
            parts = {"text_encoder": text, "tokenizer": words, "scheduler": scheduler, **made}
            checkpoints.save(folder / name, "StableDiffusionPipeline", parts)

    def single(name: str, build: Callable[[], Any]) -> None:
        if not (folder / name / "config.json").exists():
            random_network(build).save_pretrained(folder / name)

    pipeline("sd15", unet=lambda: UNet2DConditionModel(cross_attention_dim=768, sample_size=64, attention_head_dim=8),
             vae=vae(4, 2))  # fmt: skip
    pipeline("snapfusion", "v_prediction", unet=efficient_unet.EfficientUNet, vae=vae(4, 2),
             decoder=decoder.LatentDecoder)  # fmt: skip
    for name, unet in (("mobile", mobile_unet.MobileUNet), ("mobile_lite", mobile_unet.lite)):
        pipeline(name, unet=unet, vae=vae(8, 1), decoder=decoder.mobilediffusion_lite)
    single("controlnet", lambda: ControlNetModel(cross_attention_dim=768))
    single("t2i", lambda: T2IAdapter(in_channels=3, adapter_type="full_adapter", channels=[320, 640, 1280, 1280]))
    single("plugin", lambda: diffusion_plugin.DiffusionPlugin(**diffusion_plugin.full_size()))


def request_for(name: str) -> Any:
    """Return a request with all that the method needs."""
    from t2ibench.datasets.request import ConditionMap, Pixels, Region, Request

    rng = np.random.default_rng(0)
    picture = Pixels.of(rng.integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8))
    left = np.zeros((SIDE, SIDE), bool)
    left[:, : SIDE // 2] = True
    conditions = tuple(ConditionMap(kind, picture) for kind in ("canny", "depth"))
    regions = (Region("a dog", Pixels.of(left)), Region("a cat", Pixels.of(~left)))
    width = 2 * SIDE if name == "panorama" else SIDE
    return Request("smoke", TEXT, height=SIDE, width=width, conditions=conditions, regions=regions, source=picture)


def smoke(name: str, folder: Path) -> dict[str, Any]:
    """Run one method in this process."""
    from t2ibench.adapters import make_adapter

    places = {path.name: path for path in folder.iterdir()}
    start = time.perf_counter()
    adapter = make_adapter(METHODS[name].format(**places, sampling=f"scheduler=ddim,steps={STEPS}"))
    adapter.load("cpu", "bf16")
    loaded = time.perf_counter()
    request = request_for(name)
    pictures = adapter.generate([request])
    assert pictures.shape == (1, SIDE, request.width, 3)
    assert pictures.std() > 0
    return {
        "method": name,
        "load_s": loaded - start,
        "generate_s": time.perf_counter() - loaded,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "forwards": {part: stage.forwards(request) for part, stage in adapter.stages().items()},
    }


def main() -> None:
    """Run the methods one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", help=f"of {', '.join(METHODS)}; all where none is named")
    parser.add_argument("--checkpoints", type=Path, default=Path(tempfile.gettempdir()) / "t2ibench-full-size")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        print(json.dumps(smoke(given.methods[0], given.checkpoints)))
        return
    make_checkpoints(given.checkpoints)
    for name in given.methods or METHODS:
        command = [sys.executable, __file__, name, "--here", "--checkpoints", str(given.checkpoints)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}: failed: {done.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        if given.json:
            print(json.dumps(found), flush=True)
            continue
        ran = ", ".join(f"{part} {count}" for part, count in found["forwards"].items())
        print(f"{name:21} load {found['load_s']:5.1f} s, generate {found['generate_s']:6.1f} s, "
              f"peak {found['peak_memory_bytes'] / 1e9:5.2f} GB; forwards: {ran}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
