"""Captions of scenes for wide pictures, and scenes of such captions to compare parts of them with.

``python -m t2ibench.datasets.scene_panoramas`` writes the file of captions anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from .prompts import Prompt
from .scene_dataset import REFERENCE_START, Scenes
from .scenes import scene

CAPTIONS = Path(__file__).with_name("scene-panoramas.txt")
"""Of the first scenes with one object, and of the first of the reference, each with the scene's number."""
PROMPT_COUNT = 256
REFERENCE_COUNT = 512


@dataclass(frozen=True)
class ScenePanoramas(Scenes):
    """Captions of scenes with one object: what they say can go on to both sides, again and again.

    Relations and faces cannot: a window that shows a part of two objects, or of a face, is like no scene. A caption of
    the background alone is none that the mini world's models have read.
    """

    name = "scene-panoramas"

    def prompts(self, root: Path) -> list[Prompt]:
        """Return the captions; an id is the number of the scene, as in ``Scenes``."""
        return [Prompt(f"{number:06d}", text) for number, text in _captions() if number < REFERENCE_START]

    def reference_numbers(self) -> Sequence[int]:
        return [number for number, _ in _captions() if number >= REFERENCE_START]


SCENE_PANORAMAS = ScenePanoramas()


def _captions() -> list[tuple[int, str]]:
    lines = (line.split(" ", 1) for line in CAPTIONS.read_text(encoding="utf-8").splitlines())
    return [(int(number), caption) for number, caption in lines]


def _of_one_object(start: int) -> Iterator[int]:
    """The numbers, from ``start`` on, of the scenes with one object."""
    return (number for number in count(start) if len(scene(number, "validation").things) == 1)


def _write_captions() -> None:
    starts = {0: PROMPT_COUNT, REFERENCE_START: REFERENCE_COUNT}
    numbers = (number for start, wanted in starts.items() for number in islice(_of_one_object(start), wanted))
    lines = (f"{number} {scene(number, 'validation').caption}\n" for number in numbers)
    CAPTIONS.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    _write_captions()
