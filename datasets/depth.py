"""Depth of photos by a model of the Hugging Face hub, through transformers.

Any model of ``AutoModelForDepthEstimation`` will do; the default is the MiDaS model whose maps ControlNet was trained
on (Ranftl et al., "Vision Transformers for Dense Prediction", ICCV 2021).
"""

from __future__ import annotations

import threading
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..core.files import sha256_file
from ..core.weights import KnownWeights, WeightsFinder, reading
from .images import fit, load_rgb
from .keeping import keep

REPOSITORY = "Intel/dpt-hybrid-midas"
_FOLDER = "dpt-hybrid-midas"
DEPTH = KnownWeights(
    "depth",
    f"{_FOLDER}/model.safetensors",
    aliases=(f"{_FOLDER}/pytorch_model.bin",),
    hub=(REPOSITORY, "model.safetensors"),
    hub_fallbacks=("pytorch_model.bin",),
)
_BESIDE = ("config.json", "preprocessor_config.json")

METRIC = ("depth_pro", "glpn", "zoedepth")
"""Types of models whose output grows with the distance; that of the others grows with nearness."""


class DepthModel:
    """A depth model in a folder in transformers' layout, loaded when it is first used; on a GPU where there is one."""

    def __init__(self, folder: Path, weights: Path) -> None:
        self.folder, self.weights = folder, weights
        self._lock = threading.Lock()

    @cached_property
    def identity(self) -> str:
        """Changes with all that decides a map; the device too, for it decides the rounding."""
        files = [sha256_file(path)[:16] for path in (self.weights, *map(self.folder.joinpath, _BESIDE))]
        return ":".join(("depth", *files, f"transformers-{version('transformers')}", _device()))

    def nearness(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the nearness of each pixel (H, W) of a picture (H, W, 3), the farthest 0 and the nearest 255."""
        import torch

        processor, network = self._loaded
        with self._lock, torch.inference_mode():
            inputs = processor(images=picture, return_tensors="pt").to(network.device)
            depth = network(**inputs).predicted_depth[:, None].float()
            depth = torch.nn.functional.interpolate(depth, size=picture.shape[:2], mode="bicubic")[0, 0]
        values = depth.cpu().numpy().astype(np.float64)
        return _scaled(-values if _is_metric(network.config) else values)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        with reading(self.weights):
            processor = AutoImageProcessor.from_pretrained(self.folder, local_files_only=True)
            network = AutoModelForDepthEstimation.from_pretrained(self.folder, local_files_only=True)
        return processor, network.float().eval().requires_grad_(False).to(_device())


def find_depth_model(weights: WeightsFinder) -> DepthModel:
    """Return the depth model, one per model file and process.

    ``--weights depth=FILE`` takes any model's file, with its configuration beside it. Raises MissingWeights where it is
    not at hand, BenchError where the configuration is not.
    """
    path = weights.find(DEPTH).path
    for name in _BESIDE:
        if not path.with_name(name).is_file():
            weights.find(KnownWeights(f"depth {name}", f"{_FOLDER}/{name}", hub=(REPOSITORY, name)))
        if not path.with_name(name).is_file():
            raise BenchError(f"weights 'depth': no {name} beside '{path}': put it there, as on the hub")
    return _depth_model(path)


@cache
def _depth_model(path: Path) -> DepthModel:
    return DepthModel(path.parent, path)


def photo_depth(photo: Path, height: int, width: int, model: DepthModel) -> NDArray[np.uint8]:
    """Return the nearness (height, width) of a photo that is cut to that size (``images.fit``), kept in the cache."""
    identity = [sha256_file(photo), height, width, model.identity]
    return keep("depth", identity, lambda: model.nearness(fit(load_rgb(photo), height, width)))


def _scaled(nearness: NDArray[np.float64]) -> NDArray[np.uint8]:
    least, most = nearness.min(), nearness.max()
    return np.asarray(np.round((nearness - least) / max(most - least, 1e-12) * 255), np.uint8)


def _is_metric(config: Any) -> bool:
    return config.model_type in METRIC or getattr(config, "depth_estimation_type", "relative") == "metric"


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
