"""The validation scenes as a dataset: captions to make pictures of, and other scenes to compare these with.

``python -m t2ibench.datasets.scene_dataset`` writes both files of captions anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..core.errors import BenchError
from ..core.files import sha256_file, write_atomic
from ..core.weights import cache_dir
from .dataset import Dataset, Drawing
from .prompts import Prompt
from .request import Pixels
from .scene_conditions import CONDITIONS, canny, condition_map
from .scenes import SIZE, Scene, scene

CAPTIONS = Path(__file__).with_name("scenes-validation.txt")
"""Of the first scenes of the validation split, a line each: to draw so many scenes takes seconds."""
FACE_CAPTIONS = Path(__file__).with_name("scene-faces-validation.txt")
"""Of the first scenes with a face, and of the first of the reference that have one, each with the scene's number."""
REFERENCE_START = 100_000
"""The first scene of the reference: no picture of it is that of a caption."""
REFERENCE_COUNT = 2_048
PROMPT_COUNT = 2_048


@dataclass(frozen=True)
class Scenes(Dataset):
    """Captions of scenes numbered from 0 and pictures of scenes numbered from 100,000, all of the validation split."""

    name = "scenes"
    kind = "prompts"

    def prompts(self, root: Path) -> list[Prompt]:
        """Return the captions; an id is the number of the scene in 6 digits (``root`` plays no part)."""
        lines = CAPTIONS.read_text(encoding="utf-8").splitlines()
        return [Prompt(f"{number:06d}", caption) for number, caption in enumerate(lines)]

    def reference_numbers(self) -> Sequence[int]:
        """Return which scenes the reference shows."""
        return range(REFERENCE_START, REFERENCE_START + REFERENCE_COUNT)

    def reference(self, root: Path, n: int | None = None, progress: Drawing | None = None) -> list[Path]:
        """Return pictures of the first ``n`` scenes of the reference (``root`` plays no part).

        They are drawn into the cache folder when they are first asked for, as ``progress`` is told. Raises WriteError
        where that is impossible.
        """
        folder = reference_folder()
        files = {number: folder / f"{number}.bmp" for number in self.reference_numbers()[:n]}
        there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
        missing = [(number, file) for number, file in files.items() if file.name not in there]
        for done, (number, file) in enumerate(missing):
            if progress:
                progress(done, len(missing))
            _draw(number, file)
        if progress and missing:
            progress(len(missing), len(missing))
        return list(files.values())

    def condition(self, root: Path, prompt: Prompt, kind: str, height: int, width: int) -> Pixels | None:
        """Return a map of the caption's scene, from its exact truth; None for landmarks of a scene without a face."""
        self._check_size(height, width)
        drawn = self.shown(prompt)
        if kind == "landmarks" and drawn.face is None:
            return None
        if kind not in CONDITIONS:
            return super().condition(root, prompt, kind, height, width)
        return Pixels.of(condition_map(drawn, kind))

    def asked(self, root: Path, prompt: Prompt, kind: str, height: int, width: int) -> Pixels | None:
        """Return the exact truth of the caption's scene; None for landmarks of a scene without a face."""
        self._check_size(height, width)
        drawn = self.shown(prompt)
        truths: dict[str, Callable[[], NDArray[Any] | None]] = {
            "canny": lambda: canny(drawn.image),
            "depth": lambda: drawn.depth,
            "landmarks": lambda: drawn.landmarks,
            "regions": lambda: drawn.masks,
        }
        if kind not in truths:
            return super().asked(root, prompt, kind, height, width)
        truth = truths[kind]()
        return None if truth is None else Pixels.of(truth)

    def shown(self, prompt: Prompt) -> Scene:
        """Return the scene that a picture of one of this dataset's prompts should show."""
        return scene_of(prompt.id, prompt.text)

    def _check_size(self, height: int, width: int) -> None:
        if (height, width) != (SIZE, SIZE):
            raise BenchError(
                f"dataset '{self.name}' has pictures of {SIZE}×{SIZE}, not {width}×{height}: set sampling.size={SIZE}"
            )


@dataclass(frozen=True)
class SceneFaces(Scenes):
    """The scenes with a face among the same, as many of them: every prompt has landmarks."""

    name = "scene-faces"

    def prompts(self, root: Path) -> list[Prompt]:
        """Return the captions; an id is the number of the scene, as in ``Scenes``."""
        return [Prompt(f"{number:06d}", text) for number, text in _faces() if number < REFERENCE_START]

    def reference_numbers(self) -> Sequence[int]:
        """Return which scenes the reference shows."""
        return [number for number, _ in _faces() if number >= REFERENCE_START]


def _faces() -> list[tuple[int, str]]:
    """Numbers and captions of the scenes with a face."""
    lines = (line.split(" ", 1) for line in FACE_CAPTIONS.read_text(encoding="utf-8").splitlines())
    return [(int(number), caption) for number, caption in lines]


SCENES = Scenes()
SCENE_FACES = SceneFaces()


def scene_of(prompt_id: str, caption: str, offset: int = 0) -> Scene:
    """Return the scene that a prompt of this dataset is the caption of, or the one ``offset`` further on.

    What follows a hyphen in the id does not count. Raises BenchError for other prompts.
    """
    number = prompt_id.partition("-")[0]
    known = len(number) == 6 and number.isascii() and number.isdigit()
    own = _numbered(int(number)) if known else None
    if own is None or own.caption != caption:
        raise BenchError(f"prompt '{prompt_id}' ('{caption[:60]}') is no caption of dataset 'scenes'")
    return _numbered(int(number) + offset) if offset else own


@lru_cache(maxsize=2 * PROMPT_COUNT)
def _numbered(number: int) -> Scene:
    """A scene, kept: it takes longer to find than to draw, and every row asks for the same ones."""
    return scene(number, "validation")


def scenes_digest() -> str:
    """Return 8 hex digits that change with the code that draws scenes."""
    sources = (Path(__file__).with_name(name) for name in ("scenes.py", "scene_captions.py"))
    return hashlib.sha256("".join(map(sha256_file, sources)).encode()).hexdigest()[:8]


def reference_folder() -> Path:
    """Where the pictures of the reference are kept; another folder for another version of the scenes."""
    return cache_dir() / "datasets" / f"scenes-{scenes_digest()}"


def _draw(number: int, file: Path) -> None:
    """Write the picture of a scene; as BMP, whose bytes, and so its digest, no version of a library changes."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(scene(number, "validation").image).save(buffer, "BMP")
    write_atomic(file, buffer.getvalue())


def _write_captions() -> None:
    captions = [scene(number, "validation").caption for number in range(PROMPT_COUNT)]
    CAPTIONS.write_text("".join(f"{caption}\n" for caption in captions), encoding="utf-8")
    numbers = [*islice(_face_numbers(0), PROMPT_COUNT), *islice(_face_numbers(REFERENCE_START), REFERENCE_COUNT)]
    lines = (f"{number} {scene(number, 'validation').caption}\n" for number in numbers)
    FACE_CAPTIONS.write_text("".join(lines), encoding="utf-8")


def _face_numbers(start: int) -> Iterator[int]:
    """The numbers, from ``start`` on, of the scenes with a face."""
    return (number for number in count(start) if scene(number, "validation").face)


if __name__ == "__main__":
    _write_captions()
