"""DINOv2 ViT-L/14: what Fréchet and kernel distances see in place of Inception's features in dgm-eval.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024; Stein et al., "Exposing flaws of
generative model evaluation metrics and their unfair treatment of diffusion models", NeurIPS 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ...core.weights import KnownWeights, load_tensors, reading
from ..setup import Setup
from ..transforms import Picture, parse_transform
from .base import Extractor, file_digest

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = KnownWeights(
    "dinov2",
    "dinov2-large/model.safetensors",
    aliases=("dinov2-large.safetensors",),
    hub=("facebook/dinov2-large", "model.safetensors"),
)

SIDE = 224
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
"""Of ImageNet's pictures by channel, of values 0 to 1."""

_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 518, "patch_size": 14}
"""What the ``config.json`` of the weights says, for a file that lies alone."""
_POSITIONS = "embeddings.position_embeddings"
_OFFSET = 0.1
"""Added to the patches per side, as the authors' code does when it stretches the position embeddings."""


class DinoV2(Extractor):
    """The class token after the last norm, 1024 features, of the picture resized to 224×224 (bicubic, Pillow).

    Another size of the network is taken where ``config.json`` beside the weights says so.
    """

    preprocess = "bicubic224"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        found = setup.weights.find(WEIGHTS)
        self._path = found.path
        self.label = "dinov2-vit-l-14"
        if not found.official:
            self.label += f"@{file_digest(setup, WEIGHTS)}"
            self.note = f"DINOv2 weights {found.path.name} could not be checked: no digest is published"

    @classmethod
    def weights(cls, setup: Setup) -> KnownWeights:
        return WEIGHTS

    def prepare(self, picture: Picture) -> NDArray[np.float32]:
        small = parse_transform(f"square{SIDE}")(picture).astype(np.float32) / 255
        normal = (small - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1))

    def features(self, prepared: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        import torch

        with self.running():
            pixels = torch.from_numpy(np.stack(list(prepared))).to(self.device)
            tokens = self._network(pixel_values=pixels).last_hidden_state
        return np.asarray(tokens[:, 0].float().cpu().numpy())

    @cached_property
    def _network(self) -> Any:
        from transformers import Dinov2Config, Dinov2Model

        beside = self._path.with_name("config.json")
        with reading(self._path):
            config = Dinov2Config.from_json_file(beside) if beside.is_file() else Dinov2Config(**_LARGE)
            config.image_size = SIDE
            tensors = load_tensors(self._path)
            tensors[_POSITIONS] = stretched(tensors[_POSITIONS], SIDE // config.patch_size)
            network = Dinov2Model(config)
            network.load_state_dict(_renamed(tensors, network.state_dict()))
        return network.eval().requires_grad_(False).to(self.device)


def stretched(positions: Tensor, side: int) -> Tensor:
    """Return position embeddings (1, 1 + side², d) for ``side`` patches per side, of those for another size.

    The scale is (side + 0.1) / the size before, as in the authors' code, where it once kept rounding errors away; the
    embeddings differ from those stretched by the plain ratio, and so do the features.
    """
    from torch import cat
    from torch.nn.functional import interpolate

    before = round((positions.shape[1] - 1) ** 0.5)
    if before == side:
        return positions
    grid = positions[:, 1:].reshape(1, before, before, -1).permute(0, 3, 1, 2).float()
    grid = interpolate(grid, scale_factor=(side + _OFFSET) / before, mode="bicubic")
    return cat([positions[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def _renamed(tensors: Mapping[str, Tensor], wanted: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors under the names of the installed transformers, which changed those of attention in version 5."""
    names = {_old_name(name): name for name in wanted}
    return {names.get(_old_name(name), name): tensor for name, tensor in tensors.items()}


def _old_name(name: str) -> str:
    """The name of a tensor in the published files."""
    for new, old in (("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")):
        name = name.replace(f"attention.{new}", f"attention.attention.{old}")
    return name.replace("attention.o_proj", "attention.output.dense")
