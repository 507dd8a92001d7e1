"""Every method once at full size: random weights, 512×512, bf16, two steps, each in a process of its own.

    python tests/benchmarks/full_size.py [METHOD ...] [--json]

It shows that the full-size networks load, fit together and run, and what memory they take; the pictures are noise.
Checkpoints (about 6 GB) are made once, in a folder that ``--checkpoints`` names. Peak memory is the process's
resident set beyond that of the bare interpreter with our package, loading included.
"""

from __future__ import annotations

import argparse
import json
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

SD15 = "base=sd15[checkpoint={folder}/sd15]"
METHODS = {
    "sd15": "sd15[checkpoint={folder}/sd15,{sampling}]",
    "controlnet": f"controlnet[{SD15},condition=canny,checkpoint={{folder}}/controlnet,{{sampling}}]",
    "t2i-adapter": f"t2i-adapter[{SD15},condition=depth,checkpoint={{folder}}/t2i-adapter,{{sampling}}]",
    "mediapipe-plugin": f"mediapipe-plugin[{SD15},condition=canny,checkpoint={{folder}}/plugin,{{sampling}}]",
    "plugin-on-snapfusion": "mediapipe-plugin[base=snapfusion[checkpoint={folder}/snapfusion],condition=canny,"
    "checkpoint={folder}/plugin,{sampling}]",
    "plug-and-play": f"plug-and-play[{SD15},inversion_steps=2,{{sampling}}]",
    "snapfusion": "snapfusion[checkpoint={folder}/snapfusion,{sampling}]",
    "mobilediffusion": "mobilediffusion[checkpoint={folder}/mobilediffusion]",
    "mobilediffusion-lite": "mobilediffusion[checkpoint={folder}/mobilediffusion-lite,{sampling}]",
    "multidiffusion": f"multidiffusion[{SD15},{{sampling}}]",
    "panorama": f"multidiffusion[{SD15},mode=panorama,{{sampling}}]",
    "unitune": f"unitune[{SD15},fine_tuning_steps=1,batch=1,gradient_checkpointing=yes,{{sampling}}]",
    "sdedit": f"sdedit[{SD15},t0=1,{{sampling}}]",
}


def random_network(build: Callable[[], Any]) -> Any:
    """Return a network in bf16 with random weights, without a float32 copy of it."""
    import torch

    from t2ibench.adapters.full_size import fill

    with torch.device("meta"):
        network = build()
    return fill(torch.nn.Module.to(network, torch.bfloat16))


def make_checkpoints(folder: Path) -> None:
    """Write what is missing of the checkpoints."""
    from diffusers import DDIMScheduler
    from transformers import CLIPTokenizer

    from t2ibench.adapters import checkpoints, full_size

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import write_tokenizer

    write_tokenizer(folder / "tokenizer")
    tokenizer, factories = CLIPTokenizer.from_pretrained(folder / "tokenizer"), full_size.factories()
    for name, networks in full_size.PIPELINES.items():
        if not (folder / name / "model_index.json").exists():
            prediction = "v_prediction" if name == "snapfusion" else "epsilon"
            scheduler = DDIMScheduler.from_config({**full_size.SCHEDULE, "prediction_type": prediction})
            parts = {part: random_network(factories[network]) for part, network in networks.items()}
            checkpoints.save(folder / name, name, {"tokenizer": tokenizer, "scheduler": scheduler, **parts})
    for name, network in full_size.SINGLE.items():
        if not (folder / name / "config.json").exists():
            random_network(factories[network]).save_pretrained(folder / name)


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
    from t2ibench.bench.environment import PeakMemory

    memory = PeakMemory("cpu")
    start = time.perf_counter()
    adapter = make_adapter(METHODS[name].format(folder=folder, sampling=f"scheduler=ddim,steps={STEPS}"))
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
        "peak_memory_bytes": memory.bytes(),
        "forwards": {part: stage.forwards(request) for part, stage in adapter.stages().items()},
    }


def main() -> int:
    """Run the methods one after the other; 1 where one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "methods", nargs="*", metavar="METHOD", help=f"of {', '.join(METHODS)}; all where none is named"
    )
    parser.add_argument("--checkpoints", type=Path, default=Path(tempfile.gettempdir()) / "t2ibench-full-size")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := [name for name in given.methods if name not in METHODS]:
        parser.error(f"unknown: {', '.join(unknown)} (known: {', '.join(METHODS)})")
    if given.here:
        print(json.dumps(smoke(given.methods[0], given.checkpoints)))
        return 0
    make_checkpoints(given.checkpoints)
    failed = 0
    for name in given.methods or METHODS:
        command = [sys.executable, __file__, name, "--here", "--checkpoints", str(given.checkpoints)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            failed = 1
            why = done.stderr.strip().splitlines() or [f"ended by signal {-done.returncode}: out of memory?"]
            print(f"{name}: failed: {why[-1]}", file=sys.stderr, flush=True)
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        if given.json:
            print(json.dumps(found), flush=True)
            continue
        ran = ", ".join(f"{part} {count}" for part, count in found["forwards"].items())
        print(f"{name:21} load {found['load_s']:5.1f} s, generate {found['generate_s']:6.1f} s, "
              f"peak {found['peak_memory_bytes'] / 1e9:5.2f} GB; forwards: {ran}", flush=True)  # fmt: skip
    return failed


if __name__ == "__main__":
    sys.exit(main())
