"""Pictures, and files of weights of the real architectures with seeded random values."""

from __future__ import annotations

import json
import warnings
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np

TINY_CLIP = "tiny-clip-of-the-metrics"


class Files:
    """Weights in a folder, each file written when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def inception(self) -> Path:
        """By another name than the official one."""
        return write_random_inception(self._folder / "random-inception.pth")

    @cached_property
    def tiny_clip(self) -> Path:
        """Of a model that open_clip then knows as TINY_CLIP."""
        return write_tiny_clip(self._folder)

    def backbone(self, net: str) -> Path:
        """Of LPIPS' ``alex``, ``vgg`` or ``squeeze``."""
        path = self._folder / f"random-{net}.pth"
        return path if path.exists() else write_random_backbone(path, net)


def smooth_picture(seed: int, height: int = 64, width: int = 64) -> np.ndarray:
    """A seeded picture with structure at several scales, uint8 (H, W, 3)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 16.0
    waves = [np.sin(x * a + y * b + c) for a, b, c in random.uniform(-2, 2, (3, 3))]
    noise = random.normal(0, 12, (height, width, 3))
    return np.clip(128 + 60 * np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)


def coloured_picture(random: np.random.Generator, height: int, width: int, slope: float) -> np.ndarray:
    """Noise whose amplitude falls as 1/frequency^slope; that of photographs falls with a slope of about 1."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1 / max(height, width)
    spectrum = np.fft.rfft2(random.normal(size=(3, height, width))) / frequency**slope
    levels = np.fft.irfft2(spectrum, (height, width))
    return (128 + 50 * (levels / levels.std()).transpose(1, 2, 0)).clip(0, 255).astype(np.uint8)


def write_random_inception(path: Path) -> Path:
    """Write random weights of the real architecture in the layout that torch-fidelity and pytorch-fid read."""
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Untrained(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_, **__):
            pass

    empty = BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = Untrained("untrained", ["2048"], feature_extractor_weights_path=empty)
        for parameter in network.parameters():
            if parameter.dim() > 1:
                torch.nn.init.kaiming_normal_(parameter)
    torch.save(network.state_dict(), path)
    return path


def write_tiny_clip(folder: Path) -> Path:
    """Write random weights of a tiny CLIP of open_clip's own classes, and tell open_clip of it as TINY_CLIP."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    (folder / f"{TINY_CLIP}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / f"{TINY_CLIP}.json")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        save_file(open_clip.create_model(TINY_CLIP).state_dict(), folder / "tiny.safetensors")
    return folder / "tiny.safetensors"


def write_random_backbone(path: Path, net: str) -> Path:
    """Write random feature layers of an LPIPS network under torchvision's names."""
    import lpips
    import torch

    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips calls torchvision by arguments that it has renamed
        torch.manual_seed(5)
        layers = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).net.state_dict()
    # "slice2.3.squeeze.weight" is layer 3 of the features, whatever slice it is in.
    torch.save({f"features.{name.partition('.')[2]}": tensor for name, tensor in layers.items()}, path)
    return path
