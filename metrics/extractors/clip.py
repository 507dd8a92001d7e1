"""CLIP models of open_clip: pictures and prompts in one space, each model with the preprocessing of its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.errors import BenchError
from ...core.weights import KnownWeights, reading
from ..setup import Setup
from ..transforms import Picture
from .base import TextExtractor, file_digest

if TYPE_CHECKING:
    from torch import Tensor

SAFETENSORS, PICKLE = "open_clip_model.safetensors", "open_clip_pytorch_model.bin"
"""The names open_clip gives weights on the hub; the first is preferred."""

HUB = {
    ("ViT-g-14", "laion2b_s34b_b88k"): "laion/CLIP-ViT-g-14-laion2B-s34B-b88K",
    ("ViT-B-32", "openai"): "timm/vit_base_patch32_clip_224.openai",
    ("ViT-L-14", "openai"): "timm/vit_large_patch14_clip_224.openai",
    ("ViT-L-14-336", "openai"): "timm/vit_large_patch14_clip_336.openai",
}
"""What open_clip's own table says of the usual models, so that looking for their weights need not import it."""


class _Loaded(NamedTuple):
    model: Any
    preprocess: Callable[[Any], Tensor]
    tokenizer: Any


class Clip(TextExtractor):
    """The CLIP model of the suite; subclasses fix another one by ``choice``."""

    preprocess = "open_clip-preprocess"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._model_name, self._tag = self.choice(setup)
        known = self.weights(setup)
        found = setup.weights.find(known)
        self._path = found.path
        self.label = f"{self._model_name}@{self._tag}"
        if not found.official:
            doubt = (
                "could not be checked: no digest is published"
                if found.official is None
                else "are not the official ones"
            )
            self.label += f"-{file_digest(setup, known)}"
            self.note = f"CLIP weights {found.path.name} of {self._model_name} {self._tag} {doubt}"

    @classmethod
    def choice(cls, setup: Setup) -> tuple[str, str]:
        """open_clip's model name and weights tag."""
        return setup.clip_model, setup.clip_pretrained

    @classmethod
    def weights(cls, setup: Setup) -> KnownWeights:
        return _known("clip", *cls.choice(setup))

    def load(self) -> None:
        _ = self._loaded

    def prepare(self, picture: Picture) -> Tensor:
        from PIL import Image

        return self._loaded.preprocess(Image.fromarray(picture))

    def features(self, prepared: Sequence[Tensor]) -> NDArray[np.float32]:
        import torch

        with self.running():
            encoded = self._loaded.model.encode_image(torch.stack(list(prepared)).to(self.device))
        return np.asarray(encoded.float().cpu().numpy())

    def texts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        with self.running():
            encoded = self._loaded.model.encode_text(self._loaded.tokenizer(list(prompts)).to(self.device))
        return np.asarray(encoded.float().cpu().numpy())

    def cut(self, prompts: Sequence[str]) -> str | None:
        import open_clip

        tokenizer = open_clip.get_tokenizer(self._model_name)
        limit = tokenizer.context_length
        encode = getattr(tokenizer, "encode", None)
        if encode is None:
            return None
        long = sum(len(encode(prompt)) + 2 > limit for prompt in prompts)  # 2: the start and end tokens
        return f"{long} of {len(prompts)} prompts are longer than {limit} tokens and were cut" if long else None

    def _config(self) -> dict[str, Any]:
        """What open_clip knows of the weights: mean, std, interpolation, how to resize, activation."""
        import open_clip

        return dict(open_clip.get_pretrained_cfg(self._model_name, self._tag) or {})

    @cached_property
    def _loaded(self) -> _Loaded:
        import open_clip
        from open_clip.transform import PreprocessCfg, image_transform_v2

        config = self._config()
        wanted = {name: config[name] for name in ("mean", "std", "interpolation", "resize_mode") if name in config}
        with reading(self._path):
            model = open_clip.create_model(
                self._model_name,
                pretrained=str(self._path),
                device=self.device,
                force_quick_gelu=bool(config.get("quick_gelu", False)),
                force_preprocess_cfg=wanted,
                weights_only=True,
            )
        preprocess = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
        return _Loaded(model.eval(), preprocess, open_clip.get_tokenizer(self._model_name))


