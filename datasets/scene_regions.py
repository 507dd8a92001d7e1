"""Scenes to be made by regions: a prompt and a mask of each object, from the exact truth, and a prompt of the ground.

``python -m t2ibench.datasets.scene_regions`` writes the file of cases anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .prompts import Prompt
from .request import Pixels, Region
from .scene_captions import ObjectWords
from .scene_dataset import REFERENCE_START, Scenes
from .scenes import Scene, scene

CASES = Path(__file__).with_name("scene-regions.txt")
"""A case a line, then a scene of the reference a line: number of the scene, kind of the case, caption."""
CASE_COUNT = 256
REFERENCE_COUNT = 512
KINDS = ("plain", "tight", "overlapping")
"""Masks with room around the object; masks that are its outline; masks of whole objects of which one hides another."""
ORDER = ("plain", "tight", "plain", "overlapping")
"""The kinds of cases that follow one another."""
LEAST = 0.05
"""Share of the picture that an object must fill to become a region, as in MultiDiffusion's experiment on COCO."""
ROOM = 3
"""Pixels around an object that belong to its mask, unless it is tight: less than half a latent of the mini world."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SceneRegions(Scenes):
    """Captions of scenes with two or three large objects, each with a prompt and a mask of its own.

    Kinds of cases are ``KINDS``. A region's prompt says its object alone, as ``a large red circle``, that of the
    background the ground alone, as ``a striped grey background``; the caption says it all. The reference has as many
    scenes of each kind.
    """

    name = "scene-regions"

    def prompts(self, root: Path) -> list[Prompt]:
        """Return the captions; an id is the number of the scene and the kind of the case: ``000012-tight``."""
        cases = (case for case in _cases() if case.number < REFERENCE_START)
        return [Prompt(f"{case.number:06d}-{case.kind}", case.caption) for case in cases]

    def reference_numbers(self) -> Sequence[int]:
        return [case.number for case in _cases() if case.number >= REFERENCE_START]

    def kind_of(self, prompt: Prompt) -> str:
        return prompt.id.partition("-")[2]

    def regions(self, root: Path, prompt: Prompt, height: int, width: int) -> tuple[Region, ...]:
        """Return a region for each object of the caption's scene; their masks are those of the prompt's kind."""
        self._check_size(height, width)
        drawn, kind = self.shown(prompt), self.kind_of(prompt)
        pairs = zip(drawn.words.objects, masks_of(drawn, kind), strict=True)
        return tuple(Region(words.text, Pixels.of(mask)) for words, mask in pairs)

    def background(self, prompt: Prompt) -> str:
        words = self.shown(prompt).words
        pattern = f"{words.pattern} " if words.pattern and words.pattern != "plain" else ""
        return f"a {pattern}{words.background} background"

    def asked(self, root: Path, prompt: Prompt, kind: str, height: int, width: int) -> Pixels | None:
        """Return the exact truth; ``objects`` are those of the scene where they are seen, whatever the masks."""
        if kind != "objects":
            return super().asked(root, prompt, kind, height, width)
        self._check_size(height, width)
        drawn = self.shown(prompt)
        return Pixels.of(named_masks([name_of(words) for words in drawn.words.objects], drawn.masks))


SCENE_REGIONS = SceneRegions()


def masks_of(drawn: Scene, kind: str) -> NDArray[np.bool_]:
    """Return the masks of the regions of a scene: (objects, H, W).

    ``tight`` ones are where objects are seen; ``plain`` ones reach ``ROOM`` pixels further, each as far as no other
    object is nearer; ``overlapping`` ones do so from the whole object, were nothing in front, and into one another.
    """
    if kind == "tight":
        return drawn.masks
    whole = np.stack([thing.inside for thing in drawn.things])
    away = np.stack([_distance(mask) for mask in whole])
    near: NDArray[np.bool_] = away <= ROOM
    return near if kind == "overlapping" else near & (away == away.min(0)) & (np.cumsum(away == away.min(0), 0) == 1)


def name_of(words: ObjectWords) -> str:
    """Return what an object is called where it is looked for: its colour and shape."""
    return f"{words.colour} {words.shape}"


def named_masks(names: Sequence[str], masks: NDArray[np.bool_]) -> NDArray[np.void]:
    """Return names and masks (things, H, W) as one array (things,) with the fields ``name`` and ``mask``."""
    things = np.empty(len(names), [("name", "U32"), ("mask", bool, masks.shape[1:])])
    things["name"], things["mask"] = names, masks
    return things


def _distance(mask: Mask) -> NDArray[np.float64]:
    """Of each pixel from the nearest one of a mask."""
    from scipy.ndimage import distance_transform_edt

    distance: NDArray[np.float64] = distance_transform_edt(~mask)
    return distance


@dataclass(frozen=True)
class _Case:
    number: int
    kind: str
    caption: str


@lru_cache(maxsize=1)
def _cases() -> list[_Case]:
    lines = (line.split(" ", 2) for line in CASES.read_text(encoding="utf-8").splitlines())
    return [_Case(int(number), kind, caption) for number, kind, caption in lines]


# The file ------------------------------------------------------------------------------------------------------------


def _fits(drawn: Scene, kind: str) -> bool:
    """Whether a scene can be a case of a kind: overlapping where one object hides a part of another, else not."""
    if len(drawn.things) < 2 or (drawn.masks.mean((1, 2)) < LEAST).any():
        return False
    hidden = np.sum([thing.inside for thing in drawn.things], axis=0).max() > 1
    return bool(hidden == (kind == "overlapping")) and _reads(drawn)


def _reads(drawn: Scene) -> bool:
    """Whether the reader finds in the picture all that the caption says."""
    from .scene_reader import compare, read_picture

    return compare(read_picture(drawn.image), drawn.words).right


def _found(start: int) -> Iterator[_Case]:
    """Cases among the scenes from a number on, kinds in order; what does not fit the kind that is next is left out."""
    kinds = cycle(ORDER)
    kind = next(kinds)
    for number in count(start):
        drawn = scene(number, "validation")
        if _fits(drawn, kind):
            yield _Case(number, kind, drawn.caption)
            kind = next(kinds)


def _write_cases() -> None:
    starts = {0: CASE_COUNT, REFERENCE_START: REFERENCE_COUNT}
    cases = [case for start, wanted in starts.items() for case in islice(_found(start), wanted)]
    CASES.write_text("".join(f"{case.number} {case.kind} {case.caption}\n" for case in cases), encoding="utf-8")


if __name__ == "__main__":
    _write_cases()
