"""What the engine asks of a network: a label for the identity at once, its answers after loading on first use."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ...core.errors import BenchError
from ...core.files import sha256_file, write_atomic
from ...core.weights import KnownWeights, load_tensors, tensors_digest
from ..setup import Setup
from ..transforms import Picture

if TYPE_CHECKING:
    from torch import Tensor

DTYPES: Final = ("fp32", "bf16", "fp16")


class Network(ABC):
    """A network some metric needs. The constructor finds the weights and sets ``label`` and ``note``; loading waits."""

    label: str
    """Network and weights, as identities name them: ``inception-2015-12-05@6726825d``."""
    note: str | None = None
    """What every table must say, for example that the weights are not the official ones."""

    def __init__(self, setup: Setup) -> None:
        if setup.dtype not in DTYPES:
            raise BenchError(f"metrics run in {', '.join(DTYPES)}, not '{setup.dtype}'")
        self.device = setup.device
        self.kind = setup.device.partition(":")[0]
        self.dtype = setup.dtype

    @classmethod
    @abstractmethod
    def weights(cls, setup: Setup) -> KnownWeights | None:
        """The file it needs under ``setup``, None where it needs none; cheap, nothing is loaded."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """No gradients, autocast where the precision is a low one, and no TF32, which is off by 1e-3."""
        import torch

        kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        low = torch.autocast(self.kind, kinds[self.dtype], enabled=self.dtype != "fp32")
        with torch.inference_mode(), low, torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield


class Extractor(Network):
    """A network that turns a picture into a vector."""

    preprocess: str
    """What it does to a picture itself, as identities name it: ``tf-bilinear``."""

    @property
    def identity(self) -> str:
        """What its features depend on beside the picture."""
        return f"{self.label}:{self.preprocess}:{self.dtype}"

    @property
    def cache_key(self) -> str:
        """What its features are cached under beside the picture: kinds of device differ in rounding."""
        return f"{self.identity}:{self.kind}"

    def load(self) -> None:
        """Load what ``prepare`` needs, which runs in several threads; a pass calls this in one of them before."""

    def prepare(self, picture: Picture) -> Any:
        """The part of the work for one picture that can be done beside the network, in another thread."""
        return picture

    @abstractmethod
    def features(self, prepared: Sequence[Any]) -> NDArray[np.float32]:
        """Return (n, d) features of n prepared pictures, which may be of different sizes."""


class TextExtractor(Extractor):
    """An extractor that puts texts into the same space as pictures."""

    @abstractmethod
    def texts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, d) features of n prompts."""

    @abstractmethod
    def cut(self, prompts: Sequence[str]) -> str | None:
        """Say how many of the prompts are longer than the text encoder reads, None where it reads all of them."""


def file_digest(setup: Setup, known: KnownWeights) -> str:
    """The first 8 hex digits of the digest of the tensors in the weights file that ``setup`` finds.

    Kept in the cache folder by the digest of the file, so that a run which needs no network need not read tensors.
    """
    path = setup.weights.find(known).path
    kept = setup.cache / "digests" / sha256_file(path) if setup.cache else None
    with suppress(OSError):
        if kept and re.fullmatch("[0-9a-f]{64}", found := kept.read_text()):
            return found[:8]
    digest = tensors_digest(load_tensors(path))
    with suppress(OSError):
        if kept:
            write_atomic(kept, digest)
    return digest[:8]


def cores() -> int:
    """Threads for one computation: the cores this process may use, fewer where ``OMP_NUM_THREADS`` asks for that."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(asked)) if asked.isdigit() and int(asked) else allowed


def by_size(pictures: Sequence[Picture]) -> list[list[int]]:
    """Group the indices of pictures by their height and width, so that each group can be one tensor."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, picture in enumerate(pictures):
        groups.setdefault(picture.shape, []).append(index)
    return list(groups.values())


def as_tensor(pictures: Sequence[Picture], device: str) -> Tensor:
    """Stack pictures of one size into a uint8 tensor (n, 3, H, W)."""
    import torch

    stacked = torch.from_numpy(np.stack(list(pictures))).permute(0, 3, 1, 2)
    return stacked.contiguous().to(device)