class ClipViTB32(Clip):
    """ViT-B/32 of OpenAI, which MLPerf's text-to-image benchmark takes."""

    @classmethod
    def choice(cls, setup: Setup) -> tuple[str, str]:
        return "ViT-B-32", "openai"

    @classmethod
    def weights(cls, setup: Setup) -> KnownWeights:
        return _known("clip-vit-b-32", *cls.choice(setup))


class ClipViTL14(Clip):
    """ViT-L/14 of OpenAI, whose pictures LAION's aesthetic predictor rates."""

    @classmethod
    def choice(cls, setup: Setup) -> tuple[str, str]:
        return "ViT-L-14", "openai"

    @classmethod
    def weights(cls, setup: Setup) -> KnownWeights:
        return _known("clip-vit-l-14", *cls.choice(setup))


class ClipViTL14At336(Clip):
    """ViT-L/14 of OpenAI at 336 pixels, CMMD's; the centre square is cut out first, as its authors do."""

    preprocess = "centre-square-open_clip-preprocess"

    @classmethod
    def choice(cls, setup: Setup) -> tuple[str, str]:
        return "ViT-L-14-336", "openai"

    @classmethod
    def weights(cls, setup: Setup) -> KnownWeights:
        return _known("clip-vit-l-14-336", *cls.choice(setup))

    def prepare(self, picture: Picture) -> Tensor:
        return super().prepare(_centre_square(picture))


def _hps(name: str, file: str) -> KnownWeights:
    return KnownWeights(name, file, hub=("xswu/HPSv2", file))


class HpsV2(Clip):
    """ViT-H/14 fine-tuned on human preferences, version 2.0; a picture is fitted into the square and padded black."""

    preprocess = "open_clip-preprocess-longest"
    file = _hps("hps-v2", "HPS_v2_compressed.pt")

    @classmethod
    def choice(cls, setup: Setup) -> tuple[str, str]:
        return "ViT-H-14", "hps-v2.0"

    @classmethod
    def weights(cls, setup: Setup) -> KnownWeights:
        return cls.file

    def _config(self) -> dict[str, Any]:
        return {"resize_mode": "longest"}


class HpsV21(HpsV2):
    """The same, version 2.1, trained on more and better data; its scores are not version 2.0's."""

    file = _hps("hps-v2.1", "HPS_v2.1_compressed.pt")

    @classmethod
    def choice(cls, setup: Setup) -> tuple[str, str]:
        return "ViT-H-14", "hps-v2.1"


def _centre_square(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[top : top + side, left : left + side]


def _known(name: str, model: str, tag: str) -> KnownWeights:
    """The weights of an open_clip model; BenchError for a model or tag that open_clip does not know."""
    if (model, tag) in HUB:
        return _on_hub(name, HUB[model, tag], (SAFETENSORS, PICKLE), f"{model}-{tag}")
    import open_clip

    if model not in open_clip.list_models():
        raise BenchError(f"unknown CLIP model '{model}': see open_clip.list_models()")
    config = open_clip.get_pretrained_cfg(model, tag)
    if not config:
        return KnownWeights(name, f"{model}-{tag}.safetensors")
    if hub := config.get("hf_hub"):
        repository, _, file = hub.rpartition("/")
        return _on_hub(name, repository, (file,) if file else (SAFETENSORS, PICKLE), f"{model}-{tag}")
    file = config["url"].rpartition("/")[2]
    return KnownWeights(name, file, url=config["url"], caches=(f"clip/{file}",))


def _on_hub(name: str, repository: str, files: tuple[str, ...], label: str) -> KnownWeights:
    """Weights on the hub; all repositories use the same file names, so by hand they go into a folder of its name."""
    folder = repository.rpartition("/")[2]
    paths = [f"{folder}/{file}" for file in files]
    aliases = (*paths[1:], f"{label}.safetensors")
    return KnownWeights(name, paths[0], aliases=aliases, hub=(repository, files[0]), hub_fallbacks=files[1:])
