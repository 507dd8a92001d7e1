"""PIE-Bench: 700 pictures, each with the edit that is asked for (Ju et al., "PnP Inversion", ICLR 2024)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .captioned import CaptionedPhotos
from .conditions import photo_pixels
from .dataset import Source
from .images import fit_mask
from .keeping import digest
from .prompts import Prompt
from .request import Pixels

FOLDER = "pie_bench"
MAPPING = "mapping_file.json"
PICTURES = "annotation_images"
SIDE = 512
"""Of the pictures and the masks, in pixels."""
HOME = "https://github.com/cure-lab/PnPInversion"


@dataclass(frozen=True)
class Edit:
    """An entry of the mapping file."""

    prompt: Prompt
    """What the picture is to become; ``image`` is its path below ``annotation_images``."""
    source: str
    """What it shows."""
    runs: tuple[int, ...]
    """The mask as start and length in turn, along the rows."""


@dataclass(frozen=True)
class PieBench(CaptionedPhotos):
    """Pictures to edit, the prompts of before and after, and the mask of what is to change.

    A folder with ``mapping_file.json`` and ``annotation_images/``: the user's own, or ``pie_bench`` in the data root.
    Brackets, which mark the words that differ, are taken off.
    """

    path: Path | None = None
    name = "pie-bench"

    def at(self, folder: Path) -> PieBench:
        return replace(self, path=folder)

    def prompts(self, root: Path) -> list[Prompt]:
        """Return the prompts of after, in the order of the file; ids are its keys. BenchError where it is not there."""
        return [edit.prompt for edit in self._edits(root).values()]

    def photo(self, root: Path, prompt: Prompt) -> Path:
        path = self._folder(root) / PICTURES / str(prompt.image)
        if not path.is_file():
            raise BenchError(f"{self.name}: no picture {path}: get the whole benchmark from {HOME}")
        return path

    def source(self, root: Path, prompt: Prompt, height: int, width: int) -> Source:
        """Return the picture, the prompt of before, and the mask, which includes the outermost pixels.

        The benchmark's own evaluation counts these as edited, since annotations are unsure there (``mask_decode``).
        """
        edit = self._edits(root)[prompt.id]
        mask = Pixels(
            digest(["pie-bench mask", edit.runs, height, width]),
            lambda: fit_mask(decode_mask(edit.runs), height, width),
        )
        return Source(photo_pixels(self.photo(root, prompt), height, width), edit.source, mask)

    def _folder(self, root: Path) -> Path:
        return self.path or root / FOLDER

    def _edits(self, root: Path) -> dict[str, Edit]:
        file = self._folder(root) / MAPPING
        if not file.is_file():
            raise BenchError(
                f"{self.name}: no {file}: get the benchmark from {HOME} and lay its data folder there, or name it with"
                " --images DIR"
            )
        return _read(file, file.stat().st_mtime_ns)


PIE_BENCH = PieBench()


def decode_mask(runs: Sequence[int]) -> NDArray[np.bool_]:
    """Return the mask (512, 512) of starts and lengths in turn, with its border."""
    flat = np.zeros(SIDE * SIDE, bool)
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        flat[start : start + length] = True
    mask = flat.reshape(SIDE, SIDE)
    mask[[0, -1]] = mask[:, [0, -1]] = True
    return mask


@lru_cache(maxsize=2)
def _read(file: Path, modified: int) -> dict[str, Edit]:
    try:
        return {name: _edit(name, entry) for name, entry in json.loads(file.read_bytes()).items()}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise BenchError(f"{file}: not PIE-Bench's mapping file ({reason}); get it again from {HOME}") from error


def _edit(name: str, entry: dict[str, Any]) -> Edit:
    image = PurePosixPath(entry["image_path"])
    runs = tuple(int(number) for number in entry["mask"])
    if image.is_absolute() or ".." in image.parts:
        raise ValueError(f"picture '{image}' of {name} lies outside of the benchmark")
    if len(runs) % 2 or min(runs, default=0) < 0:
        raise ValueError(f"the mask of {name} is no list of starts and lengths")
    return Edit(Prompt(name, _unmarked(entry["editing_prompt"]), str(image)), _unmarked(entry["original_prompt"]), runs)


def _unmarked(text: str) -> str:
    plain = " ".join(text.replace("[", "").replace("]", "").split())
    if not plain:
        raise ValueError("a prompt is empty")
    return plain
