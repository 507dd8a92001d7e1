"""What the tests of control methods share: requests with condition maps, and small random networks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from t2ibench.datasets.request import ConditionMap, Pixels, Request

SIZE = 64


def condition_map(index: int, kind: str, size: int = SIZE) -> np.ndarray:
    """A picture of its own for each index and kind, all channels different; of one grey where it is of edges."""
    rng = np.random.default_rng([index, len(kind)])
    picture = rng.integers(0, 256, (size, size, 3)).astype(np.uint8)
    return np.repeat(picture[..., :1], 3, axis=2) if kind == "canny" else picture


@pytest.fixture(scope="session")
def controlled() -> Callable[..., Request]:
    """Requests of 64×64 pictures: ``controlled(index, "canny", "depth")``."""

    def make(index: int, *kinds: str, size: int = SIZE, **more: Any) -> Request:
        maps = tuple(ConditionMap(kind, Pixels.of(condition_map(index, kind, size))) for kind in kinds)
        return Request(f"p{index}", f"a red bus {index}", seed=3, height=SIZE, width=SIZE, conditions=maps, **more)

    return make


@pytest.fixture(scope="session")
def loaded() -> Callable[..., Any]:
    """Load a method on the CPU in fp32: ``loaded("sd15[...]")``."""
    from t2ibench.adapters import make_adapter

    def load(text: str) -> Any:
        method = make_adapter(text)
        method.load("cpu", "fp32")
        return method

    return load


@pytest.fixture(scope="session")
def randomised() -> Callable[..., Any]:
    """Give a network's zero weights, from which training starts, random values."""
    import torch

    def fill(network: Any, seed: int = 0) -> Any:
        torch.manual_seed(seed)
        for parameter in network.parameters():
            if parameter.abs().max() == 0:
                torch.nn.init.normal_(parameter, std=0.3)
        return network

    return fill


@pytest.fixture(scope="session")
def save_controlnet(tiny_sd: Path, randomised: Callable[..., Any]) -> Callable[..., Path]:
    """Save a random ControlNet of the tiny checkpoint's UNet; options change its configuration."""
    from diffusers import ControlNetModel, UNet2DConditionModel

    def save(folder: Path, seed: int = 0, **options: Any) -> Path:
        unet = UNet2DConditionModel.from_pretrained(tiny_sd / "unet")
        config = dict(ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 8, 8)).config)
        config = {name: value for name, value in config.items() if not name.startswith("_")}
        network = randomised(ControlNetModel(**{**config, **options}), seed)
        for parameter in network.controlnet_cond_embedding.parameters():
            parameter.data *= 3  # random weights as they start hardly read the condition
        network.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def tiny_controlnet(tmp_path_factory: pytest.TempPathFactory, save_controlnet: Callable[..., Path]) -> Path:
    """A random ControlNet that fits the tiny checkpoint."""
    return save_controlnet(tmp_path_factory.mktemp("control") / "net")


@pytest.fixture(scope="session")
def plain_top_sd(tmp_path_factory: pytest.TempPathFactory, sd_factory: Callable[..., Path]) -> Path:
    """A tiny checkpoint whose UNet has a plain block at its highest resolution, as efficient UNets do."""
    blocks = {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }
    return sd_factory(tmp_path_factory.mktemp("plain") / "sd", unet=blocks)


@pytest.fixture
def count_calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[tuple[Any, ...]]]:
    """Record the arguments of every call of a module from now on."""

    def watch(module: Any) -> list[tuple[Any, ...]]:
        calls: list[tuple[Any, ...]] = []
        forward = module.forward

        def record(*arguments: Any, **named: Any) -> Any:
            calls.append((*arguments, named))
            return forward(*arguments, **named)

        monkeypatch.setattr(module, "forward", record)
        return calls

    return watch


@pytest.fixture(scope="session")
def pipeline_pictures() -> Callable[..., np.ndarray]:
    """What a pipeline of diffusers makes of requests with our noise and our sampler."""
    import torch

    from t2ibench.adapters import noise
    from t2ibench.adapters.schedulers import make_scheduler

    def make(pipeline: Any, requests: Sequence[Request], steps: int, guidance: float, **more: Any) -> np.ndarray:
        pipeline.scheduler = make_scheduler("ddim", pipeline.scheduler.config, steps)
        pipeline.set_progress_bar_config(disable=True)
        with torch.no_grad():
            pictures = pipeline(
                [r.prompt for r in requests], negative_prompt=[r.negative_prompt for r in requests],
                height=SIZE, width=SIZE, num_inference_steps=steps, guidance_scale=guidance,
                latents=noise.batch(requests, (4, SIZE // 8, SIZE // 8)), output_type="np", **more,
            ).images  # fmt: skip
        return (pictures * 255).round().astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def velocity_sd(tiny_sd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint, as if it predicted velocity."""
    folder = shutil.copytree(tiny_sd, tmp_path_factory.mktemp("velocity") / "sd")
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"prediction_type": "v_prediction"}))
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Several threads may share a batch out so that a picture's place in it decides its last bits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
