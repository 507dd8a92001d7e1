"""Scenes to edit: drawn before and after, so that what is to change and what is to stay is known exactly.

``python -m t2ibench.datasets.scene_edits`` writes the file of edits anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from ..core.files import sha256_file
from .dataset import Source
from .prompts import Prompt
from .request import Pixels
from .scene_captions import (
    BACKGROUNDS,
    COLOURS,
    MIRRORED,
    SHAPES,
    Caption,
    ObjectWords,
    read_caption,
)
from .scene_dataset import Scenes
from .scenes import BACKGROUND_RGB, RGB, SIZE, Rgb, Scene, Thing, held_out, scene

EDITS = Path(__file__).with_name("scene-edits.txt")
"""An edit a line: number of the scene, how many of its objects the source has, kind of the edit, caption after it."""
SOURCE_START = 200_000
"""The first scene of which sources are made."""
SOURCE_COUNT = 256
KINDS = ("colour", "shape", "add", "remove", "background")
REACH = 3
"""Pixels around what changes that may change too: less than the 8 that a latent stands for."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Edit:
    """One edit of a drawn scene."""

    number: int
    """Of the scene, in the validation split."""
    objects: int
    """How many of its objects the source has: one less than all where an edit of it adds the last."""
    kind: str
    """One of ``KINDS``."""
    caption: str
    """Of the scene after the edit."""

    @property
    def id(self) -> str:
        """The prompt id: ``200017-colour``."""
        return f"{self.number}-{self.kind}"

    @cached_property
    def before(self) -> Scene:
        """The source."""
        drawn = scene(self.number, "validation")
        return first_objects(drawn, self.objects)

    @cached_property
    def after(self) -> Scene:
        """The scene that the edit asks for; where the caption leaves something open, one of those it may be."""
        words = read_caption(self.caption)
        assert words is not None
        return redrawn(scene(self.number, "validation"), words)

    @property
    def mask(self) -> Mask:
        """Where pixels may change: (H, W)."""
        before, after = self.before, self.after
        if self.kind == "background":
            return _dilated(~_together(before.masks))
        if self.kind == "add":
            return _place_for(after.words, after.things) & ~before.masks.any(0) | _dilated(after.masks[-1])
        if self.kind == "remove":
            return _dilated(before.masks[-1])
        changed = [old != new for old, new in zip(before.things, after.things, strict=True)]
        return _dilated(_together((before.masks | after.masks)[changed]))

    @property
    def layout(self) -> Mask:
        """Where the objects are that do not go: (objects, H, W)."""
        return self.before.masks[: len(self.after.things)]


@dataclass(frozen=True)
class SceneEdits(Scenes):
    """Edits of 256 drawn scenes, two of each: another colour, shape or background, an object more or less.

    Edits of one source follow one another. Captions after the edit are of the validation split; so are the scenes, of
    which a source lacks the object that an edit adds.
    """

    name = "scene-edits"

    def prompts(self, root: Path) -> list[Prompt]:
        """Return the captions after the edits; an id is the number of the scene and the kind of the edit."""
        return [Prompt(edit.id, edit.caption) for edit in _edits().values()]

    def source(self, root: Path, prompt: Prompt, height: int, width: int) -> Source:
        """Return the scene before the edit, its caption, and where it may change."""
        self._check_size(height, width)
        edit = edit_of(prompt.id, prompt.text)
        return Source(Pixels.of(edit.before.image), edit.before.caption, Pixels.of(edit.mask))

    def asked(self, root: Path, prompt: Prompt, kind: str, height: int, width: int) -> Pixels | None:
        """Return the exact truth; ``regions`` are those of the source's objects that do not go."""
        self._check_size(height, width)
        edit = edit_of(prompt.id, prompt.text)
        truths: dict[str, Callable[[], NDArray[Any]]] = {
            "source": lambda: edit.before.image,
            "edit": lambda: edit.mask,
            "edited": lambda: np.stack([edit.before.image, edit.after.image]),
            "regions": lambda: edit.layout,
        }
        return Pixels.of(truths[kind]()) if kind in truths else super().asked(root, prompt, kind, height, width)

    def kind_of(self, prompt: Prompt) -> str:
        """Return the kind of the edit, one of ``KINDS``."""
        return edit_of(prompt.id, prompt.text).kind

    def shown(self, prompt: Prompt) -> Scene:
        """Return the scene after the edit."""
        return edit_of(prompt.id, prompt.text).after


SCENE_EDITS = SceneEdits()


def is_edit(prompt_id: str) -> bool:
    """Return whether a prompt of this dataset is called so."""
    return prompt_id in _edits()


def edit_of(prompt_id: str, caption: str) -> Edit:
    """Return the edit that a prompt of this dataset asks for; BenchError for other prompts."""
    edit = _edits().get(prompt_id)
    if edit is None or edit.caption != caption:
        raise BenchError(f"prompt '{prompt_id}' ('{caption[:60]}') is no edit of dataset 'scene-edits'")
    return edit


def edits_digest() -> str:
    """Return 8 hex digits that change with the edits and the code that draws them, beside that of scenes."""
    return hashlib.sha256(f"{sha256_file(Path(__file__))}{sha256_file(EDITS)}".encode()).hexdigest()[:8]


def first_objects(drawn: Scene, count: int) -> Scene:
    """Return a scene with only the first ``count`` of its objects."""
    words = drawn.words
    relations = tuple(each for each in words.relations if max(each.subject, each.target) < count)
    return redrawn(drawn, replace(words, objects=words.objects[:count], relations=relations))


