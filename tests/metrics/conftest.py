"""Pictures, and weights of the real architectures with seeded random values."""

import hashlib
from collections.abc import Callable
from io import BytesIO

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
def inception_file(tmp_path_factory):
    """Random weights of the Inception network, in a file by another name than the official one."""
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
    path = tmp_path_factory.mktemp("weights") / "random-inception.pth"
    torch.save(network.state_dict(), path)
    return path
