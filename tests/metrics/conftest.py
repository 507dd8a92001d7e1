"""Samples, and the pictures and weights of ``made`` as fixtures."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from made import TINY_CLIP, Files, coloured_picture, smooth_picture
from t2ibench.metrics.sample import Sample


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
def files(tmp_path_factory) -> Files:
    """Random weights of networks, by their name."""
    return Files(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def inception_file(files) -> Path:
    """Random weights of the Inception network, in a file by another name than the official one."""
    return files.inception


@pytest.fixture(scope="session")
def tiny_clip(files) -> Path:
    """Random weights of a tiny CLIP of open_clip's own classes, which knows it as TINY_CLIP."""
    return files.tiny_clip


@pytest.fixture
def tiny_choice(monkeypatch, tiny_clip):
    """Puts TINY_CLIP in place of the model that a class of CLIP extractors fixes: ``tiny_choice(ClipViTL14)``."""

    def put(kind: type, tag: str = "random") -> None:
        monkeypatch.setattr(kind, "choice", classmethod(lambda cls, setup: (TINY_CLIP, tag)))

    return put
