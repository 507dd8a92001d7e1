"""The pictures and captions that the zoo is trained on: scenes, drawn once and kept beside the checkpoints."""

from __future__ import annotations

import hashlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.files import replacing
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


def _file(folder: Path, start: int) -> Path:
    return folder / f"{start:06d}.npz"


def _draw(folder: Path, split: Split, start: int) -> None:
    chunk = [scene(index, split) for index in range(start, start + CHUNK)]
    images = np.empty((len(chunk), SIZE, SIZE, 3), dtype=np.uint8)
    for place, drawn in enumerate(chunk):
        images[place] = drawn.image
    with replacing(_file(folder, start)) as temporary, temporary.open("wb") as file:
        np.savez(file, images=images, captions=np.array([drawn.caption for drawn in chunk]))
