"""What the zoo is trained on: scenes with captions and condition maps, drawn once and kept beside the checkpoints."""

from __future__ import annotations

import hashlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...core.files import replacing, sha256_file
from ...datasets import scene_conditions
from ...datasets.scene_conditions import Condition, condition_map
from ...datasets.scene_dataset import scenes_digest
from ...datasets.scenes import SIZE, Split, scene

CHUNK = 1000


@dataclass(frozen=True, eq=False)
class Pool:
    """Pictures, uint8 (N, 64, 64, 3), and their captions."""

    images: NDArray[np.uint8]
    captions: list[str]

    @cached_property
    def digest(self) -> str:
        """16 hex digits of all of it."""
        content = hashlib.sha256("\n".join(self.captions).encode())
        content.update(self.images.data)
        return content.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.captions)


@dataclass(frozen=True, eq=False)
class Maps:
    """Condition maps, uint8 (N, 64, 64, 3), and the numbers of their scenes."""

    images: NDArray[np.uint8]
    numbers: NDArray[np.int64]

    def pictures(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return some of the maps: (B, 3, 64, 64), 0 to 1."""
        return torch.from_numpy(self.images[chosen.numpy()]).permute(0, 3, 1, 2).float() / 255


def pool(count: int, split: Split = "train", *, work: Path, processes: int = 2) -> Pool:
    """Return the first ``count`` scenes of a split, drawn chunk by chunk into ``work`` where they are not there yet."""
    folder = work / f"scenes-{scenes_digest()}-{split}"
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, count, CHUNK)
    missing = [start for start in starts if not _file(folder, start).exists()]
    if missing:
        with ProcessPoolExecutor(processes) as workers:
            list(workers.map(partial(_draw, folder, split), missing))
    images, captions = [], []
    for start in starts:
        with np.load(_file(folder, start)) as chunk:
            images.append(chunk["images"])
            captions += chunk["captions"].tolist()
    return Pool(np.concatenate(images)[:count], captions[:count])


def maps(count: int, kind: Condition, split: Split = "train", *, work: Path, processes: int = 2) -> Maps:
    """Return the condition maps of the first ``count`` scenes of a split, where they have one; kept as by ``pool``."""
    folder = work / f"scenes-{scenes_digest()}-{split}" / f"{kind}-{_conditions_digest()}"
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, count, CHUNK)
    missing = [start for start in starts if not _file(folder, start).exists()]
    if missing:
        with ProcessPoolExecutor(processes) as workers:
            list(workers.map(partial(_draw_maps, folder, kind, split), missing))
    images, numbers = [], []
    for start in starts:
        with np.load(_file(folder, start)) as chunk:
            images.append(chunk["images"])
            numbers.append(chunk["numbers"])
    found = np.concatenate(numbers)
    return Maps(np.concatenate(images)[found < count], found[found < count])


def _conditions_digest() -> str:
    """8 hex digits that change with the code that draws condition maps."""
    return sha256_file(Path(scene_conditions.__file__))[:8]


def _file(folder: Path, start: int) -> Path:
    return folder / f"{start:06d}.npz"


def _draw(folder: Path, split: Split, start: int) -> None:
    chunk = [scene(index, split) for index in range(start, start + CHUNK)]
    images = np.empty((len(chunk), SIZE, SIZE, 3), dtype=np.uint8)
    for place, drawn in enumerate(chunk):
        images[place] = drawn.image
    _save(_file(folder, start), {"images": images, "captions": np.array([drawn.caption for drawn in chunk])})


def _draw_maps(folder: Path, kind: Condition, split: Split, start: int) -> None:
    scenes = {index: scene(index, split) for index in range(start, start + CHUNK)}
    drawn = {index: condition_map(each, kind) for index, each in scenes.items() if kind != "landmarks" or each.face}
    _save(_file(folder, start), {"images": np.array(list(drawn.values())), "numbers": np.array(list(drawn))})


def _save(path: Path, arrays: dict[str, Any]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