def redrawn(drawn: Scene, words: Caption) -> Scene:
    """Return a scene as a caption has it that says the same of it but for colours, shapes and fewer objects."""
    things = tuple(_repainted(thing, said) for thing, said in zip(drawn.things, words.objects, strict=False))
    ground = drawn.ground
    if words.background and words.background != ground.colour:
        rgb = _moved(ground.rgb, BACKGROUND_RGB[ground.colour], BACKGROUND_RGB[words.background])
        ground = replace(ground, colour=words.background, rgb=rgb)
    order = tuple(number for number in drawn.order if number < len(things))
    return Scene(words, ground, things, order)


def _repainted(thing: Thing, said: ObjectWords) -> Thing:
    rgb = _moved(thing.rgb, RGB[thing.colour], RGB[said.colour])
    return replace(thing, shape=said.shape, colour=said.colour, rgb=rgb)


def _moved(rgb: Rgb, old: Rgb, new: Rgb) -> Rgb:
    """The new colour, as far from the pure one as the old."""
    red, green, blue = (
        min(max(value - was + is_now, 0), 255) for value, was, is_now in zip(rgb, old, new, strict=True)
    )
    return red, green, blue


_Y, _X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)


def _place_for(words: Caption, things: Sequence[Thing]) -> Mask:
    """Where the last object may be drawn by what the caption says of it: beside another, or around it."""
    new, relation = things[-1], words.relations[-1]
    mirrored = relation.target == len(things) - 1
    name = MIRRORED[relation.name] if mirrored else relation.name
    other = things[relation.subject if mirrored else relation.target]
    x, y = _X - other.x, _Y - other.y
    apart = 1.1 * (other.radius + new.radius) + 1.2 * new.radius
    places: dict[str, Mask] = {"left of": x < 0, "right of": x > 0, "above": y < 0, "below": y > 0}
    around: Mask = np.maximum(abs(x), abs(y)) < apart
    return places.get(name, around)


def _together(masks: Mask) -> Mask:
    """Where any of the masks (N, H, W) is."""
    anywhere: Mask = np.asarray(masks.any(0))
    return anywhere


def _dilated(mask: Mask) -> Mask:
    from scipy.ndimage import binary_dilation

    wide: Mask = binary_dilation(mask, np.ones((3, 3)), iterations=REACH)
    return wide


@lru_cache(maxsize=1)
def _edits() -> dict[str, Edit]:
    lines = (line.split(" ", 3) for line in EDITS.read_text(encoding="utf-8").splitlines())
    edits = [Edit(int(number), int(objects), kind, caption) for number, objects, kind, caption in lines]
    return {edit.id: edit for edit in edits}


# The file ------------------------------------------------------------------------------------------------------------


def _find(number: int, kinds: Sequence[str]) -> list[Edit] | None:
    """Edits of these kinds of a scene; None where it has none of a kind."""
    drawn = scene(number, "validation")
    if not drawn.things:
        return None
    objects = len(drawn.things) - ("add" in kinds)
    if objects < (2 if "remove" in kinds else 1):
        return None
    rng = np.random.default_rng([number, 8])
    before, edits = first_objects(drawn, objects), []
    if not _reads(before):
        return None
    for kind in kinds:
        texts = [words.text for words in _changed(kind, drawn, before.words) if held_out(words.text)]
        good = (Edit(number, objects, kind, texts[place]) for place in rng.permutation(len(texts)))
        found = next((edit for edit in good if _reads(edit.after)), None)
        if found is None:
            return None
        edits.append(found)
    return edits


def _changed(kind: str, drawn: Scene, words: Caption) -> Iterator[Caption]:
    """The captions after each edit of a kind."""
    if kind == "add":
        yield drawn.words
    elif kind == "remove":
        yield first_objects(drawn, len(words.objects) - 1).words
    elif kind == "background":
        yield from (replace(words, background=colour) for colour in BACKGROUNDS if colour != words.background)
    else:
        present = {said.colour for said in words.objects}
        others = SHAPES if kind == "shape" else [colour for colour in COLOURS if colour not in present]
        for place, said in enumerate(words.objects):
            for word in others:
                changed = replace(said, **{kind: word})
                if changed != said:
                    yield replace(words, objects=(*words.objects[:place], changed, *words.objects[place + 1 :]))


def _reads(drawn: Scene) -> bool:
    """Whether the reader finds in the picture all that the caption says."""
    from .scene_reader import compare, read_picture

    obeyed = compare(read_picture(drawn.image), drawn.words)
    return obeyed.right and obeyed.background and read_caption(drawn.caption) == drawn.words


def _write_edits() -> None:
    numbers, lines = count(SOURCE_START), []
    for place in range(SOURCE_COUNT):
        kinds = _PAIRS[place % len(_PAIRS)]
        found = next(edits for number in numbers if (edits := _find(number, kinds)))
        lines += [f"{edit.number} {edit.objects} {edit.kind} {edit.caption}\n" for edit in found]
    EDITS.write_text("".join(lines), encoding="utf-8")


_PAIRS = [(kind, KINDS[(place + step) % len(KINDS)]) for step in (1, 2) for place, kind in enumerate(KINDS)]
"""Every two kinds once; five sources in a row have each kind twice."""


if __name__ == "__main__":
    _write_edits()
