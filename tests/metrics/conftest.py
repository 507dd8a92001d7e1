"""Pictures, and weights of the real architectures with seeded random values."""

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from t2ibench.metrics.sample import Sample


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


def as_sample(key: str, picture: np.ndarray, prompt: str | None = None, target: Sample | None = None) -> Sample:
    return Sample(key, hashlib.sha256(picture.tobytes()).hexdigest(), lambda: picture, prompt, target)


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    return smooth_picture


@pytest.fixture(scope="session")
def sample() -> Callable[..., Sample]:
    return as_sample


@pytest.fixture
def one_thread():
    """Threads of a deep network on tiny pictures mostly wait for each other, five times as long on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def coloured() -> Callable[..., np.ndarray]:
    return coloured_picture


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory):
    """Random weights of the Inception network, in a file by another name than the official one."""
    return write_random_inception(tmp_path_factory.mktemp("weights") / "random-inception.pth")


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


TINY_CLIP = "tiny-clip-of-the-metrics"


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    """A tiny CLIP of open_clip's own classes under the name TINY_CLIP; returns the file of its random weights."""
    import json

    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("tiny-clip")
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    (folder / f"{TINY_CLIP}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / f"{TINY_CLIP}.json")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        save_file(open_clip.create_model(TINY_CLIP).state_dict(), folder / "tiny.safetensors")
    return folder / "tiny.safetensors"


@pytest.fixture
def tiny_choice(monkeypatch, tiny_clip):
    """Puts TINY_CLIP in place of the model that a class of CLIP extractors fixes: ``tiny_choice(ClipViTL14)``."""

    def put(kind: type, tag: str = "random") -> None:
        monkeypatch.setattr(kind, "choice", classmethod(lambda cls, setup: (TINY_CLIP, tag)))

    return put
